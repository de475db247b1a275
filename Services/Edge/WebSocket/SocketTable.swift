// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import Synchronization

/// The WebSockets of one event loop, by id. Used on its event loop only.
final class SocketTable {
    let limits: SocketLimits
    let uplink: any SocketUplink
    let counters: SocketCounters
    private var sockets: [String: WebSocketHandler] = [:]
    private(set) var isClosing = false

    var room: BodyRoom { uplink.room }

    init(limits: SocketLimits, uplink: any SocketUplink, counters: SocketCounters) {
        self.limits = limits
        self.uplink = uplink
        self.counters = counters
    }

    func add(_ socket: WebSocketHandler) {
        sockets[socket.id] = socket
        counters.open.wrappingAdd(1, ordering: .relaxed)
    }

    func remove(_ socket: WebSocketHandler) {
        guard sockets.removeValue(forKey: socket.id) != nil else { return }
        counters.open.wrappingSubtract(1, ordering: .relaxed)
    }

    /// Writes to those of the named sockets that live here; others are of another loop, or gone.
    func deliver(_ deliveries: [SocketDelivery]) {
        var touched: [WebSocketHandler] = []
        for delivery in deliveries {
            for id in delivery.sockets {
                guard let socket = sockets[id] else { continue }
                if let frame = delivery.frame, socket.deliver(frame) { touched.append(socket) }
                if let fault = delivery.close { socket.close(fault) }
            }
        }
        // Once per socket, however many frames it got.
        for socket in touched { socket.flush() }
    }

    /// Notification has taken so many bytes of these sockets' messages.
    func settle(_ bytes: [String: Int]) {
        for (id, count) in bytes { sockets[id]?.settle(count) }
    }

    /// Ends the sockets of a session.
    func endSession(_ session: UInt64) {
        for socket in sockets.values where socket.session == session { socket.close(.restart) }
    }

    /// Ends every socket, and each that still comes.
    func beginClosing() {
        isClosing = true
        for socket in sockets.values { socket.close(.goingAway) }
    }

    func sweep() {
        let now = NIODeadline.now()
        for socket in sockets.values { socket.check(now) }
    }
}

/// Totals and current values of all loops, for metrics.
final class SocketCounters: Sendable {
    let open = Atomic<Int>(0)
    /// Cut off because they read too slowly.
    let tooSlow = Atomic<UInt64>(0)
    /// Times that a client was not read on, since notification did not take what it had sent.
    let pauses = Atomic<UInt64>(0)
    /// Bytes that wait in the edge for clients to read.
    let unwrittenBytes = Atomic<Int>(0)
}

/// The tables of all loops, for whoever is on none of them.
struct Sockets: Sendable {
    let tables: [(loop: any EventLoop, table: NIOLoopBound<SocketTable>)]
    let counters: SocketCounters

    /// Returns once every loop has passed them to its sockets, so that a sender can never run ahead of the loops.
    func deliver(_ deliveries: [SocketDelivery]) async {
        await onEach { $0.deliver(deliveries) }
    }

    func settle(_ bytes: [String: Int]) async {
        await onEach { $0.settle(bytes) }
    }

    func endSession(_ session: UInt64) async {
        await onEach { $0.endSession(session) }
    }

    private func onEach(_ body: @escaping @Sendable (SocketTable) -> Void) async {
        for (loop, table) in tables {
            // Fails only when the loop has ended, and its sockets with it.
            try? await loop.submit { body(table.value) }.get()
        }
    }
}
