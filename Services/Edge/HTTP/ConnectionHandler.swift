// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOHTTP1
internal import NIOWebSocket

/// One connection of a client: collects a request, has it answered, writes the answer, and again.
///
/// Everything has a time limit: silence between requests, the head, every step of the body, every step of the answer.
final class ConnectionHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    private enum State {
        case waiting
        case receiving(HTTPRequestHead, ByteBuffer)
        case answering(isHead: Bool, isKeepAlive: Bool)
        /// The answer is out, the rest of the request is dropped.
        case draining
        case closed
    }

    private let responder: any EdgeResponder
    private let limits: ConnectionLimits
    private let writer: FileWriter
    private var state = State.waiting
    private let sweeper: ConnectionSweeper
    private let sockets: SocketTable
    private let room: BodyRoom
    /// What this connection has taken of it.
    private var roomTaken = 0
    private var context: ChannelHandlerContext?
    private var deadline = NIODeadline.distantFuture
    private var isHeadArriving = false
    /// Some of the next request came while this one was answered.
    private var hasBytesBehind = false
    private var hasHeadTimedOut = false
    /// The client sends no more.
    private var isInputClosed = false
    /// A request that waits until the client has read what was written before.
    private var held: (head: HTTPRequestHead, body: ByteBuffer)?
    private var task: Task<Void, Never>?
    private var peer = ""

    init(
        responder: any EdgeResponder, limits: ConnectionLimits, writer: FileWriter, sweeper: ConnectionSweeper,
        sockets: SocketTable, room: BodyRoom
    ) {
        self.responder = responder
        self.limits = limits
        self.writer = writer
        self.sweeper = sweeper
        self.sockets = sockets
        self.room = room
    }

    func handlerAdded(context: ChannelHandlerContext) {
        self.context = context
        sweeper.add(self)
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        sweeper.remove(self)
        task?.cancel()
    }

    func channelActive(context: ChannelHandlerContext) {
        peer = context.remoteAddress?.ipAddress ?? ""
        allow(limits.idleTimeout)
        context.fireChannelActive()
    }

    func channelInactive(context: ChannelHandlerContext) {
        state = .closed
        task?.cancel()
        giveBackRoom()
        context.fireChannelInactive()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch (unwrapInboundIn(data), state) {
        case (.head(let head), .waiting): begin(head, context)
        case (.body(var part), .receiving(let head, var body)):
            guard isWithinBounds(body.readableBytes + part.readableBytes, head) else {
                return refuse(.tooLarge, head, context)
            }
            guard room.take(part.readableBytes) else { return refuse(.tooManyBodies, head, context) }
            roomTaken += part.readableBytes
            // The state must not hold a second reference while the buffer grows.
            state = .waiting
            if body.readableBytes == 0 { body = part } else { body.writeBuffer(&part) }
            state = .receiving(head, body)
            allow(limits.bodyTimeout)
        case (.end, .receiving(let head, let body)): answer(head, body, context)
        case (.end, .draining): context.close(promise: nil)
        default: break
        }
    }

    /// The first byte of a request: from now on its head has to arrive in time.
    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch (event, state) {
        case (is FirstByte, .waiting):
            guard !isHeadArriving else { return }
            isHeadArriving = true
            allow(limits.headTimeout)
        case (is FirstByte, .answering):
            hasBytesBehind = true
        case (is FirstByte, _): return
        case (ChannelEvent.inputClosed, .answering): isInputClosed = true
        case (ChannelEvent.inputClosed, .waiting), (ChannelEvent.inputClosed, .receiving),
            (ChannelEvent.inputClosed, .draining):
            context.close(promise: nil)
        default: context.fireUserInboundEventTriggered(event)
        }
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if context.channel.isWritable, let (head, body) = held {
            held = nil
            answer(head, body, context)
        }
        context.fireChannelWritabilityChanged()
    }

    /// What is no HTTP, or a head that did not arrive in time, is told so; any other error ends the connection.
    ///
    /// The decoder's error has made the pipeline ready for an answer, also where no request had begun for it.
    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        guard let error = error as? HTTPParserError else {
            // The rest of what the decoder has given up on.
            if case .draining = state, error is ByteToMessageDecoderError { return }
            return context.close(promise: nil)
        }
        let head: HTTPRequestHead?
        switch state {
        case .waiting: head = nil
        case .receiving(let begun, _): head = begun
        case .answering, .draining, .closed: return context.close(promise: nil)
        }
        switch error {
        case .headerOverflow: refuse(.headTooLarge, head, context)
        case .invalidEOFState where hasHeadTimedOut: refuse(.slowRequest, head, context)
        case .invalidEOFState: return context.close(promise: nil)
        default: refuse(.noHTTP, head, context)
        }
        // So that the client sees the end at once, and still gets to read the answer while it sends.
        context.close(mode: .output, promise: nil)
    }

    // MARK: Request

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        isHeadArriving = false
        allow(limits.bodyTimeout)
        if let length = head.headers.first(name: "content-length").flatMap({ Int($0) }),
            !isWithinBounds(length, head)
        {
            return refuse(.tooLarge, head, context)
        }
        state = .receiving(head, ByteBuffer())
        if head.headers.contains(name: "expect"), head.headers[canonicalForm: "expect"].contains("100-continue") {
            let go = HTTPResponseHead(version: .http1_1, status: .continue)
            context.writeAndFlush(wrapOutboundOut(.head(go)), promise: nil)
        }
    }

    private func isWithinBounds(_ bytes: Int, _ head: HTTPRequestHead) -> Bool {
        if bytes <= limits.bodyBytesMax { return true }
        guard bytes <= limits.largeBodyBytesMax, let target = RequestTarget(head.uri) else { return false }
        return RouteTable.match(target.path)?.route.hasLargeBodies == true
    }

    private func answer(_ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        guard context.channel.isWritable else {
            // Else a client that asks and never reads would have us keep every answer.
            held = (head, body)
            state = .answering(isHead: false, isKeepAlive: false)
            return allow(limits.bodyTimeout)
        }
        deadline = .distantFuture
        // The decoder reads nothing behind a request for another protocol; the client's next one would never be seen.
        let isLast = head.method == .CONNECT || head.headers.contains(name: "upgrade")
        state = .answering(isHead: head.method == .HEAD, isKeepAlive: head.isKeepAlive && !isLast)
        let request = EdgeRequest(
            method: head.method, target: head.uri, headers: head.headers, body: body, peer: peer)
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        let loop = context.eventLoop
        guard !WebSocketHandshake.isAsked(head) else {
            task = responder.open(request) { answer in
                loop.execute {
                    let (handler, context) = bound.value
                    switch answer {
                    case .response(let response): handler.write(response, context)
                    case .socket(let socket): handler.upgrade(to: socket, head, context)
                    }
                }
            }
            return
        }
        task = responder.begin(request) { response in
            loop.execute {
                let (handler, context) = bound.value
                handler.write(response, context)
            }
        }
    }

    // MARK: WebSocket

    private func upgrade(to socket: SocketRequest, _ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        guard case .answering = state else { return }
        task = nil
        giveBackRoom()
        guard !isInputClosed else { return context.close(promise: nil) }
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        WebSocketHandshake.answer(to: head, on: context.channel).whenComplete { result in
            let (handler, context) = bound.value
            do {
                try handler.become(socket, answering: result.get(), context)
            } catch {
                // The handshake was checked before, so this is a fault of ours.
                context.close(promise: nil)
            }
        }
    }

    /// Turns the connection into a WebSocket: the answer, then other handlers in the place of HTTP's and of this one.
    private func become(
        _ socket: SocketRequest, answering fields: HTTPHeaders, _ context: ChannelHandlerContext
    ) throws {
        let head = HTTPResponseHead(version: .http1_1, status: .switchingProtocols, headers: fields)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        state = .closed
        // Of a WebSocket both ends close together.
        try context.channel.syncOptions?.setOption(.allowRemoteHalfClosure, value: false)
        let pipeline = context.pipeline.syncOperations
        let decoder = try pipeline.handler(type: ByteToMessageHandler<HTTPRequestDecoder>.self)
        _ = pipeline.removeHandler(try pipeline.handler(type: ByteWatcher.self))
        _ = pipeline.removeHandler(try pipeline.handler(type: HTTPResponseEncoder.self))
        _ = pipeline.removeHandler(try pipeline.handler(type: HTTPServerPipelineHandler.self))
        _ = pipeline.removeHandler(try pipeline.handler(type: NIOHTTPResponseHeadersValidator.self))
        let handler = WebSocketHandler(socket, table: sockets)
        try pipeline.addHandlers([
            ArrivalMeter(handler),
            ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: sockets.limits.messageBytesMax)), handler,
        ])
        _ = pipeline.removeHandler(self)
        // Last, because it passes on what has arrived behind the request already.
        _ = pipeline.removeHandler(decoder)
    }

    private func refuse(_ error: EdgeError, _ head: HTTPRequestHead?, _ context: ChannelHandlerContext) {
        state = .draining
        giveBackRoom()
        let response = responder.refuse(error, target: head?.uri, headers: head?.headers, peer: peer)
        writeHead(response, length: Self.length(of: response), isKeepAlive: false, context)
        if head?.method != .HEAD, case .bytes(let bytes) = response.body {
            context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        allow(ConnectionLimits.drainTimeout)
    }

    private func giveBackRoom() {
        room.giveBack(roomTaken)
        roomTaken = 0
    }

    // MARK: Answer

    private func write(_ response: EdgeResponse, _ context: ChannelHandlerContext) {
        guard case .answering(let isHead, let wantsKeepAlive) = state else { return }
        task = nil
        giveBackRoom()
        let isKeepAlive = wantsKeepAlive && !response.closes
        writeHead(response, length: Self.length(of: response), isKeepAlive: isKeepAlive, context)
        allow(limits.bodyTimeout)
        switch response.body {
        case .bytes(let bytes):
            if !isHead, bytes.readableBytes > 0 {
                context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
            }
            end(isKeepAlive: isKeepAlive, context)
        case .file(let file):
            guard !isHead else { return end(isKeepAlive: isKeepAlive, context) }
            let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
            writer.write(file, on: context.channel) {
                let handler = bound.value.0
                handler.allow(handler.limits.bodyTimeout)
            }.whenComplete { result in
                let (handler, context) = bound.value
                switch result {
                case .success: handler.end(isKeepAlive: isKeepAlive, context)
                case .failure: context.close(promise: nil)
                }
            }
        }
    }

    /// The end of an answer. Ready for the next request before it is written: one that came early arrives meanwhile.
    private func end(isKeepAlive: Bool, _ context: ChannelHandlerContext) {
        guard case .answering = state else { return }
        if isKeepAlive, !sweeper.isClosing, !isInputClosed {
            state = .waiting
            isHeadArriving = hasBytesBehind
            hasBytesBehind = false
            allow(isHeadArriving ? limits.headTimeout : limits.idleTimeout)
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
        } else {
            state = .closed
            let written = context.eventLoop.makePromise(of: Void.self)
            let channel = context.channel
            written.futureResult.whenComplete { _ in channel.close(promise: nil) }
            context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: written)
        }
    }

    private static func length(of response: EdgeResponse) -> Int {
        switch response.body {
        case .bytes(let bytes): bytes.readableBytes
        case .file(let file): file.size
        }
    }

    private func writeHead(
        _ response: EdgeResponse, length: Int, isKeepAlive: Bool, _ context: ChannelHandlerContext
    ) {
        var headers = HTTPHeaders()
        headers.reserveCapacity(response.headers.count + 4)
        var hasLength = false
        for (name, value) in response.headers {
            if FieldNames.isEqual(name, "content-length") { hasLength = true }
            headers.add(name: name, value: value)
        }
        if case .answering(isHead: true, _) = state, case .bytes = response.body {
            // The data API's HEAD names no length (rest.md 15).
        } else if !hasLength, response.status >= 200, response.status != 204, response.status != 304 {
            headers.add(name: "Content-Length", value: String(length))
        }
        headers.add(name: "Date", value: sweeper.date)
        if !isKeepAlive { headers.add(name: "Connection", value: "close") }
        let head = HTTPResponseHead(
            version: .http1_1, status: HTTPResponseStatus(statusCode: response.status), headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    // MARK: Time

    private func allow(_ amount: TimeAmount) { deadline = .now() + amount }

    /// Called now and again by the sweeper.
    func check(_ now: NIODeadline) {
        guard now >= deadline, let context else { return }
        deadline = .distantFuture
        switch state {
        case .receiving(let head, _): refuse(.slowRequest, head, context)
        case .waiting where isHeadArriving:
            hasHeadTimedOut = true
            context.pipeline.fireErrorCaught(HTTPParserError.invalidEOFState)
        default: context.close(promise: nil)
        }
    }

    /// Ends a connection on which nothing is going on; others end after their answer.
    func closeWhenIdle() {
        if case .waiting = state { context?.close(promise: nil) }
    }
}

/// Says that the first bytes of a request have arrived; sent from in front of the HTTP decoder.
struct FirstByte: Sendable {}

/// Tells the connection when bytes arrive, which the HTTP decoder shows only once the whole head is there; and reads on
/// while a request is answered.
///
/// `HTTPServerPipelineHandler` reads no further until the answer is out. To take the socket out of the kernel's list of
/// those that are watched and to put it back is two system calls a request; what comes early is taken in instead, and
/// waits behind that handler. Beyond `aheadBytesMax` the client waits, as it does there.
final class ByteWatcher: ChannelInboundHandler, ChannelOutboundHandler, RemovableChannelHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundIn = ByteBuffer

    /// Bytes since somebody behind us has asked for more.
    private var aheadBytes = 0

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        aheadBytes += unwrapInboundIn(data).readableBytes
        // The event overtakes the bytes, so that the head's timer is replaced by what follows the head.
        context.fireUserInboundEventTriggered(FirstByte())
        context.fireChannelRead(data)
    }

    func channelReadComplete(context: ChannelHandlerContext) {
        context.fireChannelReadComplete()
        if aheadBytes <= ConnectionLimits.aheadBytesMax { context.read() }
    }

    func read(context: ChannelHandlerContext) {
        aheadBytes = 0
        context.read()
    }
}
