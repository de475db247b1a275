// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOPosix
import Synchronization

/// A server that answers every connection's first bytes with what a test says, and counts.
final class TestUpstream: Sendable {
    let port: Int
    private let channel: any Channel
    private let counts: Counts

    final class Counts: Sendable {
        let connections = Atomic<Int>(0)
        let requests = Atomic<Int>(0)
        let texts = Mutex<[String]>([])
    }

    var connections: Int { counts.connections.load(ordering: .relaxed) }
    var requests: Int { counts.requests.load(ordering: .relaxed) }
    /// What arrived, one text per request.
    var texts: [String] { counts.texts.withLock { $0 } }

    /// `answer` gets the number of the request, from 1 on; nil ends the connection without an answer, an empty text lets it
    /// wait for ever. What ends with "!" ends the connection after it.
    init(_ answer: @escaping @Sendable (Int) -> String?) async throws {
        let counts = Counts()
        channel = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    counts.connections.wrappingAdd(1, ordering: .relaxed)
                    try channel.pipeline.syncOperations.addHandler(Responder(counts: counts, answer: answer))
                }
            }.bind(host: "127.0.0.1", port: 0).get()
        port = channel.localAddress?.port ?? 0
        self.counts = counts
    }

    func close() async { try? await channel.close() }

    private final class Responder: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        let counts: Counts
        let answer: @Sendable (Int) -> String?

        init(counts: Counts, answer: @escaping @Sendable (Int) -> String?) {
            self.counts = counts
            self.answer = answer
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            counts.texts.withLock { $0.append(String(buffer: unwrapInboundIn(data))) }
            let number = counts.requests.wrappingAdd(1, ordering: .relaxed).newValue
            guard var text = answer(number) else { return context.close(promise: nil) }
            guard !text.isEmpty else { return }
            let closes = text.hasSuffix("!")
            if closes { text.removeLast() }
            let written = context.eventLoop.makePromise(of: Void.self)
            let channel = context.channel
            written.futureResult.whenComplete { _ in if closes { channel.close(promise: nil) } }
            context.writeAndFlush(NIOAny(ByteBuffer(string: text)), promise: written)
        }
    }
}
