// SPDX-License-Identifier: Apache-2.0

internal import MartletWire
internal import NIOCore

/// The bus thread's room for the frame that is being written and the one that is being read.
final class FrameScratch {
    /// A frame as it was read. Its header stays in the message until the next one is received: see `header`.
    struct Frame {
        let prefix: Prefix
        /// The receiver's own bytes.
        let payload: ByteBuffer
    }

    let routing = ZeroMQMessage()
    let message = ZeroMQMessage()
    private var output = ByteBufferAllocator().buffer(capacity: 1_024)

    /// Reads the frame in `message`. Throws `WireError` when it is none of ours.
    func read() throws(WireError) -> Frame {
        try message.withBytes { (bytes) throws(WireError) in
            let prefix = try Prefix(bytes)
            let body = bytes.extracting(droppingFirst: Prefix.byteCount + Int(prefix.headerLength))
            var payload = ByteBuffer()
            if !body.isEmpty { unsafe body.withUnsafeBytes { _ = unsafe payload.writeBytes($0) } }
            return Frame(prefix: prefix, payload: payload)
        }
    }

    /// Lends the header of the frame that was read last.
    func header<Header>(
        of frame: Frame, _ decode: (RawSpan) throws(WireError) -> Header
    ) throws(WireError) -> Header {
        try message.withBytes { (bytes) throws(WireError) in
            guard bytes.byteCount >= Prefix.byteCount + Int(frame.prefix.headerLength) else { throw .truncated }
            return try decode(bytes.extracting(Prefix.byteCount..<Prefix.byteCount + Int(frame.prefix.headerLength)))
        }
    }

    /// Writes prefix and header, then lends them. The prefix's header length is filled in here.
    func withFrame<R, E: Error>(
        _ prefix: Prefix, _ header: (inout ByteBuffer) -> Void,
        _ body: (UnsafeRawBufferPointer) throws(E) -> R
    ) throws(E) -> R {
        output.clear()
        prefix.write(to: &output)
        header(&output)
        let length = UInt16(clamping: output.readableBytes - Prefix.byteCount)
        output.setInteger(length, at: 6, endianness: .little)
        var result: Result<R, E>?
        unsafe output.withUnsafeReadableBytes { bytes in
            do throws(E) { result = .success(try unsafe body(bytes)) } catch { result = .failure(error) }
        }
        switch result {
        case .success(let value): return value
        case .failure(let error): throw error
        case nil: preconditionFailure("withUnsafeReadableBytes calls its closure exactly once")
        }
    }

    /// Puts one frame into an outbox.
    func write(
        to outbox: Outbox, _ routing: UInt32?, _ prefix: Prefix, payload: ByteBuffer,
        header: (inout ByteBuffer) -> Void
    ) throws(ZeroMQError) {
        try unsafe withFrame(prefix, header) { (head) throws(ZeroMQError) in
            var outcome = Result<Void, ZeroMQError>.success(())
            unsafe payload.withUnsafeReadableBytes { body in
                do throws(ZeroMQError) { try unsafe outbox.add(routing, head, body) } catch {
                    outcome = .failure(error)
                }
            }
            try outcome.get()
        }
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
