// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc

/// The frames that one socket is given in a turn, sent a batch at a time, the last at the end of the round.
///
/// libzmq's I/O thread sleeps when its queue is empty, and waking it is a system call for us and two for it. Frames sent
/// one by one while messages are still being handled wake it for each; frames sent in one go wake it once, and leave it
/// in one write.
@safe
final class Outbox {
    /// So many frames leave without waiting for the end of the round: the library encrypts and writes them on its own
    /// thread while we go on, instead of after us.
    private static let framesMax = 16

    /// Rooms that are filled again and again; the first `count` hold frames.
    private let messages = (0..<framesMax).map { _ in ZeroMQMessage() }
    private var routings = [UInt32?](repeating: nil, count: framesMax)
    private var count = 0

    var isEmpty: Bool { count == 0 }
    var isFull: Bool { count == Self.framesMax }

    /// Copies a frame made of two pieces, with a routing id in front on a ROUTER. There must be room.
    func add(_ routing: UInt32?, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer)
        throws(ZeroMQError)
    {
        try unsafe messages[count].fill(first, second)
        routings[count] = routing
        count += 1
    }

    /// Sends everything in order; `failed` gets what could not be sent.
    func flush(_ socket: ZeroMQSocket, failed: (UInt32?, ZeroMQSocket.SendOutcome) -> Void) {
        for index in 0..<count {
            let outcome = send(messages[index], to: routings[index], socket)
            guard outcome != .sent else { continue }
            messages[index].clear()
            failed(routings[index], outcome)
        }
        count = 0
    }

    private func send(_ message: ZeroMQMessage, to routing: UInt32?, _ socket: ZeroMQSocket)
        -> ZeroMQSocket.SendOutcome
    {
        if let routing {
            var id = RoutingID.bytes(routing)
            let outcome = unsafe withUnsafeBytes(of: &id) { bytes in unsafe try? socket.send(bytes, more: true) }
            guard outcome == .sent else { return outcome ?? .unreachable }
        }
        return (try? socket.send(message)) ?? .unreachable
    }
}
