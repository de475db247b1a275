// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// The values of columns that a statement does not name: defaults, identities, generated columns
/// (data-semantics 1, 4).
struct RowDefaults {
    let session: DatabaseSession
    let access: RowAccess
    let relation: Relation

    /// Fills the columns at `positions`.
    func fill(_ image: inout [SQLValue], at positions: [Int]) throws {
        var expressions: [(position: Int, sql: String)] = []
        for position in positions {
            let column = relation.columns[position]
            if column.identity != .none {
                image[position] = .integer(try nextIdentity(column))
            } else if column.defaultExpression != nil, column.generatedExpression == nil {
                expressions.append((position, try access.schema.standard(column, of: relation, role: access.role)))
            }
        }
        guard !expressions.isEmpty else { return }
        let sql = "SELECT \(expressions.map(\.sql).joined(separator: ", "))"
        guard let row = try session.query(sql, access.context).first else { return }
        for (index, expression) in expressions.enumerated() { image[expression.position] = row[index] }
    }

    /// Computes the generated columns of an image whose other columns are final.
    func generate(_ image: inout [SQLValue]) throws {
        for (position, column) in relation.columns.enumerated() {
            guard let text = column.generatedExpression else { continue }
            var expressions = RowExpressions(access: access)
            var slots: [Int] = []
            let source = RowsCompiler.image(of: relation, "t0", &expressions, &slots)
            let value = try access.schema.expression(text, on: relation, alias: "t0", as: column.type)
            var parameters = expressions.parameters.values
            for (slot, value) in zip(slots, image) { parameters[slot] = value }
            image[position] = try session.query("SELECT \(value) FROM \(source)", parameters).first?[0] ?? .null
        }
    }

    /// The next value of an identity column; sequences are rows of ours, so a roll-back gives the numbers back.
    private func nextIdentity(_ column: Column) throws -> Int64 {
        let key: [SQLValue] = [.text(SQLiteName.encoded(relation.name)), .text(column.name)]
        let changed = try session.execute(
            "UPDATE martlet_sequence SET last = last + 1 WHERE relation = ?1 AND \"column\" = ?2", key)
        if changed == 0 {
            let quoted = SQLiteName.quoted(column: column.name)
            try session.execute(
                "INSERT INTO martlet_sequence (relation, \"column\", last) "
                    + "SELECT ?1, ?2, coalesce(max(\(quoted)), 0) + 1 FROM \(SQLiteName.quoted(relation.name))", key)
        }
        let rows = try session.query(
            "SELECT last FROM martlet_sequence WHERE relation = ?1 AND \"column\" = ?2", key)
        guard let value = rows.first?[0].integerValue else {
            throw DatabaseError(sqlState: "XX000", message: "the sequence of the column \(column.name) is missing")
        }
        let limit: Int64 =
            switch column.type.base {
            case .int2: Int64(Int16.max)
            case .int4: Int64(Int32.max)
            default: .max
            }
        guard value <= limit else {
            throw DatabaseError(
                sqlState: "2200H",
                message:
                    "nextval: reached maximum value of sequence \"\(relation.name.name)_\(column.name)_seq\" (\(limit))"
            )
        }
        return value
    }
}
