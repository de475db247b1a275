// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOWebSocket

/// Makes messages of a client's frames and holds them to RFC 6455. Knows no connection.
struct MessageAssembler {
    /// What a frame turned out to be.
    enum Event: Equatable {
        /// A fragment; its message goes on.
        case partial
        case message(isBinary: Bool, ByteBuffer)
        case ping(ByteBuffer)
        case pong
        /// The client's close; without a code when it gave none.
        case close(code: UInt16?, reason: String)
    }

    private let messageBytesMax: Int
    private var fragments: (isBinary: Bool, bytes: ByteBuffer)?

    init(messageBytesMax: Int) { self.messageBytesMax = messageBytesMax }

    /// Bytes of a message that is not whole yet.
    var heldBytes: Int { fragments?.bytes.readableBytes ?? 0 }

    mutating func take(_ frame: WebSocketFrame) throws(SocketFault) -> Event {
        guard frame.maskKey != nil else { throw .unmasked }
        guard !frame.rsv1, !frame.rsv2, !frame.rsv3 else { throw .reservedBits }
        var payload = frame.data
        if let key = frame.maskKey, payload.readableBytes > 0 { payload.webSocketUnmask(key) }
        switch frame.opcode {
        case .text, .binary:
            guard fragments == nil else { throw .fragments }
            let isBinary = frame.opcode == .binary
            if frame.fin { return try Self.message(isBinary: isBinary, payload) }
            fragments = (isBinary, payload)
            return .partial
        case .continuation:
            guard let isBinary = fragments?.isBinary, var bytes = fragments?.bytes else { throw .fragments }
            // Nobody else may hold the buffer while it grows.
            fragments = nil
            guard bytes.readableBytes + payload.readableBytes <= messageBytesMax else { throw .tooBig }
            bytes.writeBuffer(&payload)
            if frame.fin { return try Self.message(isBinary: isBinary, bytes) }
            fragments = (isBinary, bytes)
            return .partial
        case .ping: return .ping(payload)
        case .pong: return .pong
        case .connectionClose: return try Self.close(payload)
        default: throw .opcode
        }
    }

    private static func message(isBinary: Bool, _ bytes: ByteBuffer) throws(SocketFault) -> Event {
        guard isBinary || isText(bytes) else { throw .badText }
        return .message(isBinary: isBinary, bytes)
    }

    private static func close(_ payload: ByteBuffer) throws(SocketFault) -> Event {
        var payload = payload
        guard payload.readableBytes > 0 else { return .close(code: nil, reason: "") }
        guard let code = payload.readInteger(as: UInt16.self), CloseCode.isValid(code) else { throw .closeFrame }
        guard isText(payload) else { throw .badText }
        return .close(code: code, reason: String(buffer: payload))
    }

    private static func isText(_ bytes: ByteBuffer) -> Bool {
        (try? UTF8Span(validating: bytes.readableBytesUInt8Span)) != nil
    }
}

/// Frames of the server, made once for however many clients they are for.
enum ServerFrame {
    static func message(isBinary: Bool, _ payload: some Collection<UInt8>) -> ByteBuffer {
        make(isBinary ? 0x2 : 0x1, payload)
    }

    static func ping() -> ByteBuffer { make(0x9, EmptyCollection()) }
    static func pong(_ payload: ByteBuffer) -> ByteBuffer { make(0xA, payload.readableBytesView) }

    /// The reason is cut where it does not fit (RFC 6455, section 5.5), between characters.
    static func close(code: UInt16?, reason: String) -> ByteBuffer {
        guard let code else { return make(0x8, EmptyCollection()) }
        var payload: [UInt8] = [UInt8(code >> 8), UInt8(truncatingIfNeeded: code)]
        for character in reason {
            guard payload.count + character.utf8.count <= 125 else { break }
            payload.append(contentsOf: character.utf8)
        }
        return make(0x8, payload)
    }

    /// A whole frame, not masked (RFC 6455, section 5.2).
    private static func make(_ opcode: UInt8, _ payload: some Collection<UInt8>) -> ByteBuffer {
        let count = payload.count
        var frame = ByteBuffer()
        frame.reserveCapacity(count + 10)
        frame.writeInteger(0x80 | opcode)
        switch count {
        case ...125: frame.writeInteger(UInt8(count))
        case ...0xFFFF:
            frame.writeInteger(UInt8(126))
            frame.writeInteger(UInt16(count))
        default:
            frame.writeInteger(UInt8(127))
            frame.writeInteger(UInt64(count))
        }
        frame.writeBytes(payload)
        return frame
    }
}
