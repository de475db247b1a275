// SPDX-License-Identifier: Apache-2.0

/// A socket that the bus thread watches, and what to do with what arrives.
final class SocketSource {
    let id: UInt64
    let socket: ZeroMQSocket
    /// Takes at most so many messages; returns whether there may be more.
    let drain: (Int) -> Bool
    let outbox = Outbox()
    /// Told of frames that could not be sent, with the routing id that they had.
    var onSendFailure: ((UInt32?, ZeroMQSocket.SendOutcome) -> Void)?
    /// Stands in the list of sockets to look at in this turn.
    var isHot = false

    init(id: UInt64, socket: ZeroMQSocket, drain: @escaping (Int) -> Bool) {
        self.id = id
        self.socket = socket
        self.drain = drain
    }
}

/// Something with timers: `tick` runs at `next`.
final class TickSource {
    var next = BusTime.never
    var tick: ((BusTime) -> Void)?
}
