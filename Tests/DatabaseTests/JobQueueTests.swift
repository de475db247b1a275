// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import Synchronization
import Testing

/// The queue in front of threads: at most one wake-up is under way, and still nobody waits for nothing.
@Suite("Job queue")
struct JobQueueTests {
    private typealias Job = @Sendable () -> Void

    private static func with(threads count: Int, _ body: (JobQueue<Job>) async throws -> Void) async rethrows {
        let queue = JobQueue<Job>(capacity: 10_000)
        let threads = (0..<count).map { _ in
            WorkerThread { while let job = queue.pop() { job() } }
        }
        try await body(queue)
        queue.close()
        for thread in threads { await thread.wait() }
    }

    @Test("Jobs run, each once, however they come")
    func all() async {
        let ran = Count()
        await Self.with(threads: 4) { queue in
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        for _ in 0..<1_000 {
                            let result = queue.push { ran.add() }
                            #expect(result == .accepted)
                        }
                    }
                }
            }
        }
        #expect(ran.value == 8_000)
    }

    @Test("A job that waits for one behind it gets a thread of its own, also when both come at once")
    func chained() async {
        await Self.with(threads: 3) { queue in
            for _ in 0..<300 {
                await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                    let gate = Gate()
                    // Two that block until the third has run: all three threads have to be woken.
                    for _ in 0..<2 {
                        _ = queue.push { if gate.wait() == 2 { continuation.resume() } }
                    }
                    _ = queue.push { gate.open() }
                }
            }
        }
    }

    @Test("A wake-up that is put off comes at its moment, or once enough jobs wait", .timeLimit(.minutes(1)))
    func deferred() async {
        let moments = Moments()
        let queue = JobQueue<Job>(capacity: 1_000, deferWakeUp: { moments.add($0) })
        let thread = WorkerThread { while let job = queue.pop() { job() } }
        for round in 0..<50 {
            let ran = Count()
            var pushed = 0
            // Until the thread was asleep when a job came.
            while !moments.hasOne, !Task.isCancelled {
                _ = queue.push { ran.add() }
                pushed += 1
                await Task.yield()
            }
            if round % 2 == 1 {
                for _ in 0..<20 { _ = queue.push { ran.add() } }
                pushed += 20
                // Those that were enough; the rest may be put off again.
                while ran.value < 16, !Task.isCancelled { await Task.yield() }
            }
            moments.come()
            while ran.value < pushed, !Task.isCancelled { await Task.yield() }
            #expect(ran.value == pushed)
            moments.come()
        }
        queue.close()
        await thread.wait()
    }

    @Test("Without a moment for it a wake-up is not put off", .timeLimit(.minutes(1)))
    func undeferred() async {
        let queue = JobQueue<Job>(capacity: 10, deferWakeUp: { _ in false })
        let thread = WorkerThread { while let job = queue.pop() { job() } }
        for _ in 0..<200 {
            await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
                _ = queue.push { continuation.resume() }
            }
        }
        queue.close()
        await thread.wait()
    }

    @Test("A full queue refuses, a closed one too, and what waits is still handed out")
    func refusals() {
        let queue = JobQueue<Int>(capacity: 2)
        #expect(queue.push(1) == .accepted && queue.push(2) == .accepted && queue.push(3) == .full)
        #expect(queue.waiting == 2)
        queue.close()
        #expect(queue.push(4) == .closed)
        #expect(queue.pop() == 1 && queue.pop() == 2 && queue.pop() == nil)
    }
}

/// Wake-ups that were put off.
private final class Moments: Sendable {
    private let waiting = Mutex<[@Sendable () -> Void]>([])

    var hasOne: Bool { waiting.withLock { !$0.isEmpty } }

    func add(_ moment: @escaping @Sendable () -> Void) -> Bool {
        waiting.withLock { $0.append(moment) }
        return true
    }

    func come() {
        let moments = waiting.withLock { waiting in
            defer { waiting = [] }
            return waiting
        }
        for moment in moments { moment() }
    }
}

private final class Count: Sendable {
    private let count = Atomic<Int>(0)

    var value: Int { count.load(ordering: .relaxed) }

    func add() { count.wrappingAdd(1, ordering: .relaxed) }
}

/// Holds threads until it is opened.
private final class Gate: Sendable {
    private let isOpen = Atomic<Bool>(false)
    private let passed = Atomic<Int>(0)

    func open() { isOpen.store(true, ordering: .releasing) }

    /// How many have passed, this one included.
    func wait() -> Int {
        while !isOpen.load(ordering: .acquiring) {}
        return passed.wrappingAdd(1, ordering: .relaxed).newValue
    }
}
