// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletServiceKit
import MartletWire
import NIOCore
import NIOPosix
import Testing

@testable import MartletLogic

/// Kept connections, and waiting for a turn: nothing of one call reaches another, and nobody waits longer than he said.
@Suite("Functions: connections and turns", .timeLimit(.minutes(1)))
struct ConnectionTests {
    private static let fine = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

    private func send(
        _ connections: FunctionConnections, _ method: String = "POST", headers: [HTTPField] = [],
        within: Duration = .seconds(30)
    ) async -> Result<FunctionResponse, ExchangeFailure> {
        let request = FunctionRequest(
            method: method, target: "/up", headers: headers, body: ByteBuffer(string: "hello"))
        do throws(ExchangeFailure) {
            return .success(
                try await connections.exchange(request, idleTimeout: within, deadline: .now + within))
        } catch {
            return .failure(error)
        }
    }

    private func connections(to upstream: TestUpstream) -> FunctionConnections {
        FunctionConnections(
            .tcp(host: "127.0.0.1", port: upstream.port), group: MultiThreadedEventLoopGroup.singleton)
    }

    /// Answers after which bytes come, or may come, that belong to nobody.
    static let uncleanAnswers = [
        "HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\n\r\nhello",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen",
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok and more",
    ]

    @Test("What an upstream sends too much spoils no later call", arguments: uncleanAnswers)
    func unclean(answer: String) async throws {
        let upstream = try await TestUpstream { $0 % 2 == 1 ? answer : Self.fine }
        let connections = connections(to: upstream)
        for _ in 1...20 {
            _ = try await send(connections).get()
            let next = try await send(connections).get()
            #expect(next.status == 200 && String(buffer: next.body) == "ok")
        }
        #expect(upstream.requests == 40)
    }

    @Test("A head that is no answer is a failure", arguments: ["101 Switching Protocols", "099 Low", "666 Beast"])
    func noAnswer(status: String) async throws {
        let upstream = try await TestUpstream { $0 == 1 ? "HTTP/1.1 \(status)\r\n\r\n" : Self.fine }
        let connections = connections(to: upstream)
        let result = await send(connections, within: .seconds(30))
        #expect(throws: ExchangeFailure.self) { try result.get() }
        if case .failure(let failure) = result { #expect(failure.reason == .closed) }
        #expect(try await send(connections).get().status == 200)
    }

    @Test("What cannot be written fails at once")
    func unwritable() async throws {
        let upstream = try await TestUpstream { _ in Self.fine }
        let begin = ContinuousClock.now
        let result = await send(
            connections(to: upstream), headers: [HTTPField("x-a", "1\r\nx-b: 2")], within: .seconds(60))
        guard case .failure(let failure) = result else { return #expect(Bool(false), "it was sent") }
        #expect(!failure.wasDelivered)
        #expect(ContinuousClock.now - begin < .seconds(30))
        #expect(upstream.requests == 0)
    }

    @Test("Whose time is over does not wait for a turn or a fact")
    func expired() async throws {
        let loop = MultiThreadedEventLoopGroup.singleton.any()
        let gate = ConcurrencyGate(runningMax: 1, queueMax: 10_000, loop: loop)
        try await gate.enter(until: .now + .seconds(1))
        let fact = FactSignal(loop: loop)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<500 {
                group.addTask {
                    await #expect(throws: FunctionFailure.self) { try await gate.enter(until: .now) }
                    #expect(await !fact.wait(until: .now))
                }
            }
        }
        #expect(gate.counts == (1, 0))
        gate.leave()
        #expect(gate.counts == (0, 0))
    }
}
