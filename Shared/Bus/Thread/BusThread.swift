// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
internal import MartletWire
internal import Synchronization

/// The one thread of a process that owns the ZeroMQ context, all sockets and the bus's timers.
///
/// It is also a `TaskExecutor`: handlers that never block run on it, so that a message costs no hop between threads
/// (D41). Blocking calls and long computations belong elsewhere; a turn over a millisecond is reported. Several `Bus`
/// nodes share one thread. The thread ends when its last owner lets go.
package final class BusThread: TaskExecutor, Sendable {
    private let inbox: BusInbox
    private let loop: ConfinedLoop
    private let threadID = Atomic<UInt>(0)

    /// Starts the thread. Throws `internalError` when the kernel or the library refuses.
    package init() throws(BusError) {
        do {
            inbox = try BusInbox()
            loop = ConfinedLoop(try BusLoop(inbox: inbox))
        } catch {
            throw BusError(.internalError, executed: .no, error.description)
        }
        let start = unsafe Unmanaged.passRetained(ThreadStart(loop: loop, owner: self))
        // Signals are for the threads that asked for them.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let result = unsafe pthread_create(&thread, nil, busThreadMain, start.toOpaque())
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard result == 0 else {
            unsafe start.release()
            throw BusError(.internalError, executed: .no, "pthread_create: error \(result)")
        }
        threadID.store(UInt(thread), ordering: .releasing)
        pthread_detach(thread)
    }

    deinit { inbox.post(.end) }

    /// Closes every socket and the context; requests in flight fail. Tasks on the thread still run to their end.
    package func shutDown() { perform { $0.shutDown() } }

    package func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isCurrent { loop.value.enqueueHere(job) } else { inbox.post(.job(job)) }
    }

    /// Whether the caller runs on this thread.
    var isCurrent: Bool { UInt(pthread_self()) == threadID.load(ordering: .acquiring) }

    /// Runs `body` on the thread: at once when the caller is on it, else in its next turn, in order.
    func perform(_ body: @escaping @Sendable (BusLoop) -> Void) {
        if isCurrent { body(loop.value) } else { inbox.post(.run(body)) }
    }

    /// Runs `body` at once when the caller is on the thread, without making a closure for another day; else does nothing
    /// and returns false.
    func performIfCurrent(_ body: (BusLoop) -> Void) -> Bool {
        guard isCurrent else { return false }
        body(loop.value)
        return true
    }

    /// Runs `body` at the end of the round that the caller is part of, at most some hundred messages from now. False,
    /// and nothing is done, when the caller is on another thread.
    package func atRoundEnd(_ body: @escaping @Sendable () -> Void) -> Bool {
        guard isCurrent else { return false }
        loop.value.atRoundEnd(body)
        return true
    }

    /// Runs `body` on the thread in a later turn, also when the caller is on it.
    func post(_ body: @escaping @Sendable (BusLoop) -> Void) { inbox.post(.run(body)) }

    /// Runs `body` on the thread and waits for its result.
    func performAndWait<R: Sendable>(_ body: @escaping @Sendable (BusLoop) -> R) -> R {
        if isCurrent { return body(loop.value) }
        let box = ResultBox<R>()
        inbox.post(.run { loop in box.fulfil(body(loop)) })
        return box.wait()
    }
}

/// The loop as it is handed to its thread.
///
/// `@unchecked`: the loop is touched only where `BusThread.isCurrent` holds or by the thread's own main function;
/// `BusThread` is the only one that reaches it.
private struct ConfinedLoop: @unchecked Sendable {
    let value: BusLoop
    init(_ value: BusLoop) { self.value = value }
}

private final class ThreadStart {
    let loop: ConfinedLoop
    /// Weak, so that the thread does not keep its owner, and with it itself, alive.
    weak let owner: BusThread?

    init(loop: ConfinedLoop, owner: BusThread) {
        self.loop = loop
        self.owner = owner
    }
}

private func busThreadMain(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument = unsafe argument else { return nil }
    let start = unsafe Unmanaged<ThreadStart>.fromOpaque(argument).takeRetainedValue()
    unsafe start.loop.value.run { [weak owner = start.owner] in unsafe owner?.asUnownedTaskExecutor() }
    return nil
}

/// A result that one thread waits for and another delivers once.
private final class ResultBox<R: Sendable>: Sendable {
    private let result = Mutex<R?>(nil)
    private let descriptor = eventfd(0, Int32(EFD_CLOEXEC))

    deinit { _ = Glibc.close(descriptor) }

    func fulfil(_ value: R) {
        result.withLock { $0 = value }
        _ = eventfd_write(descriptor, 1)
    }

    func wait() -> R {
        while true {
            if let value = result.withLock({ $0 }) { return value }
            var count: eventfd_t = 0
            _ = unsafe eventfd_read(descriptor, &count)
        }
    }
}
