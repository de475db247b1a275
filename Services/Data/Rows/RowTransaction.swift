// SPDX-License-Identifier: Apache-2.0

import MartletWire

/// Several reads and writes that hold together or not at all (D28).
///
/// On both engines the outcome is one of some order of all such transactions: SQLite has one writer, PostgreSQL runs
/// them as SERIALIZABLE. What a step read is therefore still so when a later step has written.
package struct RowTransaction: Sendable {
    /// One step, under its own role and settings.
    package struct Step: Sendable {
        package enum Action: Sendable {
            case read(ReadPlan)
            case write(WritePlan)
        }

        package var action: Action
        package var session: RequestSession

        package init(_ action: Action, as session: RequestSession) {
            self.action = action
            self.session = session
        }
    }

    package var steps: [Step]
    /// As in `RowEngine.write`: the record is part of the transaction.
    package var idempotency: IdempotencyKey?
    package var deadline: ContinuousClock.Instant?
    /// Sees each step's result before the next step runs; what it throws undoes everything. Has no effects.
    package var judge: @Sendable (_ step: Int, RowsResult) throws -> Void
    /// Turns the results into the answer. Has no effects.
    package var finish: @Sendable ([RowsResult]) throws -> FinishedReply

    /// What its changes belong to: that of its steps.
    var trace: TraceContext { steps.first?.session.trace ?? .none }

    package init(
        steps: [Step], idempotency: IdempotencyKey? = nil, deadline: ContinuousClock.Instant? = nil,
        judge: @escaping @Sendable (_ step: Int, RowsResult) throws -> Void = { _, _ in },
        finish: @escaping @Sendable ([RowsResult]) throws -> FinishedReply
    ) {
        self.steps = steps
        self.idempotency = idempotency
        self.deadline = deadline
        self.judge = judge
        self.finish = finish
    }
}
