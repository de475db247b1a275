// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletWire
import Testing

@testable import MartletLogic

@Suite("Logic: schedules", .timeLimit(.minutes(1)))
struct ScheduleTests {
    private static func schedule(
        _ cron: String = "*/5 * * * *", missed: Schedule.Missed = .once, overlap: Schedule.Overlap = .skip
    ) throws -> Schedule {
        Schedule(
            name: "s", definition: cron, timing: try Timing(cron, zone: .utc), function: "f", body: "{}",
            missed: missed,
            overlap: overlap)
    }

    private static func scheduler(_ logic: TestLogic, _ schedule: Schedule) -> Scheduler {
        Scheduler(
            schedules: [schedule], store: ScheduleStore(database: logic.database), metrics: logic.metrics,
            logger: TestLogic.logger, clock: { logic.clock.now }, wake: {})
    }

    private static func jobs(_ logic: TestLogic) async throws -> [Job] {
        try await logic.store.jobs(state: nil, function: nil, before: nil, limit: 100).reversed()
    }

    private static func times(_ logic: TestLogic) async throws -> [String] {
        try await jobs(logic).map { job in
            String(job.new.headers.first { $0.name == "x-martlet-scheduled-at" }?.value.dropFirst(11).prefix(5) ?? "")
        }
    }

    @Test("Each time makes one job, though many look", arguments: TestLogic.engines)
    func once(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let scheduler = Self.scheduler(logic, try Self.schedule())
            try await scheduler.store.adopt(scheduler.schedules, now: logic.clock.now)
            try await scheduler.turn()
            #expect(try await Self.jobs(logic).isEmpty, "Noon has passed when it begins")
            for _ in 0..<2 {
                logic.clock.advance(by: .seconds(300))
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for _ in 0..<4 { group.addTask { try await scheduler.turn() } }
                    try await group.waitForAll()
                }
                for lease in try await logic.lease() { _ = try await logic.finish(lease) }
            }
            #expect(try await Self.times(logic) == ["12:05", "12:10"])
            #expect(try await scheduler.store.list().first?.nextAt.text == "2026-03-01T12:15:00.000000Z")
        }
    }

    @Test("Missed times are made up for by one job, or not at all", arguments: TestLogic.engines)
    func missed(engine: DatabaseEngine) async throws {
        for (missed, expected) in [(Schedule.Missed.once, ["12:15", "12:20"]), (.skip, ["12:20"])] {
            try await TestLogic.with(engine) { logic in
                let scheduler = Self.scheduler(logic, try Self.schedule(missed: missed))
                try await scheduler.store.adopt(scheduler.schedules, now: logic.clock.now)
                logic.clock.advance(by: .seconds(17 * 60))
                try await scheduler.turn()
                for lease in try await logic.lease() { _ = try await logic.finish(lease) }
                // In time, though some seconds late.
                logic.clock.advance(by: .seconds(3 * 60 + 10))
                try await scheduler.turn()
                #expect(try await Self.times(logic) == expected)
            }
        }
    }

    @Test("While the job before runs the time passes, or its job waits", arguments: TestLogic.engines)
    func overlap(engine: DatabaseEngine) async throws {
        for (overlap, expected) in [(Schedule.Overlap.skip, ["12:05"]), (.queue, ["12:05", "12:10"])] {
            try await TestLogic.with(engine) { logic in
                let scheduler = Self.scheduler(logic, try Self.schedule(overlap: overlap))
                try await scheduler.store.adopt(scheduler.schedules, now: logic.clock.now)
                logic.clock.advance(by: .seconds(300))
                try await scheduler.turn()
                let lease = try #require(try await logic.lease().first)
                for _ in 0..<30 {
                    logic.clock.advance(by: .seconds(10))
                    _ = try await logic.store.extend([(lease.id, lease.fence)], now: logic.clock.now)
                }
                try await scheduler.turn()
                #expect(try await Self.times(logic) == expected)
                #expect(try await logic.lease().isEmpty)
                _ = try await logic.finish(lease)
                #expect(try await logic.lease().count == expected.count - 1)
            }
        }
    }

    @Test(
        "The next time outlives a restart; a changed timing begins anew; what is gone is forgotten",
        arguments: TestLogic.engines)
    func adoption(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let store = ScheduleStore(database: logic.database)
            try await store.adopt([try Self.schedule()], now: logic.clock.now)
            logic.clock.advance(by: .seconds(3_600))
            try await store.adopt([try Self.schedule(missed: .skip)], now: logic.clock.now)
            #expect(try await store.list().first?.nextAt.text == "2026-03-01T12:05:00.000000Z")
            try await store.adopt([try Self.schedule("0 3 * * *")], now: logic.clock.now)
            #expect(try await store.list().first?.nextAt.text == "2026-03-02T03:00:00.000000Z")
            try await store.adopt([], now: logic.clock.now)
            #expect(try await store.list().isEmpty)
        }
    }
}
