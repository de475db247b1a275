// SPDX-License-Identifier: Apache-2.0

import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket
import Testing

@testable import MartletEdge

/// A client of WebSockets that sends exactly the bytes it is told to, and blocks no thread.
final class TestSocket {
    enum Received: Equatable, Sendable {
        case text(String)
        case binary([UInt8])
        case ping
        case pong([UInt8])
        case close(UInt16?, String)
    }

    /// Of the answer to the handshake.
    let head: String
    private let channel: any Channel
    private var frames: AsyncStream<Received>.Iterator

    static let handshake =
        "GET /ws?apikey=k&vsn=2.0.0 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        + "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

    /// Shakes hands, with `behind` in the same segment. The head says whether it was let in.
    init(
        port: Int, behind: [UInt8] = [], receiveBufferBytes: Int? = nil, answersPings: Bool = false
    ) async throws {
        let (heads, headIn) = AsyncStream.makeStream(of: String.self)
        let (frames, framesIn) = AsyncStream.makeStream(of: Received.self)
        var bootstrap = ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandlers([
                        HeadReader(headIn), ByteToMessageHandler(WebSocketFrameDecoder(maxFrameSize: 16 << 20)),
                        FrameReader(framesIn, answersPings: answersPings),
                    ])
                }
            }
        if let receiveBufferBytes {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: .init(receiveBufferBytes))
        }
        channel = try await bootstrap.connect(host: "127.0.0.1", port: port).get()
        var bytes = ByteBuffer(string: Self.handshake)
        bytes.writeBytes(behind)
        try await channel.writeAndFlush(bytes)
        var iterator = heads.makeAsyncIterator()
        head = await iterator.next(isolation: #isolation) ?? ""
        self.frames = frames.makeAsyncIterator()
    }

    deinit { channel.close(promise: nil) }

    /// The next frame; nil at the end of the connection.
    func next() async -> Received? { await frames.next(isolation: #isolation) }

    func send(_ bytes: [UInt8]) { channel.writeAndFlush(ByteBuffer(bytes: bytes), promise: nil) }

    func send(_ text: String) { send(Self.frame(1, Array(text.utf8))) }

    /// Writes on, and returns once the system has taken it: not before the server reads.
    func sendAndWait(_ bytes: [UInt8]) async throws { try await channel.writeAndFlush(ByteBuffer(bytes: bytes)) }

    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
        if isReading { channel.read() }
    }

    func end() async { try? await channel.close() }

    /// A client's frame, masked.
    static func frame(_ opcode: UInt8, _ payload: [UInt8], fin: Bool = true) -> [UInt8] {
        var frame: [UInt8] = [(fin ? 0x80 : 0) | opcode]
        switch payload.count {
        case ...125: frame.append(0x80 | UInt8(payload.count))
        case ...65_535: frame += [0x80 | 126, UInt8(payload.count >> 8), UInt8(payload.count & 0xFF)]
        default: frame += [0x80 | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        let mask: [UInt8] = [9, 8, 7, 6]
        return frame + mask + payload.enumerated().map { $1 ^ mask[$0 % 4] }
    }

    /// Reads the answer's head, then passes everything on.
    private final class HeadReader: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        typealias InboundOut = ByteBuffer
        private let heads: AsyncStream<String>.Continuation
        private var pending = ByteBuffer()
        private var isDone = false

        init(_ heads: AsyncStream<String>.Continuation) { self.heads = heads }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            guard !isDone else { return context.fireChannelRead(data) }
            var bytes = unwrapInboundIn(data)
            pending.writeBuffer(&bytes)
            let end = Array("\r\n\r\n".utf8)
            let view = pending.readableBytesView
            guard let start = view.indices.first(where: { view[$0...].starts(with: end) }) else { return }
            isDone = true
            heads.yield(pending.readString(length: start - pending.readerIndex + 4) ?? "")
            heads.finish()
            if pending.readableBytes > 0 { context.fireChannelRead(wrapInboundOut(pending)) }
        }

        func channelInactive(context: ChannelHandlerContext) {
            heads.finish()
            context.fireChannelInactive()
        }
    }

    private final class FrameReader: ChannelInboundHandler {
        typealias InboundIn = WebSocketFrame
        typealias OutboundOut = ByteBuffer
        private let frames: AsyncStream<Received>.Continuation
        private let answersPings: Bool

        init(_ frames: AsyncStream<Received>.Continuation, answersPings: Bool) {
            self.frames = frames
            self.answersPings = answersPings
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let frame = unwrapInboundIn(data)
            var bytes = frame.data
            // The server masks nothing.
            if frame.maskKey != nil { return frames.finish() }
            switch frame.opcode {
            case .text: frames.yield(.text(String(buffer: bytes)))
            case .binary: frames.yield(.binary(Array(bytes.readableBytesView)))
            case .ping:
                frames.yield(.ping)
                guard answersPings else { return }
                context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: TestSocket.frame(10, []))), promise: nil)
            case .pong: frames.yield(.pong(Array(bytes.readableBytesView)))
            case .connectionClose:
                let code = bytes.readInteger(as: UInt16.self)
                frames.yield(.close(code, String(buffer: bytes)))
            default: frames.finish()
            }
        }

        func channelInactive(context: ChannelHandlerContext) { frames.finish() }

        // What is no HTTP comes here as a broken frame.
        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
    }
}

/// Remembers what sockets said.
final class RecordingUplink: SocketUplink {
    enum Event: Equatable, Sendable {
        case opened(String)
        case text(String, String)
        case binary(String, [UInt8])
        case closed(String, UInt16, String)
    }

    let room: BodyRoom
    let (events, continuation) = AsyncStream.makeStream(of: Event.self)
    private let session: UInt64?

    init(roomBytes: Int = 128 << 20, session: UInt64? = 1) {
        room = BodyRoom(bytesMax: roomBytes)
        self.session = session
    }

    func open(_ socket: String, _ request: SocketRequest) -> UInt64? {
        continuation.yield(.opened(socket))
        return session
    }

    func send(_ socket: String, isBinary: Bool, _ bytes: ByteBuffer, session: UInt64) -> Bool {
        continuation.yield(
            isBinary ? .binary(socket, Array(bytes.readableBytesView)) : .text(socket, String(buffer: bytes)))
        return true
    }

    func close(_ socket: String, code: UInt16, reason: String, session: UInt64) {
        continuation.yield(.closed(socket, code, reason))
    }
}

/// Lets everybody in at `/ws`.
struct OpenDoor: EdgeResponder {
    func begin(_ request: EdgeRequest, _ answer: @escaping @Sendable (EdgeResponse) -> Void) -> Task<Void, Never> {
        answer(EdgeResponse(status: 404))
        return Task {}
    }

    func open(_ request: EdgeRequest, _ answer: @escaping @Sendable (UpgradeAnswer) -> Void) -> Task<Void, Never> {
        guard let target = RequestTarget(request.target), target.path == "/ws" else {
            return begin(request) { answer(.response($0)) }
        }
        answer(
            .socket(
                SocketRequest(
                    query: target.query, clientAddress: request.peer,
                    serializer: target.parameter("vsn") == "2.0.0" ? 2 : 1, role: "anon", claims: #"{"role":"anon"}"#,
                    token: "t", expiresAt: 7)))
        return Task {}
    }

    func refuse(_ error: EdgeError, target: String?, headers: HTTPHeaders?, peer: String) -> EdgeResponse {
        EdgeResponse(status: error.status)
    }

    /// A server with this door, while `test` runs, which may stop it itself.
    static func with(
        _ uplink: any SocketUplink, limits: SocketLimits = SocketLimits(), stops: Bool = true,
        _ test: (EdgeServer) async throws -> Void
    ) async throws {
        let pool = NIOThreadPool(numberOfThreads: 1)
        pool.start()
        let server = try await EdgeServer(
            address: "127.0.0.1", port: 0, connectionsMax: 5_000,
            limits: ConnectionLimits(
                bodyBytesMax: 1_000, headTimeout: .seconds(30), bodyTimeout: .seconds(30), idleTimeout: .seconds(30)),
            responder: OpenDoor(), files: FileWriter(pool: pool), uplink: uplink, socketLimits: limits, threads: 1)
        do { try await test(server) } catch {
            await server.stop(within: .zero)
            throw error
        }
        if stops { await server.stop(within: .zero) }
        try await pool.shutdownGracefully()
    }
}
