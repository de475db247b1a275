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

    private let context: ServiceContext
    private let gatekeeper: Gatekeeper

    package init(_ context: ServiceContext) async throws {
        self.context = context
        let settings = context.settings
        do {
            let keys = try ProjectKeys.loadOrMake(
                directory: context.dataDirectory.keys, production: context.mode == .production, now: Int64(time(nil)))
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
        let count = ConnectionCount()
        let door = FrontDoor(
            context: context, gatekeeper: gatekeeper, refresher: refresher,
            site: StaticSite(root: context.project.site, pool: pool),
            health: HealthReport(bus: context.bus, readiness: context.readiness),
            metrics: EdgeMetrics(context.metrics) { count.value })
        let server: EdgeServer
        do {
            server = try await EdgeServer(
                address: settings[\.edge.address], port: settings[\.edge.port],
                connectionsMax: connectionsMax(),
                limits: ConnectionLimits(
                    bodyBytesMax: settings[\.edge.bodyBytesMax], headTimeout: TimeAmount(settings[\.edge.headTimeout]),
                    bodyTimeout: TimeAmount(settings[\.edge.bodyTimeout]),
                    idleTimeout: TimeAmount(settings[\.edge.idleTimeout])),
                responder: door, files: FileWriter(pool: pool), threads: Self.threads)
        } catch {
            try? await pool.shutdownGracefully()
            throw StartFailure(
                .unavailable, "api.port: \(settings[\.edge.address]):\(settings[\.edge.port]) cannot be bound: \(error)")
        }
        count.follow(server)
        let address = settings[\.edge.address]
        context.announce("http", "http://\(address.contains(":") ? "[\(address)]" : address):\(server.port)")
        context.readiness.set(.ready)
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await refresher.run() }
            try? await gracefulShutdown()
            group.cancelAll()
        }
        await server.stop(within: Self.stopMax)
        try? await pool.shutdownGracefully()
    }
}

/// Lets metrics, which are made first, read the server's connections.
private final class ConnectionCount: Sendable {
    private let server = Mutex<EdgeServer?>(nil)
    var value: Int { server.withLock { $0 }?.connections ?? 0 }
    func follow(_ server: EdgeServer) { self.server.withLock { $0 = server } }
}
