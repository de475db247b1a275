// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
internal import MartletWire
internal import NIOCore
internal import Synchronization

/// The caller's side towards one service: performs what `TargetMachine` decides, with one DEALER per link.
final class TargetNode {
    private final class Link {
        let socket: ZeroMQSocket
        var source: SocketSource?
        var monitor: SocketMonitor?
        let localEndpoint: String?
        /// Which of the target's keys it expects.
        let serverKeyIndex: Int
        /// The replica has shown that it holds the key.
        var isProven = false

        init(socket: ZeroMQSocket, localEndpoint: String?, serverKeyIndex: Int) {
            self.socket = socket
            self.localEndpoint = localEndpoint
            self.serverKeyIndex = serverKeyIndex
        }
    }

    /// A frame that is being handled, for the actions that speak of "the frame at hand".
    private struct Current {
        var header: ReplyHeader?
        var payload: ByteBuffer
    }

    private var machine: TargetMachine
    private let configuration: BusConfiguration
    private let target: ServiceName
    private unowned let loop: BusLoop
    private let introduction: Introduction
    private var links: [LinkID: Link] = [:]
    private var calls: [CallID: PendingCall] = [:]
    private var current = Current(payload: ByteBuffer())
    private var serverKeyIndex = 0
    private let tick = TickSource()
    private(set) var counters = TargetCounters()
    private var spareActions: [[TargetMachine.Action]] = []

    init(_ target: ServiceName, _ configuration: BusConfiguration, introduction: Introduction, loop: BusLoop) {
        self.target = target
        self.configuration = configuration
        self.introduction = introduction
        self.loop = loop
        machine = TargetMachine(
            target: target, limits: configuration.limits, seed: SystemRandomNumberGenerator.seed())
        tick.tick = { [unowned self] now in
            self.loop.setNow(now)
            self.step(.tick)
        }
        loop.add(tick)
    }

    var isReady: Bool { machine.isReady }
    var readyLinks: Int { machine.links.filter { $0.state == .ready }.count }
    var waitingCount: Int { machine.waiting.count }
    var pendingCount: Int { machine.pendingCount }

    func setEndpoints(_ endpoints: [String]) {
        step(.endpoints(endpoints.map { Endpoint.local($0, caller: configuration.service) }))
    }

    func localEndpoint(_ endpoint: String, _ change: LocalEndpoints.Change) {
        switch change {
        case .bound: step(.retryNow(endpoint: endpoint))
        case .unbound:
            for (id, link) in links where link.localEndpoint == endpoint { step(.lost(id, .disconnected)) }
        }
    }

    func begin(_ call: PendingCall) {
        loop.advance(to: call.begun)
        guard !call.isCancelled.load(ordering: .relaxed) else {
            return call.finish(.failure(BusError(.cancelled, executed: .no)))
        }
        guard call.header.byteCountMax <= configuration.limits.headerBytesMax else {
            return call.finish(
                .failure(BusError(.payloadTooLarge, executed: .no, "the request's header is too large")))
        }
        counters.requests &+= 1
        calls[call.id] = call
        let isKeyed = call.method.repeatability == .keyed && !call.header.idempotencyKey.isEmpty
        step(
            .submit(
                call.id,
                CallFacts(
                    isRepeatable: call.method.repeatability == .idempotent || isKeyed,
                    bytes: call.payload.readableBytes, deadline: call.deadline,
                    routeKey: call.method.route == .keyed ? call.routeKey : nil)))
    }

    func cancel(_ id: CallID) { step(.cancel(id)) }

    /// Lets go of everything; what is in flight fails.
    func shutDown() {
        loop.remove(tick)
        for id in Array(links.keys) { closeLink(id) }
        for call in calls.values {
            call.finish(.failure(BusError(.unavailable, executed: .unknown, "the bus was shut down")))
        }
        calls.removeAll()
    }

    // MARK: Machine

    private func step(_ event: TargetMachine.Event) {
        var actions = spareActions.popLast() ?? []
        machine.step(event, now: loop.now, actions: &actions)
        for action in actions { perform(action) }
        actions.removeAll(keepingCapacity: true)
        spareActions.append(actions)
        tick.next = machine.nextTick
    }

    private func perform(_ action: TargetMachine.Action) {
        switch action {
        case .sendRequest(let link, let id, let attempt, let budget, let bytes, let hasMore):
            guard let call = calls[id] else { return }
            let prefix = Prefix(
                kind: .request, flags: hasMore ? .moreChunks : .none, priority: call.method.priority.rawValue,
                attempt: attempt, requestID: id.rawValue, methodID: call.method.id, budgetMicroseconds: budget,
                routeKey: call.routeKey)
            send(link, prefix, payload: piece(call.payload, 0, bytes)) { call.header.encode(into: &$0) }
        case .deliver(let id): deliver(id)
        case .keep(let id):
            guard let call = calls[id] else { return }
            if let header = current.header { call.replyHeader = header }
            var payload = current.payload
            call.replyBody.writeBuffer(&payload)
        case .forget(let id):
            calls[id]?.replyHeader = nil
            calls[id]?.replyBody = ByteBuffer()
        case .fail(let id, let code, let executed, let retryAfter):
            counters.failures &+= 1
            calls.removeValue(forKey: id)?.finish(
                .failure(BusError(code, executed: executed, retryAfterMilliseconds: retryAfter)))
        case .sendChunk(let link, let id, let offset, let bytes, let isLast):
            guard let call = calls[id] else { return }
            let flags: FrameFlags = isLast ? .requestBody : [.requestBody, .moreChunks]
            send(
                link, Prefix(kind: .chunk, flags: flags, requestID: id.rawValue),
                payload: piece(call.payload, offset, bytes))
        case .sendCredit(let link, let id, let bytes):
            send(
                link, Prefix(kind: .credit, requestID: id.rawValue), payload: Credit(bytes: UInt64(bytes)).encoded)
        case .sendCancel(let link, let id): send(link, Prefix(kind: .cancel, requestID: id.rawValue))
        case .sendHello(let link): send(link, Prefix(kind: .hello), payload: introduction.encoded)
        case .sendPing(let link): send(link, Prefix(kind: .ping))
        case .open(let link, let endpoint): open(link, endpoint)
        case .close(let link): closeLink(link)
        case .observe(let observation):
            if case .retried = observation { counters.retries &+= 1 }
            configuration.observer?(observation)
        }
    }

    private func piece(_ payload: ByteBuffer, _ offset: Int, _ bytes: Int) -> ByteBuffer {
        if offset == 0, bytes == payload.readableBytes { return payload }
        return payload.getSlice(at: payload.readerIndex + offset, length: bytes) ?? ByteBuffer()
    }

    private func deliver(_ id: CallID) {
        guard let call = calls.removeValue(forKey: id) else { return }
        counters.replies &+= 1
        var body = current.payload
        let header: ReplyHeader
        if let kept = call.replyHeader {
            header = kept
            call.replyBody.writeBuffer(&body)
            body = call.replyBody
        } else {
            guard let whole = current.header.take() else { return }
            header = whole
        }
        guard header.code != .ok else { return call.finish(.reply(header, body)) }
        call.finish(
            .failure(
                BusError(
                    header.code, executed: header.executed, retryAfterMilliseconds: header.retryAfterMilliseconds,
                    header.message)))
    }

    // MARK: Sockets

    private func send(
        _ id: LinkID, _ prefix: Prefix, payload: ByteBuffer = ByteBuffer(),
        header: (inout ByteBuffer) -> Void = { _ in }
    ) {
        guard let source = links[id]?.source else { return }
        loop.send(on: source, prefix, payload: payload, header: header)
    }

    private func open(_ id: LinkID, _ endpoint: String) {
        do throws(ZeroMQError) {
            try connect(id, endpoint)
        } catch {
            closeLink(id)
            loop.later { [weak self] in self?.step(.lost(id, .connectFailed)) }
        }
    }

    private func connect(_ id: LinkID, _ endpoint: String) throws(ZeroMQError) {
        let isLocal = Endpoint(endpoint) == .inproc
        // libzmq would keep a socket that connects before the bind from ever ending.
        if isLocal, !loop.localEndpoints.isBound(endpoint) { throw ZeroMQError("zmq_connect", number: ECONNREFUSED) }
        let keys = configuration.serverKeys[target] ?? []
        let serverKey = keys.isEmpty ? nil : keys[serverKeyIndex % keys.count]
        if !isLocal, configuration.keys == nil || serverKey == nil {
            throw ZeroMQError("zmq_connect", number: EACCES)
        }
        let socket = try loop.makeSocket(.dealer)
        let link = Link(
            socket: socket, localEndpoint: isLocal ? endpoint : nil, serverKeyIndex: serverKeyIndex)
        links[id] = link
        try socket.prepareClient(
            configuration.keys, serverKey: serverKey, isLocal: isLocal,
            messageBytesMax: configuration.limits.messageBytesMax)
        if !isLocal {
            link.monitor = try SocketMonitor(socket, number: loop.nextNumber(), loop: loop) { [weak self] event in
                self?.monitored(id, event)
            }
        }
        let source = loop.add(socket) { [weak self] budget in self?.receive(id, budget) ?? false }
        // Credit keeps far below the high-water mark: a full queue means a stuck connection.
        source.onSendFailure = { [weak self, unowned loop] _, _ in
            loop.later { self?.step(.lost(id, .stalled)) }
        }
        link.source = source
        try socket.connect(endpoint)
        if isLocal { loop.later { [weak self] in self?.step(.connected(id)) } }
    }

    private func monitored(_ id: LinkID, _ event: SocketMonitor.Event) {
        switch event {
        case .ready:
            links[id]?.isProven = true
            step(.connected(id))
        case .failed: step(.lost(id, .connectFailed))
        case .refused: step(.lost(id, .refused))
        case .disconnected:
            // What arrived before the end still counts.
            while receive(id, BusLoop.messagesPerTurnMax) {}
            step(.lost(id, .disconnected))
        }
    }

    private func closeLink(_ id: LinkID) {
        guard let link = links.removeValue(forKey: id) else { return }
        // During a rotation the replica may still have, or already have, the other key. A wrong one does not always show
        // as a refusal, and several links that fail for the same key are one reason to take the next, not several.
        if !link.isProven, link.serverKeyIndex == serverKeyIndex { serverKeyIndex += 1 }
        link.monitor?.close()
        if let source = link.source { loop.remove(source) } else { link.socket.close() }
    }

    private func receive(_ id: LinkID, _ budget: Int) -> Bool {
        guard let socket = links[id]?.socket else { return false }
        for _ in 0..<budget {
            do {
                // A socket that is closed meanwhile has nothing any more.
                guard try socket.receive(into: loop.scratch.message) else { return false }
                guard !loop.scratch.message.hasMore else { throw WireError.badHeader }
                try loop.scratch.withFrame { prefix, header, body in try handle(id, prefix, header, body) }
            } catch {
                configuration.observer?(.badFrame)
                step(.lost(id, .violation))
                return false
            }
        }
        return true
    }

    private func handle(_ id: LinkID, _ prefix: Prefix, _ header: RawSpan, _ body: RawSpan) throws {
        let call = CallID(rawValue: prefix.requestID)
        switch prefix.kind {
        case .reply:
            let header = try ReplyHeader(decoding: header)
            let facts = ReplyFacts(
                code: header.code, executed: header.executed, retryAfterMilliseconds: header.retryAfterMilliseconds,
                bytes: body.byteCount, hasMore: prefix.flags.contains(.moreChunks))
            current = Current(header: header, payload: ByteBuffer(copying: body))
            step(.reply(id, call, facts))
            current = Current(payload: ByteBuffer())
        case .chunk:
            current = Current(payload: ByteBuffer(copying: body))
            step(
                .chunk(
                    id, call, bytes: body.byteCount, isLast: !prefix.flags.contains(.moreChunks),
                    isAborted: prefix.flags.contains(.aborted)))
            current = Current(payload: ByteBuffer())
        case .pong: step(.pong(id, isDraining: try Pong(decoding: body).isDraining))
        case .credit:
            step(.credit(id, call, bytes: Int(clamping: try Credit(decoding: body).bytes)))
        case .ready:
            let ready = try Introduction(decoding: body)
            guard ready.service == target.rawValue, ready.versionMin <= 1, ready.versionMax >= 1 else {
                return step(.lost(id, .refused))
            }
            step(
                .introduced(
                    id,
                    ReplicaGrant(
                        requestsMax: Int(clamping: ready.requestsMax), bytesMax: Int(clamping: ready.bytesMax),
                        bodyBytesMax: Int(clamping: ready.payloadBytesMax))))
        case .goAway: step(prefix.flags.contains(.aborted) ? .lost(id, .closed) : .goAway(id))
        case .hello, .ping, .request, .cancel, .event, .streamBeat, .pull, .batch: throw WireError.unknownKind
        }
    }
}

/// Totals of one target since the start, for metrics.
package struct TargetCounters: Sendable, Equatable {
    package var requests: UInt64 = 0
    package var replies: UInt64 = 0
    package var failures: UInt64 = 0
    package var retries: UInt64 = 0
}

extension SystemRandomNumberGenerator {
    static func seed() -> UInt64 {
        var generator = SystemRandomNumberGenerator()
        return generator.next()
    }
}
