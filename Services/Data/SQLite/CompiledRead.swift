// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// A read plan as statements.
struct CompiledRead: Sendable {
    private var rows: CompiledRows
    private var total: (sql: String, parameters: Parameters)?

    /// - Throws: `DatabaseError` 42501, and what else the compiler refuses.
    init(_ plan: ReadPlan, _ access: RowAccess) throws {
        let compiler = RowsCompiler(access: access)
        rows = try compiler.compile(plan.rows)
        if plan.count == .exact { total = try compiler.total(plan.rows) }
    }

    /// Every statement with its parameters, those of embeds behind their parent's.
    var statements: [CompiledStatement] {
        rows.statements + (total.map { [CompiledStatement(sql: $0.sql, parameters: $0.parameters.values)] } ?? [])
    }

    /// Whether other values of the same shape need no other statements.
    var isReusable: Bool { rows.isReusable && total?.parameters.isReusable != false }

    /// The statements without what one read brought.
    var withoutValues: CompiledRead {
        var blank = self
        blank.rows = rows.withoutValues
        blank.total = total.map { ($0.sql, $0.parameters.withoutValues) }
        return blank
    }

    /// The same statements for another read of the same shape; nil when it needs others.
    ///
    /// - Throws: `DatabaseError` for a text that is no value of its type.
    func taken(from read: ReadValues) throws(DatabaseError) -> CompiledRead? {
        guard let rows = try rows.taken(from: read) else { return nil }
        var taken = self
        taken.rows = rows
        if let total {
            guard let parameters = try total.parameters.taken(from: read) else { return nil }
            taken.total = (total.sql, parameters)
        }
        return taken
    }

    func run(_ database: DatabaseSession) throws -> RowsResult {
        var result = RowsResult(body: [UInt8(ascii: "[")])
        result.rowCount = try rows.append([], database, to: &result.body)
        result.body.append(UInt8(ascii: "]"))
        if let total { result.total = try database.query(total.sql, total.parameters.values).first?[0].integerValue }
        return result
    }
}
