// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import NIOCore
internal import NIOHTTP1
internal import NIOPosix
internal import Synchronization

/// Connections to one endpoint, kept while they are of use.
final class FunctionConnections: Sendable {
    private struct Connection: Sendable {
        let channel: any Channel
        let handler: NIOLoopBound<ExchangeHandler>
        var lastUsed = ContinuousClock.now
    }

    private struct State {
        var idle: [Connection] = []
        var isClosed = false
    }

    let endpoint: FunctionEndpoint
    private let group: any EventLoopGroup
    private let state = Mutex(State())

    init(_ endpoint: FunctionEndpoint, group: any EventLoopGroup) {
        self.endpoint = endpoint
        self.group = group
    }

    /// Sends a request and waits for its whole answer. Repeats it on a new connection only where the first cannot have
    /// had an effect: nothing was sent, or it was a GET or HEAD without a byte back.
    func exchange(
        _ request: FunctionRequest, idleTimeout: Duration, deadline: ContinuousClock.Instant
    ) async throws(ExchangeFailure) -> FunctionResponse {
        if let connection = takeIdle() {
            do throws(ExchangeFailure) {
                return try await exchange(request, on: connection, idleTimeout, deadline)
            } catch {
                let isRead = request.method == "GET" || request.method == "HEAD"
                #if MUTANT_FUNCTION_DELIVERED_REPEATED
                    guard error.reason == .closed, !error.hasAnswerBegun || isRead else { throw error }
                #else
                    guard error.reason == .closed, !error.wasDelivered || isRead && !error.hasAnswerBegun else {
                        throw error
                    }
                #endif
            }
        }
        return try await exchange(request, on: try await connect(until: deadline), idleTimeout, deadline)
    }

    /// Ends what is not in use; the rest ends after its answer.
    func close() {
        let idle = state.withLock { state in
            state.isClosed = true
            defer { state.idle = [] }
            return state.idle
        }
        for connection in idle { connection.channel.close(promise: nil) }
    }

    private func exchange(
        _ request: FunctionRequest, on connection: Connection, _ idleTimeout: Duration,
        _ deadline: ContinuousClock.Instant
    ) async throws(ExchangeFailure) -> FunctionResponse {
        let loop = connection.channel.eventLoop
        let handler = connection.handler
        let left = max(ContinuousClock.now.duration(to: deadline), .zero)
        let outcome = await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                loop.execute {
                    handler.value.begin(
                        request, headWithin: TimeAmount(min(idleTimeout, left)), within: TimeAmount(left)
                    ) { continuation.resume(returning: $0) }
                }
                // A cancellation that came before the line above found nothing to cancel.
                if Task.isCancelled { loop.execute { handler.value.cancel() } }
            }
        } onCancel: {
            loop.execute { handler.value.cancel() }
        }
        let (response, isReusable) = try outcome.get()
        if isReusable { giveBack(connection) }
        return response
    }

    private func takeIdle() -> Connection? {
        let oldest = ContinuousClock.now - FunctionLimits.connectionIdleMax
        let (found, old) = state.withLock { state in
            // The newest stands last.
            let fresh = state.idle.firstIndex { $0.lastUsed > oldest } ?? state.idle.endIndex
            let old = Array(state.idle[..<fresh])
            state.idle.removeFirst(fresh)
            return (state.idle.popLast(), old)
        }
        for connection in old { connection.channel.close(promise: nil) }
        return found?.channel.isActive == true ? found : nil
    }

    private func giveBack(_ connection: Connection) {
        var connection = connection
        connection.lastUsed = .now
        let isKept = state.withLock { state in
            guard !state.isClosed, state.idle.count < FunctionLimits.connectionsIdleMax else { return false }
            state.idle.append(connection)
            return true
        }
        if !isKept { connection.channel.close(promise: nil) }
    }

    private func connect(until deadline: ContinuousClock.Instant) async throws(ExchangeFailure) -> Connection {
        let left = max(ContinuousClock.now.duration(to: deadline), .milliseconds(1))
        let bootstrap = ClientBootstrap(group: group)
            .connectTimeout(TimeAmount(min(left, FunctionLimits.connectMax)))
        let connecting =
            switch endpoint {
            case .socket(let path): bootstrap.connect(unixDomainSocketPath: path)
            case .tcp(let host, let port): bootstrap.connect(host: host, port: port)
            }
        let connected = connecting.flatMapThrowing { channel in
            let handler = ExchangeHandler()
            let pipeline = channel.pipeline.syncOperations
            try pipeline.addHTTPClientHandlers()
            try pipeline.addHandler(handler)
            return Connection(channel: channel, handler: NIOLoopBound(handler, eventLoop: channel.eventLoop))
        }
        do {
            return try await connected.get()
        } catch {
            // A Unix socket whose backlog is full says EAGAIN (connect(2)).
            let isFull = (error as? IOError)?.errnoCode == EAGAIN
            throw ExchangeFailure(reason: isFull ? .full : .refused, wasDelivered: false, detail: "\(error)")
        }
    }
}
