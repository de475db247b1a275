// SPDX-License-Identifier: Apache-2.0

import Synchronization

/// One read or write on its way to the thread that runs it.
struct DatabaseJob: Sendable {
    /// Runs the caller's closure and keeps its result; may be called again after a roll-back.
    let run: @Sendable (DatabaseSession) throws -> Void
    /// Hands the kept result to the caller.
    let succeed: @Sendable () -> Void
    let fail: @Sendable (any Error) -> Void
    let interruption: Interruption
    /// Shares its commit with nobody.
    let alone: Bool
}

/// When a piece of work has to stop: its deadline, or the cancellation of its task.
final class Interruption: Sendable {
    let deadline: ContinuousClock.Instant?
    private let cancelled = Atomic(false)
    /// Told when the task is cancelled, for engines that have to be asked from outside.
    private let onCancel = Mutex<(@Sendable () -> Void)?>(nil)

    init(deadline: ContinuousClock.Instant?) { self.deadline = deadline }

    var isDue: Bool {
        if cancelled.load(ordering: .relaxed) { return true }
        guard let deadline else { return false }
        return ContinuousClock.now >= deadline
    }

    func cancel() {
        cancelled.store(true, ordering: .relaxed)
        onCancel.withLock { $0 }?()
    }

    /// Sets whom to tell; nil when the work is over.
    func notify(_ action: (@Sendable () -> Void)?) {
        onCancel.withLock { $0 = action }
        if action != nil, cancelled.load(ordering: .relaxed) { action?() }
    }
}

/// A value that is set on one thread and taken on another, in this order, by the protocol of `DatabaseJob`.
final class ResultBox<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)

    func set(_ new: Value) { value.withLock { $0 = new } }
    func take() -> Value? { value.withLock { $0 } }
}
