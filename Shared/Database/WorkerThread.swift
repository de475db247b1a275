// SPDX-License-Identifier: Apache-2.0

import Glibc
import Synchronization

/// A thread for blocking work, such as a connection, so that it never meets Swift's cooperative pool.
package final class WorkerThread: Sendable {
    private final class Start {
        let body: () -> Void

        init(_ body: @escaping () -> Void) { self.body = body }
    }

    private let ended: EndSignal

    /// Starts a thread that runs `body` once.
    package init(_ body: @escaping @Sendable () -> Void) {
        let ended = EndSignal()
        self.ended = ended
        let start = Start {
            body()
            ended.set()
        }
        var thread = pthread_t()
        let argument = unsafe Unmanaged.passRetained(start).toOpaque()
        let result = unsafe pthread_create(&thread, nil, { argument in
            guard let argument = unsafe argument else { return nil }
            unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
            return nil
        }, argument)
        guard result == 0 else {
            // No thread could be made: the work still has to end, so it runs to its end on nobody's time.
            unsafe Unmanaged<Start>.fromOpaque(argument).release()
            ended.set()
            return
        }
        pthread_detach(thread)
    }

    /// Returns when the thread's body has returned.
    package func wait() async { await ended.wait() }
}

/// A one-time signal that tasks wait for.
final class EndSignal: Sendable {
    private struct State {
        var isSet = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func set() {
        let waiters = state.withLock { state in
            state.isSet = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    func wait() async {
        await withCheckedContinuation { continuation in
            let isSet = state.withLock { state in
                if !state.isSet { state.waiters.append(continuation) }
                return state.isSet
            }
            if isSet { continuation.resume() }
        }
    }
}
