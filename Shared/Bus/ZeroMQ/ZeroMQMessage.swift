// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc

/// Room for one received message part, used again for every receive.
///
/// It lives at a fixed address because libzmq keeps short messages inside the structure itself.
@safe
final class ZeroMQMessage {
    private let raw: UnsafeMutablePointer<zmq_msg_t>

    init() {
        unsafe raw = .allocate(capacity: 1)
        unsafe _ = zmq_msg_init(raw)
    }

    deinit {
        unsafe _ = zmq_msg_close(raw)
        unsafe raw.deallocate()
    }

    /// Takes the next part from a socket without waiting. Returns false when there is none.
    ///
    /// The previous content is released. Throws what is neither "none" nor "interrupted".
    func receive(from socket: UnsafeMutableRawPointer) throws(ZeroMQError) -> Bool {
        while true {
            if unsafe zmq_msg_recv(raw, socket, ZMQ_DONTWAIT) >= 0 { return true }
            let error = ZeroMQError("zmq_msg_recv")
            if error.isWouldBlock { return false }
            if !error.isInterrupted { throw error }
        }
    }

    /// Whether another part of the same message follows.
    var hasMore: Bool { unsafe zmq_msg_more(raw) != 0 }

    var count: Int { unsafe zmq_msg_size(raw) }

    /// The user id that the ZAP handler gave the connection this part came from; nil without one.
    ///
    /// Only the payload part of a message on a ROUTER carries it, the routing-id part does not (libzmq 4.3.4).
    var userID: String? {
        guard let text = unsafe zmq_msg_gets(raw, "User-Id") else { return nil }
        return unsafe String(cString: text)
    }

    /// Lends the bytes of the part. They must not be kept past `body`.
    func withBytes<R, E: Error>(_ body: (RawSpan) throws(E) -> R) throws(E) -> R {
        let buffer = unsafe UnsafeRawBufferPointer(start: zmq_msg_data(raw), count: zmq_msg_size(raw))
        return try body(unsafe RawSpan(_unsafeBytes: buffer))
    }

    /// Replaces the content by a copy of two pieces.
    func fill(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer) throws(ZeroMQError) {
        let count = first.count + second.count
        unsafe _ = zmq_msg_close(raw)
        guard unsafe zmq_msg_init_size(raw, count) == 0 else {
            unsafe _ = zmq_msg_init(raw)
            throw ZeroMQError("zmq_msg_init_size", number: ENOMEM)
        }
        guard count > 0, let data = unsafe zmq_msg_data(raw) else { return }
        if let base = first.baseAddress { unsafe memcpy(data, base, first.count) }
        if let base = second.baseAddress { unsafe memcpy(data + first.count, base, second.count) }
    }

    /// Sends the content without waiting. After success the room is empty, after a failure it still holds the content.
    func send(on socket: UnsafeMutableRawPointer) throws(ZeroMQError) -> ZeroMQSocket.SendOutcome {
        while true {
            if unsafe zmq_msg_send(raw, socket, ZMQ_DONTWAIT) >= 0 { return .sent }
            let error = ZeroMQError("zmq_msg_send")
            if error.isInterrupted { continue }
            if error.isWouldBlock { return .full }
            if error.isUnreachable { return .unreachable }
            throw error
        }
    }

    /// Releases a large content early; the room stays usable.
    func clear() {
        unsafe _ = zmq_msg_close(raw)
        unsafe _ = zmq_msg_init(raw)
    }
}
