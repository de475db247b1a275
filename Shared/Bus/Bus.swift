// SPDX-License-Identifier: Apache-2.0

package import MartletWire
package import NIOCore
internal import Synchronization

/// One node of the bus: answers the requests of its service, sends requests to others, publishes and subscribes.
///
/// `init` binds, `handle` registers, `run` serves until it is cancelled or has drained. Handlers run on the bus thread
/// and must not block (D41).
package final class Bus: Sendable {
    private enum Phase { case prepared, running, ended }

    private struct State {
        var handlers: [UInt32: BusHandler] = [:]
        var phase = Phase.prepared
    }

    private let thread: BusThread
    private let node: ConfinedNode
    private let state = Mutex(State())
    private let around: (@Sendable (InboundRequest, BusHandler) async -> OutboundReply)?
    private let nextCall = Atomic<UInt64>(1)
    package let service: ServiceName
    /// The bound endpoints, with real ports where 0 was asked for.
    package let boundRequestEndpoints: [String]
    package let boundEventEndpoints: [String]

    /// The bus thread, for tasks that begin and end with requests and never block: they save a hop each way (D41).
    package var executor: BusThread { thread }

    /// Binds every endpoint of the configuration. Throws `internalError`, naming the endpoint, when one cannot be bound
    /// or has no keys.
    package init(_ configuration: BusConfiguration, on thread: BusThread) throws(BusError) {
        let made = thread.performAndWait { loop -> Result<ConfinedNode, BusError> in
            do throws(BusError) { return .success(ConfinedNode(try BusNode(configuration, loop: loop))) } catch {
                return .failure(error)
            }
        }
        let node = try made.get()
        self.node = node
        self.thread = thread
        service = configuration.service
        around = configuration.around
        (boundRequestEndpoints, boundEventEndpoints) = thread.performAndWait { _ in
            (node.value.boundRequestEndpoints, node.value.boundEventEndpoints)
        }
    }

    deinit {
        let node = node
        thread.perform { _ in node.value.shutDown() }
    }

    /// Registers the handler of a method; before `run`. It runs on the bus thread as a task that is cancelled when the
    /// caller cancels, disappears or its deadline passes.
    package func handle(
        _ method: Method, _ body: @escaping @Sendable (InboundRequest) async -> OutboundReply
    ) {
        let handler: BusHandler
        if let around { handler = { await around($0, body) } } else { handler = body }
        state.withLock { $0.handlers[method.id] = handler }
    }

    /// Sends a request and waits for its reply.
    ///
    /// While no replica is ready the request is parked (D16). It is sent again only when it was not executed, or when
    /// its method is idempotent, or keyed and the header carries a key. Cancelling the task cancels the handler. Throws
    /// whatever is not `ok`: the replica's code, or `unavailable`, `busy`, `deadline_exceeded`, `cancelled`, `link_lost`.
    package func request(
        _ method: Method, to target: ServiceName, header: RequestHeader, payload: ByteBuffer = ByteBuffer(),
        routeKey: UInt64 = 0, deadline: ContinuousClock.Instant? = nil
    ) async throws(BusError) -> (header: ReplyHeader, payload: ByteBuffer) {
        let budget =
            deadline.map { BusSpan(ContinuousClock.now.duration(to: $0)) }
            ?? .milliseconds(Int64(method.defaultBudgetMilliseconds))
        let call = PendingCall(
            id: CallID(rawValue: nextCall.wrappingAdd(1, ordering: .relaxed).oldValue), method: method, target: target,
            header: header, payload: payload, routeKey: routeKey, begun: BusLoop.clock(), budget: budget)
        let node = node
        let thread = thread
        let outcome = await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { (continuation: UnsafeContinuation<CallOutcome, Never>) in
                unsafe call.continuation = continuation
                if thread.performIfCurrent({ _ in node.begin(call) }) { return }
                thread.perform { _ in node.begin(call) }
            }
        } onCancel: {
            call.isCancelled.store(true, ordering: .relaxed)
            // Later, also on the bus thread itself: the request may be at its very beginning.
            thread.post { _ in node.value.node(for: target).cancel(call.id) }
        }
        switch outcome {
        case .reply(let header, let payload): return (header, payload)
        case .failure(let error): throw error
        }
    }

    /// Tells subscribers that something happened; never waits and never fails. Topics have at most 64 bytes.
    package func publish(_ topic: [UInt8], _ header: EventHeader, _ payload: ByteBuffer = ByteBuffer()) {
        let node = node
        thread.perform { _ in node.value.events?.publish(topic, header, payload) }
    }

    /// Lends the events of a topic of a service (the empty topic: of all) while `body` runs. A subscriber that is too
    /// slow loses events; the drops are counted.
    package func withSubscription<R>(
        to target: ServiceName, topic: [UInt8], _ body: (AsyncStream<BusEvent>) async throws -> R
    ) async rethrows -> R {
        let node = node
        let (stream, continuation) = AsyncStream.makeStream(of: BusEvent.self, bufferingPolicy: .bufferingOldest(1_024))
        let id = Mutex<UInt64?>(nil)
        thread.performAndWait { _ in
            let number = node.value.events?.subscribe(to: target, topic: topic) { event in
                if case .dropped = continuation.yield(event) { return false }
                return true
            }
            id.withLock { $0 = number }
        }
        defer {
            continuation.finish()
            if let number = id.withLock({ $0 }) { thread.perform { _ in node.value.events?.unsubscribe(number) } }
        }
        return try await body(stream)
    }

    /// Whether a request to `target` would be sent at once.
    package func isReady(_ target: ServiceName) -> Bool {
        let node = node
        return thread.performAndWait { _ in node.value.targets[target]?.isReady ?? false }
    }

    /// Replaces the list of keys that may connect; links of keys that are no longer on it end at once.
    package func replaceAllowed(_ list: AllowList) {
        let node = node
        thread.perform { _ in node.value.server?.setAllowed(list) }
    }

    /// Totals and current values, for metrics.
    package func metrics() -> BusMetrics {
        let node = node
        return thread.performAndWait { loop in
            BusMetrics(
                targets: node.value.targets.mapValues {
                    BusMetrics.Target(
                        counters: $0.counters, readyLinks: $0.readyLinks, waiting: $0.waitingCount,
                        pending: $0.pendingCount)
                },
                server: node.value.server?.counters ?? ServerCounters(), peers: node.value.server?.peersCount ?? 0,
                running: node.value.server?.runningCount ?? 0, longTurns: loop.longTurns,
                eventsDropped: node.value.events?.dropped ?? 0)
        }
    }

    /// Serves and connects. Returns after `beginDraining` when everything in flight is finished; throws
    /// `CancellationError` when its task is cancelled. Either way every socket of the node is closed then.
    package func run() async throws {
        let handlers: [UInt32: BusHandler]? = state.withLock { state in
            guard state.phase == .prepared else { return nil }
            state.phase = .running
            return state.handlers
        }
        guard let handlers else { return }
        let node = node
        let thread = thread
        let (ended, end) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        thread.perform { _ in
            node.value.start(handlers: handlers, executor: thread)
            node.value.server?.onDrained = { end.finish() }
        }
        for await _ in ended {}
        state.withLock { $0.phase = .ended }
        thread.performAndWait { _ in node.value.shutDown() }
        try Task.checkCancellation()
    }

    /// Tells every caller to look elsewhere, takes what is on the way for two beats, refuses what comes later and lets
    /// running handlers finish (at most 25 s); then `run` returns.
    package func beginDraining() {
        let node = node
        thread.perform { loop in
            loop.refreshNow()
            node.value.server?.drain()
        }
    }

    /// Closes every socket of the node at once; what is in flight fails.
    package func shutDownNow() {
        let node = node
        thread.performAndWait { _ in node.value.shutDown() }
    }

    /// `@unchecked`: read only inside `BusThread.perform` and its kin.
    private struct ConfinedNode: @unchecked Sendable {
        let value: BusNode
        init(_ value: BusNode) { self.value = value }

        func begin(_ call: PendingCall) { value.node(for: call.target).begin(call) }
    }
}

/// Totals and current values of one node.
package struct BusMetrics: Sendable {
    package struct Target: Sendable {
        package let counters: TargetCounters
        package let readyLinks: Int
        /// Requests that wait for a replica or for credit.
        package let waiting: Int
        /// Requests without an outcome, those included.
        package let pending: Int
    }

    package let targets: [ServiceName: Target]
    package let server: ServerCounters
    package let peers: Int
    package let running: Int
    /// Turns of the process's bus thread that took longer than a millisecond.
    package let longTurns: UInt64
    package let eventsDropped: UInt64
}
