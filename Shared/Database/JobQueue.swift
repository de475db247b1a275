// SPDX-License-Identifier: Apache-2.0

import Glibc

/// A bounded first-in first-out queue between tasks and the threads that do their blocking work.
///
/// `@unchecked Sendable`: everything mutable is touched under `mutex` only.
@safe package final class JobQueue<Job>: @unchecked Sendable {
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
    private var jobs: [Job] = []
    /// Position of the next job; the array is compacted when it is empty.
    private var head = 0
    private var isClosed = false
    private let capacity: Int

    /// - Parameter capacity: how many jobs wait at most.
    package init(capacity: Int) {
        self.capacity = capacity
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
        defer { unsafe pthread_mutex_unlock(mutex) }
        if isClosed { return .closed }
        if jobs.count - head >= capacity { return .full }
        jobs.append(job)
        unsafe pthread_cond_signal(condition)
        return .accepted
    }

    /// The next job; waits for one. Nil once the queue is closed and empty.
    package func pop() -> Job? {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        while head == jobs.count {
            if isClosed { return nil }
            unsafe pthread_cond_wait(condition, mutex)
        }
        return take()
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
