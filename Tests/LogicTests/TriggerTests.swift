// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletDatabase
import MartletJSON
import MartletWire
import Synchronization
import Testing

@testable import MartletLogic

/// A log that the test writes.
private final class TestLog: LogSource {
    private struct State {
        var epoch: UInt64 = 7
        var trimmed: UInt64 = 0
        var entries: [Martlet_Wire_V1_LogEntry] = []
        var pulls: [UInt64] = []
    }
    private let state = Mutex(State())

    func write(_ table: String, _ operation: String, id: Int, record: String? = nil, oldRecord: String? = nil) {
        state.withLock { state in
            var entry = Martlet_Wire_V1_LogEntry()
            entry.sequence = UInt64(state.entries.count + 1)
            entry.id = "event-\(state.epoch)-\(entry.sequence)"
            entry.type = "row.\(operation.lowercased())"
            entry.key = "[\(id)]"
            entry.timeMicroseconds = TestLogic.start.microseconds
            entry.headers = #"{"schema":"public","table":"\#(table)","op":"\#(operation)","version":1}"#
            var body =
                #"{"columns":[{"name":"id","type":"int8"},{"name":"a\"}","type":"jsonb"}],"key":["id"],"full":false"#
            if let record { body += ",\"record\":\(record)" }
            if let oldRecord { body += ",\"old_record\":\(oldRecord)" }
            entry.body = Data((body + "}").utf8)
            state.entries.append(entry)
        }
    }

    func restore() {
        state.withLock { state in (state.epoch, state.entries) = (state.epoch + 1, []) }
    }

    func trim(to sequence: UInt64) { state.withLock { $0.trimmed = sequence } }

    func pull(epoch: Int64, after: Int64) async throws -> Martlet_Wire_V1_LogPullReply {
        state.withLock { state in
            state.pulls.append(UInt64(after))
            var reply = Martlet_Wire_V1_LogPullReply()
            (reply.epoch, reply.head) = (state.epoch, UInt64(state.entries.count))
            reply.outcome = .entries
            if epoch == 0 { return reply }
            if UInt64(epoch) != state.epoch || UInt64(after) < state.trimmed {
                reply.outcome = .snapshotRequired
            } else {
                reply.entries = Array(state.entries.dropFirst(Int(after)).prefix(3))
            }
            return reply
        }
    }
}

@Suite("Logic: triggers", .timeLimit(.minutes(1)))
struct TriggerTests {
    private static func trigger(_ name: String, _ operations: Set<String>, payload: Trigger.Payload = .supabase)
        -> Trigger
    {
        Trigger(
            name: name, schema: "public", table: "things", operations: operations, function: "hear", payload: payload,
            attemptsMax: 4)
    }

    private static func consumer(_ logic: TestLogic, _ log: TestLog, _ triggers: [Trigger]) -> TriggerConsumer {
        TriggerConsumer(
            triggers: triggers, database: logic.database, source: log, metrics: logic.metrics,
            logger: TestLogic.logger, clock: { logic.clock.now }, wake: {})
    }

    private static func bodies(_ logic: TestLogic) async throws -> [String] {
        var bodies: [String] = []
        for job in try await logic.store.jobs(state: nil, function: nil, before: nil, limit: 100).reversed() {
            bodies.append(try #require(try await logic.store.job(job.id)).job.new.body)
        }
        return bodies
    }

    private static func readAll(_ consumer: TriggerConsumer) async throws {
        while try await !consumer.turn() {}
    }

    @Test("Each change makes its job once, in order, from the log's end on", arguments: TestLogic.engines)
    func changes(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let log = TestLog()
            log.write("things", "INSERT", id: 1, record: #"{"id":1}"#)
            let consumer = Self.consumer(logic, log, [Self.trigger("t", ["INSERT", "DELETE"])])
            try await consumer.begin()
            log.write("things", "INSERT", id: 2, record: #"{"id":2,"a":1.50e3,"b":"}\"{,:\\"}"#)
            log.write("others", "INSERT", id: 3, record: #"{"id":3}"#)
            log.write("things", "UPDATE", id: 2, record: #"{"id":2}"#, oldRecord: #"{"id":2}"#)
            log.write("things", "DELETE", id: 2, oldRecord: #"{"id":2,"c":[{"d":[1,2]}]}"#)
            log.write("things", "TRUNCATE", id: 0)
            try await Self.readAll(consumer)
            #expect(
                try await Self.bodies(logic) == [
                    #"{"type":"INSERT","table":"things","schema":"public","record":{"id":2,"a":1.50e3,"b":"}\"{,:\\"},"old_record":null}"#,
                    #"{"type":"DELETE","table":"things","schema":"public","record":null,"old_record":{"id":2,"c":[{"d":[1,2]}]}}"#,
                ])
            try await Self.readAll(consumer)
            try await Self.readAll(Self.consumer(logic, log, [Self.trigger("t", ["INSERT", "DELETE"])]))
            #expect(try await Self.bodies(logic).count == 2)
            let jobs = try await logic.store.jobs(state: nil, function: nil, before: nil, limit: 9)
            #expect(Set(jobs.map(\.new.orderingKey)).count == 1 && jobs[0].new.orderingKey != nil)
            #expect(jobs.allSatisfy { $0.new.attemptsMax == 4 && $0.new.source == .trigger("t") })
            #expect(jobs[0].new.headers.contains(HTTPField("x-martlet-event-id", "event-7-5")))
            #expect(try await logic.lease().count == 1, "The deletion waits for the insertion")
        }
    }

    @Test("Our form holds Supabase's; rows may nest as deeply as they like")
    func payloads() throws {
        let deep = String(repeating: "[", count: 5_000) + String(repeating: "]", count: 5_000)
        let change = try #require(
            LoggedChange(
                id: "e", headers: #"{"schema":"public","table":"things","op":"UPDATE","version":1,"cut":true,"request_id":"r7","#
                    + #""traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#,
                key: "", microseconds: 0,
                body: Array(#"{"columns":[],"key":[],"full":false,"record":{"a":\#(deep)},"old_record":{}}"#.utf8)))
        let job = Self.trigger("t", ["UPDATE"], payload: .martlet).job(for: change, now: TestLogic.start)
        #expect(job.orderingKey == nil)
        #expect(
            job.body == #"{"type":"UPDATE","table":"things","schema":"public","record":{"a":\#(deep)},"old_record":{},"#
                + #""id":"e","created_at":"1970-01-01T00:00:00.000000Z","trigger":{"name":"t"},"claims":null,"cut":true,"#
                + #""trace":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}"#)
        #expect(job.trace.requestID == "r7" && job.trace.spanID == "b7ad6b7169203331")
    }

    @Test(
        "Jobs and the place in the log change together: what could not be stored is read again",
        arguments: TestLogic.engines)
    func atomic(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let log = TestLog()
            let consumer = Self.consumer(logic, log, [Self.trigger("t", ["INSERT"])])
            try await consumer.begin()
            for id in 1...2 { log.write("things", "INSERT", id: id, record: "{}") }
            try await logic.database.write { try $0.executeScript("alter table jobs rename to hidden") }
            await #expect(throws: DatabaseError.self) { try await consumer.turn() }
            try await logic.database.write { try $0.executeScript("alter table hidden rename to jobs") }
            try await Self.readAll(consumer)
            #expect(try await Self.bodies(logic).count == 2)
        }
    }

    @Test("What the log no longer holds is passed over, loudly, and reading goes on", arguments: TestLogic.engines)
    func losses(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let log = TestLog()
            let consumer = Self.consumer(logic, log, [Self.trigger("t", ["INSERT"])])
            try await consumer.begin()
            for id in 1...5 { log.write("things", "INSERT", id: id, record: "{}") }
            log.trim(to: 3)
            try await Self.readAll(consumer)
            #expect(try await Self.bodies(logic).isEmpty)
            log.write("things", "INSERT", id: 6, record: "{}")
            try await Self.readAll(consumer)
            #expect(try await Self.bodies(logic).count == 1)
            log.restore()
            log.trim(to: 0)
            try await Self.readAll(consumer)
            log.write("things", "INSERT", id: 7, record: "{}")
            try await Self.readAll(consumer)
            #expect(try await Self.bodies(logic).count == 2)
        }
    }

    @Test(
        "A disabled trigger makes no jobs; one that was taken out gives its place in the log up",
        arguments: TestLogic.engines)
    func disabled(engine: DatabaseEngine) async throws {
        try await TestLogic.with(engine) { logic in
            let log = TestLog()
            let consumer = Self.consumer(logic, log, [Self.trigger("t", ["INSERT"]), Self.trigger("u", ["INSERT"])])
            try await TriggerStore(database: logic.database).adopt(consumer.triggers)
            try await consumer.begin()
            try await logic.database.write { session in
                _ = try session.execute("update triggers set disabled_at = 1 where name = 't'")
            }
            log.write("things", "INSERT", id: 1, record: "{}")
            try await Self.readAll(consumer)
            let jobs = try await logic.store.jobs(state: nil, function: nil, before: nil, limit: 9)
            #expect(jobs.map(\.new.source) == [.trigger("u")])
            log.write("things", "INSERT", id: 2, record: "{}")
            try await Self.consumer(logic, log, []).begin()
            try await consumer.begin()
            try await Self.readAll(consumer)
            #expect(try await Self.bodies(logic).count == 1, "What came while there was no trigger is not told")
        }
    }
}
