// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import MartletAccessTokens
internal import MartletBus
package import MartletServiceKit
package import MartletWire
internal import NIOCore
internal import ServiceLifecycle

/// The notification service: live channels behind the edge's WebSockets, and broadcasts over HTTP.
package final class NotificationService: MartletService {
    package static let name = ServiceName.notification

    private static let tickInterval = Duration.seconds(1)

    private let context: ServiceContext
    private let hub: Hub
    private let keys: KeyWatcher

    package init(_ context: ServiceContext) async throws {
        self.context = context
        let settings = context.settings
        let verifier: TokenVerifier
        do {
            let keys = try ProjectKeys.loadOrMake(
                directory: context.dataDirectory.keys, production: context.mode == .production, now: Int64(time(nil)))
            verifier = try TokenVerifier(
                legacySecret: settings[\.auth.jwtSecret] ?? keys.jwtSecret, fixedKeys: keys.jwks)
        } catch {
            throw StartFailure(.configuration, "The project's keys cannot be read: \(error)")
        }
        let keys = KeyWatcher(verifier: verifier, bus: context.bus, logger: context.logger)
        let limits = HubLimits(settings)
        let hub = Hub(
            limits: limits, clock: HubClock(now: { .now }, unixSeconds: { Int64(time(nil)) }), verifier: verifier,
            metrics: HubMetrics(context.metrics), thread: HubThread(), askForKeys: { keys.ask() })
        self.keys = keys
        self.hub = hub
        let methods = HubMethods(hub: hub)
        context.bus.handle(MethodRegistry.realtimeSend) { await methods.send($0) }
        context.bus.handle(MethodRegistry.realtimeReceive) { await methods.receive($0) }
        let route = BroadcastRoute(hub: hub, payloadBytesMax: limits.broadcastBytesMax)
        for method in [MethodRegistry.httpRead, MethodRegistry.httpWrite] {
            context.bus.handle(method) { await Self.answer($0, route) }
        }
    }

    package func run() async throws {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [keys, hub] in await keys.run(for: hub) }
            group.addTask { [hub] in
                while !Task.isCancelled {
                    try? await Task.sleep(for: Self.tickInterval)
                    await hub.tick()
                }
            }
            context.readiness.set(.ready)
            try? await gracefulShutdown()
            group.cancelAll()
        }
        // Waiting edges are answered now, else the bus would wait for them.
        await hub.drain()
        try Task.checkCancellation()
    }

    package func close() async { hub.thread.end() }

    private static func answer(_ request: InboundRequest, _ route: BroadcastRoute) async -> OutboundReply {
        guard let head = request.header.http else {
            return OutboundReply(header: ReplyHeader(code: .badMessage, executed: .no, message: "no HTTP head"))
        }
        let answer = await route.answer(
            head, body: Array(request.payload.readableBytesView), principal: request.header.principal)
        var response = HTTPResponseHead(status: answer.status)
        if !answer.body.isEmpty { response.fields = [HTTPField("Content-Type", "application/json")] }
        return OutboundReply(header: ReplyHeader(http: response), payload: ByteBuffer(string: answer.body))
    }
}
