// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// A read plan as statements, for a session that has taken its role.
struct PostgresRead: Sendable {
    private let sql: String
    private let parameters: [SQLValue]
    private let total: (sql: String, parameters: [SQLValue])?

    init(_ plan: ReadPlan) {
        var statement = PostgresStatement()
        sql = statement.rows(plan.rows)
        parameters = statement.parameters
        guard plan.count == .exact else {
            total = nil
            return
        }
        var counting = PostgresStatement()
        let text = counting.total(plan.rows)
        total = (text, counting.parameters)
    }

    func run(_ database: DatabaseSession) throws -> RowsResult {
        var result = RowsResult(body: [UInt8(ascii: "[")])
        try database.forEachRow(sql, parameters) { row in
            if result.rowCount > 0 { result.body.append(UInt8(ascii: ",")) }
            row.withText(0) { result.body.append(contentsOf: $0) }
            result.rowCount += 1
            return true
        }
        result.body.append(UInt8(ascii: "]"))
        if let total { result.total = try database.query(total.sql, total.parameters).first?[0].integerValue }
        return result
    }
}

/// A write plan as a statement, for a session that has taken its role.
struct PostgresWrite: Sendable {
    private let statement: PostgresStatement.Write
    private let parameters: [SQLValue]
    /// Columns of the key that comes back.
    private let location: [String]
    private let showsRows: Bool
    private let table: QualifiedName
    /// Values of a rule for columns that the caller did not name; nil: none.
    private let ruleValues: JSONObject?

    /// - Throws: `RowError` 42P01.
    init(_ plan: WritePlan, _ catalog: Catalog) throws(RowError) {
        var plan = plan
        table = plan.relation
        ruleValues = plan.takeRuleValues()
        guard let relation = catalog.relations[plan.relation] else {
            throw RowError("42P01", "relation \"\(plan.relation.name)\" does not exist")
        }
        var statement = PostgresStatement()
        self.statement = statement.write(plan, relation)
        parameters = statement.parameters
        location = plan.wantsLocation ? relation.primaryKey?.columns ?? [] : []
        showsRows = plan.representation != nil
    }

    func run(_ database: DatabaseSession) throws -> RowsResult {
        guard let ruleValues else { return try execute(database) }
        let (result, wasTaken) = try PostgresRuleValues.with(ruleValues, of: table, database) { try execute(database) }
        // Without its trigger the table would silently keep other values than the rule's.
        guard wasTaken || result.rowCount == 0 else {
            throw RowError("PGRSTX00", "The values of the rule were not taken", status: 500)
        }
        return result
    }

    private func execute(_ database: DatabaseSession) throws -> RowsResult {
        guard statement.returnsRows else {
            return RowsResult(rowCount: try database.execute(statement.sql, parameters))
        }
        var result = RowsResult(body: showsRows ? [UInt8(ascii: "[")] : [])
        try database.forEachRow(statement.sql, parameters) { row in
            if showsRows {
                if result.rowCount > 0 { result.body.append(UInt8(ascii: ",")) }
                row.withText(0) { result.body.append(contentsOf: $0) }
            }
            result.rowCount += 1
            if row.withText(1, { $0.first == UInt8(ascii: "t") }) { result.insertedCount += 1 }
            result.location =
                result.rowCount > 1
                ? []
                : location.enumerated().map { position, column in
                    (column, row.isNull(2 + position) ? nil : row.text(2 + position))
                }
            return true
        }
        if showsRows { result.body.append(UInt8(ascii: "]")) }
        return result
    }
}

extension WritePlan {
    /// Takes the columns of a rule out of a plan for one row, and returns their values.
    fileprivate mutating func takeRuleValues() -> JSONObject? {
        guard !ruleColumns.isEmpty else { return nil }
        var values = JSONObject()
        func take(_ columns: inout [String], from row: JSONObject) {
            columns.removeAll { ruleColumns.contains($0) }
            for column in ruleColumns.sorted() { values[column] = row[column] }
        }
        switch action {
        case .insert(var rows, let rule):
            take(&rows.columns, from: rows.rows.first ?? [:])
            action = .insert(rows, onConflict: rule)
        case .update(var columns, let row, let missing, let filter, let adding):
            take(&columns, from: row)
            action = .update(columns: columns, row: row, missing: missing, filter: filter, adding: adding)
        case .delete: return nil
        }
        return values
    }
}
