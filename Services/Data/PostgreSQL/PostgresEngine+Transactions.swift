// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
package import MartletSQL

extension PostgresEngine {
    /// Attempts of one transaction. The first runs beside others, the rest alone; those can only lose against writes
    /// that are no such transactions.
    private static let attemptsMax = 8

    /// Runs the steps as SERIALIZABLE, again when the server says that others were in the way.
    ///
    /// Who lost once takes the turn for itself: many that change the same row would else lose against each other
    /// again and again. LOCK TABLE takes no snapshot, so what is read afterwards is as new as the turn.
    package func transact(_ transaction: RowTransaction) async throws -> FinishedReply {
        for step in transaction.steps { try checkRole(step.session.role) }
        let catalog = schema.catalog
        let steps = try transaction.steps.map { step in
            (plan: try Compiled(step.action, catalog), session: step.session)
        }
        var attempt = 1
        while true {
            let turn = attempt == 1 ? "share" : "exclusive"
            do {
                let reply = try await requests.write(deadline: transaction.deadline) { database in
                    try database.execute("set transaction isolation level serializable")
                    try database.execute("lock table martlet.turn in \(turn) mode")
                    return try Self.run(transaction, steps, database)
                }
                numbering.nudge.raise()
                return reply
            } catch let error where Self.isConflict(error) {
                guard attempt < Self.attemptsMax else {
                    throw RowError(
                        "write_conflict", "The rows of this write keep changing",
                        hint: "Nothing was changed. Send the request again.", status: 409)
                }
                attempt += 1
            }
        }
    }

    /// Serialization failure or deadlock: the same transaction may succeed when it is run again.
    private static func isConflict(_ error: any Error) -> Bool {
        switch error {
        case let error as DatabaseError: error.sqlState == "40001" || error.sqlState == "40P01"
        case let error as RowError: error.code == "40001"
        default: false
        }
    }

    private enum Compiled: Sendable {
        case read(PostgresRead)
        case write(PostgresWrite)

        init(_ action: RowTransaction.Step.Action, _ catalog: Catalog) throws(RowError) {
            self =
                switch action {
                case .read(let plan): .read(PostgresRead(plan))
                case .write(let plan): .write(try PostgresWrite(plan, catalog))
                }
        }

        func run(_ database: DatabaseSession) throws -> RowsResult {
            switch self {
            case .read(let plan): try plan.run(database)
            case .write(let plan): try plan.run(database)
            }
        }
    }

    private static func run(
        _ transaction: RowTransaction, _ steps: [(plan: Compiled, session: RequestSession)],
        _ database: DatabaseSession
    ) throws -> FinishedReply {
        if let key = transaction.idempotency, let earlier = try PostgresIdempotency.claim(key, database) {
            return earlier
        }
        var results: [RowsResult] = []
        for (position, step) in steps.enumerated() {
            // Settings first: those of the step before belong to somebody else.
            try take(step.session, database)
            let result = try step.plan.run(database)
            try transaction.judge(position, result)
            results.append(result)
        }
        let reply = try transaction.finish(results)
        if let key = transaction.idempotency {
            try database.execute("select set_config('role', 'authenticator', true)")
            try PostgresIdempotency.record(reply, under: key, database)
        }
        return reply
    }

    package func prepareRules(_ tables: Set<QualifiedName>) async throws {
        try await administration.write { session in
            // Two processes that start at once would make the same triggers.
            try session.execute("select pg_advisory_xact_lock(\(Self.bootstrapLock))")
            try PostgresRuleValues.synchronise(tables, session)
        }
    }

    package func recorded(
        under key: IdempotencyKey, deadline: ContinuousClock.Instant?
    ) async throws -> FinishedReply? {
        try await requests.read(deadline: deadline) { try PostgresIdempotency.recorded(key, $0) }
    }
}
