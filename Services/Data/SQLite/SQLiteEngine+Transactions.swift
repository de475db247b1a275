// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
package import MartletSQL

extension SQLiteEngine {
    package func transact(_ transaction: RowTransaction) async throws -> FinishedReply {
        let schema = snapshot
        for step in transaction.steps { try checkRole(step.session.role) }
        return try await write(transaction.trace, deadline: transaction.deadline) { database in
            let now = RowAccess(schema: schema, session: RequestSession(role: "authenticator"))
            if let key = transaction.idempotency, let earlier = try SQLiteIdempotency.find(key, now, database) {
                return earlier
            }
            var results: [RowsResult] = []
            for (position, step) in transaction.steps.enumerated() {
                let access = RowAccess(schema: schema, session: step.session)
                let result =
                    switch step.action {
                    case .read(let plan): try schema.read(plan, access).run(database)
                    case .write(let plan): try RowWrites(session: database, access: access, plan: plan).run()
                    }
                try transaction.judge(position, result)
                results.append(result)
            }
            let reply = try transaction.finish(results)
            if let key = transaction.idempotency { try SQLiteIdempotency.record(reply, under: key, now, database) }
            return reply
        }
    }

    /// Privileges are the host's own work here.
    package func prepareRules(_ tables: Set<QualifiedName>) async throws {}

    package func recorded(
        under key: IdempotencyKey, deadline: ContinuousClock.Instant?
    ) async throws -> FinishedReply? {
        try await database.read(deadline: deadline) { try SQLiteIdempotency.recorded(key, $0) }
    }
}
