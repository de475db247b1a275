// SPDX-License-Identifier: Apache-2.0

import CZeroMQ
import Glibc
import Synchronization

@testable import MartletBus
@testable import MartletWire

/// A TCP connection to 127.0.0.1 that speaks whatever a test gives it.
final class RawConnection {
    private let descriptor: Int32

    init?(port: UInt16) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        self.descriptor = descriptor
        var address = loopback(port)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Sends what the kernel takes; the other side may be gone already.
    func send(_ bytes: [UInt8]) {
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Makes the end of the connection a reset instead of an orderly close.
    func resetOnClose() { lingerZero(descriptor) }

    /// Reads until the other side ends the connection; false when it stays silent for `seconds`.
    func waitForEnd(seconds: Int) -> Bool {
        var patience = timeval(tv_sec: seconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var room = [UInt8](repeating: 0, count: 1_024)
        while true {
            let count = recv(descriptor, &room, room.count, 0)
            if count == 0 { return true }
            if count < 0 { return errno != EAGAIN }
        }
    }
}

/// Relays one TCP connection at a time and ends it by a reset on both sides when told to.
final class ResettingProxy: Sendable {
    private struct Relay {
        var downstream: Int32
        var upstream: Int32
        var toUpstream: [UInt8] = []
        var toDownstream: [UInt8] = []
    }

    private let listener: Int32
    private let upstreamPort: UInt16
    let port: UInt16
    private let resetWanted = Atomic<Bool>(false)
    private let ended = Atomic<Bool>(false)
    private let stalledTurns = Atomic<Int>(0)
    private let relayed = Atomic<Int>(0)

    /// Bytes in each direction that were read and not yet written.
    private static let roomMax = 64 << 10
    /// A writer that the kernel refused for so many turns of 10 ms in a row has a peer that does not read.
    private static let stalledTurnsMin = 15

    init?(upstreamPort: UInt16) {
        self.upstreamPort = upstreamPort
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        self.listener = listener
        var address = loopback(0)
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, size) == 0 && listen(listener, 16) == 0 && getsockname(listener, $0, &size) == 0
            }
        }
        guard result else { return nil }
        port = UInt16(bigEndian: address.sin_port)
    }

    /// Whether one side has stopped reading although the other still sends.
    var isStalled: Bool { stalledTurns.load(ordering: .relaxed) >= Self.stalledTurnsMin }
    /// Bytes of the current connection that were passed on.
    var relayedBytes: Int { relayed.load(ordering: .relaxed) }

    /// Resets the connection; returns when it is done.
    func reset() {
        resetWanted.store(true, ordering: .releasing)
        while resetWanted.load(ordering: .acquiring) { usleep(500) }
    }

    func end() { ended.store(true, ordering: .releasing) }

    /// Relays until `end`; a thread of its own runs it.
    func run() {
        var relay: Relay?
        while !ended.load(ordering: .acquiring) {
            if resetWanted.load(ordering: .acquiring) {
                if let relay { drop(relay) }
                relay = nil
                resetWanted.store(false, ordering: .releasing)
            }
            if var current = relay {
                if turn(&current) {
                    relay = current
                } else {
                    drop(current)
                    relay = nil
                }
            } else {
                relay = acceptNext()
            }
        }
        if let relay { drop(relay) }
        close(listener)
    }

    private func acceptNext() -> Relay? {
        var poll = [pollfd(fd: listener, events: Int16(POLLIN), revents: 0)]
        guard Glibc.poll(&poll, 1, 5) == 1 else { return nil }
        let downstream = accept(listener, nil, nil)
        let upstream = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = loopback(upstreamPort)
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(upstream, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        stalledTurns.store(0, ordering: .relaxed)
        relayed.store(0, ordering: .relaxed)
        guard result == 0 else {
            close(downstream)
            close(upstream)
            return nil
        }
        for descriptor in [downstream, upstream] {
            _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
            var one: Int32 = 1
            setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &one, 4)
            // Else the kernel may keep all that a test sends, and nobody stalls.
            var room: Int32 = 64 << 10
            setsockopt(descriptor, SOL_SOCKET, SO_SNDBUF, &room, 4)
        }
        return Relay(downstream: downstream, upstream: upstream)
    }

    private func turn(_ relay: inout Relay) -> Bool {
        func interest(_ incoming: [UInt8], _ outgoing: [UInt8]) -> Int16 {
            Int16((incoming.count < Self.roomMax ? POLLIN : 0) | (outgoing.isEmpty ? 0 : POLLOUT))
        }
        var poll = [
            pollfd(fd: relay.downstream, events: interest(relay.toUpstream, relay.toDownstream), revents: 0),
            pollfd(fd: relay.upstream, events: interest(relay.toDownstream, relay.toUpstream), revents: 0),
        ]
        let isIdle = Glibc.poll(&poll, 2, 10) == 0
        let full = [(relay.toUpstream, poll[1]), (relay.toDownstream, poll[0])].filter { $0.0.count >= Self.roomMax }
        if full.contains(where: { $0.1.revents & Int16(POLLOUT) != 0 }) || (full.isEmpty && !isIdle) {
            stalledTurns.store(0, ordering: .relaxed)
        } else if isIdle, !full.isEmpty {
            stalledTurns.wrappingAdd(1, ordering: .relaxed)
        }
        return read(relay.downstream, into: &relay.toUpstream) && read(relay.upstream, into: &relay.toDownstream)
            && write(&relay.toUpstream, to: relay.upstream) && write(&relay.toDownstream, to: relay.downstream)
    }

    private func read(_ descriptor: Int32, into pending: inout [UInt8]) -> Bool {
        guard pending.count < Self.roomMax else { return true }
        var room = [UInt8](repeating: 0, count: Self.roomMax)
        let count = recv(descriptor, &room, room.count, 0)
        if count > 0 { pending += room.prefix(count) }
        return count > 0 || (count < 0 && errno == EAGAIN)
    }

    private func write(_ pending: inout [UInt8], to descriptor: Int32) -> Bool {
        guard !pending.isEmpty else { return true }
        let count = send(descriptor, pending, pending.count, Int32(MSG_NOSIGNAL))
        if count > 0 {
            pending.removeFirst(count)
            relayed.wrappingAdd(count, ordering: .relaxed)
        }
        return count > 0 || (count < 0 && errno == EAGAIN)
    }

    private func drop(_ relay: Relay) {
        for descriptor in [relay.downstream, relay.upstream] {
            lingerZero(descriptor)
            close(descriptor)
        }
    }
}

/// A libzmq socket outside our bus, which keeps none of its rules. Used by one thread at a time.
final class RawSocket {
    private let context: UnsafeMutableRawPointer?
    private let socket: UnsafeMutableRawPointer?
    private var port: UInt16 = 0

    /// A DEALER, with CURVE when it has keys. Its queue has no bound.
    init(dealerTo port: UInt16, keys: CurveKeyPair?, serverKey: String) {
        context = zmq_ctx_new()
        socket = zmq_socket(context, ZMQ_DEALER)
        prepare()
        if let keys {
            zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, serverKey, 40)
            zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, keys.publicKey, 40)
            zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.secretKey, 40)
        }
        zmq_connect(socket, "tcp://127.0.0.1:\(port)")
    }

    /// A ROUTER with a service's key that lets everybody in.
    init(routerWith keys: CurveKeyPair) {
        context = zmq_ctx_new()
        socket = zmq_socket(context, ZMQ_ROUTER)
        prepare()
        var one: Int32 = 1
        zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, 4)
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, keys.secretKey, 40)
        zmq_bind(socket, "tcp://127.0.0.1:*")
        var name = [CChar](repeating: 0, count: 128)
        var size = name.count
        zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, &name, &size)
        port = portNumber(String(decoding: name.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self))
    }

    deinit {
        zmq_close(socket)
        zmq_ctx_term(context)
    }

    var boundPort: UInt16 { port }

    private func prepare() {
        var zero: Int32 = 0
        var never: Int32 = -1
        var patience: Int32 = 5_000
        zmq_setsockopt(socket, ZMQ_LINGER, &zero, 4)
        zmq_setsockopt(socket, ZMQ_SNDHWM, &zero, 4)
        zmq_setsockopt(socket, ZMQ_RECONNECT_IVL, &never, 4)
        zmq_setsockopt(socket, ZMQ_RCVTIMEO, &patience, 4)
    }

    @discardableResult
    func send(_ bytes: [UInt8], more: Bool = false) -> Bool {
        zmq_send(socket, bytes, bytes.count, ZMQ_DONTWAIT | (more ? ZMQ_SNDMORE : 0)) >= 0
    }

    /// The next part, or nil after five seconds without one.
    func receive() -> [UInt8]? {
        var room = [UInt8](repeating: 0, count: 4_096)
        let count = zmq_recv(socket, &room, room.count, 0)
        return count < 0 ? nil : Array(room.prefix(Int(count)))
    }
}

/// Stops the thread that waits at it.
final class Gate: Sendable {
    private let arrived = eventfd(0, 0)
    private let opened = eventfd(0, 0)

    deinit {
        close(arrived)
        close(opened)
    }

    func wait() {
        eventfd_write(arrived, 1)
        var value: eventfd_t = 0
        eventfd_read(opened, &value)
    }

    func waitForArrival() {
        var value: eventfd_t = 0
        eventfd_read(arrived, &value)
    }

    func open() { eventfd_write(opened, 1) }
}

/// The port at the end of an endpoint.
func portNumber(_ endpoint: String) -> UInt16 { endpoint.split(separator: ":").last.flatMap { UInt16($0) } ?? 0 }

private func loopback(_ port: UInt16) -> sockaddr_in {
    var address = sockaddr_in()
    address.sin_family = sa_family_t(AF_INET)
    address.sin_port = port.bigEndian
    address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
    return address
}

private func lingerZero(_ descriptor: Int32) {
    var value = linger(l_onoff: 1, l_linger: 0)
    setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &value, socklen_t(MemoryLayout<linger>.size))
}
