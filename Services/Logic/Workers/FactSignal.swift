// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// A fact that becomes true once, for tasks to wait for.
final class FactSignal: Sendable {
    private struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Void, Never>
        /// Set right after the waiter stands in the list: a timer that was there before could fire too early.
        var timer: Scheduled<Void>?
    }

    private struct State {
        var isTrue = false
        var waiters: [Waiter] = []
        var lastID: UInt64 = 0
    }

    private let loop: any EventLoop
    private let state = Mutex(State())

    init(loop: any EventLoop) { self.loop = loop }

    func fire() {
        let waiters = state.withLock { state in
            state.isTrue = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters {
            waiter.timer?.cancel()
            waiter.continuation.resume()
        }
    }

    /// Returns when it is true, at the deadline, or when the task is cancelled; whether it is true.
    func wait(until deadline: ContinuousClock.Instant) async -> Bool {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = state.withLock { state in
                    guard !state.isTrue, !Task.isCancelled else { return false }
                    state.waiters.append(Waiter(id: id, continuation: continuation))
                    return true
                }
                if waits { giveUp(id, at: deadline) } else { continuation.resume() }
            }
        } onCancel: {
            self.giveUp(id)
        }
        return state.withLock { $0.isTrue }
    }

    private func giveUp(_ id: UInt64, at deadline: ContinuousClock.Instant) {
        let left = max(ContinuousClock.now.duration(to: deadline), .zero)
        let timer = loop.scheduleTask(in: TimeAmount(left)) { self.giveUp(id) }
        let waits = state.withLock { state in
            guard let position = state.waiters.firstIndex(where: { $0.id == id }) else { return false }
            state.waiters[position].timer = timer
            return true
        }
        if !waits { timer.cancel() }
    }

    private func giveUp(_ id: UInt64) {
        let waiter: Waiter? = state.withLock { state in
            state.waiters.firstIndex { $0.id == id }.map { state.waiters.remove(at: $0) }
        }
        waiter?.timer?.cancel()
        waiter?.continuation.resume()
    }
}
