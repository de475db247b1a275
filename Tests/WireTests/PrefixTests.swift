// SPDX-License-Identifier: Apache-2.0

import MartletWire
import NIOCore
import Testing

@Suite("Prefix")
struct PrefixTests {
    private static let sample = Prefix(
        kind: .request, flags: [.moreChunks], priority: 1, attempt: 2, headerLength: 3,
        requestID: 0x0102_0304_0506_0708, methodID: 0x0A0B_0C0D, budgetMicroseconds: 9_999_999,
        routeKey: 0xFFEE_DDCC_BBAA_9988)

    @Test("The bytes of format version 1 are for ever")
    func golden() {
        var buffer = ByteBuffer()
        Self.sample.write(to: &buffer)
        #expect(
            Array(buffer.readableBytesView) == [
                0x4D, 0x31, 5, 2, 1, 2, 3, 0, 8, 7, 6, 5, 4, 3, 2, 1, 0x0D, 0x0C, 0x0B, 0x0A, 0, 0, 0, 0,
                0x7F, 0x96, 0x98, 0, 0, 0, 0, 0, 0x88, 0x99, 0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF,
            ])
        #expect(buffer.readableBytes == Prefix.byteCount)
    }

    @Test("What was written is read", arguments: FrameKind.allCases)
    func roundTrip(kind: FrameKind) throws {
        var prefix = Self.sample
        prefix.kind = kind
        var buffer = ByteBuffer()
        prefix.write(to: &buffer)
        buffer.writeBytes([1, 2, 3])
        #expect(try Prefix(reading: &buffer) == prefix)
        #expect(buffer.readableBytes == 3)
    }

    @Test("Cut, foreign and unknown frames are told apart")
    func refuses() {
        var buffer = ByteBuffer()
        Self.sample.write(to: &buffer)
        buffer.writeBytes([1, 2, 3])
        let bytes = Array(buffer.readableBytesView)
        for count in 0..<bytes.count {
            var cut = ByteBuffer(bytes: bytes.prefix(count))
            #expect(throws: WireError.truncated) { try Prefix(reading: &cut) }
        }
        var foreign = ByteBuffer(bytes: [0x47, 0x45] + bytes.dropFirst(2))
        #expect(throws: WireError.badMagic) { try Prefix(reading: &foreign) }
        var unknown = ByteBuffer(bytes: bytes.prefix(2) + [99] + bytes.dropFirst(3))
        #expect(throws: WireError.unknownKind) { try Prefix(reading: &unknown) }
    }

    @Test("Methods have distinct numbers and names")
    func registry() {
        #expect(Set(MethodRegistry.all.map(\.id)).count == MethodRegistry.all.count)
        #expect(Set(MethodRegistry.all.map(\.name)).count == MethodRegistry.all.count)
        for method in MethodRegistry.all { #expect(MethodRegistry.method(id: method.id) == method) }
    }
}
