// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
package import MartletWire
internal import NIOCore

/// A handler of one method.
package typealias BusHandler = @Sendable (InboundRequest) async -> OutboundReply

/// What the serving side keeps with a request.
struct RequestWork {
    /// Until its handler starts; the payload may still grow.
    var inbound: InboundRequest?
    var task: Task<Void, Never>?
    var reply: OutboundReply?
}

/// The serving side: performs what `ServerMachine` decides, with one ROUTER per bound endpoint.
final class ServerNode {
    private var machine: ServerMachine
    private let configuration: BusConfiguration
    /// At the place of their methods' numbers.
    private let handlers: [BusHandler?]
    private unowned let loop: BusLoop
    private let introduction: Introduction
    /// Runs handlers; unowned would be enough, but a task needs the strong reference anyway.
    private let executor: BusThread
    private var listeners: [Listener]
    private var allowed: AllowList
    private var current: (header: RequestHeader?, payload: ByteBuffer) = (nil, ByteBuffer())
    private let tick = TickSource()
    private let reference = Reference()
    private var probeAt = BusTime.never
    private var spareActions: [[ServerMachine.Action]] = []
    private(set) var counters = ServerCounters()
    var onDrained: (() -> Void)?

    init(
        _ configuration: BusConfiguration, handlers: [UInt32: BusHandler], introduction: Introduction,
        listeners: [Listener], executor: BusThread, loop: BusLoop
    ) {
        self.configuration = configuration
        self.handlers = (0...(handlers.keys.max() ?? 0)).map { handlers[$0] }
        self.listeners = listeners
        self.introduction = introduction
        self.executor = executor
        self.loop = loop
        allowed = configuration.allowed
        machine = ServerMachine(handled: Set(handlers.keys), limits: configuration.limits)
        reference.node = self
        tick.tick = { [unowned self] now in
            self.loop.setNow(now)
            self.ticked()
        }
        loop.add(tick)
    }

    /// Begins to take what arrives.
    func start() {
        for listener in listeners {
            let number = listener.number
            let source = loop.add(listener.socket) { [weak self, unowned listener] budget in
                self?.receive(listener, budget) ?? false
            }
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
        for listener in listeners {
            for (routing, identity) in listener.identities
            where listener.localCaller == nil && list.entries[identity.key]?.service != identity.service {
                turnAway(PeerID(listener: listener.number, routing: routing))
            }
        }
    }

    func shutDown() {
        loop.remove(tick)
        for peer in machine.peers.keys { send(peer, Prefix(kind: .goAway, flags: .aborted)) }
        for listener in listeners {
            listener.monitor?.close()
            if let source = listener.source { loop.remove(source) } else { listener.socket.close() }
            if listener.localCaller != nil { loop.localEndpoints.set(listener.endpoint, .unbound) }
        }
        listeners.removeAll()
        for peer in machine.peers.values { for request in peer.requests.values { request.work.task?.cancel() } }
    }

    // MARK: Machine

    private func step(_ event: ServerMachine.Event) {
        var actions = spareActions.popLast() ?? []
        machine.step(event, now: loop.now, actions: &actions)
        for action in actions { perform(action) }
        actions.removeAll(keepingCapacity: true)
        spareActions.append(actions)
        tick.next = min(machine.nextTick, probeAt)
        if machine.isDrained, let finished = onDrained {
            onDrained = nil
            finished()
        }
    }

    private func perform(_ action: ServerMachine.Action) {
        switch action {
        case .start(let request):
            keep(request)
            start(request)
        case .sendReply(let request, let bytes, let hasMore):
            guard let reply = request.work.reply else { return }
            counters.replies &+= 1
            let prefix = Prefix(
                kind: .reply, flags: hasMore ? .moreChunks : .none, requestID: request.id.rawValue)
            send(request.peer, prefix, payload: piece(reply.payload, 0, bytes)) { reply.header.encode(into: &$0) }
        case .sendPong(let peer, let isDraining, let inFlight):
            send(
                peer, Prefix(kind: .pong),
                payload: Pong(isDraining: isDraining, inFlight: UInt32(clamping: inFlight)).encoded)
        case .keep(let request): keep(request)
        case .cancelTask(let request): request.work.task?.cancel()
        case .refuse(let peer, let id, let code, let retryAfter):
            counters.refusals &+= 1
            let header = ReplyHeader(code: code, executed: .no, retryAfterMilliseconds: retryAfter)
            send(peer, Prefix(kind: .reply, requestID: id.rawValue)) { header.encode(into: &$0) }
        case .sendChunk(let request, let offset, let bytes, let isLast):
            guard let reply = request.work.reply else { return }
            send(
                request.peer,
                Prefix(kind: .chunk, flags: isLast ? .none : .moreChunks, requestID: request.id.rawValue),
                payload: piece(reply.payload, offset, bytes))
        case .sendAbort(let request):
            send(request.peer, Prefix(kind: .chunk, flags: .aborted, requestID: request.id.rawValue))
        case .sendCredit(let request, let bytes):
            send(
                request.peer, Prefix(kind: .credit, requestID: request.id.rawValue),
                payload: Credit(bytes: UInt64(bytes)).encoded)
        case .sendReady(let peer): send(peer, Prefix(kind: .ready), payload: introduction.encoded)
        case .sendGoAway(let peer, let isFinal):
            send(peer, Prefix(kind: .goAway, flags: isFinal ? .aborted : .none))
        case .observe(let observation):
            if case .peerLost = observation { pruneIdentities() }
            configuration.observer?(observation)
        }
    }

    private func pruneIdentities() {
        for listener in listeners {
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

    /// Puts the frame at hand to what came of the request before.
    private func keep(_ request: ServerMachine.Request) {
        if let header = current.header.take() {
            request.work.inbound = InboundRequest(
                caller: request.caller, method: request.method, header: header, payload: current.payload,
                deadline: loop.instant(of: request.deadline))
        } else {
            request.work.inbound?.payload.writeImmutableBuffer(current.payload)
        }
    }

    private func start(_ request: ServerMachine.Request) {
        guard let handler = handlers[Int(request.method.id)], request.work.inbound != nil else { return }
        counters.requests &+= 1
        let completion = Completion(server: reference, request: request, executor: executor)
        // Owned by the request; ends with the handler, which CANCEL and the deadline cancel. It runs at once up to where
        // it first waits, so that a handler that does not wait costs no turn.
        let task = Task.immediate(executorPreference: executor) {
            completion.finish(await handler(completion.takeInbound()))
        }
        if request.work.reply == nil { request.work.task = task }
    }

    /// Weak, so that a handler that does not end keeps no server; one for all, since making a weak one is not free.
    private final class Reference { weak var node: ServerNode? }

    /// Brings a handler's answer back to the server it belongs to.
    ///
    /// `@unchecked`: `server` and `request` are used only on the bus thread.
    private struct Completion: @unchecked Sendable {
        let server: Reference
        let request: ServerMachine.Request
        let executor: BusThread

        /// Moves the request out: a copy would count up every text of its header, and a variable of the task would not
        /// fit its first room.
        func takeInbound() -> InboundRequest {
            guard let inbound = request.work.inbound.take() else {
                preconditionFailure("a handler starts once, with a request")
            }
            return inbound
        }

        func finish(_ reply: OutboundReply) {
            if executor.performIfCurrent({ _ in server.node?.finished(request, reply) }) { return }
            executor.perform { _ in server.node?.finished(request, reply) }
        }
    }

    private func finished(_ request: ServerMachine.Request, _ reply: OutboundReply) {
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
        if reply.header.code == .cancelled, loop.now >= request.deadline { reply.header.code = .deadlineExceeded }
        let bytes = reply.payload.readableBytes
        request.work.reply = reply
        request.work.task = nil
        step(.finished(request, bytes: bytes))
    }

    // MARK: Sockets

    private func send(
        _ peer: PeerID, _ prefix: Prefix, payload: ByteBuffer = ByteBuffer(),
        header: (inout ByteBuffer) -> Void = { _ in }
    ) {
        guard let source = listener(peer.listener)?.source else { return }
        loop.send(on: source, to: peer.routing, prefix, payload: payload, header: header)
    }

    /// There are few: one for each bound endpoint.
    private func listener(_ number: UInt32) -> Listener? {
        for listener in listeners where listener.number == number { return listener }
        return nil
    }

    /// Ends a connection whose key is not, or no longer, welcome.
    private func turnAway(_ peer: PeerID) {
        send(peer, Prefix(kind: .goAway, flags: .aborted))
        forget(peer, .refused)
    }

    private func forget(_ peer: PeerID, _ loss: LinkLoss) {
        listener(peer.listener)?.identities[peer.routing] = nil
        step(.lost(peer, loss))
    }

    private func receive(_ listener: Listener, _ budget: Int) -> Bool {
        for _ in 0..<budget {
            guard (try? listener.socket.receive(into: loop.scratch.routing)) == true else { return false }
            guard loop.scratch.routing.hasMore, (try? listener.socket.receive(into: loop.scratch.message)) == true
            else { continue }
            var isWhole = true
            while loop.scratch.message.hasMore {
                isWhole = false
                guard (try? listener.socket.receive(into: loop.scratch.message)) == true else { break }
            }
            guard let routing = loop.scratch.routing.withBytes({ RoutingID.parse($0) }) else { continue }
            let peer = PeerID(listener: listener.number, routing: routing)
            do {
                guard isWhole else { throw WireError.badHeader }
                try loop.scratch.withFrame { prefix, header, body in
                    try handle(peer, listener, prefix, header, body)
                }
            } catch {
                listener.identities[routing] = nil
                step(.violation(peer))
            }
        }
        return true
    }

    private func handle(
        _ peer: PeerID, _ listener: Listener, _ prefix: Prefix, _ header: RawSpan, _ body: RawSpan
    ) throws {
        let id = CallID(rawValue: prefix.requestID)
        // Checked with every message, so that a key's end ends its living links too.
        if loop.wallSeconds >= listener.firstExpiry, let identity = listener.identities[peer.routing] {
            guard identity.notAfter > loop.wallSeconds else {
                configuration.observer?(.peerRefused(reason: .expiredKey))
                return turnAway(peer)
            }
        }
        switch prefix.kind {
        case .request:
            current = (try RequestHeader(decoding: header), ByteBuffer(copying: body))
            step(
                .request(
                    peer, id,
                    RequestFacts(
                        methodID: prefix.methodID, budgetMicroseconds: prefix.budgetMicroseconds,
                        bytes: body.byteCount, hasMore: prefix.flags.contains(.moreChunks))))
            current = (nil, ByteBuffer())
        case .chunk:
            guard prefix.flags.contains(.requestBody) else { throw WireError.badHeader }
            current = (nil, ByteBuffer(copying: body))
            step(
                .chunk(
                    peer, id, bytes: body.byteCount, isLast: !prefix.flags.contains(.moreChunks),
                    isAborted: prefix.flags.contains(.aborted)))
            current = (nil, ByteBuffer())
        case .credit: step(.credit(peer, id, bytes: Int(clamping: try Credit(decoding: body).bytes)))
        case .cancel: step(.cancel(peer, id))
        case .ping: step(.ping(peer))
        case .hello: hello(peer, listener, try Introduction(decoding: body))
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
        tick.next = min(machine.nextTick, probeAt)
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
