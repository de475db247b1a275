// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// A read plan as statements.
struct CompiledRead: Sendable {
    private let rows: CompiledRows
    private var total: String?
    private var totalParameters: [SQLValue] = []

    /// - Throws: `DatabaseError` 42501, and what else the compiler refuses.
    init(_ plan: ReadPlan, _ access: RowAccess) throws {
        let compiler = RowsCompiler(access: access)
        rows = try compiler.compile(plan.rows)
        guard plan.count == .exact else { return }
        let total = try compiler.total(plan.rows)
        self.total = total.sql
        totalParameters = total.parameters
    }

    func run(_ database: DatabaseSession) throws -> RowsResult {
        var result = RowsResult(body: [UInt8(ascii: "[")])
        result.rowCount = try rows.append([], database, to: &result.body)
        result.body.append(UInt8(ascii: "]"))
        if let total { result.total = try database.query(total, totalParameters).first?[0].integerValue }
        return result
    }
}
