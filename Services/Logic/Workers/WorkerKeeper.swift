// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletDatabase
internal import Synchronization

/// The thread that starts workers, watches them and reaps them. They die with it, so it lives as long as the service; it
/// also reads files, so that nobody else has to block.
///
/// `@unchecked`: the semaphore is made to be used from many threads; the rest is a mutex.
final class WorkerKeeper: @unchecked Sendable {
    private struct State {
        var jobs: [@Sendable () -> Void] = []
        var workers: [Worker] = []
        var isEnding = false
        /// Nobody looks for jobs any more.
        var hasEnded = false
    }

    private let state = Mutex(State())
    private let wakes: UnsafeMutablePointer<sem_t>
    private let thread = Mutex<WorkerThread?>(nil)

    init() {
        wakes = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        sem_init(wakes, 0, 0)
    }

    deinit {
        sem_destroy(wakes)
        wakes.deallocate()
    }

    /// Begins to look after a worker, until it has ended. One that comes too late ends at once.
    func keep(_ worker: Worker) {
        let isLate = state.withLock { state in
            if !state.isEnding { state.workers.append(worker) }
            return state.isEnding
        }
        if isLate { worker.giveUp() }
        wake()
    }

    /// Runs blocking work of a few milliseconds on the thread.
    func perform<Value: Sendable>(_ work: @escaping @Sendable () -> Value) async -> Value {
        await withCheckedContinuation { continuation in
            let isLate = state.withLock { state in
                if !state.hasEnded { state.jobs.append { continuation.resume(returning: work()) } }
                return state.hasEnded
            }
            // Who comes after the end is about to be told so.
            if isLate { continuation.resume(returning: work()) } else { wake() }
        }
    }

    /// Looks after the workers now rather than when it would have.
    func wake() {
        thread.withLock { thread in
            // A project without functions has no thread either.
            if thread == nil { thread = WorkerThread { self.run() } }
        }
        sem_post(wakes)
    }

    /// Ends all workers and the thread.
    func end() async {
        let workers = state.withLock { state in
            state.isEnding = true
            return state.workers
        }
        for worker in workers { worker.stop() }
        guard let running = thread.withLock({ $0 }) else { return }
        sem_post(wakes)
        await running.wait()
    }

    private func run() {
        while true {
            let (jobs, workers, isEnding) = state.withLock { state in
                defer { state.jobs = [] }
                return (state.jobs, state.workers, state.isEnding)
            }
            for job in jobs { job() }
            let now = ContinuousClock.now
            let next = workers.compactMap { $0.tick(now) }.min()
            let isDone = state.withLock { state in
                state.workers.removeAll(where: \.hasEnded)
                state.hasEnded = isEnding && state.workers.isEmpty && state.jobs.isEmpty
                return state.hasEnded
            }
            if isDone { return }
            sleep(until: next)
        }
    }

    private func sleep(until next: ContinuousClock.Instant?) {
        guard let next else {
            while sem_wait(wakes) != 0 {}
            return
        }
        let left = max(ContinuousClock.now.duration(to: next), .zero).components
        var end = timespec()
        clock_gettime(CLOCK_REALTIME, &end)
        end.tv_sec += Int(left.seconds)
        end.tv_nsec += Int(left.attoseconds / 1_000_000_000)
        if end.tv_nsec >= 1_000_000_000 {
            end.tv_sec += 1
            end.tv_nsec -= 1_000_000_000
        }
        while sem_timedwait(wakes, &end) != 0, errno == EINTR {}
    }
}
