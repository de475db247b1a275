// SPDX-License-Identifier: Apache-2.0

import MartletWire
import NIOCore
import SwiftProtobuf
import Testing

/// The hand-written codec (D40), with the generated one as its oracle.
@Suite("Header codec")
struct HeaderCodecTests {
    @Test("Random request headers read the same through the generated codec and come back equal")
    func requestHeaders() throws {
        var random = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let header = RequestHeader.random(using: &random)
            var buffer = ByteBuffer()
            header.encode(into: &buffer)
            let message = try Martlet_Wire_V1_RequestHeaderMessage(serializedBytes: Array(buffer.readableBytesView))
            #expect(message.requestID == header.requestID)
            #expect(message.principal.claims == header.principal.claims)
            #expect(message.principal.tokenStatus == UInt32(header.principal.tokenStatus.rawValue))
            #expect(message.http.fields.map(\.value) == header.http?.fields.map(\.value) ?? [])
            #expect(try RequestHeader(decoding: buffer) == header)
            let oracle: [UInt8] = try message.serializedBytes()
            #expect(try RequestHeader(decoding: ByteBuffer(bytes: oracle)) == header)
        }
    }

    @Test("Random reply and event headers come back equal and read the same through the generated codec")
    func replyAndEventHeaders() throws {
        var random = SeededGenerator(seed: 2)
        for _ in 0..<500 {
            let reply = ReplyHeader.random(using: &random)
            var buffer = ByteBuffer()
            reply.encode(into: &buffer)
            let message = try Martlet_Wire_V1_ReplyHeaderMessage(serializedBytes: Array(buffer.readableBytesView))
            #expect(message.code == UInt32(reply.code.rawValue))
            #expect(message.executed == UInt32(reply.executed.rawValue))
            #expect(try ReplyHeader(decoding: buffer) == reply)
            let oracle: [UInt8] = try message.serializedBytes()
            #expect(oracle == Array(buffer.readableBytesView))

            let event = EventHeader.random(using: &random)
            var second = ByteBuffer()
            event.encode(into: &second)
            let eventMessage = try Martlet_Wire_V1_EventHeaderMessage(serializedBytes: Array(second.readableBytesView))
            #expect(eventMessage.sequence == event.sequence)
            #expect(eventMessage.timeMicroseconds == event.timeMicroseconds)
            #expect(try EventHeader(decoding: second) == event)
        }
    }

    @Test("A header is never longer than its bound says, nor much shorter")
    func sizes() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<500 {
            let request = RequestHeader.random(using: &random)
            var buffer = ByteBuffer()
            request.encode(into: &buffer)
            let fields = request.http?.fields.count ?? 0
            #expect((0...150 + 18 * fields).contains(request.byteCountMax - buffer.readableBytes))
            let reply = ReplyHeader.random(using: &random)
            buffer.clear()
            reply.encode(into: &buffer)
            let others = reply.http?.fields.count ?? 0
            #expect((0...50 + 18 * others).contains(reply.byteCountMax - buffer.readableBytes))
        }
    }

    @Test(
        "A nested message is as long as its length says, in one, two and three bytes",
        arguments: [0, 113, 114, 120, 16_000, 16_381, 40_000])
    func nestedLengths(_ count: Int) throws {
        let header = RequestHeader(
            principal: Principal(role: "anon", claims: String(repeating: "c", count: count)), tenant: "after")
        var buffer = ByteBuffer(string: "before")
        header.encode(into: &buffer)
        buffer.moveReaderIndex(forwardBy: 6)
        #expect(try RequestHeader(decoding: buffer) == header)
        let message = try Martlet_Wire_V1_RequestHeaderMessage(serializedBytes: Array(buffer.readableBytesView))
        let oracle: [UInt8] = try message.serializedBytes()
        #expect(oracle == Array(buffer.readableBytesView))
    }

    @Test("Unknown fields of every wire type are skipped")
    func unknownFields() throws {
        var buffer = ByteBuffer()
        RequestHeader(requestID: "r1").encode(into: &buffer)
        buffer.writeBytes([0xF8, 0x06, 0x96, 0x01])  // field 111, varint
        buffer.writeBytes([0xFA, 0x06, 0x02, 0x61, 0x62])  // field 111, bytes
        buffer.writeBytes([0xF9, 0x06, 1, 2, 3, 4, 5, 6, 7, 8])  // field 111, fixed 64
        buffer.writeBytes([0xFD, 0x06, 1, 2, 3, 4])  // field 111, fixed 32
        #expect(try RequestHeader(decoding: buffer).requestID == "r1")
    }

    @Test("Cut and scrambled headers end in an error or a value, never in a trap")
    func hostile() {
        var random = SeededGenerator(seed: 3)
        for _ in 0..<300 {
            var buffer = ByteBuffer()
            RequestHeader.random(using: &random).encode(into: &buffer)
            var bytes = Array(buffer.readableBytesView)
            _ = try? RequestHeader(
                decoding: ByteBuffer(bytes: bytes.prefix(Int.random(in: 0...bytes.count, using: &random))))
            for _ in 0..<4 where !bytes.isEmpty {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            _ = try? RequestHeader(decoding: ByteBuffer(bytes: bytes))
            _ = try? ReplyHeader(decoding: ByteBuffer(bytes: bytes))
            _ = try? EventHeader(decoding: ByteBuffer(bytes: bytes))
        }
        #expect(throws: WireError.badHeader) {
            try RequestHeader(decoding: ByteBuffer(bytes: [0x0A, 0x02, 0xFF, 0xFE]))
        }
        #expect(throws: WireError.badHeader) { try RequestHeader(decoding: ByteBuffer(bytes: [0x0A, 0x7F])) }
        #expect(throws: WireError.badHeader) {
            try RequestHeader(decoding: ByteBuffer(bytes: Array(repeating: 0xFF, count: 11)))
        }
    }
}

/// SplitMix64: the same values on every run.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func text() -> String {
        let pieces = ["", "a", "Grüße", "🐦", "x-y", "{\"sub\":\"1\"}", String(repeating: "long ", count: 60)]
        return pieces[Int(next() % UInt64(pieces.count))]
    }
}

extension RequestHeader {
    static func random(using random: inout SeededGenerator) -> RequestHeader {
        var header = RequestHeader(
            traceparent: random.text(), tracestate: random.text(), requestID: random.text(),
            idempotencyKey: random.text(), contentType: random.text(), tenant: random.text())
        header.principal = Principal(
            tokenStatus: Principal.TokenStatus(rawValue: UInt8(random.next() % 3)) ?? .absent,
            tokenError: random.text(), role: random.text(), subject: random.text(), sessionID: random.text(),
            claims: random.text(), token: random.text(), clientAddress: random.text())
        if random.next() % 3 > 0 {
            header.http = HTTPRequestHead(
                method: "GET", path: random.text(), query: random.text(),
                fields: (0..<Int(random.next() % 4)).map { _ in HTTPField(random.text(), random.text()) })
        }
        return header
    }
}

extension ReplyHeader {
    static func random(using random: inout SeededGenerator) -> ReplyHeader {
        ReplyHeader(
            code: ErrorCode(rawValue: UInt16(random.next() % 14)),
            executed: Executed(rawValue: UInt8(random.next() % 3)) ?? .no,
            retryAfterMilliseconds: UInt32(truncatingIfNeeded: random.next() >> 40), message: random.text(),
            contentType: random.text(),
            http: random.next() % 2 == 0
                ? nil : HTTPResponseHead(status: 206, fields: [HTTPField("content-type", random.text())]))
    }
}

extension EventHeader {
    static func random(using random: inout SeededGenerator) -> EventHeader {
        EventHeader(
            id: random.text(), source: random.text(), type: random.text(), subject: random.text(),
            timeMicroseconds: Int64(bitPattern: random.next()), contentType: random.text(),
            traceparent: random.text(), stream: random.text(), epoch: random.next(), sequence: random.next() % 3)
    }
}
