// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
internal import MartletWire
internal import NIOCore

/// A handler of one method.
typealias BusHandler = @Sendable (InboundRequest) async -> OutboundReply

/// The serving side: performs what `ServerMachine` decides, with one ROUTER per bound endpoint.
final class ServerNode {
    private struct RequestKey: Hashable {
        let peer: PeerID
        let id: UInt64
    }

    private final class Running {
        var header: RequestHeader?
        var body = ByteBuffer()
        var task: Task<Void, Never>?
        var deadline = BusTime.never
        var reply: OutboundReply?

        init(header: RequestHeader? = nil) { self.header = header }
    }

    private var machine: ServerMachine
    private let configuration: BusConfiguration
    private let handlers: [UInt32: BusHandler]
    private unowned let loop: BusLoop
    private let introduction: Introduction
    /// Runs handlers; unowned would be enough, but a task needs the strong reference anyway.
    private let executor: BusThread
    private var listeners: [UInt32: Listener] = [:]
    private var running: [RequestKey: Running] = [:]
    private var allowed: AllowList
    private var current: (header: RequestHeader?, payload: ByteBuffer) = (nil, ByteBuffer())
    private let tick = TickSourceBox()
    private var probeAt = BusTime.never
    private var spareActions: [[ServerMachine.Action]] = []
    private(set) var counters = ServerCounters()
    var onDrained: (() -> Void)?

    init(
        _ configuration: BusConfiguration, handlers: [UInt32: BusHandler], introduction: Introduction,
        listeners: [Listener], executor: BusThread, loop: BusLoop
    ) {
        self.configuration = configuration
        self.handlers = handlers
        self.introduction = introduction
        self.executor = executor
        self.loop = loop
        allowed = configuration.allowed
        machine = ServerMachine(handled: Set(handlers.keys), limits: configuration.limits)
        for listener in listeners { self.listeners[listener.number] = listener }
        tick.source = TickSource { [unowned self] now in
            self.loop.setNow(now)
            self.ticked()
        }
        if let source = tick.source { loop.add(source) }
    }

    /// Begins to take what arrives.
    func start() {
        for listener in listeners.values {
            let number = listener.number
            let source = loop.add(listener.socket) { [weak self] budget in self?.receive(number, budget) ?? false }
            source.onSendFailure = { [weak self, unowned loop] routing, outcome in
                guard let routing else { return }
                let loss: LinkLoss = outcome == .full ? .stalled : .disconnected
                loop.later { self?.forget(PeerID(listener: number, routing: routing), loss) }
            }
            listener.source = source
            if listener.localCaller == nil {
                listener.monitor = try? SocketMonitor(listener.socket, number: loop.nextNumber(), loop: loop) {
                    [weak self] event in
                    if event == .disconnected { self?.scheduleProbe() }
                }
            }
        }
    }

    var peersCount: Int { machine.peers.count }
    var runningCount: Int { machine.runningCount }
    var isDrained: Bool { machine.isDrained }

    func drain() { step(.drain) }

    /// Replaces the list; connections whose key is not on it any more end at once.
    func setAllowed(_ list: AllowList) {
        allowed = list
        for listener in listeners.values {
            for (routing, identity) in listener.identities
            where listener.localCaller == nil && list.entries[identity.key]?.service != identity.service {
                turnAway(PeerID(listener: listener.number, routing: routing))
            }
        }
    }

    func shutDown() {
        if let source = tick.source { loop.remove(source) }
        for peer in machine.peers.keys { send(peer, Prefix(kind: .goAway, flags: .aborted)) }
        for listener in listeners.values {
            listener.monitor?.close()
            if let source = listener.source { loop.remove(source) } else { listener.socket.close() }
            if listener.localCaller != nil { loop.localEndpoints.set(listener.endpoint, .unbound) }
        }
        listeners.removeAll()
        for entry in running.values { entry.task?.cancel() }
    }

    // MARK: Machine

    private func step(_ event: ServerMachine.Event) {
        var actions = spareActions.popLast() ?? []
        machine.step(event, now: loop.now, actions: &actions)
        for action in actions { perform(action) }
        actions.removeAll(keepingCapacity: true)
        spareActions.append(actions)
        tick.source?.next = min(machine.nextTick, probeAt)
        if machine.isDrained, let finished = onDrained {
            onDrained = nil
            finished()
        }
    }

    private func perform(_ action: ServerMachine.Action) {
        switch action {
        case .start(let peer, let id, let method, let caller, let deadline):
            start(RequestKey(peer: peer, id: id), method, caller, deadline)
        case .sendReply(let peer, let id, let bytes, let hasMore):
            guard let reply = running[RequestKey(peer: peer, id: id)]?.reply else { return }
            counters.replies &+= 1
            let prefix = Prefix(kind: .reply, flags: hasMore ? .moreChunks : [], requestID: id)
            send(peer, prefix, payload: piece(reply.payload, 0, bytes)) { reply.header.encode(into: &$0) }
        case .release(let peer, let id): running[RequestKey(peer: peer, id: id)] = nil
        case .sendPong(let peer, let isDraining, let inFlight):
            send(
                peer, Prefix(kind: .pong),
                payload: Pong(isDraining: isDraining, inFlight: UInt32(clamping: inFlight)).encoded)
        case .keep(let peer, let id):
            var payload = current.payload
            let key = RequestKey(peer: peer, id: id)
            if let header = current.header { running[key] = Running(header: header) }
            running[key]?.body.writeBuffer(&payload)
        case .forget(let peer, let id): running[RequestKey(peer: peer, id: id)] = nil
        case .cancelTask(let peer, let id): running[RequestKey(peer: peer, id: id)]?.task?.cancel()
        case .refuse(let peer, let id, let code, let retryAfter):
            counters.refusals &+= 1
            let header = ReplyHeader(code: code, executed: .no, retryAfterMilliseconds: retryAfter)
            send(peer, Prefix(kind: .reply, requestID: id)) { header.encode(into: &$0) }
        case .sendChunk(let peer, let id, let offset, let bytes, let isLast):
            guard let reply = running[RequestKey(peer: peer, id: id)]?.reply else { return }
            send(
                peer, Prefix(kind: .chunk, flags: isLast ? [] : .moreChunks, requestID: id),
                payload: piece(reply.payload, offset, bytes))
        case .sendAbort(let peer, let id): send(peer, Prefix(kind: .chunk, flags: .aborted, requestID: id))
        case .sendCredit(let peer, let id, let bytes):
            send(peer, Prefix(kind: .credit, requestID: id), payload: Credit(bytes: UInt64(bytes)).encoded)
        case .sendReady(let peer): send(peer, Prefix(kind: .ready), payload: introduction.encoded)
        case .sendGoAway(let peer, let isFinal):
            send(peer, Prefix(kind: .goAway, flags: isFinal ? .aborted : []))
        case .observe(let observation):
            if case .peerLost = observation { pruneIdentities() }
            configuration.observer?(observation)
        }
    }

    private func pruneIdentities() {
        for listener in listeners.values {
            listener.identities = listener.identities.filter {
                machine.peers[PeerID(listener: listener.number, routing: $0.key)] != nil
            }
        }
    }

    private func piece(_ payload: ByteBuffer, _ offset: Int, _ bytes: Int) -> ByteBuffer {
        if offset == 0, bytes == payload.readableBytes { return payload }
        return payload.getSlice(at: payload.readerIndex + offset, length: bytes) ?? ByteBuffer()
    }

    // MARK: Handlers

    private func start(_ key: RequestKey, _ method: Method, _ caller: ServiceName, _ deadline: BusTime) {
        let entry = running[key] ?? Running()
        var payload = current.payload
        if entry.header != nil {
            entry.body.writeBuffer(&payload)
            payload = entry.body
            entry.body = ByteBuffer()
        }
        guard let header = entry.header ?? current.header, let handler = handlers[method.id] else { return }
        counters.requests &+= 1
        let remaining = Duration.nanoseconds((deadline - loop.now).nanoseconds)
        let request = InboundRequest(
            caller: caller, method: method, header: header, payload: payload,
            deadline: ContinuousClock.now.advanced(by: remaining))
        let completion = Completion(server: self, key: key, executor: executor)
        entry.header = nil
        entry.deadline = deadline
        running[key] = entry
        // Owned by `running`; ends with the handler, which CANCEL and the deadline cancel. It runs at once up to where
        // it first waits, so that a handler that does not wait costs no turn.
        let task = Task.immediate(executorPreference: executor) {
            completion.finish(await handler(request))
        }
        if entry.reply == nil { entry.task = task }
    }

    /// Brings a handler's answer back to the server it belongs to.
    ///
    /// `@unchecked`: `server` is used only on the bus thread.
    private struct Completion: @unchecked Sendable {
        weak var server: ServerNode?
        let key: RequestKey
        let executor: BusThread

        func finish(_ reply: OutboundReply) {
            if executor.performIfCurrent({ _ in server?.finished(key, reply) }) { return }
            executor.perform { _ in server?.finished(key, reply) }
        }
    }

    private func finished(_ key: RequestKey, _ reply: OutboundReply) {
        var reply = reply
        if reply.payload.readableBytes > configuration.limits.bodyBytesMax {
            reply = OutboundReply(
                header: ReplyHeader(code: .payloadTooLarge, executed: .yes, message: "the reply is too large"))
        }
        if reply.header.byteCountMax > configuration.limits.headerBytesMax {
            reply = OutboundReply(
                header: ReplyHeader(
                    code: .payloadTooLarge, executed: .yes, message: "the header of the reply is too large"))
        }
        // A handler sees only that its task was cancelled; the caller is told why.
        if reply.header.code == .cancelled, let deadline = running[key]?.deadline, loop.now >= deadline {
            reply.header.code = .deadlineExceeded
        }
        if let entry = running[key] {
            entry.reply = reply
            entry.task = nil
        }
        step(.finished(key.peer, key.id, bytes: reply.payload.readableBytes))
    }

    // MARK: Sockets

    private func send(
        _ peer: PeerID, _ prefix: Prefix, payload: ByteBuffer = ByteBuffer(),
        header: (inout ByteBuffer) -> Void = { _ in }
    ) {
        guard let source = listeners[peer.listener]?.source else { return }
        loop.send(on: source, to: peer.routing, prefix, payload: payload, header: header)
    }

    /// Ends a connection whose key is not, or no longer, welcome.
    private func turnAway(_ peer: PeerID) {
        send(peer, Prefix(kind: .goAway, flags: .aborted))
        forget(peer, .refused)
    }

    private func forget(_ peer: PeerID, _ loss: LinkLoss) {
        listeners[peer.listener]?.identities[peer.routing] = nil
        step(.lost(peer, loss))
    }

    private func receive(_ number: UInt32, _ budget: Int) -> Bool {
        for _ in 0..<budget {
            guard let listener = listeners[number] else { return false }
            guard (try? listener.socket.receive(into: loop.scratch.routing)) == true else { return false }
            guard loop.scratch.routing.hasMore, (try? listener.socket.receive(into: loop.scratch.message)) == true
            else { continue }
            var isWhole = true
            while loop.scratch.message.hasMore {
                isWhole = false
                guard (try? listener.socket.receive(into: loop.scratch.message)) == true else { break }
            }
            guard let routing = loop.scratch.routing.withBytes({ RoutingID.parse($0) }) else { continue }
            let peer = PeerID(listener: number, routing: routing)
            do {
                guard isWhole else { throw WireError.badHeader }
                try handle(peer, listener, try loop.scratch.read())
            } catch {
                listener.identities[routing] = nil
                step(.violation(peer))
            }
        }
        return true
    }

    private func handle(_ peer: PeerID, _ listener: Listener, _ frame: FrameScratch.Frame) throws {
        let id = frame.prefix.requestID
        if let identity = listener.identities[peer.routing] {
            // Checked with every message, so that a key's end ends its living links too.
            guard identity.notAfter > loop.wallSeconds else {
                configuration.observer?(.peerRefused(reason: .expiredKey))
                return turnAway(peer)
            }
        }
        switch frame.prefix.kind {
        case .request:
            let header = try RequestHeader(decoding: frame.header)
            current = (header, frame.payload)
            step(
                .request(
                    peer, id,
                    RequestFacts(
                        methodID: frame.prefix.methodID, budgetMicroseconds: frame.prefix.budgetMicroseconds,
                        bytes: frame.payload.readableBytes, hasMore: frame.prefix.flags.contains(.moreChunks))))
            current = (nil, ByteBuffer())
        case .chunk:
            guard frame.prefix.flags.contains(.requestBody) else { throw WireError.badHeader }
            current = (nil, frame.payload)
            step(
                .chunk(
                    peer, id, bytes: frame.payload.readableBytes, isLast: !frame.prefix.flags.contains(.moreChunks),
                    isAborted: frame.prefix.flags.contains(.aborted)))
            current = (nil, ByteBuffer())
        case .credit: step(.credit(peer, id, bytes: Int(clamping: try Credit(decoding: frame.payload).bytes)))
        case .cancel: step(.cancel(peer, id))
        case .ping: step(.ping(peer))
        case .hello: hello(peer, listener, try Introduction(decoding: frame.payload))
        case .ready, .pong, .reply, .goAway, .event, .streamBeat, .pull, .batch: throw WireError.unknownKind
        }
    }

    private func hello(_ peer: PeerID, _ listener: Listener, _ introduction: Introduction) {
        func refuse(_ reason: BusObservation.PeerRefusal) {
            configuration.observer?(.peerRefused(reason: reason))
            turnAway(peer)
        }
        let identity: Listener.Identity
        if let caller = listener.localCaller {
            identity = Listener.Identity(key: "", service: caller, notAfter: .max)
        } else {
            #if MUTANT_BUS_KEY_CHECK_OFF
                let key = loop.scratch.message.userID ?? ""
                let entry = allowed.entries[key] ?? AllowList.Entry(service: .edge)
            #else
                guard let key = loop.scratch.message.userID, let entry = allowed.entries[key] else {
                    return refuse(.unknownKey)
                }
            #endif
            guard entry.notAfter > loop.wallSeconds else { return refuse(.expiredKey) }
            identity = Listener.Identity(key: key, service: entry.service, notAfter: entry.notAfter)
        }
        guard introduction.service == identity.service.rawValue else { return refuse(.wrongService) }
        guard introduction.versionMin <= 1, introduction.versionMax >= 1 else { return refuse(.noCommonVersion) }
        listener.identities[peer.routing] = identity
        step(.hello(peer, identity.service))
    }

    /// Whether a key may connect now; the ZAP handler asks.
    func admits(_ key: String) -> Bool {
        guard let entry = allowed.entries[key] else { return false }
        return entry.notAfter > loop.wallSeconds
    }

    // MARK: Time

    /// libzmq does not say which peer's connection ended, so a little later every peer is asked by a frame.
    private func scheduleProbe() {
        guard probeAt == .never else { return }
        probeAt = loop.now + .milliseconds(20)
        tick.source?.next = min(machine.nextTick, probeAt)
    }

    private func ticked() {
        if loop.now >= probeAt {
            probeAt = .never
            for (peer, known) in machine.peers {
                _ = known
                send(peer, Prefix(kind: .pong), payload: Pong(isDraining: machine.isDraining, inFlight: 0).encoded)
            }
        }
        step(.tick)
    }
}

/// Totals of the serving side since the start, for metrics.
package struct ServerCounters: Sendable, Equatable {
    package var requests: UInt64 = 0
    package var replies: UInt64 = 0
    package var refusals: UInt64 = 0
}
