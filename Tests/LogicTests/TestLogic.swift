// SPDX-License-Identifier: Apache-2.0

import Foundation
import Logging
import MartletDatabase
import MartletServiceKit
import MartletTestKit
import MartletWire
import NIOCore
import Synchronization
import Testing

@testable import MartletLogic

/// A fresh database of logic's, and what stands upon it.
struct TestLogic: Sendable {
    static let engines = TestDatabase.engines
    static let start = Moment("2026-03-01T12:00:00Z") ?? Moment(seconds: 0)

    let database: Database
    let clock = TestTime(TestLogic.start)

    var store: JobStore { JobStore(database: database) }
    var metrics: JobMetrics { JobMetrics(MetricsRegistry()) }
    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    static func with<Result>(_ engine: DatabaseEngine, _ body: (TestLogic) async throws -> Result) async throws
        -> Result
    {
        try await TestDatabase.with(engine) { database in
            try await database.migrate(LogicSchema.migrations)
            return try await body(TestLogic(database: database))
        }
    }

    // MARK: Jobs

    func add(
        _ id: String, function: String = "f", orderingKey: String? = nil, runAt: Moment? = nil, attempts: Int = 6,
        source: JobSource = .request
    ) async throws {
        let job = NewJob(
            id: id, function: function, source: source, body: "{}", orderingKey: orderingKey,
            runAt: runAt ?? clock.now, attemptsMax: attempts)
        let now = clock.now
        try await database.write { session in _ = try JobStore.insert(job, now: now, in: session) }
    }

    /// Leases at most `count` jobs and says which.
    func lease(_ count: Int = 10, running: [String: Int] = [:], functionMax: Int = 10) async throws -> [JobLease] {
        try await store.lease(count, running: running, functionMax: functionMax, now: clock.now).leases
    }

    func finish(_ lease: JobLease, status: Int = 200) async throws -> JobStore.Finish {
        let outcome = JobOutcome(status: status)
        let verdict = JobVerdict(
            outcome, attempt: lease.job.attempt, attemptsMax: lease.job.new.attemptsMax, jitter: 1)
        return try await store.finish(lease, outcome, verdict, now: clock.now)
    }

    func state(_ id: String) async throws -> JobState? { try await store.job(id)?.job.state }
}

/// A wall clock that the test sets.
final class TestTime: Sendable {
    private let moment: Mutex<Moment>

    init(_ moment: Moment) { self.moment = Mutex(moment) }

    var now: Moment { moment.withLock { $0 } }
    func advance(by duration: Duration) { moment.withLock { $0 = $0 + duration } }
    func set(_ moment: Moment) { self.moment.withLock { $0 = moment } }
}

/// Functions that the test answers for.
final class TestFunctions: FunctionCaller {
    typealias Answer = @Sendable (String, FunctionRequest) async throws(FunctionFailure) -> FunctionResponse

    private let answer: Answer
    private let seen = Mutex<[FunctionRequest]>([])

    init(_ answer: @escaping Answer) { self.answer = answer }

    convenience init(statuses: [UInt16], headers: [HTTPField] = []) {
        let rest = Mutex(statuses)
        self.init { _, _ in
            let status = rest.withLock { $0.count > 1 ? $0.removeFirst() : $0.first ?? 200 }
            return FunctionResponse(status: status, headers: headers, body: ByteBuffer(string: "said \(status)"))
        }
    }

    var requests: [FunctionRequest] { seen.withLock { $0 } }

    func call(
        _ name: String, _ request: FunctionRequest, deadline: ContinuousClock.Instant
    ) async throws(FunctionFailure) -> FunctionResponse {
        seen.withLock { $0.append(request) }
        return try await answer(name, request)
    }
}

/// Waits for a fact with a deadline.
func eventually(_ fact: () async throws -> Bool) async throws {
    for _ in 0..<500 {
        if try await fact() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("It did not happen within five seconds")
}
