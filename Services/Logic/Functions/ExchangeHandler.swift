// SPDX-License-Identifier: Apache-2.0

internal import MartletWire
internal import NIOCore
internal import NIOHTTP1

/// Why there is no answer.
struct ExchangeFailure: Error, Sendable {
    enum Reason: Sendable {
        /// Nobody listens.
        case refused
        /// Somebody listens, who takes no more connections now.
        case full
        /// The other side ended the connection, or broke HTTP.
        case closed
        case answerTooLarge
        /// No head, or no whole answer, in time.
        case timedOut
        case cancelled
    }

    var reason: Reason
    /// Whether the head of the request may have arrived.
    var wasDelivered: Bool
    /// Whether a byte of an answer came.
    var hasAnswerBegun = false
    var detail = ""
}

/// The client's end of one connection: one request, its whole answer, and again.
final class ExchangeHandler: ChannelInboundHandler {
    typealias InboundIn = HTTPClientResponsePart
    typealias OutboundOut = HTTPClientRequestPart

    /// The answer, and whether the connection can carry another request.
    typealias Outcome = Result<(response: FunctionResponse, isReusable: Bool), ExchangeFailure>

    private struct Exchange {
        let complete: @Sendable (Outcome) -> Void
        var head: NIOHTTP1.HTTPResponseHead?
        var body = ByteBuffer()
        var headTimer: Scheduled<Void>?
        let timer: Scheduled<Void>
        var isHeadWritten = false
    }

    private var exchange: Exchange?
    private var context: ChannelHandlerContext?

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }
    func handlerRemoved(context: ChannelHandlerContext) { self.context = nil }

    /// Sends a request; on the event loop. `complete` is called once.
    func begin(
        _ request: FunctionRequest, headWithin headTime: TimeAmount, within time: TimeAmount,
        _ complete: @escaping @Sendable (Outcome) -> Void
    ) {
        guard let context, exchange == nil, context.channel.isActive else {
            return complete(.failure(ExchangeFailure(reason: .closed, wasDelivered: false)))
        }
        let loop = context.eventLoop
        let bound = NIOLoopBound(self, eventLoop: loop)
        let giveUp = { @Sendable in bound.value.fail(.timedOut) }
        exchange = Exchange(
            complete: complete, headTimer: loop.scheduleTask(in: headTime, giveUp),
            timer: loop.scheduleTask(in: time, giveUp))
        var headers = HTTPHeaders()
        headers.reserveCapacity(request.headers.count + 1)
        for field in request.headers { headers.add(name: field.name, value: field.value) }
        let hasBody = request.body.readableBytes > 0
        if hasBody || !["GET", "HEAD", "OPTIONS"].contains(request.method) {
            headers.add(name: "content-length", value: String(request.body.readableBytes))
        }
        let head = NIOHTTP1.HTTPRequestHead(
            version: .http1_1, method: HTTPMethod(rawValue: request.method), uri: request.target, headers: headers)
        let written = loop.makePromise(of: Void.self)
        written.futureResult.whenSuccess { bound.value.exchange?.isHeadWritten = true }
        context.write(wrapOutboundOut(.head(head)), promise: written)
        if hasBody { context.write(wrapOutboundOut(.body(.byteBuffer(request.body))), promise: nil) }
        context.writeAndFlush(wrapOutboundOut(.end(nil)), promise: nil)
    }

    /// Gives the request up; on the event loop.
    func cancel() { fail(.cancelled) }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard exchange != nil else { return context.close(promise: nil) }
        switch unwrapInboundIn(data) {
        case .head(let head):
            // We ask for no upgrade, and a client could not be told of a status that HTTP does not have.
            guard (200...599).contains(head.status.code) else {
                return fail(.closed, "the status is \(head.status.code)")
            }
            exchange?.head = head
            exchange?.headTimer?.cancel()
            exchange?.headTimer = nil
            let bytes = head.headers.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count + 4 }
            if bytes > FunctionLimits.answerHeadBytesMax { fail(.answerTooLarge, "the head has \(bytes) bytes") }
        case .body(var part):
            guard let size = exchange.map({ $0.body.readableBytes + part.readableBytes }) else { return }
            guard size <= FunctionLimits.answerBytesMax else {
                return fail(.answerTooLarge, "the body has more than \(FunctionLimits.answerBytesMax) bytes")
            }
            if exchange?.body.readableBytes == 0 { exchange?.body = part } else { exchange?.body.writeBuffer(&part) }
        case .end: finish(context)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        fail(.closed, "the connection ended")
        context.fireChannelInactive()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        // Between two calls as well: what the decoder has choked on would spoil the next answer.
        guard exchange != nil else { return context.close(promise: nil) }
        fail(.closed, "\(error)")
    }

    private func finish(_ context: ChannelHandlerContext) {
        guard let done = exchange, let head = done.head else { return fail(.closed, "an answer without a head") }
        exchange = nil
        done.timer.cancel()
        // Some servers send a body where HTTP allows none (RFC 9112, section 6.3), and it may come later.
        let hasNoBody = head.status == .noContent || head.status == .notModified
        let isReusable = head.isKeepAlive && !hasNoBody && done.isHeadWritten && context.channel.isActive
        if !isReusable { context.close(promise: nil) }
        let response = FunctionResponse(
            status: UInt16(clamping: head.status.code),
            headers: head.headers.map { HTTPField($0.name.lowercased(), $0.value) }, body: done.body)
        done.complete(.success((response, isReusable)))
    }

    private func fail(_ reason: ExchangeFailure.Reason, _ detail: String = "") {
        guard let failed = exchange else { return }
        exchange = nil
        failed.headTimer?.cancel()
        failed.timer.cancel()
        context?.close(promise: nil)
        failed.complete(
            .failure(
                ExchangeFailure(
                    reason: reason, wasDelivered: failed.isHeadWritten, hasAnswerBegun: failed.head != nil,
                    detail: detail)))
    }
}
