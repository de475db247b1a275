// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import ServiceLifecycle

/// Probes and metrics of one service on a port of their own: `/livez`, `/readyz`, `/metrics`.
///
/// It stays up until everything else has stopped, so that an orchestrator sees a draining service as not ready.
final class AdminServer: Service, Sendable {
    /// Connections of probes and scrapers; one more is closed at once.
    static let connectionsMax = 64
    /// A connection on which nothing is read for so long is closed.
    static let idleMax = TimeAmount.seconds(30)

    private let channel: any Channel

    /// The port that it listens on.
    let port: Int

    /// Binds; serves from then on until `run` ends. Throws when the port is taken.
    init(
        address: String, port: Int, source: AdminSource, group: any EventLoopGroup
    ) async throws {
        let gate = ConnectionGate(max: Self.connectionsMax)
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 64)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { child in
                guard gate.enter() else { return child.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel) }
                child.closeFuture.whenComplete { _ in gate.leave() }
                return child.eventLoop.makeCompletedFuture {
                    try child.pipeline.syncOperations.addHandler(IdleStateHandler(readTimeout: Self.idleMax))
                    try child.pipeline.syncOperations.configureHTTPServerPipeline()
                    try child.pipeline.syncOperations.addHandler(AdminHandler(source: source))
                }
            }
            .bind(host: address, port: port).get()
        self.port = channel.localAddress?.port ?? port
    }

    func run() async throws {
        try? await gracefulShutdown()
        try? await channel.close()
    }
}
