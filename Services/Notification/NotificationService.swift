// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletAccessTokens
internal import MartletBus
package import MartletServiceKit
package import MartletWire
internal import NIOCore
internal import ServiceLifecycle

/// The notification service: live channels behind the edge's WebSockets, broadcasts over HTTP, and mails.
package final class NotificationService: MartletService {
    package static let name = ServiceName.notification

    /// What data publishes when the log has grown.
    private static let doorbell = Array("log/rows".utf8)
    private static let tickInterval = Duration.seconds(1)

    private let context: ServiceContext
    private let hub: Hub
    private let keys: KeyWatcher
    private let feed: FeedReader
    private let mailer: Mailer
    private let feedWakes: AsyncStream<Void>
    private let wakeFeed: AsyncStream<Void>.Continuation

    package init(_ context: ServiceContext) async throws {
        self.context = context
        let settings = context.settings
        let verifier: TokenVerifier
        do {
            let keys = try ProjectKeys.loadOrMake(
                directory: context.dataDirectory.keys, production: context.mode == .production, now: WallTime.now.seconds)
            verifier = try TokenVerifier(
                legacySecret: settings[\.auth.jwtSecret] ?? keys.jwtSecret, fixedKeys: keys.jwks)
        } catch {
            throw StartFailure(.configuration, "The project's keys cannot be read: \(error)")
        }
        let keys = KeyWatcher(verifier: verifier, bus: context.bus, logger: context.logger)
        let limits = HubLimits(settings)
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        let hub = Hub(
            limits: limits, clock: HubClock(now: { .now }, unixSeconds: { WallTime.now.seconds }), verifier: verifier,
            metrics: HubMetrics(context.metrics), thread: HubThread(), askForKeys: { keys.ask() },
            wakeFeed: { wake.yield() })
        feed = FeedReader(
            hub: hub, source: BusFeedSource(bus: context.bus), logger: context.logger,
            losses: context.metrics.counter(
                "martlet_notification_feed_losses_total", "Times that changes were no longer in the log."))
        feedWakes = wakes
        wakeFeed = wake
        self.keys = keys
        self.hub = hub
        let methods = HubMethods(hub: hub)
        context.bus.handle(MethodRegistry.realtimeSend) { await methods.send($0) }
        context.bus.handle(MethodRegistry.realtimeReceive) { await methods.receive($0) }
        let mailer = try Mailer(context)
        self.mailer = mailer
        context.bus.handle(MethodRegistry.mailSend) { await mailer.send($0) }
        let route = BroadcastRoute(hub: hub, payloadBytesMax: limits.broadcastBytesMax)
        let mailRoute = MailRoute(
            accept: { order, key, deadline async throws(MailRefusal) in
                try await mailer.accept(order, caller: "http", key: key, deadline: deadline)
            }, catcher: mailer.catcher, operations: mailer.operations)
        for method in [MethodRegistry.httpRead, MethodRegistry.httpWrite] {
            context.bus.handle(method) { await Self.answer($0, route, mailRoute) }
        }
    }

    package func run() async throws {
        // A child says true when the service is to end; only the mailer throws, when it cannot ever start.
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask { [mailer] in
                do { try await mailer.run() } catch is CancellationError {}
                return false
            }
            group.addTask { [keys, hub] in
                await keys.run(for: hub)
                return false
            }
            group.addTask { [hub] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.tickInterval)
                    await hub.tick()
                }
                return false
            }
            group.addTask { [feed, feedWakes] in
                await feed.run(wakes: feedWakes)
                return false
            }
            group.addTask { [wakeFeed] in
                while !Task.isCancelled {
                    wakeFeed.yield()
                    try? await Task.sleep(for: FeedReader.idleInterval)
                }
                return false
            }
            group.addTask { [context, wakeFeed] in
                await context.bus.withSubscription(to: .data, topic: Self.doorbell) { events in
                    for await _ in events { wakeFeed.yield() }
                }
                return false
            }
            group.addTask {
                try? await gracefulShutdown()
                return true
            }
            context.readiness.set(.ready)
            while let isEnd = try await group.next(), !isEnd {}
            group.cancelAll()
        }
        // Waiting edges are answered now, else the bus would wait for them.
        await hub.drain()
        try Task.checkCancellation()
    }

    package func close() async {
        hub.thread.end()
        await mailer.close()
    }

    private static func answer(
        _ request: InboundRequest, _ route: BroadcastRoute, _ mails: MailRoute
    ) async -> OutboundReply {
        guard let head = request.header.http else {
            return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no, message: "no HTTP head"))
        }
        let body = Array(request.payload.readableBytesView)
        if let answer = await mails.answer(request.header, head, body: body, deadline: request.deadline) {
            let fields = [HTTPField("content-type", answer.contentType)] + answer.fields
            return OutboundReply(
                header: ReplyHeader(http: HTTPResponseHead(status: answer.status, fields: fields)),
                payload: ByteBuffer(string: answer.body))
        }
        let answer = await route.answer(
            head, body: body, principal: request.header.principal)
        var response = HTTPResponseHead(status: answer.status)
        if !answer.body.isEmpty { response.fields = [HTTPField("Content-Type", "application/json")] }
        return OutboundReply(header: ReplyHeader(http: response), payload: ByteBuffer(string: answer.body))
    }
}
