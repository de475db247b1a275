// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// What one request may do, and the parameters ?1 to ?5 that policies and defaults read.
struct RowAccess: Sendable {
    let schema: SQLiteSchema
    let role: String
    /// auth.uid(), auth.role(), auth.email(), auth.jwt(), now(); a request's own parameters begin at ?6.
    let context: [SQLValue]
    /// Work of the platform itself: neither privileges nor policies are asked.
    let isUnrestricted: Bool

    init(schema: SQLiteSchema, session: RequestSession, isUnrestricted: Bool = false) {
        self.schema = schema
        role = session.role
        self.isUnrestricted = isUnrestricted
        context = [
            session.subject.map { .text($0.lowercased()) } ?? .null, .text(session.role),
            session.email.map { .text($0) } ?? .null, .text(session.claims), .integer(MartletFunctions.now()),
        ]
    }

    var catalog: Catalog { schema.catalog }

    /// - Throws: `DatabaseError` 42501 without the privilege.
    func require(_ privilege: Privileges.Set, on relation: Relation, columns: [String]) throws(DatabaseError) {
        guard !isUnrestricted else { return }
        let compiler = AccessCompiler(catalog: catalog, role: role)
        guard compiler.allows(privilege, on: relation, columns: columns) else {
            throw DatabaseError(
                sqlState: "42501", message: "permission denied for \(relation.kind.rawValue) \(relation.name.name)")
        }
    }

    func using(_ command: Policy.Command, on relation: Relation, alias: String) throws -> AccessCompiler.Condition {
        #if MUTANT_DATA_POLICY_DROPPED
            if command == .delete { return .always }
        #endif
        if isUnrestricted { return .always }
        return try schema.condition(command, isCheck: false, on: relation, alias: alias, role: role)
    }

    func check(_ command: Policy.Command, on relation: Relation, alias: String) throws -> AccessCompiler.Condition {
        if isUnrestricted { return .always }
        return try schema.condition(command, isCheck: true, on: relation, alias: alias, role: role)
    }

    /// Whether policies stand between the role and the rows: then messages do not show values (PostgreSQL hides them).
    func isGuarded(_ relation: Relation) -> Bool {
        guard !isUnrestricted, relation.rowSecurity, catalog.roles[role]?.bypassesRowSecurity != true else {
            return false
        }
        return role != relation.owner || relation.forcesRowSecurity
    }

    /// The same request acting for the platform, as foreign-key actions do.
    var unrestricted: RowAccess {
        RowAccess(schema: schema, role: role, context: context, isUnrestricted: true)
    }

    private init(schema: SQLiteSchema, role: String, context: [SQLValue], isUnrestricted: Bool) {
        self.schema = schema
        self.role = role
        self.context = context
        self.isUnrestricted = isUnrestricted
    }
}
