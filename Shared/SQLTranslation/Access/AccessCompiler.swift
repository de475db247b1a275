// SPDX-License-Identifier: Apache-2.0
import MartletDatabase

/// What one role may see and write, as SQLite's SQL: privileges, row-level policies, views (D26).
///
/// Every fragment uses the parameters ?1 `auth.uid()`, ?2 `auth.role()`, ?3 `auth.email()`, ?4 `auth.jwt()` and
/// ?5 `now()` in µs; a request's own begin at ?6. Aliases that begin with `_m` are the compiler's. It throws
/// `DatabaseError`: 42501 for a table that a policy or view reads without the right to, 42P17 for policies that
/// recurse, 0A000 and PostgreSQL's own codes for text that cannot be translated.
package struct AccessCompiler: Sendable {
    package let catalog: Catalog
    /// The role that asks.
    package let role: String

    package init(catalog: Catalog, role: String) {
        self.catalog = catalog
        self.role = role
    }

    package enum Condition: Sendable, Equatable {
        case always
        case never
        /// A boolean expression of SQLite: a row counts when it is 1, not when it is 0 or NULL.
        case expression(String)
    }

    /// Whether the role has `privilege` on the relation.
    ///
    /// With nil it must hold for the whole table; with columns, for the table or for each of them; with an empty list,
    /// for the table or for any column (`count(*)`).
    package func allows(_ privilege: Privileges.Set, on relation: Relation, columns: [String]?) -> Bool {
        allows(privilege, on: relation, columns: columns, role: role)
    }

    /// Which existing rows `command` may touch, the row being `alias`: USING of the permissive policies joined by OR,
    /// of the restrictive ones by AND.
    ///
    /// For UPDATE and DELETE the caller adds the condition for SELECT when the statement reads rows (PostgreSQL does
    /// so with WHERE and RETURNING).
    package func using(_ command: Policy.Command, on relation: Relation, alias: String) throws -> Condition {
        try guarded { try condition(command, isCheck: false, on: relation, alias, as: role, Expansion()) }
    }

    /// Which rows INSERT and UPDATE may leave behind: WITH CHECK, or USING where a policy has no WITH CHECK.
    package func withCheck(_ command: Policy.Command, on relation: Relation, alias: String) throws -> Condition {
        try guarded { try condition(command, isCheck: true, on: relation, alias, as: role, Expansion()) }
    }

    /// The relation as a FROM item. A view becomes its query, with the policies of the tables in it.
    ///
    /// A table comes without its policies (ask `using`), and neither is asked for its own privileges (ask `allows`).
    package func rowSource(_ relation: Relation, alias: String) throws -> String {
        try guarded {
            switch relation.kind {
            case .table: "\(SQLiteName.quoted(relation.name)) AS \(SQLiteName.quoted(raw: alias))"
            case .view: try view(relation, alias: alias, as: role, Expansion())
            }
        }
    }

    /// A column's default as a scalar expression in the form on disk; `NULL` when it has none.
    package func defaultExpression(of column: Column) throws -> String {
        guard let text = column.defaultExpression else { return "NULL" }
        return try guarded { try expression(text, scope: Scope(), type: column.type, as: role, Expansion()) }
    }

    /// Any stored expression about a row of the relation, such as a generated column's or a check's.
    ///
    /// With a `type` the value is converted to it as an assignment does.
    package func expression(
        _ text: String, on relation: Relation, alias: String, as type: ColumnType? = nil
    ) throws -> String {
        try guarded {
            try expression(text, scope: Scope.row(of: relation, alias: alias), type: type, as: role, Expansion())
        }
    }

    // MARK: Conditions

    /// What is being expanded, to name everything once and to notice circles.
    private final class Expansion {
        let aliases = AliasSupply()
        /// Relations whose policies or view are being written, outermost first.
        var active: [QualifiedName] = []

        /// How deep views and policies may nest.
        static let depthMax = 40
    }

    private func guarded<Result>(_ body: () throws -> Result) throws -> Result {
        do {
            return try body()
        } catch let fault as TranslationFault {
            throw DatabaseError(sqlState: fault.sqlState, message: fault.reason)
        }
    }

    private func allows(
        _ privilege: Privileges.Set, on relation: Relation, columns: [String]?, role: String
    ) -> Bool {
        if role == relation.owner { return true }
        if let usage = catalog.schemaUsage[relation.name.schema], !usage.contains(role), !usage.contains("public") {
            return false
        }
        let grants = [relation.grants[role], relation.grants["public"]].compactMap(\.self)
        if grants.contains(where: { $0.table.isSuperset(of: privilege) }) { return true }
        guard let columns else { return false }
        if columns.isEmpty {
            return grants.contains { $0.columns.values.contains { $0.isSuperset(of: privilege) } }
        }
        return columns.allSatisfy { column in
            grants.contains { $0.columns[column]?.isSuperset(of: privilege) == true }
        }
    }

    private func isUnrestricted(_ relation: Relation, _ role: String) -> Bool {
        guard relation.kind == .table, relation.rowSecurity else { return true }
        if catalog.roles[role]?.bypassesRowSecurity == true { return true }
        return role == relation.owner && !relation.forcesRowSecurity
    }

    private func condition(
        _ command: Policy.Command, isCheck: Bool, on relation: Relation, _ alias: String, as role: String,
        _ expansion: Expansion
    ) throws -> Condition {
        if isUnrestricted(relation, role) { return .always }
        var permissive: [Condition] = []
        var restrictive: [Condition] = []
        for policy in relation.policies {
            guard policy.command == .all || policy.command == command,
                policy.roles.contains("public") || policy.roles.contains(role),
                let text = isCheck ? policy.withCheck ?? policy.using : policy.using
            else { continue }
            let condition = try policyCondition(text, of: relation, alias, as: role, expansion)
            if policy.isPermissive { permissive.append(condition) } else { restrictive.append(condition) }
        }
        let allowed: Condition = permissive.contains(.always) ? .always : Self.joined(permissive, by: " OR ") ?? .never
        guard allowed != .never, !restrictive.contains(.never) else { return .never }
        return Self.joined([allowed] + restrictive, by: " AND ") ?? .always
    }

    /// The expressions among the conditions, joined; nil when there are none.
    private static func joined(_ conditions: [Condition], by separator: String) -> Condition? {
        let parts = conditions.compactMap { condition in
            if case .expression(let text) = condition { text } else { nil }
        }
        guard let first = parts.first else { return nil }
        return .expression(parts.count == 1 ? first : "(" + parts.joined(separator: separator) + ")")
    }

    private func policyCondition(
        _ text: String, of relation: Relation, _ alias: String, as role: String, _ expansion: Expansion
    ) throws -> Condition {
        let analyzer = Analyzer(names: names, aliases: expansion.aliases)
        let condition = try analyzer.condition(
            try SQLParser.expression(text), in: Scope.row(of: relation, alias: alias))
        switch condition.node {
        case .literal("true"): return .always
        case .literal: return .never
        default: break
        }
        guard condition.hasSubquery else { return .expression(try writer(as: role, expansion).sql(condition)) }
        return try entering(relation, expansion, "policy for") {
            .expression(try writer(as: role, expansion).sql(condition))
        }
    }

    private func entering<Result>(
        _ relation: Relation, _ expansion: Expansion, _ what: String, _ body: () throws -> Result
    ) throws -> Result {
        guard !expansion.active.contains(relation.name), expansion.active.count < Expansion.depthMax else {
            throw TranslationFault(
                "infinite recursion detected in \(what) relation \"\(relation.name.name)\"", sqlState: "42P17")
        }
        expansion.active.append(relation.name)
        defer { expansion.active.removeLast() }
        return try body()
    }

    // MARK: Sources

    private var names: NameResolver {
        NameResolver(catalog: catalog, searchPath: NameResolver.searchPathDefault)
    }

    private func writer(as role: String, _ expansion: Expansion) -> SQLiteWriter {
        SQLiteWriter(enums: catalog.enums, role: role) { name, alias, use in
            try source(name, alias, use, as: role, expansion)
        }
    }

    /// A table or view inside a policy or view, with everything that guards it.
    private func source(
        _ name: QualifiedName, _ alias: String, _ use: RelationUse, as role: String, _ expansion: Expansion
    ) throws -> String {
        guard let relation = catalog.relations[name] else {
            throw TranslationFault("relation \"\(name.name)\" does not exist", sqlState: "42P01")
        }
        guard allows(.select, on: relation, columns: use.columns.sorted(), role: role) else {
            throw TranslationFault(
                "permission denied for \(relation.kind.rawValue) \(name.name)", sqlState: "42501")
        }
        if relation.kind == .view { return try view(relation, alias: alias, as: role, expansion) }
        let table = "\(SQLiteName.quoted(name)) AS \(SQLiteName.quoted(raw: alias))"
        switch try condition(.select, isCheck: false, on: relation, alias, as: role, expansion) {
        case .always: return table
        case .never: return "(SELECT * FROM \(table) WHERE 0) AS \(SQLiteName.quoted(raw: alias))"
        case .expression(let text):
            return "(SELECT * FROM \(table) WHERE \(text)) AS \(SQLiteName.quoted(raw: alias))"
        }
    }

    private func view(
        _ view: Relation, alias: String, as role: String, _ expansion: Expansion
    ) throws -> String {
        guard let text = view.viewQuery else { throw TranslationFault("the view has no query") }
        return try entering(view, expansion, "rules for") {
            let analyzer = Analyzer(names: names, aliases: expansion.aliases)
            var query = try analyzer.query(try SQLParser.query(text), parent: nil)
            guard query.columns.count == view.columns.count else {
                throw TranslationFault("the view \"\(view.name.name)\" no longer fits its tables", sqlState: "42P16")
            }
            // `create view v (a, b)` renames what the query gives; the sides of a compound keep their own names.
            for index in query.columns.indices { query.columns[index].name = view.columns[index].name }
            let reader = view.securityInvoker ? role : view.owner
            let sql = try writer(as: reader, expansion).sql(query)
            guard case .compound = query.body else { return "(\(sql)) AS \(SQLiteName.quoted(raw: alias))" }
            let columns = TableDefinition.list(view.columns.map(\.name))
            let inner = SQLiteName.quoted(raw: expansion.aliases.next())
            return "(WITH \(inner) (\(columns)) AS (\(sql)) SELECT * FROM \(inner)) AS \(SQLiteName.quoted(raw: alias))"
        }
    }

    private func expression(
        _ text: String, scope: Scope, type: ColumnType?, as role: String, _ expansion: Expansion
    ) throws -> String {
        let analyzer = Analyzer(names: names, aliases: expansion.aliases)
        var expression = try analyzer.expression(try SQLParser.expression(text), in: scope)
        if let type { expression = try analyzer.coercion.coerce(expression, to: type, .assignment) }
        return try writer(as: role, expansion).sql(expression)
    }
}
