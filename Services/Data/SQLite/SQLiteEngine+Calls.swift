// SPDX-License-Identifier: Apache-2.0

extension SQLiteEngine {
    /// Migrations that make functions are refused here, so that no plan can name one.
    package func call(
        _ plan: CallPlan, session: RequestSession,
        finish: @escaping @Sendable (CallResult) throws -> FinishedReply
    ) async throws -> FinishedReply {
        throw RowError.notImplemented("Functions of the database on SQLite")
    }
}
