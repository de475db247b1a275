// SPDX-License-Identifier: Apache-2.0

import NIOCore
import Synchronization
import Testing

@testable import MartletBus
@testable import MartletWire

/// Requests and replies over real sockets.
@Suite(.timeLimit(.minutes(2)))
struct ExchangeTests {
    @Test("A request is answered, with its header and payload", arguments: Transport.allCases)
    func answers(_ transport: Transport) async throws {
        let handler: @Sendable (InboundRequest) async -> OutboundReply = { request in
            #expect(request.caller == .edge)
            #expect(request.header.requestID == "r-1")
            #expect(request.deadline > .now)
            return OutboundReply(
                header: ReplyHeader(http: HTTPResponseHead(status: 201)), payload: request.payload)
        }
        try await Pair.with(transport, handlers: [(MethodRegistry.httpWrite, handler)]) { pair in
            for _ in 0..<50 {
                let reply = try await pair.client.request(
                    MethodRegistry.httpWrite, to: .data, header: RequestHeader(requestID: "r-1"), payload: bytes(100))
                #expect(reply.header.http?.status == 201)
                #expect(reply.payload == bytes(100))
            }
            #expect(pair.client.isReady(.data))
        }
    }

    @Test("A body of a mebibyte goes both ways in chunks", arguments: Transport.allCases)
    func largeBodies(_ transport: Transport) async throws {
        try await Pair.with(transport, handlers: [(MethodRegistry.httpWrite, echo)]) { pair in
            for size in [65_536, 65_537, 262_144, 1 << 20] {
                let reply = try await pair.client.request(
                    MethodRegistry.httpWrite, to: .data, header: RequestHeader(), payload: bytes(size))
                #expect(reply.payload == bytes(size))
            }
        }
    }

    @Test("A header that no frame can hold fails alone, on the way there and back", arguments: Transport.allCases)
    func largeHeaders(_ transport: Transport) async throws {
        let handler: @Sendable (InboundRequest) async -> OutboundReply = { request in
            let field = HTTPField("location", String(repeating: "l", count: request.payload.readableBytes))
            return OutboundReply(header: ReplyHeader(http: HTTPResponseHead(status: 200, fields: [field])))
        }
        try await Pair.with(transport, handlers: [(MethodRegistry.httpRead, handler)]) { pair in
            func code(tenantBytes: Int, locationBytes: Int) async throws -> ErrorCode {
                let reply: (header: ReplyHeader, payload: ByteBuffer)
                do throws(BusError) {
                    reply = try await pair.client.request(
                        MethodRegistry.httpRead, to: .data,
                        header: RequestHeader(tenant: String(repeating: "t", count: tenantBytes)),
                        payload: bytes(locationBytes))
                } catch { return error.code }
                #expect(reply.header.http?.fields.first?.value.utf8.count == locationBytes)
                return .ok
            }
            var codes: [ErrorCode] = []
            let tooMuch = [61_440, 65_535, 65_536, 100_000, 1 << 20]
            for count in [60_000] + tooMuch { codes.append(try await code(tenantBytes: count, locationBytes: 0)) }
            for count in [60_000] + tooMuch { codes.append(try await code(tenantBytes: 0, locationBytes: count)) }
            let expected = [.ok] + tooMuch.map { _ in ErrorCode.payloadTooLarge }
            #expect(codes == expected + expected)
            #expect(!pair.clientObserved.all.contains { if case .linkLost = $0 { true } else { false } })
        }
    }

    @Test("Requests beyond the credit of the link wait and are all answered", arguments: Transport.allCases)
    func manyAtOnce(_ transport: Transport) async throws {
        try await Pair.with(transport, handlers: [(MethodRegistry.httpRead, echo)]) { pair in
            try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<500 {
                    group.addTask {
                        try await pair.client.request(
                            MethodRegistry.httpRead, to: .data, header: RequestHeader(), payload: bytes(number)
                        ).payload.readableBytes
                    }
                }
                var sum = 0
                for try await count in group { sum += count }
                #expect(sum == 500 * 499 / 2)
            }
            #expect(!pair.serverObserved.all.contains { if case .requestRefused = $0 { true } else { false } })
        }
    }
}
