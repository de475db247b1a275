// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL
import MartletTracing
import MartletWire

/// An engine whose transactions are spans. It stands before the other one only while traces are sent.
struct TracedEngine: RowEngine {
    let engine: any RowEngine
    let tracer: Tracer
    /// Of the conventions' `db.system.name`.
    let system: String

    var schema: SchemaCache { engine.schema }
    var log: any LogStore { engine.log }
    func runLog() async { await engine.runLog() }
    func close() async { await engine.close() }
    func prepareRules(_ tables: Set<QualifiedName>) async throws { try await engine.prepareRules(tables) }

    func migrate(_ files: [MigrationFile], requiresRowSecurity: Bool) async throws -> MigrationReport {
        try await engine.migrate(files, requiresRowSecurity: requiresRowSecurity)
    }

    func seed(_ sql: String, fileName: String) async throws -> Bool { try await engine.seed(sql, fileName: fileName) }

    func read(_ plan: ReadPlan, session: RequestSession) async throws -> RowsResult {
        try await spanned("SELECT", plan.rows.relation, session.trace) { trace in
            try await engine.read(plan, session: session.at(trace))
        }
    }

    func write(
        _ plan: WritePlan, session: RequestSession,
        finish: @escaping @Sendable (RowsResult) throws -> FinishedReply
    ) async throws -> FinishedReply {
        try await spanned(plan.action.word, plan.relation, session.trace) { trace in
            try await engine.write(plan, session: session.at(trace), finish: finish)
        }
    }

    func call(
        _ plan: CallPlan, session: RequestSession,
        finish: @escaping @Sendable (CallResult) throws -> FinishedReply
    ) async throws -> FinishedReply {
        try await spanned("CALL", plan.function.name, session.trace) { trace in
            try await engine.call(plan, session: session.at(trace), finish: finish)
        }
    }

    func transact(_ transaction: RowTransaction) async throws -> FinishedReply {
        let relation: QualifiedName? = transaction.steps.count == 1 ? transaction.steps[0].action.relation : nil
        return try await spanned("TRANSACTION", relation, transaction.trace) { trace in
            var inner = transaction
            for index in inner.steps.indices { inner.steps[index].session.trace = trace }
            return try await engine.transact(inner)
        }
    }

    func recorded(under key: IdempotencyKey, deadline: ContinuousClock.Instant?) async throws -> FinishedReply? {
        try await engine.recorded(under: key, deadline: deadline)
    }

    func putUser(_ change: UserChange, session: RequestSession) async throws -> UserOutcome {
        try await spanned(change.isCreation ? "INSERT" : "UPDATE", Self.users, session.trace) { trace in
            try await engine.putUser(change, session: session.at(trace))
        }
    }

    func deleteUser(id: String, session: RequestSession) async throws -> UserDeletion {
        try await spanned("DELETE", Self.users, session.trace) { trace in
            try await engine.deleteUser(id: id, session: session.at(trace))
        }
    }

    func userNews(acknowledged: [Int64], max: Int, session: RequestSession) async throws -> [UserNews] {
        try await engine.userNews(acknowledged: acknowledged, max: max, session: session)
    }

    func visible(_ question: VisibilityQuestion) async throws -> VisibilityAnswer {
        try await engine.visible(question)
    }

    func describeFeed(
        schema: String, table: String, deadline: ContinuousClock.Instant?
    ) async throws -> FeedDescription {
        try await engine.describeFeed(schema: schema, table: table, deadline: deadline)
    }

    private static let users = QualifiedName("auth", "users")

    private func spanned<Result>(
        _ operation: String, _ relation: QualifiedName?, _ trace: TraceContext,
        _ body: (TraceContext) async throws -> Result
    ) async throws -> Result {
        let collection = relation.map { "\($0.schema).\($0.name)" }
        let span = tracer.begin(collection.map { "\(operation) \($0)" } ?? operation, .client, in: trace)
        func end(_ code: String?) {
            span.end(error: code) { attributes in
                attributes.set(.databaseSystem, system)
                attributes.set(.databaseOperation, operation)
                attributes.set(.databaseCollection, collection)
            }
        }
        do {
            let result = try await body(span.context)
            end(nil)
            return result
        } catch {
            end(Self.code(of: error))
            throw error
        }
    }

    /// Codes come from small sets; what a project raises by itself is one of its own.
    private static func code(of error: any Error) -> String {
        switch error {
        case let error as RowError: error.code
        case let error as DatabaseError: error.sqlState
        default: "_OTHER"
        }
    }
}

extension RequestSession {
    /// The same with what it causes at another place of its trace.
    fileprivate func at(_ trace: TraceContext) -> RequestSession {
        var session = self
        session.trace = trace
        return session
    }
}

extension WriteAction {
    fileprivate var word: String {
        switch self {
        case .insert: "INSERT"
        case .update: "UPDATE"
        case .delete: "DELETE"
        }
    }
}

extension RowTransaction.Step.Action {
    fileprivate var relation: QualifiedName {
        switch self {
        case .read(let plan): plan.rows.relation
        case .write(let plan): plan.relation
        }
    }
}
