// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOWebSocket
internal import Synchronization

/// One client's WebSocket: its frames become messages for notification, and what notification sends becomes frames.
///
/// What a slow reader has not taken waits here and not in the channel, so that it can be thrown away at once.
final class WebSocketHandler: ChannelDuplexHandler {
    typealias InboundIn = WebSocketFrame
    typealias InboundOut = Never
    typealias OutboundIn = Never
    typealias OutboundOut = ByteBuffer

    private enum State {
        case open
        /// Our close frame is out or waits; what follows it decides how the connection ends.
        case closing(Ending)
        case closed
    }

    private enum Ending {
        /// The client's close frame.
        case awaitingEcho
        /// Its frames cannot be read any more: only the end of the connection can.
        case deaf
        /// The client closed first.
        case echoing
    }

    let id: String
    private let request: SocketRequest
    private let table: SocketTable
    private var assembler: MessageAssembler
    private var state = State.open
    private var context: ChannelHandlerContext?
    /// Nil when it was never announced, or its end has been told.
    private(set) var session: UInt64?

    // To the client.
    private var unwritten = CircularBuffer<ByteBuffer>()
    private var unwrittenBytes = 0

    // From the client.
    /// Bytes of messages that notification does not have yet.
    private var waitingBytes = 0
    private var isPaused = false
    private var isReadPending = false
    /// Bytes of a frame that is not whole, as good as they are known; and those of the current read.
    private var unparsedBytes = 0
    private var readBytes = 0
    private var roomTaken = 0

    // Time.
    private var nextPing: NIODeadline
    private var missedPings = 0
    private var closeDeadline = NIODeadline.distantFuture

    private static let lastID = Atomic<UInt64>(0)

    init(_ request: SocketRequest, table: SocketTable) {
        id = String(Self.lastID.wrappingAdd(1, ordering: .relaxed).newValue, radix: 36)
        self.request = request
        self.table = table
        assembler = MessageAssembler(messageBytesMax: table.limits.messageBytesMax)
        nextPing = .now() + table.limits.pingInterval
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        table.add(self)
        if table.isClosing { return close(.goingAway) }
        session = table.uplink.open(id, request)
        if session == nil { close(.restart) }
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        finish()
        self.context = nil
    }

    func channelInactive(context: ChannelHandlerContext) {
        finish()
        context.fireChannelInactive()
    }

    /// The connection is over, whoever ended it.
    private func finish() {
        tell(code: CloseCode.abnormal, reason: "")
        state = .closed
        dropUnwritten()
        table.room.giveBack(roomTaken)
        roomTaken = 0
        table.remove(self)
    }

    private func tell(code: UInt16, reason: String) {
        guard let session else { return }
        self.session = nil
        table.uplink.close(id, code: code, reason: reason, session: session)
    }

    // MARK: From the client

    /// Before the decoder sees them. False when they are to be thrown away.
    func bytesArrive(_ count: Int) -> Bool {
        switch state {
        case .closed, .closing(.deaf): return false
        default: break
        }
        readBytes = count
        unparsedBytes += count
        return true
    }

    /// After the decoder has made frames of them, as far as they go.
    func bytesWereDecoded() {
        guard case .open = state else { return }
        let held = unparsedBytes + assembler.heldBytes
        if held <= roomTaken {
            table.room.giveBack(roomTaken - held)
            roomTaken = held
        } else if table.room.take(held - roomTaken) {
            roomTaken = held
        } else {
            fail(.noRoom)
        }
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        // What is left belongs to the current read: all that came before was part of this frame. So a client that
        // writes lengths longer than need be cannot make the count drift.
        unparsedBytes = max(0, min(unparsedBytes - Self.wireBytes(of: frame), readBytes))
        missedPings = 0
        switch state {
        case .open: break
        case .closing(.awaitingEcho):
            if frame.opcode == .connectionClose { context.close(promise: nil) }
            return
        case .closing, .closed: return
        }
        do throws(SocketFault) {
            try take(assembler.take(frame), context)
        } catch {
            fail(error)
        }
    }

    private func take(_ event: MessageAssembler.Event, _ context: ChannelHandlerContext) throws(SocketFault) {
        switch event {
        case .partial, .pong: break
        case .ping(let payload):
            push(ServerFrame.pong(payload))
            flush()
        case .close(let code, let reason):
            // Nobody reads the rest any more.
            dropUnwritten()
            begin(.echoing, SocketFault(code: code ?? CloseCode.noStatus, reason: reason), echo: code)
        case .message(let isBinary, let bytes):
            guard let session else { return }
            guard table.uplink.send(id, isBinary: isBinary, bytes, session: session) else { throw .noRoom }
            waitingBytes += bytes.readableBytes + SocketLimits.messageOverheadBytes
            if waitingBytes > table.limits.waitingBytesMax { isPaused = true }
        }
    }

    /// Bytes of a frame with the shortest length that it could have.
    private static func wireBytes(of frame: WebSocketFrame) -> Int {
        let count = frame.length
        return count + (count <= 125 ? 2 : count <= 0xFFFF ? 4 : 10) + (frame.maskKey == nil ? 0 : 4)
    }

    /// Reads no more than notification takes.
    func read(context: ChannelHandlerContext) {
        guard isPaused else { return context.read() }
        if !isReadPending { table.counters.pauses.wrappingAdd(1, ordering: .relaxed) }
        isReadPending = true
    }

    func settle(_ bytes: Int) {
        waitingBytes -= bytes
        if waitingBytes <= table.limits.waitingBytesMax / 2 { resume() }
    }

    private func resume() {
        isPaused = false
        guard isReadPending else { return }
        isReadPending = false
        context?.read()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case let error as NIOWebSocketError:
            if case .invalidFrameLength = error { fail(.tooBig) } else { fail(.controlFrame) }
        // The rest of what the decoder has given up on.
        case is ByteToMessageDecoderError: break
        default: context.close(promise: nil)
        }
    }

    // MARK: To the client

    /// Writes a frame, or keeps it until the client reads. False when the socket takes none any more. The caller
    /// flushes.
    func deliver(_ frame: ByteBuffer) -> Bool {
        guard case .open = state else { return false }
        push(frame)
        return true
    }

    func flush() { context?.flush() }

    private func push(_ frame: ByteBuffer) {
        guard let context else { return }
        if unwritten.isEmpty, context.channel.isWritable {
            return write(frame, isLast: false, context)
        }
        unwritten.append(frame)
        count(frame.readableBytes)
        // One frame alone may be larger than what may wait.
        guard case .open = state, unwritten.count > 1,
            unwrittenBytes > table.limits.unwrittenBytesMax || unwritten.count > table.limits.unwrittenFramesMax
        else { return }
        #if !MUTANT_EDGE_SLOW_SOCKET_KEPT
            table.counters.tooSlow.wrappingAdd(1, ordering: .relaxed)
            dropUnwritten()
            close(.tooSlow)
        #endif
    }

    private func write(_ frame: ByteBuffer, isLast: Bool, _ context: ChannelHandlerContext) {
        guard isLast, case .closing(let ending) = state, ending != .awaitingEcho else {
            return context.write(wrapOutboundOut(frame), promise: nil)
        }
        let channel = context.channel
        let mode: CloseMode = ending == .echoing ? .all : .output
        context.write(wrapOutboundOut(frame)).whenComplete { _ in channel.close(mode: mode, promise: nil) }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, !unwritten.isEmpty { writeOn(context) }
        context.fireChannelWritabilityChanged()
    }

    private func writeOn(_ context: ChannelHandlerContext) {
        while context.channel.isWritable, let frame = unwritten.popFirst() {
            count(-frame.readableBytes)
            // Once the socket closes, the close frame is the last that waits.
            write(frame, isLast: unwritten.isEmpty, context)
        }
        context.flush()
    }

    private func dropUnwritten() {
        count(-unwrittenBytes)
        unwritten = CircularBuffer()
    }

    private func count(_ bytes: Int) {
        unwrittenBytes += bytes
        table.counters.unwrittenBytes.wrappingAdd(bytes, ordering: .relaxed)
    }

    // MARK: The end

    /// Closes after what waits already: a message may say why. The client has some time to answer.
    func close(_ fault: SocketFault) {
        guard case .open = state else { return }
        begin(.awaitingEcho, fault, echo: fault.code)
    }

    /// Closes at once: the client's frames make no sense, or there is no room for them.
    private func fail(_ fault: SocketFault) {
        guard case .open = state else { return }
        dropUnwritten()
        begin(.deaf, fault, echo: fault.code)
    }

    private func begin(_ ending: Ending, _ fault: SocketFault, echo: UInt16?) {
        state = .closing(ending)
        closeDeadline = .now() + table.limits.closeTimeout
        tell(code: fault.code, reason: fault.reason)
        resume()
        guard let context else { return }
        unwritten.append(ServerFrame.close(code: echo, reason: fault.reason))
        count(unwritten[unwritten.index(before: unwritten.endIndex)].readableBytes)
        writeOn(context)
    }

    // MARK: Time

    /// Called now and again by the table.
    func check(_ now: NIODeadline) {
        switch state {
        case .open:
            guard now >= nextPing else { return }
            if missedPings >= table.limits.missedPingsMax { return close(.noPong) }
            nextPing = now + table.limits.pingInterval
            missedPings += 1
            push(ServerFrame.ping())
            flush()
        case .closing: if now >= closeDeadline { context?.close(promise: nil) }
        case .closed: break
        }
    }
}

/// In front of the decoder: tells the socket what arrives, which the decoder shows only once a frame is whole.
final class ArrivalMeter: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer

    private let socket: WebSocketHandler

    init(_ socket: WebSocketHandler) { self.socket = socket }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard socket.bytesArrive(unwrapInboundIn(data).readableBytes) else { return }
        context.fireChannelRead(data)
        socket.bytesWereDecoded()
    }
}
