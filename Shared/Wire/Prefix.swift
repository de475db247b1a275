// SPDX-License-Identifier: Apache-2.0

package import NIOCore

/// What a frame is. Numbers are for ever.
package enum FrameKind: UInt8, Sendable, CaseIterable {
    case hello = 1
    case ready = 2
    case ping = 3
    case pong = 4
    case request = 5
    case reply = 6
    case chunk = 7
    case credit = 8
    case cancel = 9
    case goAway = 10
    case event = 11
    case streamBeat = 12
    case pull = 13
    case batch = 14
}

/// Bits of the prefix's `flags`. Unknown bits are ignored, so that a later version can add one.
package struct FrameFlags: OptionSet, Sendable, Hashable {
    package let rawValue: UInt8

    package init(rawValue: UInt8) { self.rawValue = rawValue }

    package static var none: FrameFlags { FrameFlags(rawValue: 0) }
    /// The payload is the message's second frame (payloads above 64 KiB that travel without copying).
    package static var payloadFollows: FrameFlags { FrameFlags(rawValue: 1) }
    /// CHUNK frames with the rest of the body follow this frame.
    package static var moreChunks: FrameFlags { FrameFlags(rawValue: 2) }
    /// A CHUNK of the request body; without it, of the reply body.
    package static var requestBody: FrameFlags { FrameFlags(rawValue: 4) }
    /// The body ends here because its sender gave up; it is never a whole body.
    package static var aborted: FrameFlags { FrameFlags(rawValue: 8) }
}

/// The fixed part in front of every frame: 40 bytes, little-endian.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 2 | magic `M` `1` (format version 1) |
/// | 2 | 1 | kind |
/// | 3 | 1 | flags |
/// | 4 | 1 | priority class |
/// | 5 | 1 | attempt, from 1 |
/// | 6 | 2 | header length |
/// | 8 | 8 | request id |
/// | 16 | 4 | method id |
/// | 20 | 4 | reserved, zero |
/// | 24 | 8 | remaining budget in microseconds |
/// | 32 | 8 | route key |
package struct Prefix: Sendable, Equatable {
    package static let byteCount = 40
    package static let magic: UInt16 = 0x314D

    package var kind: FrameKind
    package var flags: FrameFlags
    package var priority: UInt8
    package var attempt: UInt8
    package var headerLength: UInt16
    package var requestID: UInt64
    package var methodID: UInt32
    /// What is left of the caller's deadline; 0 on kinds that have none.
    package var budgetMicroseconds: UInt64
    package var routeKey: UInt64

    package init(
        kind: FrameKind, flags: FrameFlags = .none, priority: UInt8 = 0, attempt: UInt8 = 1, headerLength: UInt16 = 0,
        requestID: UInt64 = 0, methodID: UInt32 = 0, budgetMicroseconds: UInt64 = 0, routeKey: UInt64 = 0
    ) {
        self.kind = kind
        self.flags = flags
        self.priority = priority
        self.attempt = attempt
        self.headerLength = headerLength
        self.requestID = requestID
        self.methodID = methodID
        self.budgetMicroseconds = budgetMicroseconds
        self.routeKey = routeKey
    }

    /// Takes a prefix from the front of `buffer`.
    package init(reading buffer: inout ByteBuffer) throws(WireError) {
        try self.init(buffer.readableBytesSpan)
        buffer.moveReaderIndex(forwardBy: Self.byteCount)
    }

    /// Reads the prefix at the front of a frame.
    package init(_ frame: RawSpan) throws(WireError) {
        guard frame.byteCount >= Self.byteCount else { throw .truncated }
        func integer<I: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _ type: I.Type = I.self) -> I {
            I(littleEndian: unsafe frame.unsafeLoadUnaligned(fromByteOffset: offset, as: type))
        }
        guard integer(0) == Self.magic else { throw .badMagic }
        guard let kind = FrameKind(rawValue: integer(2)) else { throw .unknownKind }
        self.init(
            kind: kind, flags: FrameFlags(rawValue: integer(3)), priority: integer(4), attempt: integer(5),
            headerLength: integer(6), requestID: integer(8), methodID: integer(16), budgetMicroseconds: integer(24),
            routeKey: integer(32))
        guard frame.byteCount - Self.byteCount >= Int(headerLength) else { throw .truncated }
    }

    package func write(to buffer: inout ByteBuffer) {
        buffer.writeWithUnsafeMutableBytes(minimumWritableBytes: Self.byteCount) { bytes in
            func put(_ offset: Int, _ value: some FixedWidthInteger) {
                bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: type(of: value))
            }
            put(0, Self.magic)
            put(2, kind.rawValue)
            put(3, flags.rawValue)
            put(4, priority)
            put(5, attempt)
            put(6, headerLength)
            put(8, requestID)
            put(16, methodID)
            put(20, UInt32(0))
            put(24, budgetMicroseconds)
            put(32, routeKey)
            return Self.byteCount
        }
    }
}
