// SPDX-License-Identifier: Apache-2.0

import MartletJSON
package import MartletWire

/// Answers `data.batch`: guarded statements in one transaction, all or none, recorded under one idempotency key (D28).
package struct BatchHandler: Sendable {
    private let engine: any RowEngine

    package init(engine: any RowEngine) { self.engine = engine }

    /// Nesting of a batch.
    private static let depthMax = 100

    /// - Parameters:
    ///   - body: JSON: `{"statements":[…]}`.
    ///   - principal: whose rights count; without a token the service's own.
    ///   - key: empty for none.
    /// - Returns: 200 with `{"results":[{"count":1},…]}`, or a refusal as `/rest/v1` words it. Nothing is thrown.
    package func answer(
        _ body: [UInt8], principal: Principal, trace: TraceContext = .none, key: String = "",
        deadline: ContinuousClock.Instant? = nil
    ) async -> FinishedReply {
        do {
            return try await run(body, principal, trace, key, deadline)
        } catch {
            return ErrorReply.reply(error, isAnonymous: principal.role == RestHandler.anonymousRole)
        }
    }

    private func run(
        _ body: [UInt8], _ principal: Principal, _ trace: TraceContext, _ key: String,
        _ deadline: ContinuousClock.Instant?
    ) async throws -> FinishedReply {
        if let refusal = RowError.tokenRefusal(principal) { throw refusal }
        guard let document = (try? JSONValue(parsing: body, depthMax: Self.depthMax))?.objectValue,
            document.keys == ["statements"], let value = document["statements"]
        else { throw StatementParser.invalid("a batch is an object with statements") }
        let planner = Planner(schema: engine.schema, rowsMax: nil)
        let statements = try StatementParser(planner: planner, allowsReturn: true).statements(value)
        let session = Self.session(principal, trace, deadline)
        var idempotency: IdempotencyKey?
        if !key.isEmpty {
            var digest = ContentDigest()
            digest.add(body)
            idempotency = IdempotencyKey(
                key: key, principal: "\(session.role):\(principal.subject)", method: "BATCH", requestHash: digest.text)
        }
        let judge = StatementJudge(statements: statements, first: 0)
        return try await engine.transact(
            RowTransaction(
                steps: statements.map { RowTransaction.Step($0.action, as: session) }, idempotency: idempotency,
                deadline: deadline, judge: { try judge.judge($0, $1) { Self.failed($0, $1, $2) } },
                finish: { results in
                    try judge.checkRows(results)
                    return Self.reply(statements, results)
                }))
    }

    /// A batch without a token is the service's own work.
    private static func session(
        _ principal: Principal, _ trace: TraceContext, _ deadline: ContinuousClock.Instant?
    ) -> RequestSession {
        guard principal.tokenStatus == .valid else {
            return RequestSession(role: "service_role", trace: trace, deadline: deadline)
        }
        return RestRequest(
            head: HTTPRequestHead(method: "POST", path: "/", query: "", fields: []), principal: principal,
            trace: trace, deadline: deadline
        ).session()
    }

    private static func failed(_ position: Int, _ statement: GuardedStatement, _ count: Int) -> RowError {
        RowError(
            "expectation_failed", "A statement did not find what it expects",
            details: "statement \(position + 1): \(count) rows, expected \(statement.expectation?.text ?? "")",
            status: 409)
    }

    private static func reply(_ statements: [GuardedStatement], _ results: [RowsResult]) -> FinishedReply {
        var body = Array(#"{"results":["#.utf8)
        for (position, (statement, result)) in zip(statements, results).enumerated() {
            if position > 0 { body.append(UInt8(ascii: ",")) }
            body += Array(#"{"count":\#(statement.count(result))"#.utf8)
            if statement.showsRows { body += Array(#","rows":"#.utf8) + result.body }
            body.append(UInt8(ascii: "}"))
        }
        body += Array("]}".utf8)
        return FinishedReply(
            status: 200, fields: [HTTPField("content-type", MediaType.json.contentType)], body: body)
    }
}

/// Holds the results of statements against what they expect.
struct StatementJudge: Sendable {
    let statements: [GuardedStatement]
    /// The step of the first statement; steps before it are somebody else's.
    let first: Int

    /// - Parameter unnamed: the error for an expectation without a refusal: position, statement, count.
    func judge(
        _ step: Int, _ result: RowsResult, unnamed: (Int, GuardedStatement, Int) -> any Error
    ) throws {
        guard step >= first, step - first < statements.count else { return }
        let statement = statements[step - first]
        #if !MUTANT_BATCH_EXPECT_IGNORED
            guard statement.holds(result) else {
                throw statement.refusal ?? unnamed(step - first, statement, statement.count(result))
            }
        #endif
        guard result.rowCount <= StatementLimits.rowsMax else { throw StatementParser.tooManyRows }
    }

    /// - Throws: `RowError` `statement_rows_exceeded`.
    func checkRows(_ results: [RowsResult]) throws(RowError) {
        let rows = results.dropFirst(first).reduce(0) { $0 + $1.rowCount }
        guard rows <= StatementLimits.rowsMax else { throw StatementParser.tooManyRows }
    }
}
