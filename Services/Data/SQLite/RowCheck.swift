// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// A policy over one row that is not (or no longer) in its table: the proposed image, or a stored row in hand.
struct RowCheck {
    private let relation: Relation
    /// Nil: every row passes.
    private var sql: String?
    private var parameters: [SQLValue] = []
    private var slots: [Int] = []

    /// WITH CHECK of `command`, and with `reads` also the SELECT policies, which a row that comes back must pass.
    init(_ command: Policy.Command, on relation: Relation, _ access: RowAccess, reads: Bool) throws {
        self.relation = relation
        var conditions = [try access.check(command, on: relation, alias: Self.alias)]
        if reads { conditions.append(try access.using(.select, on: relation, alias: Self.alias)) }
        #if !MUTANT_DATA_CHECK_SKIPPED
            take(conditions, access)
        #endif
    }

    /// USING of `command` and of SELECT: whether an upsert may touch the stored row.
    init(visibleFor command: Policy.Command, on relation: Relation, _ access: RowAccess) throws {
        self.relation = relation
        take(
            [
                try access.using(command, on: relation, alias: Self.alias),
                try access.using(.select, on: relation, alias: Self.alias),
            ], access)
    }

    /// USING of SELECT: whether the row may be read.
    init(readingFrom relation: Relation, _ access: RowAccess) throws {
        self.relation = relation
        take([try access.using(.select, on: relation, alias: Self.alias)], access)
    }

    static let alias = "t0"

    private mutating func take(_ conditions: [AccessCompiler.Condition], _ access: RowAccess) {
        var parts: [String] = []
        for condition in conditions {
            switch condition {
            case .always: break
            case .never: parts.append("0")
            case .expression(let sql): parts.append(sql)
            }
        }
        guard !parts.isEmpty else { return }
        var expressions = RowExpressions(access: access)
        let source = RowsCompiler.image(of: relation, Self.alias, &expressions, &slots)
        sql = "SELECT \(parts.map { "(\($0))" }.joined(separator: " AND ")) FROM \(source)"
        parameters = expressions.parameters.values
    }

    /// True alone passes: false and null do not.
    func holds(_ image: [SQLValue], _ session: DatabaseSession) throws -> Bool {
        guard let sql else { return true }
        var parameters = parameters
        for (slot, value) in zip(slots, image) { parameters[slot] = value }
        return try session.query(sql, parameters).first?[0] == .integer(1)
    }

    /// - Throws: `DatabaseError` 42501.
    func require(_ image: [SQLValue], _ session: DatabaseSession) throws {
        guard try holds(image, session) else {
            throw DatabaseError(
                sqlState: "42501",
                message: "new row violates row-level security policy for table \"\(relation.name.name)\"")
        }
    }
}
