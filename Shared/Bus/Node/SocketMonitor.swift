// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ

/// Connection events of one socket. Always drained: libzmq's I/O thread waits when nobody reads them.
final class SocketMonitor {
    enum Event {
        case ready, disconnected
        /// The attempt failed before the connection stood.
        case failed
        /// The handshake ended with a refusal of our key or theirs.
        case refused
    }

    private let message = ZeroMQMessage()
    private let source: SocketSource
    private let loop: BusLoop

    /// Watches `socket` and calls `onEvent` on the bus thread.
    init(_ socket: ZeroMQSocket, number: UInt64, loop: BusLoop, onEvent: @escaping (Event) -> Void)
        throws(ZeroMQError)
    {
        let address = "inproc://monitor/\(number)"
        let mask = ZMQ_EVENT_ALL
        try socket.monitor(at: address, events: Int32(mask))
        let pair = try loop.makeSocket(.pair)
        // No bound on this queue: a full one would stop libzmq's I/O thread. The bus thread empties it every turn.
        try pair.set(ZMQ_RCVHWM, 0)
        try pair.connect(address)
        self.loop = loop
        let message = message
        source = loop.add(pair) { budget in Self.drain(pair, message, budget, onEvent) }
    }

    func close() { loop.remove(source) }

    private static func drain(
        _ pair: ZeroMQSocket, _ message: ZeroMQMessage, _ budget: Int, _ onEvent: (Event) -> Void
    ) -> Bool {
        for _ in 0..<budget {
            guard !pair.isClosed, (try? pair.receive(into: message)) == true else { return false }
            let number = message.withBytes { bytes in
                bytes.byteCount >= 2 ? unsafe bytes.unsafeLoadUnaligned(fromByteOffset: 0, as: UInt16.self) : 0
            }
            while message.hasMore, (try? pair.receive(into: message)) == true {}
            if let event = event(Int32(number)) { onEvent(event) }
        }
        return true
    }

    private static func event(_ number: Int32) -> Event? {
        switch number {
        case ZMQ_EVENT_HANDSHAKE_SUCCEEDED: .ready
        case ZMQ_EVENT_DISCONNECTED: .disconnected
        case ZMQ_EVENT_CLOSED, ZMQ_EVENT_CONNECT_RETRIED: .failed
        case ZMQ_EVENT_HANDSHAKE_FAILED_AUTH, ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL,
            ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
            .refused
        default: nil
        }
    }
}
