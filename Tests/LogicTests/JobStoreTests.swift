// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletWire
import Testing

@testable import MartletLogic

@Suite("Logic: the job store", .timeLimit(.minutes(1)))
struct JobStoreTests {
    @Test("A job is leased once, when its time has come, and done once", arguments: TestLogic.engines)
    func life(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            try await logic.add("a", runAt: logic.clock.now + .seconds(10))
            #expect(try await logic.lease().isEmpty)
            logic.clock.advance(by: .seconds(10))
            let leases = try await logic.lease()
            #expect(leases.map(\.id) == ["a"])
            #expect(leases.first?.job.attempt == 1)
            #expect(try await logic.lease().isEmpty)
            #expect(try await logic.finish(leases[0]) == .finished)
            let (job, attempts) = try #require(try await logic.store.job("a"))
            #expect(job.state == .done && job.lastStatus == 200 && job.finishedAt == logic.clock.now)
            #expect(attempts.map(\.status) == [200])
            logic.clock.advance(by: .seconds(3_600))
            #expect(try await logic.lease().isEmpty)
        }
    }

    @Test("A job of the same id is the same job", arguments: TestLogic.engines)
    func sameID(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic async throws in
            let job = NewJob(id: "a", function: "f", source: .request, body: "{}", runAt: logic.clock.now)
            #expect(try await logic.store.admit(job, requestHash: "1", now: logic.clock.now) == .accepted)
            #expect(try await logic.store.admit(job, requestHash: "1", now: logic.clock.now) == .known)
            #expect(try await logic.store.admit(job, requestHash: "2", now: logic.clock.now) == .otherRequest)
            #expect(try await logic.store.jobs(state: nil, function: nil, before: nil, limit: 10).count == 1)
        }
    }

    @Test("What runs out is leased anew, and who had it cannot finish it", arguments: TestLogic.engines)
    func fence(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            try await logic.add("a")
            let first = try #require(try await logic.lease().first)
            logic.clock.advance(by: JobLimits.lease - .seconds(1))
            #expect(try await logic.store.extend([(first.id, first.fence)], now: logic.clock.now).isEmpty)
            logic.clock.advance(by: .seconds(2))
            #expect(try await logic.lease().isEmpty, "It was extended")
            logic.clock.advance(by: JobLimits.lease)
            let second = try #require(try await logic.lease().first)
            #expect(second.fence > first.fence && second.job.attempt == 2)
            #expect(try await logic.store.extend([(first.id, first.fence)], now: logic.clock.now) == ["a"])
            #expect(try await logic.finish(first) == .lost)
            #expect(try await logic.state("a") == .running)
            #expect(try await logic.store.giveBack(first, now: logic.clock.now) == false)
            #expect(try await logic.finish(second) == .finished)
            let attempts = try #require(try await logic.store.job("a")).attempts
            #expect(attempts.map(\.error) == [JobStore.abandoned, nil])
        }
    }

    @Test(
        "What fails waits longer each time and is dead in the end; sent again it begins anew",
        arguments: TestLogic.engines)
    func backoff(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            try await logic.add("a", attempts: 3)
            for wait in [Duration.seconds(1), .seconds(5)] {
                #expect(try await logic.finish(try #require(try await logic.lease().first), status: 500) == .finished)
                #expect(try await logic.state("a") == .queued)
                logic.clock.advance(by: wait - .milliseconds(1))
                #expect(try await logic.lease().isEmpty)
                logic.clock.advance(by: .milliseconds(1))
            }
            #expect(try await logic.finish(try #require(try await logic.lease().first), status: 500) == .finished)
            #expect(try await logic.state("a") == .dead)
            #expect(try await logic.store.retry("a", now: logic.clock.now) == .changed)
            let again = try #require(try await logic.lease().first)
            #expect(again.job.attempt == 4 && again.job.new.attemptsMax == 3 + JobLimits.attempts)
            #expect(try await logic.finish(again) == .finished)
            #expect(try await logic.store.retry("a", now: logic.clock.now) == .refused(.done))
            #expect(try await logic.store.retry("b", now: logic.clock.now) == .notFound)
        }
    }

    @Test("Whose runners vanish each time is dead and harms no further one", arguments: TestLogic.engines)
    func poison(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            try await logic.add("a", attempts: 2)
            for _ in 0..<2 {
                #expect(try await logic.lease().count == 1)
                logic.clock.advance(by: JobLimits.lease)
            }
            let taken = try await logic.store.lease(1, running: [:], functionMax: 1, now: logic.clock.now)
            #expect(taken.leases.isEmpty && taken.died.map(\.id) == ["a"])
            #expect(try await logic.state("a") == .dead)
        }
    }

    @Test("What is given back is due at once, and the attempt does not count", arguments: TestLogic.engines)
    func givenBack(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            try await logic.add("a", attempts: 1)
            #expect(try await logic.store.giveBack(try #require(try await logic.lease().first), now: logic.clock.now))
            let again = try #require(try await logic.lease().first)
            #expect(again.job.attempt == 2)
            #expect(try await logic.finish(again) == .finished)
        }
    }

    @Test("Of one ordering key, one job after the other in their order", arguments: TestLogic.engines)
    func ordering(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            try await logic.add("a1", orderingKey: "a")
            try await logic.add("a2", orderingKey: "a")
            try await logic.add("b1", orderingKey: "b")
            try await logic.add("x")
            let first = try await logic.lease()
            #expect(first.map(\.id) == ["a1", "b1", "x"])
            #expect(try await logic.finish(first[0], status: 500) == .finished)
            // a1 waits for its next attempt, and a2 for a1.
            #expect(try await logic.lease().isEmpty)
            logic.clock.advance(by: .seconds(1))
            let again = try await logic.lease()
            #expect(again.map(\.id) == ["a1"])
            #expect(try await logic.finish(again[0]) == .finished)
            #expect(try await logic.lease().map(\.id) == ["a2"])
        }
    }

    @Test("Many runners lease each job once and keep the order", arguments: TestLogic.engines)
    func race(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            for number in 0..<60 { try await logic.add("\(number)", orderingKey: "\(number % 6)") }
            let finished = try await withThrowingTaskGroup(of: [String].self) { group in
                for _ in 0..<4 {
                    group.addTask {
                        var done: [String] = []
                        var idle = 0
                        while idle < 20 {
                            let leases = try await logic.lease(3)
                            for lease in leases {
                                #expect(try await logic.finish(lease) == .finished)
                                done.append(lease.id)
                            }
                            idle = leases.isEmpty ? idle + 1 : 0
                        }
                        return done
                    }
                }
                return try await group.reduce(into: []) { $0 += $1 }
            }
            #expect(finished.count == 60 && Set(finished).count == 60)
            // Attempts began in the order of each key.
            let order = try await logic.database.read { session in
                try session.query("select id from jobs where attempt <> 1")
            }
            #expect(order.isEmpty)
        }
    }

    @Test("No function takes more than its share", arguments: TestLogic.engines)
    func shares(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            for number in 0..<80 { try await logic.add("slow\(number)", function: "slow") }
            try await logic.add("quick", function: "quick")
            let first = try await logic.lease(10, functionMax: 4)
            #expect(first.filter { $0.job.new.function == "slow" }.count == 4)
            let second = try await logic.lease(10, running: ["slow": 4], functionMax: 4)
            #expect(second.map(\.id) == (first.contains { $0.id == "quick" } ? [] : ["quick"]))
        }
    }

    @Test("A cancelled job never begins; one that runs is lost to its runner", arguments: TestLogic.engines)
    func cancelling(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            try await logic.add("a")
            #expect(try await logic.store.cancel("a", now: logic.clock.now) == .changed)
            #expect(try await logic.lease().isEmpty)
            #expect(try await logic.store.cancel("a", now: logic.clock.now) == .refused(.cancelled))
            try await logic.add("b")
            let lease = try #require(try await logic.lease().first)
            #expect(try await logic.store.cancel("b", now: logic.clock.now) == .changed)
            #expect(try await logic.store.extend([(lease.id, lease.fence)], now: logic.clock.now) == ["b"])
            #expect(try await logic.finish(lease) == .lost)
            #expect(try await logic.state("b") == .cancelled)
        }
    }

    @Test("Lists name what is asked for; old ends are forgotten", arguments: TestLogic.engines)
    func lists(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            for (id, function) in [("a", "f"), ("b", "g"), ("c", "f")] {
                try await logic.add(id, function: function, attempts: 1)
            }
            let leases = try await logic.lease()
            _ = try await logic.finish(leases[0])
            _ = try await logic.finish(leases[1], status: 500)
            let store = logic.store
            #expect(try await store.jobs(state: nil, function: "f", before: nil, limit: 10).map(\.id) == ["c", "a"])
            #expect(try await store.jobs(state: .dead, function: nil, before: nil, limit: 10).map(\.id) == ["b"])
            let newest = try await store.jobs(state: nil, function: nil, before: nil, limit: 1)
            #expect(newest.map(\.id) == ["c"])
            // A list may have a thousand of a megabyte each.
            #expect(newest.allSatisfy { $0.new.body.isEmpty })
            #expect(try await store.job("c")?.job.new.body == "{}")
            #expect(
                try await store.jobs(state: nil, function: nil, before: newest[0].number, limit: 9).map(\.id) == [
                    "b", "a",
                ])
            #expect(try await store.attempts(function: nil, state: .failed, limit: 9).map(\.jobID) == ["b"])
            #expect(try await store.attempts(function: "f", state: .running, limit: 9).map(\.jobID) == ["c"])
            #expect(try await store.attempts(function: "f", state: nil, limit: 9).count == 2)
            #expect(try await store.counts() == [.done: 1, .dead: 1, .running: 1])
            logic.clock.advance(by: JobLimits.finishedKept + .seconds(1))
            #expect(try await store.removeFinished(now: logic.clock.now) == false)
            #expect(try await store.counts() == [.dead: 1, .running: 1])
            logic.clock.advance(by: JobLimits.deadKept)
            _ = try await store.removeFinished(now: logic.clock.now)
            #expect(try await store.counts() == [.running: 1])
        }
    }

    @Test(
        "Three answers of 410 in a row disable the trigger; what succeeds between starts the count anew",
        arguments: TestLogic.engines)
    func gone(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let triggers = TriggerStore(database: logic.database)
            let trigger = Trigger(
                name: "t", schema: "public", table: "things", operations: ["INSERT"], function: "f", payload: .supabase,
                attemptsMax: 6)
            try await triggers.adopt([trigger])
            for (number, status) in [410, 410, 200, 410, 410, 410].enumerated() {
                try await logic.add("\(number)", source: .trigger("t"))
                let finish = try await logic.finish(try #require(try await logic.lease().first), status: status)
                #expect(finish == (number == 5 ? .disabledTrigger("t") : .finished))
                if status == 410 { #expect(try await logic.state("\(number)") == .dead) }
            }
            #expect(try await triggers.list().first?.disabledAt == logic.clock.now)
            try await triggers.adopt([trigger])
            #expect(try await triggers.list().first?.disabledAt != nil, "A restart changes nothing")
            #expect(try await triggers.enable("t"))
            #expect(try await triggers.list() == [TriggerStore.Record(name: "t", gone: 0, disabledAt: nil)])
            #expect(try await triggers.enable("u") == false)
            try await triggers.adopt([])
            #expect(try await triggers.list().isEmpty)
        }
    }

    @Test("Verdicts: Retry-After is followed within a day, waits grow and repeat")
    func verdicts() {
        func verdict(_ status: Int?, _ attempt: Int, retryAfter: Duration? = nil) -> JobVerdict {
            JobVerdict(JobOutcome(status: status, retryAfter: retryAfter), attempt: attempt, attemptsMax: 50, jitter: 1)
        }
        #expect(verdict(204, 50) == .done)
        #expect(verdict(nil, 1) == .again(after: .seconds(1)))
        #expect(verdict(302, 2) == .again(after: .seconds(5)))
        #expect(verdict(500, 6) == .again(after: .seconds(3_600)))
        #expect(verdict(500, 49) == .again(after: .seconds(3_600)))
        #expect(verdict(500, 50) == .dead)
        #expect(verdict(410, 1) == .dead)
        #expect(verdict(429, 1, retryAfter: .seconds(77)) == .again(after: .seconds(77)))
        #expect(verdict(429, 1, retryAfter: .seconds(10_000_000)) == .again(after: JobLimits.retryAfterMax))
        let now = TestLogic.start
        #expect(JobOutcome.retryAfter("120", now: now) == .seconds(120))
        #expect(JobOutcome.retryAfter("Sun, 01 Mar 2026 12:01:30 GMT", now: now) == .seconds(90))
        #expect(JobOutcome.retryAfter("Sun, 01 Mar 2025 12:01:30 GMT", now: now) == .zero)
        for text in ["", "-1", "soon", "1.5", "Sun, 01 Mar 2026 12:01:30 CET"] {
            #expect(JobOutcome.retryAfter(text, now: now) == nil, "\(text)")
        }
    }

    @Test("Ids: the same parts, the same UUID; other parts, another")
    func identities() {
        let id = JobIdentity.derived("trigger", "a", "bc")
        #expect(id == JobIdentity.derived("trigger", "a", "bc") && id != JobIdentity.derived("trigger", "ab", "c"))
        #expect(id.count == 36 && Array(id)[14] == "8" && "89ab".contains(Array(id)[19]))
        #expect(JobIdentity.random() != JobIdentity.random())
    }
}
