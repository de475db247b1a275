// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
internal import Synchronization

/// What other threads hand to the bus thread. The eventfd is written only when the thread sleeps.
final class BusInbox: Sendable {
    enum Command: Sendable {
        case job(UnownedJob)
        case run(@Sendable (BusLoop) -> Void)
        /// The thread's owner is gone.
        case end
    }

    private struct State {
        var commands: [Command] = []
        var isAsleep = false
    }

    private let state = Mutex(State())
    /// Readable when the sleeping thread has something to do.
    let descriptor: Int32

    init() throws(ZeroMQError) {
        descriptor = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard descriptor >= 0 else { throw ZeroMQError("eventfd", number: errno) }
    }

    deinit { _ = Glibc.close(descriptor) }

    func post(_ command: Command) {
        let wakes = state.withLock { state in
            state.commands.append(command)
            defer { state.isAsleep = false }
            return state.isAsleep
        }
        if wakes { _ = eventfd_write(descriptor, 1) }
    }

    /// Takes everything; `commands` must be empty and lends its room to what comes next.
    func take(_ commands: inout [Command]) {
        state.withLock { state in
            state.isAsleep = false
            swap(&state.commands, &commands)
        }
    }

    /// Announces sleep. Returns false when there is something to do.
    func startSleeping() -> Bool {
        state.withLock { state in
            guard state.commands.isEmpty else { return false }
            state.isAsleep = true
            return true
        }
    }

    /// Takes back the wake-up after `epoll_wait` reported it.
    func acknowledge() {
        var value: eventfd_t = 0
        _ = unsafe eventfd_read(descriptor, &value)
    }
}
