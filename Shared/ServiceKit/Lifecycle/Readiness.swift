// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// Whether a service may get traffic: what `/readyz` says. Begins as not ready; once draining it stays so.
package final class Readiness: Sendable {
    package enum Status: Sendable, Equatable {
        case ready
        /// The reason is a few words for operators: "starting", "draining", "no database".
        case notReady(String)
    }

    private struct State {
        var status = Status.notReady("starting")
        var isDraining = false
        var watchers: [AsyncStream<Status>.Continuation] = []
    }

    private let state = Mutex(State())

    package init() {}

    package var status: Status { state.withLock { $0.status } }

    var isDraining: Bool { state.withLock { $0.isDraining } }

    /// Tells everybody who waits. Does nothing once the service drains.
    package func set(_ status: Status) { change(to: status, isDraining: false) }

    /// From now on and for ever: not ready, draining.
    func beginDraining() { change(to: .notReady("draining"), isDraining: true) }

    private func change(to status: Status, isDraining: Bool) {
        let watchers = state.withLock { state -> [AsyncStream<Status>.Continuation] in
            guard !state.isDraining else { return [] }
            state.status = status
            state.isDraining = isDraining
            return state.watchers
        }
        for watcher in watchers { watcher.yield(status) }
    }

    /// Returns once the service is ready. Throws `CancellationError` when its task is cancelled before.
    package func waitUntilReady() async throws {
        let (changes, watcher) = AsyncStream.makeStream(of: Status.self, bufferingPolicy: .bufferingNewest(1))
        let current = state.withLock { state in
            state.watchers.append(watcher)
            return state.status
        }
        if current == .ready { return }
        for await status in changes where status == .ready { return }
        throw CancellationError()
    }
}
