// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletDatabase
internal import Synchronization

/// The thread that the hub lives on: encoding for thousands of sockets computes, so it has no place on the bus thread,
/// and it would hold up the cooperative pool.
///
/// `@unchecked`: the semaphore is made to be used from many threads; the rest is a mutex.
final class HubThread: SerialExecutor, @unchecked Sendable {
    private struct State {
        var jobs: [UnownedJob] = []
        var isEnded = false
    }

    private let state = Mutex(State())
    private let wakes: UnsafeMutablePointer<sem_t>
    private let worker = Mutex<WorkerThread?>(nil)

    init() {
        wakes = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        sem_init(wakes, 0, 0)
        worker.withLock { $0 = WorkerThread { self.run() } }
    }

    deinit {
        sem_destroy(wakes)
        wakes.deallocate()
    }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        let isFirst = state.withLock { state in
            state.jobs.append(job)
            return state.jobs.count == 1
        }
        if isFirst { sem_post(wakes) }
    }

    /// Lets the thread end when it has nothing more to do. Nobody may use the hub afterwards.
    func end() {
        state.withLock { $0.isEnded = true }
        sem_post(wakes)
    }

    /// The thread holds its executor until `end`, so that a job cannot free it under itself.
    private func run() {
        while true {
            let (jobs, isEnded) = state.withLock { state in
                defer { state.jobs = [] }
                return (state.jobs, state.isEnded)
            }
            for job in jobs { job.runSynchronously(on: asUnownedSerialExecutor()) }
            if jobs.isEmpty {
                if isEnded { return }
                while sem_wait(wakes) != 0 {}
            }
        }
    }
}
