// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

extension PostgresEngine {
    package func call(
        _ plan: CallPlan, session: RequestSession,
        finish: @escaping @Sendable (CallResult) throws -> FinishedReply
    ) async throws -> FinishedReply {
        try checkRole(session.role)
        let compiled = PostgresCall(plan)
        #if MUTANT_DATA_CALL_WRITES
            let isReadOnly = plan.isReadOnly && plan.function.volatility != .volatile
        #else
            let isReadOnly = plan.isReadOnly
        #endif
        if isReadOnly, session.idempotency == nil {
            return try await requests.read(deadline: session.deadline) { database in
                try compiled.prepare(database)
                return try finish(try compiled.run(session, database))
            }
        }
        let reply = try await requests.write(deadline: session.deadline) { database in
            try compiled.prepare(database)
            guard let key = session.idempotency else { return try finish(try compiled.run(session, database)) }
            if let earlier = try PostgresIdempotency.claim(key, database) { return earlier }
            let reply =
                if isReadOnly {
                    // The record has to be written; the end of a savepoint ends what was set for it.
                    try database.savepoint {
                        try database.execute("set transaction read only")
                        return try finish(try compiled.run(session, database))
                    }
                } else {
                    try finish(try compiled.run(session, database))
                }
            try database.execute("select set_config('role', 'authenticator', true)")
            try PostgresIdempotency.record(reply, under: key, database)
            return reply
        }
        numbering.nudge.raise()
        return reply
    }
}

extension PostgresEngine {
    /// What SQL said of the answer in this transaction; empty: nothing.
    static func responseSettings(_ database: DatabaseSession) throws -> (status: String, headers: String) {
        let row = try database.query(
            "select current_setting('response.status', true), current_setting('response.headers', true)"
        ).first
        return (row?[0].textValue ?? "", row?[1].textValue ?? "")
    }
}

/// A call as a statement, for a session that is at the beginning of its transaction.
struct PostgresCall: Sendable {
    private let sql: String
    private let parameters: [SQLValue]
    private let hasTotal: Bool
    private let showsTotal: Bool
    private let isolation: String?
    private let timeout: String?

    init(_ plan: CallPlan) {
        showsTotal = plan.count == .exact
        let mayBeCut = plan.function.returnsSet || plan.rows.filter != nil
        hasTotal =
            plan.function.result != .void && (showsTotal || plan.function.volatility == .volatile && mayBeCut)
        var statement = PostgresStatement()
        sql = statement.call(plan, withTotal: hasTotal)
        parameters = statement.parameters
        isolation = plan.function.settings["default_transaction_isolation"].flatMap { value in
            Self.isolations.contains(value) ? value : nil
        }
        timeout = plan.function.settings["statement_timeout"]
    }

    private static let isolations: Set<String> = [
        "serializable", "repeatable read", "read committed", "read uncommitted",
    ]

    /// Applies what the function's own settings say about its transaction (rest contract 12.4).
    func prepare(_ database: DatabaseSession) throws {
        if let isolation { try database.execute("set transaction isolation level \(isolation)") }
        guard let timeout else { return }
        // The request's deadline stays when it is sooner.
        let before = try Self.timeout(database)
        try database.execute("select set_config('statement_timeout', $1, true)", [.text(timeout)])
        let after = try Self.timeout(database)
        if before > 0, after == 0 || after > before {
            try database.execute("select set_config('statement_timeout', $1, true)", [.text(String(before))])
        }
    }

    /// Milliseconds; 0 for none.
    private static func timeout(_ database: DatabaseSession) throws -> Int64 {
        try database.query("select setting::bigint from pg_settings where name = 'statement_timeout'").first?[0]
            .integerValue ?? 0
    }

    func run(_ session: RequestSession, _ database: DatabaseSession) throws -> CallResult {
        #if MUTANT_DATA_CALL_PRIVILEGED
            var session = session
            session.role = "service_role"
        #endif
        try PostgresEngine.take(session, database, clearsResponse: true)
        var rows = RowsResult(body: [UInt8(ascii: "[")])
        try database.forEachRow(sql, parameters) { row in
            if hasTotal, showsTotal { rows.total = Int64(row.text(PostgresStatement.CallColumn.total)) }
            guard !row.isNull(PostgresStatement.CallColumn.isPresent) else { return true }
            if rows.rowCount > 0 { rows.body.append(UInt8(ascii: ",")) }
            if row.isNull(PostgresStatement.CallColumn.value) {
                rows.body.append(contentsOf: "null".utf8)
            } else {
                row.withText(PostgresStatement.CallColumn.value) { rows.body.append(contentsOf: $0) }
            }
            rows.rowCount += 1
            return true
        }
        rows.body.append(UInt8(ascii: "]"))
        if showsTotal, !hasTotal { rows.total = Int64(rows.rowCount) }
        let (status, headers) = try PostgresEngine.responseSettings(database)
        return CallResult(rows: rows, status: status, headers: headers)
    }
}
