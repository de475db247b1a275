// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc

/// One libzmq socket. Made, used and closed by the bus thread alone; never waits.
@safe
final class ZeroMQSocket {
    enum Kind {
        case dealer, router, publisher, subscriber, pair, reply

        var rawValue: Int32 {
            switch self {
            case .dealer: ZMQ_DEALER
            case .router: ZMQ_ROUTER
            case .publisher: ZMQ_XPUB
            case .subscriber: ZMQ_SUB
            case .pair: ZMQ_PAIR
            case .reply: ZMQ_REP
            }
        }
    }

    /// What became of a send.
    enum SendOutcome {
        case sent
        /// The queue to the peer is full.
        case full
        /// The peer is gone.
        case unreachable
    }

    private var raw: UnsafeMutableRawPointer?

    /// The descriptor to watch for edges; what it means is in `ZMQ_EVENTS`, never in its own readiness.
    let descriptor: Int32

    init(adopting socket: UnsafeMutableRawPointer, kind: Kind) throws(ZeroMQError) {
        var descriptor: Int32 = -1
        var size = MemoryLayout<Int32>.size
        guard unsafe zmq_getsockopt(socket, ZMQ_FD, &descriptor, &size) == 0 else {
            let error = ZeroMQError("zmq_getsockopt")
            _ = unsafe zmq_close(socket)
            throw error
        }
        unsafe raw = socket
        self.descriptor = descriptor
        // Every socket of ours is closed without waiting for what it still holds.
        try set(ZMQ_LINGER, 0)
    }

    deinit { close() }

    var isClosed: Bool { unsafe raw == nil }

    /// Closes the socket; further calls do nothing.
    func close() {
        if let socket = unsafe raw { _ = unsafe zmq_close(socket) }
        unsafe raw = nil
    }

    func set(_ option: Int32, _ value: Int32) throws(ZeroMQError) {
        var value = value
        try check("zmq_setsockopt", unsafe zmq_setsockopt(raw, option, &value, MemoryLayout<Int32>.size))
    }

    func set(_ option: Int32, wide value: Int64) throws(ZeroMQError) {
        var value = value
        try check("zmq_setsockopt", unsafe zmq_setsockopt(raw, option, &value, MemoryLayout<Int64>.size))
    }

    func set(_ option: Int32, bytes: [UInt8]) throws(ZeroMQError) {
        try check("zmq_setsockopt", unsafe zmq_setsockopt(raw, option, bytes, bytes.count))
    }

    func set(_ option: Int32, _ text: String) throws(ZeroMQError) {
        try set(option, bytes: Array(text.utf8))
    }

    func bind(_ endpoint: String) throws(ZeroMQError) { try check("zmq_bind", unsafe zmq_bind(raw, endpoint)) }

    func connect(_ endpoint: String) throws(ZeroMQError) {
        try check("zmq_connect", unsafe zmq_connect(raw, endpoint))
    }

    /// The endpoint of the last `bind`, with the port that the kernel chose for port 0.
    func lastEndpoint() throws(ZeroMQError) -> String {
        var text = [UInt8](repeating: 0, count: 512)
        var size = text.count
        try check("zmq_getsockopt", unsafe zmq_getsockopt(raw, ZMQ_LAST_ENDPOINT, &text, &size))
        return String(decoding: text.prefix(max(0, size - 1)), as: UTF8.self)
    }

    /// Starts the stream of connection events at an `inproc` address; a PAIR of ours reads it.
    func monitor(at address: String, events: Int32) throws(ZeroMQError) {
        try check("zmq_socket_monitor", unsafe zmq_socket_monitor(raw, address, events))
    }

    /// Takes the next message part. Returns false when there is none.
    func receive(into message: ZeroMQMessage) throws(ZeroMQError) -> Bool {
        guard let socket = unsafe raw else { return false }
        return try unsafe message.receive(from: socket)
    }

    /// Sends one part that is ready.
    func send(_ message: ZeroMQMessage) throws(ZeroMQError) -> SendOutcome {
        guard let socket = unsafe raw else { return .unreachable }
        return try unsafe message.send(on: socket)
    }

    /// Sends one part made of two pieces, copied into the library's memory.
    func send(_ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer, more: Bool = false)
        throws(ZeroMQError) -> SendOutcome
    {
        guard let socket = unsafe raw else { return .unreachable }
        var message = zmq_msg_t()
        let count = first.count + second.count
        guard unsafe zmq_msg_init_size(&message, count) == 0 else { throw ZeroMQError("zmq_msg_init_size") }
        if count > 0, let data = unsafe zmq_msg_data(&message) {
            if let base = first.baseAddress { unsafe memcpy(data, base, first.count) }
            if let base = second.baseAddress { unsafe memcpy(data + first.count, base, second.count) }
        }
        while true {
            // After success the content is the library's; after a failure it is still ours to close.
            if unsafe zmq_msg_send(&message, socket, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0 { return .sent }
            let error = ZeroMQError("zmq_msg_send")
            if error.isInterrupted { continue }
            unsafe _ = zmq_msg_close(&message)
            if error.isWouldBlock { return .full }
            if error.isUnreachable { return .unreachable }
            throw error
        }
    }

    /// Sends one part.
    func send(_ bytes: UnsafeRawBufferPointer, more: Bool = false) throws(ZeroMQError) -> SendOutcome {
        try unsafe send(bytes, UnsafeRawBufferPointer(start: nil, count: 0), more: more)
    }

    private func check(_ call: String, _ result: Int32) throws(ZeroMQError) {
        if result != 0 { throw ZeroMQError(call) }
    }
}
