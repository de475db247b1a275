// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletWire
import NIOCore
import Synchronization
import Testing

@testable import MartletLogic

@Suite("Logic: running jobs", .timeLimit(.minutes(1)))
struct JobRunnerTests {
    /// Runs jobs for as long as `body` does.
    static func run<Result: Sendable>(
        _ logic: TestLogic, _ functions: TestFunctions, slots: Int = 4,
        _ body: @escaping @Sendable (JobRunner) async throws -> Result
    ) async throws -> Result {
        let runner = JobRunner(
            store: logic.store, caller: functions, slots: JobSlots(slots), timeout: .seconds(10),
            metrics: logic.metrics, logger: TestLogic.logger, clock: { logic.clock.now })
        return try await withThrowingTaskGroup(of: Result?.self) { group in
            group.addTask {
                await runner.run()
                return nil
            }
            group.addTask { try await body(runner) }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            throw CancellationError()
        }
    }

    @Test("The function is called with the job's id as its key, until it succeeds", arguments: TestLogic.engines)
    func calls(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let functions = TestFunctions(statuses: [500, 200])
            try await Self.run(logic, functions) { runner in
                let job = NewJob(
                    id: "a", function: "greet", source: .request, headers: [HTTPField("x-own", "1")], body: #"{"n":1}"#,
                    runAt: logic.clock.now,
                    trace: TraceContext(
                        requestID: "order-7", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"))
                _ = try await logic.store.admit(job, requestHash: "", now: logic.clock.now)
                runner.wake()
                try await eventually { try await logic.store.job("a")?.job.lastStatus == 500 }
                #expect(try await logic.store.job("a")?.job.lastError == "said 500")
                logic.clock.advance(by: .seconds(2))
                runner.wake()
                try await eventually { try await logic.state("a") == .done }
            }
            #expect(functions.requests.count == 2)
            for (number, request) in functions.requests.enumerated() {
                #expect(request.method == "POST" && request.target == "/greet")
                #expect(String(buffer: request.body) == #"{"n":1}"#)
                let fields = Dictionary(request.headers.map { ($0.name, $0.value) }) { $1 }
                #expect(fields["idempotency-key"] == "a" && fields["x-martlet-job-id"] == "a")
                #expect(fields["x-martlet-attempt"] == "\(number + 1)" && fields["x-own"] == "1")
                #expect(fields["content-type"] == "application/json")
                #expect(request.trace.requestID == "order-7" && request.trace.isSampled)
                #expect(request.trace.traceID == "0af7651916cd43dd8448eb211c80319c")
                #expect(request.trace.spanID != "b7ad6b7169203331")
            }
        }
    }

    @Test("What the platform fails with is stored, without NUL", arguments: TestLogic.engines)
    func failures(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let functions = TestFunctions { (_, _) throws(FunctionFailure) in
                throw FunctionFailure(code: .workerError, wasDelivered: true, detail: "it\0ended")
            }
            try await logic.add("a", attempts: 1)
            try await Self.run(logic, functions) { _ in
                try await eventually { try await logic.state("a") == .dead }
            }
            #expect(try await logic.store.job("a")?.job.lastError == "WORKER_ERROR: it\u{FFFD}ended")
        }
    }

    @Test("No more run at once than there are slots; all come to their end", arguments: TestLogic.engines)
    func slots(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let counts = Mutex((now: 0, most: 0))
            let functions = TestFunctions { (_, _) throws(FunctionFailure) in
                counts.withLock { counts in
                    counts.now += 1
                    counts.most = max(counts.most, counts.now)
                }
                try? await Task.sleep(for: .milliseconds(5))
                counts.withLock { $0.now -= 1 }
                return FunctionResponse(status: 200, headers: [], body: ByteBuffer())
            }
            for number in 0..<40 { try await logic.add("\(number)", function: "f\(number % 3)") }
            try await Self.run(logic, functions, slots: 4) { _ in
                try await eventually { try await logic.store.counts() == [.done: 40] }
            }
            #expect(functions.requests.count == 40)
            #expect((2...4).contains(counts.withLock { $0.most }))
        }
    }

    @Test("A job is called when its time has come, though nothing wakes the runner", arguments: TestLogic.engines)
    func ownTime(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let functions = TestFunctions(statuses: [200])
            // It looks once at the start, and not again within this test.
            let runner = JobRunner(
                store: logic.store, caller: functions, slots: JobSlots(4), timeout: .seconds(10),
                metrics: logic.metrics, logger: TestLogic.logger, poll: .seconds(3_600))
            for (id, delay) in [("late", 700), ("soon", 200), ("later", 900)] {
                try await logic.add(id, runAt: .now + .milliseconds(delay))
            }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await runner.run() }
                try await eventually { try await logic.store.counts() == [.done: 3] }
                group.cancelAll()
            }
            #expect(functions.requests.count == 3)
        }
    }

    /// A machine that slept, a process that was stopped, a database that was slow: leases run out of jobs that run.
    @Test("What runs here is not begun a second time here, though its lease has run out", arguments: TestLogic.engines)
    func overslept(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let (gate, open) = AsyncStream.makeStream(of: Void.self)
            let functions = TestFunctions { (function, _) throws(FunctionFailure) in
                if function == "slow" { for await _ in gate {} }
                return FunctionResponse(status: 200, headers: [], body: ByteBuffer())
            }
            try await logic.add("a", function: "slow")
            try await Self.run(logic, functions) { runner in
                try await eventually { functions.requests.count == 1 }
                logic.clock.advance(by: JobLimits.lease * 4)
                for id in ["b", "c"] {
                    try await logic.add(id)
                    runner.wake()
                    try await eventually { try await logic.state(id) == .done }
                }
                #expect(functions.requests.filter { $0.target == "/slow" }.count == 1)
                open.finish()
                try await eventually { try await logic.state("a") == .done }
            }
            #expect(functions.requests.count == 3)
        }
    }

    @Test("Draining waits for what runs, then gives it back", arguments: [true, false])
    func draining(isPatient: Bool) async throws {
        try await TestLogic.with(.sqlite) { logic in
            let (gate, open) = AsyncStream.makeStream(of: Void.self)
            let functions = TestFunctions { (_, _) throws(FunctionFailure) in
                for await _ in gate {}
                if Task.isCancelled { throw FunctionFailure(code: .workerError, wasDelivered: true) }
                return FunctionResponse(status: 200, headers: [], body: ByteBuffer())
            }
            try await logic.add("a")
            // One slot, so that nothing begins before it drains either.
            try await Self.run(logic, functions, slots: 1) { runner in
                try await eventually { functions.requests.count == 1 }
                try await logic.add("b")
                if isPatient {
                    async let drained: Void = runner.drain(within: .seconds(30))
                    try await Task.sleep(for: .milliseconds(20))
                    open.finish()
                    await drained
                    #expect(try await logic.state("a") == .done)
                } else {
                    await runner.drain(within: .milliseconds(20))
                    #expect(try await logic.state("a") == .queued)
                }
                runner.wake()
                #expect(try await logic.state("b") == .queued, "Nothing begins any more")
            }
            #expect(functions.requests.count == 1)
        }
    }

    @Test("A cancelled task gives back what it runs")
    func cancelled() async throws {
        try await TestLogic.with(.sqlite) { logic in
            let functions = TestFunctions { (_, _) throws(FunctionFailure) in
                try? await Task.sleep(for: .seconds(60))
                throw FunctionFailure(code: .workerError, wasDelivered: true)
            }
            try await logic.add("a")
            try await Self.run(logic, functions) { _ in try await eventually { functions.requests.count == 1 } }
            #expect(try await logic.state("a") == .queued)
        }
    }
}
