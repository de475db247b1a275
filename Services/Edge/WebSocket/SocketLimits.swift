// SPDX-License-Identifier: Apache-2.0

internal import NIOCore

/// Bounds of the edge's WebSockets. Tests use smaller ones.
struct SocketLimits: Sendable {
    /// One message of a client, in bytes, also when it comes in fragments (RT-12).
    var messageBytesMax = 5_000_000
    /// What waits in the edge for one client that reads slowly; at more it is cut off (DESIGN 7).
    var unwrittenBytesMax = 4 << 20
    var unwrittenFramesMax = 8_192
    /// Messages of one client that notification has not taken yet, in bytes; at more it is not read.
    var waitingBytesMax = 256 << 10
    /// Messages of all clients that are arriving or that notification has not taken yet, in bytes; who needs more is
    /// closed as overloaded.
    var roomBytesMax = 128 << 20
    /// How often a client is pinged (RT-12).
    var pingInterval = TimeAmount.seconds(25)
    /// Pings without any frame in return; then the client counts as gone.
    var missedPingsMax = 2
    /// From our close frame to the client's; then the connection is ended.
    var closeTimeout = TimeAmount.seconds(5)

    /// What a message costs besides its bytes, so that tiny ones are bounded too.
    static let messageOverheadBytes = 64
    /// How late a time limit may be noticed.
    var sweepInterval = TimeAmount.seconds(1)
}
