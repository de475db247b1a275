// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// The jobs that run in this process.
final class JobSlots: Sendable {
    private struct Running {
        let fence: Int64
        let function: String
        /// Its end tells who runs the job to give it up.
        let stop: AsyncStream<Never>.Continuation
    }

    private struct State {
        var running: [String: Running] = [:]
        var isStopping = false
        var idle: [AsyncStream<Never>.Continuation] = []
    }

    private let state = Mutex(State())
    let count: Int

    init(_ count: Int) { self.count = count }

    /// How many more may run, and how many of each function do; none when no more are to begin.
    var free: (count: Int, running: [String: Int]) {
        state.withLock { state in
            let running = state.running.values.reduce(into: [String: Int]()) { $0[$1.function, default: 0] += 1 }
            return (state.isStopping ? 0 : max(0, count - state.running.count), running)
        }
    }

    /// The leases that are in hand.
    var leases: [(id: String, fence: Int64)] {
        state.withLock { state in state.running.map { ($0.key, $0.value.fence) } }
    }

    /// Takes a slot. The stream ends when the job is to be given up.
    func begin(_ lease: JobLease) -> AsyncStream<Never> {
        let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
        state.withLock { state in
            state.running[lease.id] = Running(fence: lease.fence, function: lease.job.new.function, stop: continuation)
        }
        return stream
    }

    func end(_ lease: JobLease) {
        let idle = state.withLock { state -> [AsyncStream<Never>.Continuation] in
            if state.running[lease.id]?.fence == lease.fence { state.running[lease.id] = nil }
            guard state.running.isEmpty else { return [] }
            defer { state.idle = [] }
            return state.idle
        }
        for waiter in idle { waiter.finish() }
    }

    /// Has jobs given up: these, or all.
    func giveUp(_ ids: [String]? = nil) {
        let stops = state.withLock { state in
            state.running.filter { ids?.contains($0.key) ?? true }.map(\.value.stop)
        }
        for stop in stops { stop.finish() }
    }

    /// From now on no job begins. The stream ends when none runs.
    func beginStopping() -> AsyncStream<Never> {
        let (stream, continuation) = AsyncStream.makeStream(of: Never.self)
        let isIdle = state.withLock { state in
            state.isStopping = true
            if !state.running.isEmpty { state.idle.append(continuation) }
            return state.running.isEmpty
        }
        if isIdle { continuation.finish() }
        return stream
    }
}
