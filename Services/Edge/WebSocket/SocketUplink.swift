// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// A WebSocket that a client asks for, after its key was looked at: what notification gets to know of it.
struct SocketRequest: Sendable, Equatable {
    /// Of the target, still percent-encoded.
    let query: String
    let clientAddress: String
    /// 1 or 2: what `vsn` asks for (RT-10).
    let serializer: UInt32
    let role: String
    /// JSON text.
    let claims: String
    /// The key, when it is a JWT.
    let token: String
    /// When the key ends, in Unix seconds; 0 when it does not.
    let expiresAt: Int64
}

/// What is to be sent to clients.
struct SocketDelivery: Sendable {
    let sockets: [String]
    /// A whole frame, the same bytes for all of them.
    let frame: ByteBuffer?
    /// Ends them, after the frame.
    let close: SocketFault?
}

/// Where the messages of clients go. Called on event loops; never waits.
///
/// A session is what notification knows together of an edge's sockets. What is said in a session that has ended is
/// dropped: its sockets are being closed with 1012.
protocol SocketUplink: AnyObject, Sendable {
    /// What messages take that are arriving, or that notification does not have yet.
    var room: BodyRoom { get }
    /// Announces a socket and says in which session it lives; nil while there is none.
    func open(_ socket: String, _ request: SocketRequest) -> UInt64?
    /// Takes a message of a client. What it costs, overhead included, is told back by `SocketTable.settle` once
    /// notification has it. False, and nothing taken, when there is no room.
    func send(_ socket: String, isBinary: Bool, _ bytes: ByteBuffer, session: UInt64) -> Bool
    /// A socket's last word, once for each that was announced.
    func close(_ socket: String, code: UInt16, reason: String, session: UInt64)
}
