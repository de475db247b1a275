// SPDX-License-Identifier: Apache-2.0

import Glibc

/// Has a wake-up done later, once its caller has pushed what it has; false when the caller has no such moment.
package typealias WakeUpDeferral = @Sendable (@escaping @Sendable () -> Void) -> Bool

/// A bounded first-in first-out queue between tasks and the threads that do their blocking work.
///
/// A wake-up costs more than many a job, so there is at most one under way: a thread that has woken up and finds more
/// than it takes wakes the next. No job waits while a thread sleeps and nobody is being woken, or about to be.
///
/// `@unchecked Sendable`: everything mutable is touched under `mutex` only.
@safe package final class JobQueue<Job>: @unchecked Sendable {
    /// A wake-up that nobody has answered yet.
    private enum WakeUp {
        case none
        /// Its caller has more to push first.
        case deferred
        /// A sleeping thread was signalled and has not looked yet.
        case signalled
    }

    /// So many jobs are worth a thread now, also where whoever pushes has more.
    private static var deferredMax: Int { 16 }

    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job] = []
    /// Position of the next job; the array is compacted when it is empty.
    private var head = 0
    private var isClosed = false
    private let capacity: Int
    private let deferWakeUp: WakeUpDeferral?
    /// Threads that wait for a job.
    private var sleeping = 0
    private var wakeUp = WakeUp.none
    /// Jobs that were ever accepted.
    private var accepted: UInt64 = 0

    /// - Parameters:
    ///   - capacity: how many jobs wait at most.
    ///   - deferWakeUp: puts a wake-up off while its caller has more to push; nil: never.
    package init(capacity: Int, deferWakeUp: WakeUpDeferral? = nil) {
        self.capacity = capacity
        self.deferWakeUp = deferWakeUp
        unsafe pthread_mutex_init(mutex, nil)
        unsafe pthread_cond_init(condition, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe pthread_cond_destroy(condition)
        unsafe mutex.deallocate()
        unsafe condition.deallocate()
    }

    /// What became of a job that was pushed.
    package enum PushResult { case accepted, full, closed }

    /// Appends a job, unless the queue is full or closed.
    package func push(_ job: Job) -> PushResult {
        unsafe pthread_mutex_lock(mutex)
        guard !isClosed, jobs.count - head < capacity else {
            defer { unsafe pthread_mutex_unlock(mutex) }
            return isClosed ? .closed : .full
        }
        jobs.append(job)
        accepted += 1
        let isDeferred = wakeUp == .deferred
        let signals = mustSignal(mayDefer: deferWakeUp != nil)
        let defers = !isDeferred && wakeUp == .deferred
        // Unlocked first: who wakes up would only wait for the lock otherwise.
        unsafe pthread_mutex_unlock(mutex)
        if signals { unsafe pthread_cond_signal(condition) }
        if defers, let deferWakeUp, !deferWakeUp({ [self] in wakeDeferred() }) { wakeDeferred() }
        return .accepted
    }

    /// The next job; waits for one. Nil once the queue is closed and empty.
    package func pop() -> Job? {
        unsafe pthread_mutex_lock(mutex)
        while head == jobs.count {
            if isClosed {
                unsafe pthread_mutex_unlock(mutex)
                return nil
            }
            sleeping += 1
            unsafe pthread_cond_wait(condition, mutex)
            sleeping -= 1
            if wakeUp == .signalled { wakeUp = .none }
        }
        let job = take()
        let signals = mustSignal(mayDefer: false)
        unsafe pthread_mutex_unlock(mutex)
        if signals { unsafe pthread_cond_signal(condition) }
        return job
    }

    /// The number of the job that was accepted last. A job's own number is not above it once `push` has returned.
    var lastAccepted: UInt64 {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return accepted
    }

    /// The next job if one waits that was accepted not after `number`.
    func popIfWaiting(acceptedBy number: UInt64) -> Job? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        guard head < jobs.count, accepted - UInt64(jobs.count - head) < number else { return nil }
        return take()
    }

    /// Decides under the lock whether a thread is to be woken once it is given back.
    private func mustSignal(mayDefer: Bool) -> Bool {
        let waiting = jobs.count - head
        guard waiting > 0, sleeping > 0 else { return false }
        switch wakeUp {
        case .signalled: return false
        case .none:
            wakeUp = mayDefer ? .deferred : .signalled
            return !mayDefer
        case .deferred:
            guard waiting >= Self.deferredMax else { return false }
            wakeUp = .signalled
            return true
        }
    }

    private func wakeDeferred() {
        unsafe pthread_mutex_lock(mutex)
        var signals = false
        if wakeUp == .deferred {
            wakeUp = .none
            signals = mustSignal(mayDefer: false)
        }
        unsafe pthread_mutex_unlock(mutex)
        if signals { unsafe pthread_cond_signal(condition) }
    }

    /// The next job if one waits and `accepts` it.
    func popIfWaiting(where accepts: (Job) -> Bool) -> Job? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        guard head < jobs.count, accepts(jobs[head]) else { return nil }
        return take()
    }

    private func take() -> Job {
        let job = jobs[head]
        head += 1
        if head == jobs.count {
            jobs.removeAll(keepingCapacity: true)
            head = 0
        } else if head >= 1_024 {
            jobs.removeFirst(head)
            head = 0
        }
        return job
    }

    /// Jobs that wait now.
    package var waiting: Int {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return jobs.count - head
    }

    /// Refuses new jobs; those that wait are still handed out.
    package func close() {
        unsafe pthread_mutex_lock(mutex)
        isClosed = true
        unsafe pthread_cond_broadcast(condition)
        unsafe pthread_mutex_unlock(mutex)
    }
}
