// SPDX-License-Identifier: Apache-2.0

import Glibc
import NIOCore
import Synchronization
import Testing

@testable import MartletEdge

/// Clients that keep the protocol, break it, fall silent or read too slowly.
@Suite("Edge: WebSocket server", .timeLimit(.minutes(2)))
struct WebSocketServerTests {
    /// The events of an uplink, one by one.
    private struct Events: ~Copyable {
        private var iterator: AsyncStream<RecordingUplink.Event>.Iterator
        init(_ uplink: RecordingUplink) { iterator = uplink.events.makeAsyncIterator() }

        mutating func next() async -> RecordingUplink.Event? { await iterator.next(isolation: #isolation) }

        /// The id of the socket that is announced next.
        mutating func opened() async throws -> String {
            guard case .opened(let id)? = await next() else { throw Missing() }
            return id
        }
    }

    private struct Missing: Error {}

    @Test("The handshake is answered as RFC 6455 computes it; what came in the same segment is a message")
    func handshake() async throws {
        let uplink = RecordingUplink()
        try await OpenDoor.with(uplink) { server in
            var events = Events(uplink)
            let socket = try await TestSocket(
                port: server.port, behind: TestSocket.frame(1, Array("join".utf8)) + TestSocket.frame(9, [1]))
            #expect(socket.head.hasPrefix("HTTP/1.1 101 Switching Protocols\r\n"))
            // The example of section 1.3.
            #expect(socket.head.contains("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"))
            #expect(!socket.head.lowercased().contains("sec-websocket-extensions"))
            #expect(!socket.head.lowercased().contains("content-length"))
            let id = try await events.opened()
            #expect(await events.next() == .text(id, "join"))
            #expect(await socket.next() == .pong([1]))
            // Half of a frame, then the rest with the next.
            let frame = TestSocket.frame(2, [1, 2, 3]) + TestSocket.frame(1, Array("more".utf8))
            socket.send(Array(frame[..<5]))
            socket.send(Array(frame[5...]))
            #expect(await events.next() == .binary(id, [1, 2, 3]))
            #expect(await events.next() == .text(id, "more"))
            #expect(server.connections == 1)
        }
    }

    @Test("A client's close is echoed with its code, and told once")
    func clientCloses() async throws {
        let uplink = RecordingUplink()
        try await OpenDoor.with(uplink) { server in
            var events = Events(uplink)
            for (payload, code, told) in [
                ([3, 232], 1_000, 1_000), ([15, 160, 104, 105], 4_000, 4_000), ([], nil, 1_005),
            ] as [([UInt8], UInt16?, UInt16)] {
                let socket = try await TestSocket(port: server.port)
                let id = try await events.opened()
                socket.send(TestSocket.frame(8, payload) + TestSocket.frame(1, Array("late".utf8)))
                let reason = payload.count > 2 ? "hi" : ""
                #expect(await socket.next() == .close(code, reason))
                #expect(await socket.next() == nil)
                #expect(await events.next() == .closed(id, told, reason))
            }
            // Without a word.
            let socket = try await TestSocket(port: server.port)
            let id = try await events.opened()
            await socket.end()
            #expect(await events.next() == .closed(id, 1_006, ""))
        }
    }

    @Test("Broken frames end the socket with the code of RT-12",
        arguments: [
            ([0x81, 1, 65], 1_002), (TestSocket.frame(3, []), 1_002), (TestSocket.frame(0x41, [65]), 1_002),
            (TestSocket.frame(9, [], fin: false), 1_002),
            (TestSocket.frame(9, [UInt8](repeating: 0, count: 126)), 1_002),
            (TestSocket.frame(0, []), 1_002), (TestSocket.frame(1, [0xFF]), 1_007),
            (TestSocket.frame(1, [0xC3], fin: false) + TestSocket.frame(0, [0x28]), 1_007),
            (TestSocket.frame(8, [1]), 1_002),
            // One byte too much, at once and in fragments; the first is refused before it has arrived.
            (Array(TestSocket.frame(2, [UInt8](repeating: 0, count: 2_001))[..<20]), 1_009),
            (
                TestSocket.frame(2, [UInt8](repeating: 0, count: 1_500), fin: false)
                    + TestSocket.frame(0, [UInt8](repeating: 0, count: 501)), 1_009
            ),
            (Array(repeating: 0xFF, count: 14), 1_009),
        ] as [([UInt8], UInt16)])
    func brokenFrames(_ bytes: [UInt8], _ code: UInt16) async throws {
        let uplink = RecordingUplink()
        var limits = SocketLimits()
        limits.messageBytesMax = 2_000
        try await OpenDoor.with(uplink, limits: limits) { server in
            var events = Events(uplink)
            let socket = try await TestSocket(port: server.port)
            let id = try await events.opened()
            socket.send(bytes)
            guard case .close(let found, let reason)? = await socket.next() else { throw Missing() }
            #expect(found == code)
            #expect(await socket.next() == nil)
            #expect(await events.next() == .closed(id, code, reason))
            // A new one works, and the largest message arrives.
            let other = try await TestSocket(port: server.port)
            let otherID = try await events.opened()
            other.send(String(repeating: "x", count: 2_000))
            #expect(await events.next() == .text(otherID, String(repeating: "x", count: 2_000)))
        }
    }

    @Test("Messages that arrive in pieces share a bounded room; who needs more is overloaded, the others go on")
    func room() async throws {
        let uplink = RecordingUplink(roomBytes: 150_000)
        try await OpenDoor.with(uplink) { server in
            var events = Events(uplink)
            let first = try await TestSocket(port: server.port)
            let firstID = try await events.opened()
            let second = try await TestSocket(port: server.port)
            let secondID = try await events.opened()
            let text = [UInt8](repeating: 65, count: 100_000)
            let message = TestSocket.frame(1, text)
            first.send(Array(message[..<90_000]))
            // Its bytes were read once a later ping on the other socket is answered.
            try await Task.sleep(for: .milliseconds(100))
            second.send(TestSocket.frame(9, []))
            #expect(await second.next() == .pong([]))
            second.send(Array(message[..<90_000]))
            #expect(await second.next() == .close(1_013, "too much on its way"))
            #expect(await events.next() == .closed(secondID, 1_013, "too much on its way"))
            first.send(Array(message[90_000...]))
            #expect(await events.next() == .text(firstID, String(decoding: text, as: UTF8.self)))
            await second.end()
            // All of it was given back.
            first.send(TestSocket.frame(9, []))
            #expect(await first.next() == .pong([]))
            #expect(uplink.room.take(150_000))
        }
    }

    @Test("A silent client is pinged, then closed; one that answers stays")
    func pings() async throws {
        let uplink = RecordingUplink()
        var limits = SocketLimits()
        limits.pingInterval = .milliseconds(100)
        limits.sweepInterval = .milliseconds(10)
        limits.closeTimeout = .milliseconds(100)
        try await OpenDoor.with(uplink, limits: limits) { server in
            var events = Events(uplink)
            let alive = try await TestSocket(port: server.port, answersPings: true)
            let aliveID = try await events.opened()
            let silent = try await TestSocket(port: server.port)
            let id = try await events.opened()
            #expect(await silent.next() == .ping)
            #expect(await silent.next() == .ping)
            #expect(await silent.next() == .close(1_001, "no sign of life"))
            #expect(await events.next() == .closed(id, 1_001, "no sign of life"))
            // It does not answer that either.
            #expect(await silent.next() == nil)
            alive.send("still here")
            #expect(await events.next() == .text(aliveID, "still here"))
        }
    }

    @Test("Without a session, or with the edge on its way out, a socket is closed at once")
    func noSession() async throws {
        let uplink = RecordingUplink(session: nil)
        try await OpenDoor.with(uplink) { server in
            let socket = try await TestSocket(port: server.port)
            #expect(await socket.next() == .close(1_012, "restart"))
            socket.send(TestSocket.frame(8, [3, 244]))
            #expect(await socket.next() == nil)
        }
        let other = RecordingUplink()
        try await OpenDoor.with(other, stops: false) { server in
            var events = Events(other)
            let socket = try await TestSocket(port: server.port)
            let id = try await events.opened()
            async let stopped: Void = server.stop(within: .seconds(10))
            #expect(await socket.next() == .close(1_001, "going away"))
            #expect(await events.next() == .closed(id, 1_001, "going away"))
            socket.send(TestSocket.frame(8, [3, 233]))
            #expect(await socket.next() == nil)
            await stopped
        }
    }

    @Test("Deliveries reach the sockets that are named, in order; an order to close comes after its message")
    func deliveries() async throws {
        let uplink = RecordingUplink()
        try await OpenDoor.with(uplink) { server in
            var events = Events(uplink)
            let first = try await TestSocket(port: server.port)
            let firstID = try await events.opened()
            let second = try await TestSocket(port: server.port)
            let secondID = try await events.opened()
            func text(_ text: String) -> ByteBuffer { ServerFrame.message(isBinary: false, text.utf8) }
            await server.sockets.deliver([
                SocketDelivery(sockets: [firstID, "gone", secondID], frame: text("both"), close: nil),
                SocketDelivery(sockets: [secondID], frame: ServerFrame.message(isBinary: true, [1]), close: nil),
                SocketDelivery(
                    sockets: [firstID], frame: text("why"), close: SocketFault(code: 1_008, reason: "flood")),
                SocketDelivery(sockets: [firstID, secondID], frame: text("last"), close: nil),
            ])
            #expect(await first.next() == .text("both"))
            #expect(await first.next() == .text("why"))
            #expect(await first.next() == .close(1_008, "flood"))
            #expect(await events.next() == .closed(firstID, 1_008, "flood"))
            #expect(await second.next() == .text("both"))
            #expect(await second.next() == .binary([1]))
            #expect(await second.next() == .text("last"))
        }
    }

    @Test("Who reads too slowly is cut off with 1013, its memory freed; another gets every frame within a second")
    func slowReader() async throws {
        let uplink = RecordingUplink()
        try await OpenDoor.with(uplink) { server in
            var events = Events(uplink)
            let slow = try await TestSocket(port: server.port, receiveBufferBytes: 8_192)
            let slowID = try await events.opened()
            let fast = try await TestSocket(port: server.port)
            let fastID = try await events.opened()
            try await slow.setReading(false)
            // 24 MiB: the systems' own buffers hold far less.
            let batches = 128
            let frames = 16
            let payload = String(repeating: "x", count: 12 << 10)
            var slowest = Duration.zero
            var unwrittenMax = 0
            for batch in 0..<batches {
                let start = ContinuousClock.now
                await server.sockets.deliver(
                    (0..<frames).map { number in
                        SocketDelivery(
                            sockets: [slowID, fastID],
                            frame: ServerFrame.message(isBinary: false, "\(batch * frames + number) \(payload)".utf8),
                            close: nil)
                    })
                for number in 0..<frames {
                    #expect(await fast.next() == .text("\(batch * frames + number) \(payload)"))
                }
                slowest = max(slowest, .now - start)
                unwrittenMax = max(unwrittenMax, server.sockets.counters.unwrittenBytes.load(ordering: .relaxed))
            }
            #expect(slowest < .seconds(1))
            #expect(unwrittenMax > 3 << 20 && unwrittenMax <= 4 << 20)
            try #require(server.sockets.counters.tooSlow.load(ordering: .relaxed) == 1)
            // What is left is its close frame.
            #expect(server.sockets.counters.unwrittenBytes.load(ordering: .relaxed) < 200)
            #expect(await events.next() == .closed(slowID, 1_013, "reads too slowly"))
            // Should it read again, it gets a beginning of the frames without a gap, and then the reason.
            try await slow.setReading(true)
            var number = 0
            var last = await slow.next()
            while case .text(let text)? = last {
                #expect(text.hasPrefix("\(number) "))
                number += 1
                last = await slow.next()
            }
            #expect(last == .close(1_013, "reads too slowly"))
            #expect(number > 0 && number < batches * frames)
        }
    }

    @Test("Two thousand idle sockets take little memory")
    func idle() async throws {
        let uplink = RecordingUplink()
        try await OpenDoor.with(uplink) { server in
            let before = Self.residentBytes()
            var clients: [RawClient] = []
            for _ in 0..<2_000 {
                let client = try RawClient(port: server.port)
                client.send(TestSocket.handshake)
                #expect(client.receive()?.head.hasPrefix("HTTP/1.1 101 ") == true)
                clients.append(client)
            }
            let each = (Self.residentBytes() - before) / clients.count
            print("2000 idle WebSockets: \(each) bytes of memory each")
            // The last is counted a moment after its answer is out.
            while server.sockets.counters.open.load(ordering: .relaxed) < 2_000 { usleep(1_000) }
            #expect(each < 64 << 10)
            clients = []
        }
    }

    private static func residentBytes() -> Int {
        guard let file = fopen("/proc/self/statm", "r") else { return 0 }
        defer { fclose(file) }
        var line = [CChar](repeating: 0, count: 256)
        guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
        let words = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            .split(separator: " ")
        return (words.count > 1 ? Int(words[1]) ?? 0 : 0) * sysconf(Int32(_SC_PAGESIZE))
    }
}
