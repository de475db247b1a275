// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Logging
internal import MartletAccessTokens
package import MartletServiceKit
package import MartletWire
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle
internal import Synchronization

/// `martlet-edge`: the one door for frontends. Routes, project keys, token checks, CORS, limits, the site. Keeps nothing.
package struct EdgeService: MartletService {
    package static let name = ServiceName.edge

    /// Event loops. One carries tens of thousands of requests a second; the work is in the services.
    private static let threads = 1
    /// Descriptors that are not for clients: the bus, files, logs.
    private static let descriptorsReserved = 256
    /// How long running answers may take when the edge is asked to stop.
    private static let stopMax = Duration.seconds(20)
    /// How long notification may take to hear of the last sockets' end.
    private static let farewellMax = Duration.seconds(2)

    private let context: ServiceContext
    private let gatekeeper: Gatekeeper

    package init(_ context: ServiceContext) async throws {
        self.context = context
        let settings = context.settings
        do {
            let keys = try ProjectKeys.loadOrMake(
                directory: context.dataDirectory.keys, production: context.mode == .production, now: WallTime.now.seconds)
            let verifier = try TokenVerifier(
                legacySecret: settings[\.auth.jwtSecret] ?? keys.jwtSecret, fixedKeys: keys.jwks)
            gatekeeper = Gatekeeper(verifier: verifier, keys: keys)
        } catch {
            throw StartFailure(.configuration, "The project's keys cannot be read: \(error)")
        }
    }

    /// The configured bound, or what the system allows if that is less.
    private func connectionsMax() -> Int {
        let wanted = context.settings[\.edge.connectionsMax]
        let possible = max(16, OpenFilesLimit.raise() - Self.descriptorsReserved)
        guard possible < wanted else { return wanted }
        context.logger.warning(
            "The limit of open files allows fewer connections than configured.",
            metadata: ["connections.configured": "\(wanted)", "connections.possible": "\(possible)"])
        return possible
    }

    package func run() async throws {
        let (context, settings) = (context, context.settings)
        let bus = context.bus
        let refresher = KeyRefresher(
            verifier: gatekeeper.verifier, logger: context.logger, ask: { try await PublishedKeys.asked(over: bus) })
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let socketLimits = SocketLimits()
        let link = RealtimeLink(
            bus: bus, instance: context.instance, logger: context.logger,
            room: BodyRoom(bytesMax: socketLimits.roomBytesMax))
        let open = OpenSockets()
        let door = FrontDoor(
            context: context, gatekeeper: gatekeeper, refresher: refresher,
            site: StaticSite(root: context.project.site, pool: pool),
            health: HealthReport(bus: context.bus, readiness: context.readiness), link: link,
            metrics: EdgeMetrics(context.metrics) { open.value(link) })
        let server: EdgeServer
        do {
            server = try await EdgeServer(
                address: settings[\.edge.address], port: settings[\.edge.port],
                connectionsMax: connectionsMax(),
                limits: ConnectionLimits(
                    bodyBytesMax: settings[\.edge.bodyBytesMax],
                    largeBodyBytesMax: settings[\.edge.functionBodyBytesMax],
                    headTimeout: TimeAmount(settings[\.edge.headTimeout]),
                    bodyTimeout: TimeAmount(settings[\.edge.bodyTimeout]),
                    idleTimeout: TimeAmount(settings[\.edge.idleTimeout])),
                responder: door, files: FileWriter(pool: pool), uplink: link, socketLimits: socketLimits,
                threads: Self.threads)
        } catch {
            try? await pool.shutdownGracefully()
            throw StartFailure(
                .unavailable, "api.port: \(settings[\.edge.address]):\(settings[\.edge.port]) cannot be bound: \(error)"
            )
        }
        open.follow(server)
        let address = settings[\.edge.address]
        context.announce("http", "http://\(address.contains(":") ? "[\(address)]" : address):\(server.port)")
        context.readiness.set(.ready)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await refresher.run() }
            group.addTask { await link.run(server.sockets) }
            try? await gracefulShutdown()
            await server.stop(within: Self.stopMax) {
                // Said while there is somebody to hear it, so that presence ends with the sockets.
                await link.drain(within: Self.farewellMax)
            }
            group.cancelAll()
        }
        try? await pool.shutdownGracefully()
    }
}

/// Lets metrics, which are made first, read what the server has open.
private final class OpenSockets: Sendable {
    private let server = Mutex<EdgeServer?>(nil)

    func follow(_ server: EdgeServer) { self.server.withLock { $0 = server } }

    func value(_ link: RealtimeLink) -> EdgeMetrics.Open {
        guard let server = server.withLock({ $0 }) else { return EdgeMetrics.Open() }
        let counters = server.sockets.counters
        return EdgeMetrics.Open(
            connections: server.connections, sockets: counters.open.load(ordering: .relaxed),
            unwrittenBytes: counters.unwrittenBytes.load(ordering: .relaxed),
            tooSlow: counters.tooSlow.load(ordering: .relaxed),
            pauses: counters.pauses.load(ordering: .relaxed),
            sessionsLost: link.sessionsLost.load(ordering: .relaxed))
    }
}
