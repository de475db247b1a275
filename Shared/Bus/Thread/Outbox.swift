// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc

/// The frames that one socket is given in a turn, sent a batch at a time, the last at the end of the round.
///
/// libzmq's I/O thread sleeps when its queue is empty, and waking it is a system call for us and two for it. Frames that
/// are sent one by one while messages are still being handled wake it for each; frames that are sent in one go wake it
/// once, and leave it in one write.
@safe
final class Outbox {
    private struct Frame {
        let routing: UInt32?
        let message: ZeroMQMessage
    }

    /// So many frames leave without waiting for the end of the round: the library encrypts and writes them on its own
    /// thread while we go on, instead of after us.
    private static let framesMax = 16
    /// Frames that a quiet outbox keeps room for.
    private static let spareMax = 64

    private var frames: [Frame] = []
    private var spare: [ZeroMQMessage] = []

    var isEmpty: Bool { frames.isEmpty }
    var isFull: Bool { frames.count >= Self.framesMax }

    /// Copies a frame made of two pieces, with a routing id in front on a ROUTER.
    func add(_ routing: UInt32?, _ first: UnsafeRawBufferPointer, _ second: UnsafeRawBufferPointer)
        throws(ZeroMQError)
    {
        let message = spare.popLast() ?? ZeroMQMessage()
        try unsafe message.fill(first, second)
        frames.append(Frame(routing: routing, message: message))
    }

    /// Sends everything in order; `failed` gets what could not be sent.
    func flush(_ socket: ZeroMQSocket, failed: (UInt32?, ZeroMQSocket.SendOutcome) -> Void) {
        for frame in frames {
            let outcome = send(frame, socket)
            if outcome != .sent {
                frame.message.clear()
                failed(frame.routing, outcome)
            }
            if spare.count < Self.spareMax { spare.append(frame.message) }
        }
        frames.removeAll(keepingCapacity: true)
    }

    private func send(_ frame: Frame, _ socket: ZeroMQSocket) -> ZeroMQSocket.SendOutcome {
        if let routing = frame.routing {
            var id = RoutingID.bytes(routing)
            let outcome = unsafe withUnsafeBytes(of: &id) { bytes in unsafe try? socket.send(bytes, more: true) }
            guard outcome == .sent else { return outcome ?? .unreachable }
        }
        return (try? socket.send(frame.message)) ?? .unreachable
    }
}
