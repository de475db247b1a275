// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import MartletWire

/// One bound ROUTER and what is known of the identities behind it.
final class Listener {
    /// Who is behind a connection.
    struct Identity {
        let key: String
        let service: ServiceName
        let notAfter: Int64
    }

    let number: UInt32
    let endpoint: String
    /// The only caller of an `inproc` endpoint; nil where CURVE tells.
    let localCaller: ServiceName?
    let socket: ZeroMQSocket
    var source: SocketSource?
    var monitor: SocketMonitor?
    /// Introduced connections, by routing id.
    var identities: [UInt32: Identity] = [:] {
        didSet { firstExpiry = identities.values.map(\.notAfter).min() ?? .max }
    }
    /// None of their keys ends before this.
    private(set) var firstExpiry = Int64.max

    init(number: UInt32, endpoint: String, localCaller: ServiceName?, socket: ZeroMQSocket) {
        self.number = number
        self.endpoint = endpoint
        self.localCaller = localCaller
        self.socket = socket
    }
}

extension ZeroMQSocket {
    /// What every bound socket sets before `bind`.
    func prepareServer(_ keys: CurveKeyPair?, domain: String, isLocal: Bool, messageBytesMax: Int)
        throws(ZeroMQError)
    {
        try set(ZMQ_MAXMSGSIZE, wide: Int64(messageBytesMax))
        try set(ZMQ_RCVHWM, 2_000)
        try set(ZMQ_SNDHWM, 10_000)
        try set(ZMQ_HANDSHAKE_IVL, 2_000)
        try set(ZMQ_BACKLOG, 1_024)
        #if MUTANT_BUS_LIBRARY_HEARTBEAT
            // Never set: libzmq 4.3.4 aborts when a beat is due while the receive queue is full.
            try set(ZMQ_HEARTBEAT_IVL, 50)
            try set(ZMQ_HEARTBEAT_TIMEOUT, 60_000)
        #endif
        guard !isLocal, let keys else { return }
        try set(ZMQ_TCP_MAXRT, 5_000)
        try set(ZMQ_CURVE_SERVER, 1)
        try set(ZMQ_CURVE_SECRETKEY, keys.secretKey)
        try set(ZMQ_ZAP_DOMAIN, domain)
        // Without a ZAP handler everybody would be let in; with this nobody is.
        try set(Int32(MARTLET_ZMQ_ZAP_ENFORCE_DOMAIN), 1)
    }

    /// What every connecting socket sets before `connect`.
    func prepareClient(_ keys: CurveKeyPair?, serverKey: String?, isLocal: Bool, messageBytesMax: Int)
        throws(ZeroMQError)
    {
        try set(ZMQ_MAXMSGSIZE, wide: Int64(messageBytesMax))
        try set(ZMQ_RCVHWM, 10_000)
        try set(ZMQ_SNDHWM, 2_000)
        try set(ZMQ_IMMEDIATE, 1)
        // We reconnect ourselves, with a new socket, so that a link is the life of one connection.
        try set(ZMQ_RECONNECT_IVL, -1)
        try set(ZMQ_CONNECT_TIMEOUT, 1_500)
        try set(ZMQ_HANDSHAKE_IVL, 2_000)
        guard !isLocal, let keys, let serverKey else { return }
        try set(ZMQ_TCP_MAXRT, 5_000)
        try set(ZMQ_IPV6, 1)
        try set(ZMQ_CURVE_SERVERKEY, serverKey)
        try set(ZMQ_CURVE_PUBLICKEY, keys.publicKey)
        try set(ZMQ_CURVE_SECRETKEY, keys.secretKey)
    }
}
