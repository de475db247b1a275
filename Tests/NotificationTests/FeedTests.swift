// SPDX-License-Identifier: Apache-2.0
// Holds RT-50 of the realtime contract.

import FoundationEssentials
import Logging
import MartletJSON
import MartletServiceKit
import MartletWire
import Synchronization
import Testing

@testable import MartletNotification

/// A change log in memory that answers as the data service does.
final class FakeLog: FeedSource {
    struct State {
        var epoch: UInt64 = 7
        var entries: [Martlet_Wire_V1_LogEntry] = []
        var trimmed: UInt64 = 0
        /// Who may see: by role; nobody else.
        var visibleTo: Set<String> = ["anon"]
        var masks: [String: [String]] = [:]
        var denied: Set<String> = []
        var hasRowSecurity = false
        var asked: [[UInt64]] = []
        var failure: FeedFailure?
        var tables = ["todos"]
    }

    let state = Mutex(State())

    func append(_ event: String, _ body: String, table: String = "todos") {
        state.withLock { state in
            var entry = Martlet_Wire_V1_LogEntry()
            entry.sequence = UInt64(state.entries.count) + 1
            entry.type = "row." + event.lowercased()
            entry.timeMicroseconds = 1_769_860_800_123_456
            entry.headers = #"{"schema":"public","table":"\#(table)","op":"\#(event)","version":1}"#
            entry.body = Data(body.utf8)
            state.entries.append(entry)
        }
    }

    func appendSchemaChange() {
        state.withLock { state in
            var entry = Martlet_Wire_V1_LogEntry()
            entry.sequence = UInt64(state.entries.count) + 1
            entry.type = "data.schema.changed"
            state.entries.append(entry)
        }
    }

    func pull(epoch: UInt64, after: UInt64) async throws(FeedFailure) -> Martlet_Wire_V1_LogPullReply {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        return state.withLock { state in
            var reply = Martlet_Wire_V1_LogPullReply()
            reply.epoch = state.epoch
            reply.head = UInt64(state.entries.count)
            reply.outcome = .entries
            if epoch == 0 { return reply }
            if epoch != state.epoch || after < state.trimmed {
                reply.outcome = .snapshotRequired
                return reply
            }
            reply.entries = Array(state.entries.dropFirst(Int(after)).prefix(3))
            return reply
        }
    }

    func visible(_ request: Martlet_Wire_V1_VisibleRequest) async throws(FeedFailure) -> Martlet_Wire_V1_VisibleReply {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        return state.withLock { state in
            state.asked.append(request.sequences)
            var reply = Martlet_Wire_V1_VisibleReply()
            reply.changes = request.sequences.map { sequence in
                var change = Martlet_Wire_V1_ChangeVisibility()
                change.sequence = sequence
                var visible = [UInt8](repeating: 0, count: (request.claimSets.count + 7) / 8)
                var denied = visible
                for (place, set) in request.claimSets.enumerated() {
                    if state.visibleTo.contains(set.role) { visible[place / 8] |= 1 << UInt8(place % 8) }
                    if state.denied.contains(set.role) { denied[place / 8] |= 1 << UInt8(place % 8) }
                    if let columns = state.masks[set.role] {
                        var mask = Martlet_Wire_V1_ColumnMask()
                        mask.claimSet = UInt32(place)
                        mask.columns = columns
                        change.masks.append(mask)
                    }
                }
                change.visible = Data(visible)
                change.denied = Data(denied)
                change.rowSecurity = state.hasRowSecurity
                return change
            }
            return reply
        }
    }

    func describe(_ table: TableKey) async throws(FeedFailure) -> Martlet_Wire_V1_FeedDescribeReply {
        if let failure = state.withLock({ $0.failure }) { throw failure }
        return state.withLock { state in
            var reply = Martlet_Wire_V1_FeedDescribeReply()
            reply.epoch = state.epoch
            reply.head = UInt64(state.entries.count)
            reply.tables = state.tables.map { name in
                var found = Martlet_Wire_V1_FeedTable()
                found.schema = "public"
                found.name = name
                found.key = ["id"]
                found.columns = [("id", "int8"), ("done", "bool"), ("t", "text")].map { name, type in
                    var column = Martlet_Wire_V1_FeedColumn()
                    column.name = name
                    column.type = type
                    return column
                }
                return found
            }
            return reply
        }
    }
}

@Suite("Notification: the change feed", .timeLimit(.minutes(1)))
struct FeedTests {
    private let fixture: HubFixture
    private let log = FakeLog()
    private let reader: FeedReader

    init() throws {
        fixture = try HubFixture()
        reader = FeedReader(
            hub: fixture.hub, source: log, logger: Logger(label: "test"),
            losses: fixture.registry.counter("losses", "For tests."))
    }

    private static let columns =
        #"{"name":"id","type":"int8"},{"name":"done","type":"bool"},{"name":"t","type":"text"}"#

    private func body(_ rows: String, full: Bool = false, key: String = #""id""#) -> String {
        #"{"columns":[\#(Self.columns)],"key":[\#(key)],"full":\#(full),\#(rows)}"#
    }

    private func join(_ socket: String, _ entries: String, topic: String = "realtime:r") async {
        await fixture.joined(socket, .one, topic, #"{"postgres_changes":[\#(entries)]}"#)
    }

    private func id(_ entry: String) -> UInt64 {
        JoinConfig(payload: Array(#"{"config":{"postgres_changes":[\#(entry)]}}"#.utf8)[...]).changes[0].id
    }

    /// Reads until there is nothing more.
    private func read(_ position: inout FeedReader.Position?) async throws {
        for _ in 0..<20 where try await reader.turn(&position) { return }
        Issue.record("The reader does not come to an end")
    }

    private func system(_ status: String, _ message: String) -> String {
        #"a: {"topic":"realtime:r","event":"system","payload":{"extension":"postgres_changes","status":"\#(status)","message":"\#(message)","channel":"r"},"ref":null}"#
    }

    private func message(
        _ ids: [UInt64], _ type: String, _ rows: String, columns: String = Self.columns, errors: String = "null"
    ) -> String {
        let ids = ids.map(String.init).joined(separator: ",")
        return
            #"{"topic":"realtime:r","event":"postgres_changes","payload":{"ids":[\#(ids)],"data":{"schema":"public","table":"todos","type":"\#(type)","commit_timestamp":"2026-01-31T12:00:00.123Z","columns":[\#(columns)]\#(rows),"errors":\#(errors)}},"ref":null}"#
    }

    @Test("Insert, update and delete reach who subscribed, once, and nothing from before")
    func changes() async throws {
        let entry = #"{"event":"*","schema":"public","table":"todos"}"#
        await fixture.begin()
        await fixture.open("a", .one)
        await fixture.open("b", .two)
        log.append("INSERT", body(#""record":{"id":1,"done":false,"t":"before"}"#))
        await join("a", entry)
        await fixture.text("b", #"["1","1","realtime:r","phx_join",{"config":{"postgres_changes":[\#(entry)]}}]"#)
        _ = await fixture.received()
        var position: FeedReader.Position?
        try await read(&position)
        #expect(
            await fixture.received() == [
                system("ok", "Subscribed to PostgreSQL"),
                #"b: [null,null,"realtime:r","system",{"extension":"postgres_changes","status":"ok","message":"Subscribed to PostgreSQL","channel":"r"}]"#,
            ])
        log.append("INSERT", body(#""record":{"id":2,"done":false,"t":"1.0"}"#))
        log.append(
            "UPDATE", body(#""record":{"id":2,"done":true,"t":"x"},"old_record":{"id":2,"done":false,"t":"1.0"}"#))
        log.append("DELETE", body(#""old_record":{"id":2,"done":true,"t":"x"}"#, full: true))
        try await read(&position)
        let id = id(entry)
        #expect(
            await fixture.received("a") == [
                message([id], "INSERT", #","record":{"id":2,"done":false,"t":"1.0"}"#),
                message([id], "UPDATE", #","record":{"id":2,"done":true,"t":"x"},"old_record":{"id":2}"#),
                message([id], "DELETE", #","old_record":{"id":2,"done":true,"t":"x"}"#),
            ])
        try await read(&position)
        #expect(await fixture.received().isEmpty)
        fixture.end()
    }

    @Test("Filters, events and ids: one message for each change and channel; data is asked only for what matches")
    func filters() async throws {
        let one = #"{"event":"INSERT","table":"todos","filter":"id=eq.1"}"#
        let many = #"{"event":"*","table":"todos","filter":"id=lt.5"}"#
        await fixture.begin()
        await fixture.open("a", .one)
        await join("a", one + "," + many)
        var position: FeedReader.Position?
        try await read(&position)
        _ = await fixture.received()
        for number in [1, 3, 9] { log.append("INSERT", body(#""record":{"id":\#(number),"done":true,"t":""}"#)) }
        try await read(&position)
        #expect(
            await fixture.received("a") == [
                message([id(one), id(many)], "INSERT", #","record":{"id":1,"done":true,"t":""}"#),
                message([id(many)], "INSERT", #","record":{"id":3,"done":true,"t":""}"#),
            ])
        #expect(log.state.withLock { $0.asked } == [[1, 2]])
        fixture.end()
    }

    @Test("Who may not see a row gets nothing; hidden columns are cut, also for filters")
    func visibility() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        await fixture.open("x", .one, role: "stranger")
        await fixture.open("m", .one, role: "masked")
        log.state.withLock {
            $0.visibleTo = ["anon", "masked"]
            $0.masks = ["masked": ["id", "done"]]
            $0.hasRowSecurity = true
        }
        let entry = #"{"event":"*","table":"todos"}"#
        let hidden = #"{"event":"*","table":"todos","filter":"t=eq.s"}"#
        await join("x", entry)
        await join("m", entry)
        await join("a", hidden)
        await join("m", hidden, topic: "realtime:other")
        var position: FeedReader.Position?
        try await read(&position)
        _ = await fixture.received()
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"s"}"#))
        log.append("DELETE", body(#""old_record":{"id":1,"done":true,"t":"s"}"#, full: true))
        try await read(&position)
        let cut = #"{"name":"id","type":"int8"},{"name":"done","type":"bool"}"#
        let received = await fixture.received()
        #expect(
            Set(received) == [
                "a: " + message([id(hidden)], "INSERT", #","record":{"id":1,"done":true,"t":"s"}"#),
                "m: " + message([id(entry)], "INSERT", #","record":{"id":1,"done":true}"#, columns: cut),
                // With row security a deleted row is its key alone, and a filter on anything else matches nothing.
                "m: " + message([id(entry)], "DELETE", #","old_record":{"id":1}"#, columns: cut),
            ])
        #expect(received.count == 3)
        fixture.end()
    }

    @Test("Errors in place of rows: no key, no right to the key, too large")
    func errors() async throws {
        let entry = #"{"event":"*","table":"todos"}"#
        await fixture.begin()
        await fixture.open("a", .one)
        await join("a", entry)
        var position: FeedReader.Position?
        try await read(&position)
        _ = await fixture.received()
        let id = id(entry)
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"s"}"#, key: ""))
        try await read(&position)
        let noKey = message([id], "INSERT", "", errors: #"["Error 400: Bad Request, no primary key"]"#)
        #expect(await fixture.received("a") == [noKey])
        log.state.withLock { $0.denied = ["anon"] }
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"s"}"#))
        try await read(&position)
        let denied = message([id], "INSERT", "", errors: #"["Error 401: Unauthorized"]"#)
        #expect(await fixture.received("a") == [denied])
        // Without any column neither the row nor the columns' names.
        log.state.withLock {
            $0.visibleTo = []
            $0.masks = ["anon": []]
        }
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"s"}"#))
        try await read(&position)
        let nothing = try #require(await fixture.received("a").first)
        #expect(nothing.contains(#""columns":[],"errors":["Error 401: Unauthorized"]}"#), "\(nothing)")
        log.state.withLock {
            $0.visibleTo = ["anon"]
            $0.masks = [:]
            $0.denied = []
        }
        let long = String(repeating: "x", count: 1_100_000)
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"\#(long)"}"#))
        try await read(&position)
        let cut = message(
            [id], "INSERT", #","record":{"id":1,"done":true}"#, errors: #"["Error 413: Payload Too Large"]"#)
        #expect(await fixture.received("a") == [cut])
        fixture.end()
    }

    @Test("What cannot be subscribed to says why, and the channel stays")
    func refusals() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        var position: FeedReader.Position?
        for (entry, message) in [
            (
                #"{"table":"nothing"}"#,
                "Unable to subscribe to changes with given parameters: the publication has no table public.nothing"
            ),
            (#"{"table":"todos","filter":"id=eq.x"}"#, "Error parsing `filter` params: x is no int8"),
            (#"{"table":"todos","select":["id"]}"#, "`select` of columns is not supported"),
        ] {
            await join("a", entry)
            try await read(&position)
            #expect(await fixture.received() == [system("error", message)])
        }
        await fixture.text("a", #"{"topic":"realtime:r","event":"phx_leave","payload":{},"ref":"5"}"#)
        #expect(await fixture.received().count == 2)
        fixture.end()
    }

    @Test("Changes that are no longer in the log end the channels with an error, so that they reload")
    func lost() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        await join("a", #"{"table":"todos"}"#)
        var position: FeedReader.Position?
        try await read(&position)
        _ = await fixture.received()
        log.state.withLock { $0.epoch = 8 }
        try await read(&position)
        #expect(
            await fixture.received() == [#"a: {"topic":"realtime:r","event":"phx_error","payload":{},"ref":"1"}"#])
        fixture.end()
    }

    @Test("A burst of changes waits in the log until the edge has taken what came before it")
    func burst() async throws {
        var limits = HubLimits()
        limits.sessionBytesMax = 100_000
        limits.feedBacklogBytesMax = 20_000
        let fixture = try HubFixture(limits: limits)
        let reader = FeedReader(
            hub: fixture.hub, source: log, logger: Logger(label: "test"),
            losses: fixture.registry.counter("losses", "For tests."))
        await fixture.begin()
        await fixture.open("a", .one)
        await fixture.joined(
            "a", .one, "realtime:r", #"{"postgres_changes":[{"event":"*","schema":"public","table":"todos"}]}"#)
        var position: FeedReader.Position?
        while try await !reader.turn(&position) {}
        _ = await fixture.received()
        let text = String(repeating: "x", count: 1_000)
        for number in 0..<300 { log.append("INSERT", body(#""record":{"id":\#(number),"t":"\#(text)"}"#)) }
        async let reading: Void = {
            var position = position
            while try await !reader.turn(&position) {}
        }()
        while await !fixture.hub.isBacklogged { try await Task.sleep(for: .milliseconds(1)) }
        // Time in which a reader that does not wait would have sent everything.
        try await Task.sleep(for: .milliseconds(200))
        var heard = 0
        while heard < 300 {
            let received = await fixture.received("a")
            for (place, line) in received.enumerated() {
                #expect(line.contains(#""record":{"id":\#(heard + place),"#))
            }
            heard += received.count
            try await Task.sleep(for: .milliseconds(1))
        }
        try await reading
        fixture.end()
    }

    @Test("The change feed does not wait for an edge that no longer asks")
    func silentEdge() async throws {
        var limits = HubLimits()
        limits.feedBacklogBytesMax = 2_000
        let fixture = try HubFixture(limits: limits)
        await fixture.begin()
        await fixture.open("a", .one)
        await fixture.joined("a", .one, "realtime:r", #"{"broadcast":{"self":true}}"#)
        let payload = String(repeating: "x", count: 3_000)
        #expect(await !fixture.hub.isBacklogged)
        let message = #"{"event":"e","payload":"\#(payload)"}"#
        await fixture.text("a", #"{"topic":"realtime:r","event":"broadcast","payload":\#(message),"ref":"2"}"#)
        #expect(await fixture.hub.isBacklogged)
        fixture.passUnnoticed(HubLimits.feedPatience + .milliseconds(1))
        #expect(await !fixture.hub.isBacklogged)
        fixture.end()
    }

    @Test("While data is away nothing is lost, and who waits to be connected still does")
    func away() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        let entry = #"{"table":"todos"}"#
        log.state.withLock { $0.failure = FeedFailure(isPassing: true, message: "away") }
        await join("a", entry)
        var position: FeedReader.Position?
        await #expect(throws: FeedFailure.self) { try await reader.turn(&position) }
        log.state.withLock { $0.failure = nil }
        try await read(&position)
        #expect(await fixture.received() == [system("ok", "Subscribed to PostgreSQL")])
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"s"}"#))
        log.state.withLock { $0.failure = FeedFailure(isPassing: true, message: "away") }
        await #expect(throws: FeedFailure.self) { try await reader.turn(&position) }
        log.state.withLock { $0.failure = nil }
        try await read(&position)
        #expect(await fixture.received().count == 1)

        log.state.withLock { $0.failure = FeedFailure(isPassing: false, message: "unknown method") }
        await join("a", entry)
        #expect(try await reader.turn(&position))
        #expect(await fixture.received() == [system("error", "The change feed is not available")])
        fixture.end()
    }

    @Test("When the tables change, subscriptions are looked at again; changes around it are sent once")
    func schema() async throws {
        await fixture.begin()
        await fixture.open("a", .one)
        let entry = #"{"table":"todos"}"#
        await join("a", entry)
        var position: FeedReader.Position?
        try await read(&position)
        _ = await fixture.received()
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"s"}"#))
        log.appendSchemaChange()
        log.append("INSERT", body(#""record":{"id":2,"done":true,"t":"s"}"#))
        try await read(&position)
        let received = await fixture.received()
        #expect(received.filter { $0.contains(#""id":1,"#) }.count == 1)
        #expect(received.filter { $0.contains(#""id":2,"#) }.count == 1)
        #expect(received.count == 2)
        log.state.withLock { $0.tables = [] }
        log.appendSchemaChange()
        try await read(&position)
        #expect(await fixture.received().last?.contains(#""status":"error""#) == true)
        fixture.end()
    }

    @Test("A token that has ended gets no row, even before its channel is closed")
    func expiry() async throws {
        await fixture.begin()
        await fixture.open("a", .one, expiresAt: HubFixture.start + 5)
        await join("a", #"{"table":"todos"}"#)
        var position: FeedReader.Position?
        try await read(&position)
        _ = await fixture.received()
        log.append("INSERT", body(#""record":{"id":1,"done":true,"t":"s"}"#))
        fixture.passUnnoticed(.seconds(6))
        try await read(&position)
        #expect(await fixture.received().isEmpty)
        fixture.end()
    }
}
