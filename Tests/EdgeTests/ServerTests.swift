// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization
import Testing

@testable import MartletEdge

/// The public server against clients that are slow, greedy, broken, or simply right.
@Suite("Edge: server")
struct ServerTests {
    /// Answers with what it was asked; `/held` only once somebody asks for `/release`.
    private final class Echo: EdgeResponder {
        private let held = Mutex<[@Sendable (EdgeResponse) -> Void]>([])

        func begin(_ request: EdgeRequest, _ answer: @escaping @Sendable (EdgeResponse) -> Void) -> Task<Void, Never> {
            // At once and here: the tests block the threads that tasks would need.
            let text = "\(request.method.rawValue) \(request.target) \(request.body.readableBytes)"
            if request.target == "/held" {
                held.withLock { $0.append(answer) }
                return Task {}
            }
            if request.target == "/release" {
                let waiting = held.withLock { held in
                    defer { held = [] }
                    return held
                }
                for answer in waiting {
                    answer(EdgeResponse(status: 200, body: .bytes(ByteBuffer(string: "held"))))
                }
            }
            answer(
                request.target == "/none"
                    ? EdgeResponse(status: 204)
                    : EdgeResponse(status: 200, body: .bytes(ByteBuffer(string: text))))
            return Task {}
        }

        func open(_ request: EdgeRequest, _ answer: @escaping @Sendable (UpgradeAnswer) -> Void) -> Task<Void, Never> {
            begin(request) { answer(.response($0)) }
        }

        func refuse(_ error: EdgeError, target: String?, headers: HTTPHeaders?, peer: String) -> EdgeResponse {
            EdgeResponse(status: error.status, body: .bytes(ByteBuffer(string: error.code)))
        }
    }

    private func with(
        head: Int64 = 30_000, body: Int64 = 30_000, idle: Int64 = 30_000, connectionsMax: Int = 100,
        bodiesBytesMax: Int = 100_000,
        _ test: (Int, EdgeServer) async throws -> Void
    ) async throws {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let server = try await EdgeServer(
            address: "127.0.0.1", port: 0, connectionsMax: connectionsMax,
            limits: ConnectionLimits(
                bodyBytesMax: 1_000, bodiesBytesMax: bodiesBytesMax, headTimeout: .milliseconds(head),
                bodyTimeout: .milliseconds(body), idleTimeout: .milliseconds(idle)),
            responder: Echo(), files: FileWriter(pool: pool), uplink: RecordingUplink(), threads: 1)
        do { try await test(server.port, server) } catch {
            await server.stop(within: .zero)
            throw error
        }
        await server.stop(within: .zero)
        try await pool.shutdownGracefully()
    }

    @Test("Requests on one connection are answered in order, also when they come at once")
    func keepAlive() async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nPOST /2 HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")
            #expect(client.receive()?.body == "GET /1 0")
            #expect(client.receive()?.body == "POST /2 3")
            client.send("HEAD /3 HTTP/1.1\r\nHost: x\r\n\r\nGET /none HTTP/1.1\r\nHost: x\r\n\r\n")
            let head = client.receive(withoutBody: true)
            #expect(head?.head.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
            #expect(head?.head.lowercased().contains("content-length") == false)
            let none = client.receive()
            #expect(none?.head.hasPrefix("HTTP/1.1 204 No Content\r\n") == true)
            #expect(none?.head.lowercased().contains("content-length") == false)
            client.send(
                "POST /4 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
            #expect(client.receive()?.body == "POST /4 5")
            client.send("GET /5 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            let last = client.receive()
            #expect(last?.body == "GET /5 0" && last?.head.contains("Connection: close") == true)
            #expect(client.isEnded())
        }
    }

    /// A request on a connection of its own: what others sent before it has been read when it is answered.
    private func ask(_ target: String, _ port: Int) throws {
        let other = try RawClient(port: port)
        other.send("GET \(target) HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(other.receive()?.body == "GET \(target) 0")
    }

    @Test("What comes while an answer is made waits for its turn")
    func early() async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            for number in 0..<3 {
                client.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
                try ask("/sync", port)
                client.send("POST /\(number) HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na")
                try ask("/sync", port)
                client.send("bc")
                try ask("/release", port)
                #expect(client.receive()?.body == "held")
                #expect(client.receive()?.body == "POST /\(number) 3")
            }
        }
    }

    @Test("Who has said all and reads on gets every answer, then the end")
    func halfClosed() async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            client.finishSending()
            try ask("/sync", port)
            try ask("/release", port)
            #expect(client.receive()?.body == "held")
            #expect(client.isEnded())
            let other = try RawClient(port: port)
            other.send("GET /one HTTP/1.1\r\nHost: x\r\n\r\nGET /two HTTP/1.1\r\nHost: x\r\n\r\n")
            other.finishSending()
            #expect(other.receive()?.body == "GET /one 0")
            #expect(other.receive()?.body == "GET /two 0")
            #expect(other.isEnded())
        }
    }

    @Test("Half a head that comes while an answer is made has its time from the answer on")
    func slowHeadBehind() async throws {
        try await with(head: 300) { port, _ in
            let client = try RawClient(port: port)
            client.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            try ask("/sync", port)
            client.send("GET / HT")
            try ask("/sync", port)
            try ask("/release", port)
            #expect(client.receive()?.body == "held")
            #expect(client.receive()?.body == "request_not_finished")
            #expect(client.isEnded())
        }
    }

    @Test("A client that sends on and on while its answer is made is left waiting")
    func greedy() async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send("GET /held HTTP/1.1\r\nHost: x\r\n\r\n")
            try ask("/sync", port)
            let more = String(repeating: "GET /x HTTP/1.1\r\nHost: x\r\n\r\n", count: 1_000)
            // The kernel's own buffers take some ten megabytes.
            let bound = 64 << 20
            var sent = 0
            for _ in 0..<20 where sent < bound {
                while sent < bound, let count = client.sendWithoutWaiting(more) { sent += count }
                try ask("/sync", port)
            }
            #expect(sent > 0 && sent < bound)
            try ask("/release", port)
            #expect(client.receive()?.body == "held")
            #expect(client.receive()?.body == "GET /x 0")
        }
    }

    @Test(
        "A body over the limit is refused with 413, announced or not, and the client gets to read it",
        arguments: [
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999\r\n\r\nabc",
            "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 5000\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n\(String(repeating: "a", count: 2_000))\r\n",
        ])
    func tooLarge(_ request: String) async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send(request)
            let answer = client.receive()
            #expect(answer?.head.hasPrefix("HTTP/1.1 413 ") == true)
            #expect(answer?.body == "request_entity_too_large")
        }
    }

    @Test("A client that waits for leave to send its body gets it")
    func expectContinue() async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send("POST /e HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
            #expect(client.receive()?.head.hasPrefix("HTTP/1.1 100 ") == true)
            client.send("ok")
            #expect(client.receive()?.body == "POST /e 2")
        }
    }

    @Test("Half a head and then silence is answered with 408, also when single bytes trickle in")
    func slowHead() async throws {
        try await with(head: 300) { port, server in
            let client = try RawClient(port: port)
            client.send("GET / HT")
            try await Task.sleep(for: .milliseconds(100))
            client.send("TP/1.1\r\nX: ")
            let answer = client.receive()
            #expect(answer?.head.hasPrefix("HTTP/1.1 408 ") == true)
            #expect(answer?.body == "request_not_finished")
            #expect(client.isEnded())
            let other = try RawClient(port: port)
            other.send("GET /still HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(other.receive()?.body == "GET /still 0")
        }
    }

    @Test("Half a body and then silence is answered with 408")
    func slowBody() async throws {
        try await with(body: 300) { port, _ in
            let client = try RawClient(port: port)
            client.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc")
            let answer = client.receive()
            #expect(answer?.head.hasPrefix("HTTP/1.1 408 ") == true)
            #expect(answer?.body == "request_not_finished")
            #expect(client.isEnded())
        }
    }

    @Test("A connection without requests ends after its idle time")
    func idle() async throws {
        try await with(idle: 300) { port, _ in
            let client = try RawClient(port: port)
            #expect(client.isEnded())
        }
    }

    @Test(
        "What is no HTTP is answered with 400 and ends",
        arguments: [
            "garbage\r\n\r\n", "GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n",
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\nzz\r\n",
        ])
    func garbage(_ text: String) async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send(text)
            let answer = client.receive()
            #expect(answer?.head.hasPrefix("HTTP/1.1 400 ") == true)
            #expect(answer?.body == "bad_request")
            #expect(client.isEnded())
        }
    }

    @Test("What is no HTTP behind a right request is answered after it, in order")
    func garbageBehind() async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\ngarbage\r\n\r\n")
            #expect(client.receive()?.body == "GET /1 0")
            #expect(client.receive()?.body == "bad_request")
            #expect(client.isEnded())
        }
    }

    @Test(
        "A head is bounded: its lines, their number, and all of it",
        arguments: [
            "GET /\(String(repeating: "a", count: 32_769)) HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nX: \(String(repeating: "a", count: 32_769))\r\n\r\n",
            "GET / HTTP/1.1\r\n\((0..<9).map { "X\($0): \(String(repeating: "a", count: 5_000))\r\n" }.joined())\r\n",
            "GET / HTTP/1.1\r\n\(String(repeating: "X: a\r\n", count: 257))\r\n",
        ])
    func largeHead(_ text: String) async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send(text)
            let answer = client.receive()
            #expect(answer?.head.hasPrefix("HTTP/1.1 431 ") == true)
            #expect(answer?.body == "request_head_too_large")
            #expect(client.isEnded())
        }
    }

    @Test("Bodies of all connections together are bounded, and what is over is given back")
    func bodiesBound() async throws {
        try await with(bodiesBytesMax: 1_500) { port, _ in
            let post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n"
            let half = String(repeating: "a", count: 500)
            let clients = try (0..<4).map { _ in try RawClient(port: port) }
            for client in clients[..<3] {
                client.send(post + half)
                // Its bytes were read once the next request on another connection is answered.
                let other = try RawClient(port: port)
                other.send("GET /next HTTP/1.1\r\nHost: x\r\n\r\n")
                #expect(other.receive()?.body == "GET /next 0")
            }
            clients[3].send(post + half)
            let refused = clients[3].receive()
            #expect(refused?.head.hasPrefix("HTTP/1.1 503 ") == true)
            #expect(refused?.body == "service_unavailable")
            clients[0].send(half)
            #expect(clients[0].receive()?.body == "service_unavailable")
            clients[1].send(half)
            #expect(clients[1].receive()?.body == "POST / 1000")
            clients[2].send(half)
            #expect(clients[2].receive()?.body == "POST / 1000")
            clients[1].send(post + half + half)
            #expect(clients[1].receive()?.body == "POST / 1000")
        }
    }

    @Test("A request for another protocol is the last of its connection: nothing behind it would be read")
    func upgrade() async throws {
        try await with { port, _ in
            let client = try RawClient(port: port)
            client.send("GET /1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\r\n")
            let answer = client.receive()
            #expect(answer?.body == "GET /1 0" && answer?.head.contains("Connection: close") == true)
            #expect(client.isEnded())
        }
    }

    @Test("Connections beyond the bound are turned away, and others go on")
    func connectionBound() async throws {
        try await with(connectionsMax: 2) { port, server in
            let first = try RawClient(port: port)
            first.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(first.receive()?.body == "GET /1 0")
            let second = try RawClient(port: port)
            second.send("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(second.receive()?.body == "GET /2 0")
            let third = try RawClient(port: port)
            #expect(third.isEnded())
            first.send("GET /3 HTTP/1.1\r\nHost: x\r\n\r\n")
            #expect(first.receive()?.body == "GET /3 0")
            #expect(server.connections == 2)
        }
    }
}
