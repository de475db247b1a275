// SPDX-License-Identifier: Apache-2.0

import MartletWire
import NIOCore
import Synchronization
import Testing

@testable import MartletEdge

/// The edge's conversation with notification: nothing twice, nothing in another order, and a clean end when unsure.
@Suite("Edge: realtime link", .timeLimit(.minutes(2)))
struct RealtimeLinkTests {
    private typealias Up = Martlet_Wire_V1_SocketUp

    /// The next thing that notification is told, as a line.
    private static func next(_ items: inout AsyncStream<Up>.Iterator) async -> String {
        switch await items.next(isolation: #isolation)?.what {
        case .opened(let opened): "opened \(opened.socket)"
        case .frame(let frame):
            "\(frame.binary ? "binary" : "text") \(frame.socket) \(String(decoding: frame.payload, as: UTF8.self))"
        case .closed(let closed): "closed \(closed.socket) \(closed.code) \(closed.reason)"
        case nil: "nothing"
        }
    }

    private static func opened(_ items: inout AsyncStream<Up>.Iterator) async throws -> Martlet_Wire_V1_SocketOpened {
        guard case .opened(let opened) = await items.next(isolation: #isolation)?.what else { throw Missing() }
        return opened
    }

    private struct Missing: Error {}

    @Test("A socket's beginning, its messages and its end arrive once and in order")
    func up() async throws {
        try await LinkFixture.with { fixture in
            var items = fixture.notification.items.makeAsyncIterator()
            let socket = try await fixture.connect()
            let opened = try await Self.opened(&items)
            #expect(opened.query == "apikey=k&vsn=2.0.0" && opened.serializer == 2)
            #expect(opened.clientAddress == "127.0.0.1")
            #expect(opened.role == "anon" && opened.claims == #"{"role":"anon"}"#)
            #expect(opened.token == "t" && opened.expiresAt == 7)
            for number in 0..<2_000 { socket.send("m\(number)") }
            socket.send(TestSocket.frame(2, Array("b".utf8)) + TestSocket.frame(8, [3, 232]))
            for number in 0..<2_000 { #expect(await Self.next(&items) == "text \(opened.socket) m\(number)") }
            #expect(await Self.next(&items) == "binary \(opened.socket) b")
            #expect(await Self.next(&items) == "closed \(opened.socket) 1000 ")
            #expect(await socket.next() == .close(1_000, ""))
            #expect(await fixture.notification.faults == [])
            #expect(await fixture.notification.batches.allSatisfy { $0 <= 512 })
            let names = await fixture.notification.names
            #expect(names.count == 1 && names[0].hasSuffix("-edge-1") && names[0].utf8.count == 23)
        }
    }

    @Test("What notification says reaches those it is for; a lost reply is asked again and passed on once")
    func down() async throws {
        try await LinkFixture.with { fixture in
            var items = fixture.notification.items.makeAsyncIterator()
            let first = try await fixture.connect()
            let firstID = try await Self.opened(&items).socket
            let second = try await fixture.connect()
            let secondID = try await Self.opened(&items).socket
            // The first of these takes the call that waits already.
            await fixture.notification.queue([FakeNotification.text("0", to: [firstID])])
            #expect(await first.next() == .text("0"))
            await fixture.notification.failReceives([.replyLost, .refused(.busy), .replyLost, .refused(.unavailable)])
            var binary = FakeNotification.text("x", to: [secondID])
            binary.binary = true
            await fixture.notification.queue([FakeNotification.text("1", to: [firstID, secondID]), binary])
            await fixture.notification.queue([
                FakeNotification.text("why", to: [firstID], close: 1_008, "flood"),
                FakeNotification.text("", to: [secondID]), FakeNotification.text("", to: [secondID], close: 77, "odd"),
            ])
            #expect(await first.next() == .text("1"))
            #expect(await first.next() == .text("why"))
            #expect(await first.next() == .close(1_008, "flood"))
            #expect(await second.next() == .text("1"))
            #expect(await second.next() == .binary([120]))
            #expect(await second.next() == .text(""))
            #expect(await second.next() == .close(1_001, "odd"))
            #expect(await Self.next(&items) == "closed \(firstID) 1008 flood")
            #expect(await Self.next(&items) == "closed \(secondID) 1001 odd")
            #expect(fixture.link.sessionsLost.load(ordering: .relaxed) == 0)
        }
    }

    @Test("A refused call is sent again under its number; one whose outcome nobody knows ends the session")
    func sends() async throws {
        try await LinkFixture.with { fixture in
            var items = fixture.notification.items.makeAsyncIterator()
            await fixture.notification.failSends([.refused(.busy), .refused(.unavailable)])
            let socket = try await fixture.connect()
            let id = try await Self.opened(&items).socket
            socket.send("a")
            #expect(await Self.next(&items) == "text \(id) a")
            await fixture.notification.failSends([.replyLost])
            socket.send("b")
            #expect(await Self.next(&items) == "text \(id) b")
            #expect(await socket.next() == .close(1_012, "restart"))
            #expect(fixture.link.sessionsLost.load(ordering: .relaxed) == 1)
            // The next session hears nothing of the old one.
            let other = try await fixture.connect()
            let otherID = try await Self.opened(&items).socket
            other.send("c")
            #expect(await Self.next(&items) == "text \(otherID) c")
            #expect(await fixture.notification.names.count == 2)
            #expect(await fixture.notification.faults == [])
        }
    }

    @Test("When notification knows the session no more every socket is closed with 1012, and clients can come back")
    func sessionLost() async throws {
        try await LinkFixture.with { fixture in
            var items = fixture.notification.items.makeAsyncIterator()
            let first = try await fixture.connect()
            _ = try await Self.opened(&items)
            let second = try await fixture.connect()
            _ = try await Self.opened(&items)
            await fixture.notification.forgetSessions()
            #expect(await first.next() == .close(1_012, "restart"))
            #expect(await second.next() == .close(1_012, "restart"))
            let third = try await fixture.connect()
            let id = try await Self.opened(&items).socket
            await fixture.notification.queue([FakeNotification.text("back", to: [id])])
            #expect(await third.next() == .text("back"))
            // Each session has a name of its own, and begins without waiting.
            #expect(await fixture.notification.faults == [])
        }
    }

    @Test("A client that sends faster than notification takes is not read; nothing of it is lost")
    func backPressure() async throws {
        var limits = SocketLimits()
        limits.waitingBytesMax = 100_000
        try await LinkFixture.with(limits: limits) { fixture in
            var items = fixture.notification.items.makeAsyncIterator()
            let socket = try await fixture.connect()
            let id = try await Self.opened(&items).socket
            let text = String(repeating: "y", count: 50_000)
            let messages = 150
            var sent = 0
            // Made before notification is asked: whoever comes back from it may still be on the bus thread, which a
            // debug build's masking of so much would keep for longer than a link may be silent.
            let frames = (0..<messages).map { TestSocket.frame(1, Array("\($0) \(text)".utf8)) }
            await fixture.notification.hold(true)
            for frame in frames { socket.send(frame) }
            socket.send(TestSocket.frame(8, [3, 232]))
            // What the link holds once the socket is not read on: its share and what one read brought besides.
            let pauses = { fixture.server.sockets.counters.pauses.load(ordering: .relaxed) }
            while pauses() == 0 { try await Task.sleep(for: .milliseconds(1)) }
            let held = limits.roomBytesMax
            var free = held
            while !fixture.link.room.take(free) { free -= 1_000 }
            fixture.link.room.giveBack(free)
            #expect(held - free > 100_000 && held - free < 400_000)
            await fixture.notification.hold(false)
            while sent < messages {
                #expect(await Self.next(&items) == "text \(id) \(sent) \(text)")
                sent += 1
            }
            #expect(await Self.next(&items) == "closed \(id) 1000 ")
            #expect(await socket.next() == .close(1_000, ""))
            // Everything is given back; a test that waits in vain is ended by its time limit.
            while !fixture.link.room.take(limits.roomBytesMax) { try await Task.sleep(for: .milliseconds(1)) }
        }
    }

    @Test("An edge that stops tells its clients and notification")
    func stops() async throws {
        try await LinkFixture.with(stops: false) { fixture in
            var items = fixture.notification.items.makeAsyncIterator()
            let socket = try await fixture.connect()
            let id = try await Self.opened(&items).socket
            let link = fixture.link
            async let stopped: Void = fixture.server.stop(within: .seconds(10)) {
                await link.drain(within: .seconds(10))
            }
            #expect(await socket.next() == .close(1_001, "going away"))
            socket.send(TestSocket.frame(8, [3, 233]))
            await stopped
            #expect(await Self.next(&items) == "closed \(id) 1001 going away")
        }
    }

    @Test("While there is no session a handshake waits, for three seconds at most")
    func waiting() async throws {
        try await LinkFixture.with { fixture in
            let isReady = await fixture.link.becomesReady()
            #expect(isReady)
            // Trouble alone keeps newcomers out and those who are in, in.
            await fixture.notification.failReceives(Array(repeating: .refused(.busy), count: 1_000))
            await fixture.notification.queue([FakeNotification.text("x", to: [])])
            try await Task.sleep(for: .milliseconds(200))
            let start = ContinuousClock.now
            #expect(await fixture.link.becomesReady() == false)
            #expect(.now - start >= .seconds(2.9))
            let waiter = Task { await fixture.link.becomesReady() }
            try await Task.sleep(for: .milliseconds(50))
            waiter.cancel()
            #expect(await waiter.value == false)
            async let later = fixture.link.becomesReady()
            await fixture.notification.failReceives([])
            #expect(await later)
            #expect(fixture.link.sessionsLost.load(ordering: .relaxed) == 0)
        }
    }
}
