// SPDX-License-Identifier: Apache-2.0

import MartletBus
import MartletDatabase
import MartletWire
import NIOCore
import Testing

@testable import MartletData

/// The log's methods and its doorbell as other services meet them: over the bus, under their names.
@Suite("Change log over the bus", .timeLimit(.minutes(1)))
struct LogBusTests {
    private static let migration = """
        create table open (id bigint primary key, text text);
        create table own (id bigint primary key, owner uuid);
        create table unpublished (id bigint primary key);
        alter table own enable row level security;
        create policy a on own for select using (owner = auth.uid());
        alter publication supabase_realtime add table open, own;
        """

    /// The data service's side of the bus, and one caller of each kind.
    private struct Fixture {
        let engine: TestEngine
        let notification: Bus
        let caller: Bus

        /// - Parameter other: who `caller` is.
        static func with(
            _ engine: DatabaseEngine, other: ServiceName = .operator, _ body: (Fixture) async throws -> Void
        ) async throws {
            try await TestEngine.with(engine, migrations: [migration]) { engine in
                _ = try await engine.logged()
                let thread = try BusThread()
                defer { thread.shutDown() }
                let data = try Bus(
                    BusConfiguration(
                        service: .data, instance: "data-1", requestEndpoints: ["inproc://data"],
                        eventEndpoints: ["inproc://data.events"]), on: thread)
                let methods = LogMethods(log: engine.rows.log)
                let visible = VisibleMethods(engine: engine.rows)
                data.handle(MethodRegistry.logPull) { await methods.pull($0) }
                data.handle(MethodRegistry.visible) { await visible.visible($0) }
                data.handle(MethodRegistry.feedDescribe) { await visible.describe($0) }
                let callers = try [ServiceName.notification, other].map { name in
                    try Bus(
                        BusConfiguration(
                            service: name, instance: "\(name.rawValue)-1",
                            peers: [.data: [PeerEndpoint(request: "inproc://data", event: "inproc://data.events")]]),
                        on: thread)
                }
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for bus in [data] + callers { group.addTask { try? await bus.run() } }
                    group.addTask { await engine.rows.runLog() }
                    group.addTask { await Doorbell(log: engine.rows.log, bus: data).run() }
                    defer { group.cancelAll() }
                    try await body(Fixture(engine: engine, notification: callers[0], caller: callers[1]))
                }
            }
        }

        func insert(_ table: String, _ body: String) async {
            #expect(await engine.send("POST", "/\(table)", as: .service, body).status == 201)
        }
    }

    private static func ask<Reply: MethodPayload>(
        _ bus: Bus, _ method: Method, _ request: some MethodPayload, as type: Reply.Type = Reply.self
    ) async throws -> Reply {
        let reply = try await bus.request(method, to: .data, header: RequestHeader(), payload: request.payload)
        return try Reply(payload: reply.payload)
    }

    /// The code of a refusal; nil when there is an answer.
    private static func refusal(_ bus: Bus, _ method: Method, _ payload: ByteBuffer) async -> ErrorCode? {
        do throws(BusError) {
            _ = try await bus.request(method, to: .data, header: RequestHeader(), payload: payload)
            return nil
        } catch { return error.code }
    }

    private static func pull(
        _ bus: Bus, epoch: UInt64 = 0, after: UInt64 = 0, stream: String = "rows", entriesMax: UInt32 = 0
    ) async throws -> Martlet_Wire_V1_LogPullReply {
        try await ask(bus, MethodRegistry.logPull, request(epoch, after, stream, entriesMax))
    }

    private static func request(
        _ epoch: UInt64, _ after: UInt64, _ stream: String = "rows", _ entriesMax: UInt32 = 0
    ) -> Martlet_Wire_V1_LogPullRequest {
        var request = Martlet_Wire_V1_LogPullRequest()
        request.stream = stream
        request.epoch = epoch
        request.after = after
        request.entriesMax = entriesMax
        return request
    }

    @Test("Entries are pulled by cursor, by those who may", arguments: TestEngine.logEngines)
    func pulls(_ engine: DatabaseEngine) async throws {
        try await Fixture.with(engine) { fixture in
            let start = try await Self.pull(fixture.caller)
            #expect(start.outcome == .entries && start.entries.isEmpty && start.epoch > 0 && start.head > 0)
            await fixture.insert("open", #"[{"id":1,"text":"é"},{"id":2,"text":null}]"#)
            _ = try await fixture.engine.logged()
            for bus in [fixture.notification, fixture.caller] {
                let reply = try await Self.pull(bus, epoch: start.epoch, after: start.head)
                #expect(reply.head == start.head + 2 && reply.trimmed == 0)
                #expect(reply.entries.map(\.sequence) == [start.head + 1, start.head + 2])
                let entry = try #require(reply.entries.first)
                #expect(entry.type == "row.insert" && entry.key == "[1]" && !entry.id.isEmpty)
                #expect(String(decoding: entry.body, as: UTF8.self).contains(#""record":{"id":1,"text":"é"}"#))
                #expect(entry.headers.contains(#""table":"open""#) && entry.timeMicroseconds > 0)
            }
            #expect(
                try await Self.pull(fixture.caller, epoch: start.epoch, after: start.head, entriesMax: 1)
                    .entries.count == 1)
            #expect(try await Self.pull(fixture.caller, epoch: start.epoch - 1).outcome == .snapshotRequired)
            let method = MethodRegistry.logPull
            #expect(await Self.refusal(fixture.caller, method, Self.request(0, 0, "auth").payload) == .notAuthorized)
            #expect(await Self.refusal(fixture.caller, method, Self.request(0, 0, "x").payload) == .badMessage)
            #expect(await Self.refusal(fixture.caller, method, Self.request(.max, 0).payload) == .badMessage)
            #expect(await Self.refusal(fixture.caller, method, ByteBuffer(bytes: [0xFF, 0xFF])) == .badMessage)
        }
    }

    @Test("Who is not named in the registry is refused before data sees the question", arguments: TestEngine.logEngines)
    func strangers(_ engine: DatabaseEngine) async throws {
        try await Fixture.with(engine, other: .edge) { fixture in
            for method in [MethodRegistry.logPull, MethodRegistry.visible, MethodRegistry.feedDescribe] {
                #expect(await Self.refusal(fixture.caller, method, ByteBuffer()) == .notAuthorized)
            }
        }
    }

    @Test("Visibility is answered by sequence and set of claims, within bounds", arguments: TestEngine.logEngines)
    func visibility(_ engine: DatabaseEngine) async throws {
        try await Fixture.with(engine) { fixture in
            let start = try await Self.pull(fixture.notification)
            await fixture.insert("own", #"[{"id":1,"owner":"\#(TestEngine.alice)"},{"id":2,"owner":null}]"#)
            _ = try await fixture.engine.logged()
            var request = Martlet_Wire_V1_VisibleRequest()
            request.stream = "rows"
            request.epoch = start.epoch
            request.sequences = [start.head + 1, start.head + 2, start.head + 3]
            request.claimSets = [
                ("authenticated", TestEngine.alice), ("authenticated", TestEngine.bob), ("service_role", ""),
            ].map { role, subject in
                var set = Martlet_Wire_V1_ClaimSet()
                set.role = role
                set.claims = subject.isEmpty ? "" : #"{"sub":"\#(subject)"}"#
                return set
            }
            let method = MethodRegistry.visible
            let reply = try await Self.ask(
                fixture.notification, method, request, as: Martlet_Wire_V1_VisibleReply.self)
            #expect(reply.changes.map(\.sequence) == request.sequences)
            #expect(reply.changes.map { Array($0.visible) } == [[0b101], [0b100], [0]])
            #expect(reply.changes.map(\.gone) == [false, false, true])
            #expect(reply.changes[0].rowSecurity && reply.schemaVersion > 0)

            var wrong = request
            wrong.sequences = Array(1...257)
            #expect(await Self.refusal(fixture.notification, method, wrong.payload) == .badMessage)
            wrong = request
            wrong.claimSets = Array(repeating: request.claimSets[0], count: 513)
            #expect(await Self.refusal(fixture.notification, method, wrong.payload) == .badMessage)
            wrong = request
            wrong.stream = "auth"
            #expect(await Self.refusal(fixture.notification, method, wrong.payload) == .notAuthorized)
        }
    }

    @Test("The feed is described with the head that it begins at", arguments: TestEngine.logEngines)
    func description(_ engine: DatabaseEngine) async throws {
        try await Fixture.with(engine) { fixture in
            let head = try await Self.pull(fixture.notification)
            func describe(_ table: String) async throws -> Martlet_Wire_V1_FeedDescribeReply {
                var request = Martlet_Wire_V1_FeedDescribeRequest()
                request.schema = "public"
                request.table = table
                return try await Self.ask(fixture.notification, MethodRegistry.feedDescribe, request)
            }
            let all = try await describe("*")
            #expect(all.tables.map(\.name).sorted() == ["open", "own"])
            #expect(all.epoch == head.epoch && all.head == head.head)
            let open = try #require(try await describe("open").tables.first)
            #expect(open.key == ["id"] && open.columns.map(\.type) == ["int8", "text"] && !open.rowSecurity)
            #expect(try await describe("unpublished").tables.isEmpty)
        }
    }

    @Test("The doorbell rings with the head, after a write and in between", arguments: TestEngine.logEngines)
    func doorbell(_ engine: DatabaseEngine) async throws {
        try await Fixture.with(engine) { fixture in
            let start = try await Self.pull(fixture.notification)
            try await fixture.notification.withSubscription(to: .data, topic: Doorbell.topic) { events in
                var rings = events.makeAsyncIterator()
                // The beat says that the subscription stands.
                let beat = try #require(await rings.next(isolation: #isolation))
                #expect(beat.topic == Array("log/rows".utf8))
                #expect(beat.header.type == "martlet.log.head" && beat.header.source == "data")
                #expect(beat.header.stream == "rows" && beat.header.epoch == start.epoch)
                #expect(beat.header.sequence == start.head && beat.payload.readableBytes == 0)
                await fixture.insert("open", #"{"id":7}"#)
                var heard = beat.header.sequence
                while heard == start.head {
                    heard = try #require(await rings.next(isolation: #isolation)).header.sequence
                }
                #expect(heard == start.head + 1)
                let reply = try await Self.pull(fixture.notification, epoch: start.epoch, after: start.head)
                #expect(reply.entries.map(\.key) == ["[7]"])
            }
        }
    }
}
