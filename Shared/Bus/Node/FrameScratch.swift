// SPDX-License-Identifier: Apache-2.0

internal import MartletWire
internal import NIOCore

/// The bus thread's room for the frame that is being written and the one that is being read.
final class FrameScratch {
    let routing = ZeroMQMessage()
    let message = ZeroMQMessage()
    private var output = ByteBufferAllocator().buffer(capacity: 1_024)

    /// Lends prefix, header and body of the frame in `message`. Throws `WireError` when it is none of ours.
    func withFrame(_ read: (_ prefix: Prefix, _ header: RawSpan, _ body: RawSpan) throws -> Void) throws {
        try message.withBytes { bytes in
            let prefix = try Prefix(bytes)
            let split = Prefix.byteCount + Int(prefix.headerLength)
            try read(
                prefix, bytes.extracting(Prefix.byteCount..<split), bytes.extracting(droppingFirst: split))
        }
    }

    /// Writes prefix and header, then lends them. The prefix's header length is filled in here.
    func withHead<R, E: Error>(
        _ prefix: Prefix, _ header: (inout ByteBuffer) -> Void,
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        Self.write(prefix, header, to: &output)
        let head = output
        return try unsafe head.readableBytesSpan.withUnsafeBytes(body)
    }

    private static func write(_ prefix: Prefix, _ header: (inout ByteBuffer) -> Void, to output: inout ByteBuffer) {
        output.clear()
        prefix.write(to: &output)
        header(&output)
        let length = UInt16(clamping: output.readableBytes - Prefix.byteCount)
        output.setInteger(length, at: 6, endianness: .little)
    }

    /// Puts one frame into an outbox.
    func write(
        to outbox: Outbox, _ routing: UInt32?, _ prefix: Prefix, payload: ByteBuffer,
        header: (inout ByteBuffer) -> Void
    ) throws(ZeroMQError) {
        try unsafe withHead(prefix, header) { (head) throws(ZeroMQError) in
            try unsafe payload.readableBytesSpan.withUnsafeBytes { (body) throws(ZeroMQError) in
                try unsafe outbox.add(routing, head, body)
            }
        }
    }
}

extension ByteBuffer {
    /// The receiver's own copy of a body that is lent.
    init(copying body: RawSpan) {
        self.init()
        guard !body.isEmpty else { return }
        unsafe body.withUnsafeBytes { bytes in _ = unsafe writeBytes(bytes) }
    }
}

/// libzmq's automatic routing ids: a zero byte and 32 bits. Others are never accepted.
enum RoutingID {
    static func bytes(_ id: UInt32) -> (UInt8, UInt8, UInt8, UInt8, UInt8) {
        (0, UInt8(truncatingIfNeeded: id >> 24), UInt8(truncatingIfNeeded: id >> 16),
            UInt8(truncatingIfNeeded: id >> 8), UInt8(truncatingIfNeeded: id))
    }

    static func parse(_ bytes: RawSpan) -> UInt32? {
        guard bytes.byteCount == 5, unsafe bytes.unsafeLoad(fromByteOffset: 0, as: UInt8.self) == 0 else { return nil }
        return UInt32(bigEndian: unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 1, as: UInt32.self))
    }
}
