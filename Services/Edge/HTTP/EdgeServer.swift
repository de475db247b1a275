// SPDX-License-Identifier: Apache-2.0

internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// The public HTTP/1.1 server: accepts, bounds and ends connections.
final class EdgeServer: Sendable {
    private let channel: any Channel
    private let group: MultiThreadedEventLoopGroup
    private let sweepers: [NIOLoopBound<ConnectionSweeper>]
    private let loops: [any EventLoop]
    private let open: OpenCount
    let sockets: Sockets

    /// The port that it listens on.
    let port: Int

    /// Binds and serves from then on. Throws when the address is taken.
    init(
        address: String, port: Int, connectionsMax: Int, limits: ConnectionLimits, responder: any EdgeResponder,
        files: FileWriter, uplink: any SocketUplink, socketLimits: SocketLimits = SocketLimits(), threads: Int
    ) async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: threads)
        self.group = group
        var loops: [any EventLoop] = []
        for loop in group.makeIterator() { loops.append(loop) }
        self.loops = loops
        var sweepers: [NIOLoopBound<ConnectionSweeper>] = []
        var tables: [(loop: any EventLoop, table: NIOLoopBound<SocketTable>)] = []
        let counters = SocketCounters()
        for loop in loops {
            let (sweeper, table) = try await loop.submit {
                let sweeper = NIOLoopBound(ConnectionSweeper(), eventLoop: loop)
                loop.scheduleRepeatedTask(initialDelay: ConnectionSweeper.interval, delay: ConnectionSweeper.interval) {
                    _ in sweeper.value.sweep()
                }
                let table = NIOLoopBound(
                    SocketTable(limits: socketLimits, uplink: uplink, counters: counters), eventLoop: loop)
                loop.scheduleRepeatedTask(initialDelay: socketLimits.sweepInterval, delay: socketLimits.sweepInterval) {
                    _ in table.value.sweep()
                }
                return (sweeper, table)
            }.get()
            sweepers.append(sweeper)
            tables.append((loop, table))
        }
        self.sweepers = sweepers
        let sockets = Sockets(tables: tables, counters: counters)
        self.sockets = sockets
        let bounds = Dictionary(
            uniqueKeysWithValues: zip(loops.map { ObjectIdentifier($0) }, zip(sweepers, tables.map(\.table))))
        let open = OpenCount(max: connectionsMax)
        self.open = open
        // One body always fits.
        let room = BodyRoom(bytesMax: max(limits.bodiesBytesMax, limits.bodyBytesMax))
        channel = try await ServerBootstrap(group: group)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            // Who has said all gets its answer all the same.
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { child in
                guard let (sweeper, table) = bounds[ObjectIdentifier(child.eventLoop)], open.enter() else {
                    return child.eventLoop.makeFailedFuture(ChannelError.ioOnClosedChannel)
                }
                child.closeFuture.whenComplete { _ in open.leave() }
                return child.eventLoop.makeCompletedFuture {
                    let pipeline = child.pipeline.syncOperations
                    try pipeline.addHandler(ByteWatcher())
                    var encoder = HTTPResponseEncoder.Configuration()
                    encoder.automaticallySetFramingHeaders = false
                    var decoder = NIOHTTPDecoderLimitConfiguration()
                    decoder.maxHeaderFieldSize = ConnectionLimits.headLineBytesMax
                    decoder.maxHeaderListSize = ConnectionLimits.headBytesMax
                    decoder.maxHeaderFieldCount = ConnectionLimits.headFieldsMax
                    // As `configureHTTPServerPipeline` does it, but for two things: the connection answers what is no
                    // HTTP itself, in our words, and what comes behind a handshake is for the WebSocket.
                    try pipeline.addHandlers([
                        HTTPResponseEncoder(configuration: encoder),
                        ByteToMessageHandler(
                            HTTPRequestDecoder(leftOverBytesStrategy: .forwardBytes, limitConfiguration: decoder)),
                        HTTPServerPipelineHandler(), NIOHTTPResponseHeadersValidator(),
                        ConnectionHandler(
                            responder: responder, limits: limits, writer: files, sweeper: sweeper.value,
                            sockets: table.value, room: room),
                    ] as [any ChannelHandler])
                }
            }
            .bind(host: address, port: port).get()
        self.port = channel.localAddress?.port ?? port
    }

    /// Open connections.
    var connections: Int { open.value }

    /// Accepts no more, lets running answers finish for at most `limit`, then ends what is left.
    ///
    /// `farewell` runs when no connection is left, or none that ends by itself, and the event loops still do.
    func stop(within limit: Duration, farewell: () async -> Void = {}) async {
        try? await channel.close()
        for (loop, sweeper) in zip(loops, sweepers) { loop.execute { sweeper.value.beginClosing() } }
        for (loop, table) in sockets.tables { loop.execute { table.value.beginClosing() } }
        let end = ContinuousClock.now + limit
        while open.value > 0, ContinuousClock.now < end { try? await Task.sleep(for: .milliseconds(10)) }
        await farewell()
        try? await group.shutdownGracefully()
    }
}

/// Counts open connections up to a bound.
final class OpenCount: Sendable {
    private let count = Atomic<Int>(0)
    private let max: Int

    init(max: Int) { self.max = max }

    var value: Int { count.load(ordering: .relaxed) }

    func enter() -> Bool {
        guard count.wrappingAdd(1, ordering: .relaxed).oldValue < max else {
            leave()
            return false
        }
        return true
    }

    func leave() { count.wrappingSubtract(1, ordering: .relaxed) }
}
