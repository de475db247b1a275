// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// Lets so many calls of a function in at once, and the rest wait in order.
final class ConcurrencyGate: Sendable {
    private struct Waiter {
        let id: UInt64
        let continuation: CheckedContinuation<Entry, Never>
        /// Set right after the waiter stands in the queue: a timer that was there before could fire too early.
        var timer: Scheduled<Void>?
    }

    private enum Entry { case entered, queueIsFull, timedOut }

    private struct State {
        var running = 0
        var waiting: [Waiter] = []
        var lastID: UInt64 = 0
    }

    private let runningMax: Int
    private let queueMax: Int
    private let loop: any EventLoop
    private let state = Mutex(State())

    init(runningMax: Int, queueMax: Int, loop: any EventLoop) {
        self.runningMax = runningMax
        self.queueMax = queueMax
        self.loop = loop
    }

    var counts: (running: Int, waiting: Int) { state.withLock { ($0.running, $0.waiting.count) } }

    /// Returns when it is the caller's turn, who calls `leave` in the end. Throws when the queue is full or too slow.
    func enter(until deadline: ContinuousClock.Instant) async throws(FunctionFailure) {
        let id = state.withLock { state in
            state.lastID += 1
            return state.lastID
        }
        let entry = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let entry: Entry? = state.withLock { state in
                    if state.running < runningMax {
                        state.running += 1
                        return .entered
                    }
                    guard state.waiting.count < queueMax else { return .queueIsFull }
                    guard !Task.isCancelled else { return .timedOut }
                    state.waiting.append(Waiter(id: id, continuation: continuation))
                    return nil
                }
                if let entry { continuation.resume(returning: entry) } else { giveUp(id, at: deadline) }
            }
        } onCancel: {
            self.giveUp(id)
        }
        switch entry {
        case .entered: return
        case .queueIsFull: throw FunctionFailure(code: .tooManyRequests, wasDelivered: false)
        case .timedOut: throw FunctionFailure(code: .idleTimeout, wasDelivered: false, detail: "it waited for its turn")
        }
    }

    func leave() {
        let next: Waiter? = state.withLock { state in
            guard state.waiting.isEmpty else { return state.waiting.removeFirst() }
            state.running -= 1
            return nil
        }
        next?.timer?.cancel()
        next?.continuation.resume(returning: .entered)
    }

    private func giveUp(_ id: UInt64, at deadline: ContinuousClock.Instant) {
        let left = max(ContinuousClock.now.duration(to: deadline), .zero)
        let timer = loop.scheduleTask(in: TimeAmount(left)) { self.giveUp(id) }
        let waits = state.withLock { state in
            guard let position = state.waiting.firstIndex(where: { $0.id == id }) else { return false }
            state.waiting[position].timer = timer
            return true
        }
        if !waits { timer.cancel() }
    }

    private func giveUp(_ id: UInt64) {
        let waiter: Waiter? = state.withLock { state in
            state.waiting.firstIndex { $0.id == id }.map { state.waiting.remove(at: $0) }
        }
        waiter?.timer?.cancel()
        waiter?.continuation.resume(returning: .timedOut)
    }
}
