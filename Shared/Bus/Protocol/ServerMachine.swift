// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// Everything a service knows about its callers' connections and their requests.
///
/// Without I/O. It promises that every REQUEST on a living connection is answered by exactly one REPLY; that no
/// handler starts for a caller that may not call it, without remaining time, or beyond the granted credit; and that
/// draining takes what is on the way, refuses what comes later, and ends.
///
/// It is not copied, so its peers and requests are objects of its own: a step changes them in place, where a dictionary
/// of values would be copied whenever somebody else still looks at it.
struct ServerMachine: ~Copyable {
    /// One request, from its first frame to the last of its reply.
    final class Request {
        enum State: Equatable {
            case receiving, running, replying
            /// Answered, or nobody waits for the answer: what its handler still says goes nowhere.
            case ended
        }

        let peer: PeerID
        let id: CallID
        let method: Method
        let caller: ServiceName
        let deadline: BusTime
        fileprivate(set) var state: State
        fileprivate let charge: Int
        fileprivate var body: BodyReceiver?
        fileprivate var reply: BodySender?
        fileprivate var isCancelled = false
        /// Belongs to whoever performs the actions; the machine does not look at it.
        var work = RequestWork()

        fileprivate init(
            _ peer: PeerID, _ id: CallID, _ method: Method, caller: ServiceName, deadline: BusTime, state: State,
            charge: Int
        ) {
            self.peer = peer
            self.id = id
            self.method = method
            self.caller = caller
            self.deadline = deadline
            self.state = state
            self.charge = charge
        }
    }

    final class Peer {
        let service: ServiceName
        var lastReceived: BusTime
        fileprivate(set) var requests: [CallID: Request] = [:]
        fileprivate var bytesInFlight = 0

        init(service: ServiceName, lastReceived: BusTime) {
            self.service = service
            self.lastReceived = lastReceived
        }
    }

    let limits: BusLimits
    /// Methods that have a handler, at the place of their number.
    private var handled: [Method?] = []
    private(set) var peers: [PeerID: Peer] = [:]
    private(set) var runningCount = 0
    private(set) var bodiesBytes = 0
    private var refuseFrom: BusTime?
    private var drainEnd: BusTime?
    private var isPastGrace = false
    private(set) var isDrained = false
    /// No request reaches its deadline before this.
    private var nextDeadline = BusTime.never
    private var nextSilence = BusTime.never

    init(handled: Set<UInt32>, limits: BusLimits) {
        self.limits = limits
        for method in MethodRegistry.all where handled.contains(method.id) {
            let missing = Int(method.id) + 1 - self.handled.count
            if missing > 0 { self.handled += [Method?](repeating: nil, count: missing) }
            self.handled[Int(method.id)] = method
        }
    }

    /// The method of this number, if it has a handler.
    private func handledMethod(_ id: UInt32) -> Method? { id < handled.count ? handled[Int(id)] : nil }

    var isDraining: Bool { refuseFrom != nil }

    var nextTick: BusTime {
        var next = min(nextDeadline, nextSilence)
        if !isDrained {
            if let refuseFrom, !isPastGrace { next = min(next, refuseFrom) }
            if let drainEnd { next = min(next, drainEnd) }
        }
        return next
    }

    mutating func step(_ event: Event, now: BusTime, actions: inout [Action]) {
        switch event {
        case .request(let peer, let id, let facts): request(peer, id, facts, now, &actions)
        case .finished(let request, let bytes): finished(request, bytes, now, &actions)
        case .chunk(let peer, let id, let bytes, let isLast, let isAborted):
            chunk(peer, id, bytes, isLast, isAborted, now, &actions)
        case .credit(let peer, let id, let bytes): credit(peer, id, bytes, now, &actions)
        case .cancel(let peer, let id): cancel(peer, id, now, &actions)
        case .ping(let peer):
            guard let known = heard(peer, now, &actions) else { return }
            actions.append(.sendPong(peer, isDraining: isDraining, inFlight: known.requests.count))
        case .hello(let peer, let service): hello(peer, service, now, &actions)
        case .violation(let peer): turnAway(peer, .violation, now, &actions)
        case .lost(let peer, let loss): lose(peer, loss, now, &actions)
        case .drain: drain(now, &actions)
        case .tick: tick(now, &actions)
        }
    }
}

// MARK: - Peers

extension ServerMachine {
    private mutating func hello(
        _ peer: PeerID, _ service: ServiceName, _ now: BusTime, _ actions: inout [Action]
    ) {
        if peers[peer] != nil { return turnAway(peer, .violation, now, &actions) }
        guard !isDraining else { return actions.append(.sendGoAway(peer, isFinal: true)) }
        guard peers.count < limits.peersMax else {
            actions.append(.sendGoAway(peer, isFinal: true))
            return actions.append(.observe(.peerRefused(reason: .tooMany)))
        }
        peers[peer] = Peer(service: service, lastReceived: now)
        nextSilence = min(nextSilence, now + limits.silenceMax)
        actions.append(.sendReady(peer))
        actions.append(.observe(.peerReady(service)))
    }

    /// Notes that a peer lives. A peer that we do not know, or gave up, is told to introduce itself again.
    private func heard(_ peer: PeerID, _ now: BusTime, _ actions: inout [Action]) -> Peer? {
        guard let known = peers[peer] else {
            actions.append(.sendGoAway(peer, isFinal: true))
            return nil
        }
        known.lastReceived = now
        return known
    }

    private mutating func turnAway(_ peer: PeerID, _ loss: LinkLoss, _ now: BusTime, _ actions: inout [Action]) {
        actions.append(.observe(.badFrame))
        actions.append(.sendGoAway(peer, isFinal: true))
        lose(peer, loss, now, &actions)
    }

    private mutating func lose(_ peer: PeerID, _ loss: LinkLoss, _ now: BusTime, _ actions: inout [Action]) {
        guard let lost = peers.removeValue(forKey: peer) else { return }
        actions.append(.observe(.peerLost(lost.service, reason: loss)))
        for request in lost.requests.values {
            switch request.state {
            case .receiving: bodiesBytes -= request.body?.received ?? 0
            // The handler's answer goes nowhere, but it still runs until it notices.
            case .running: actions.append(.cancelTask(request))
            case .replying, .ended: break
            }
            request.state = .ended
        }
        checkDrained(now, &actions)
    }
}

// MARK: - Requests

extension ServerMachine {
    private mutating func request(
        _ peer: PeerID, _ id: CallID, _ facts: RequestFacts, _ now: BusTime, _ actions: inout [Action]
    ) {
        guard let known = heard(peer, now, &actions) else { return }
        guard known.requests[id] == nil, facts.bytes <= limits.chunkBytesMax else {
            return turnAway(peer, .violation, now, &actions)
        }
        let charge = facts.hasMore ? limits.windowBytesMax : facts.bytes
        if let code = refusal(known, facts, charge, now) {
            actions.append(.refuse(peer, id, code, retryAfterMilliseconds: code == .busy ? 20 : 0))
            return actions.append(.observe(.requestRefused(caller: known.service, code: code)))
        }
        guard let method = handledMethod(facts.methodID) else { return }
        let budget = min(facts.budgetMicroseconds, UInt64(limits.budgetMax.nanoseconds / 1_000))
        let deadline = now + .microseconds(Int64(budget))
        nextDeadline = min(nextDeadline, deadline)
        let request = Request(
            peer, id, method, caller: known.service, deadline: deadline, state: facts.hasMore ? .receiving : .running,
            charge: charge)
        known.bytesInFlight += charge
        known.requests[id] = request
        if facts.hasMore {
            var body = BodyReceiver(firstPiece: facts.bytes)
            let credit = body.takeCredit(limits: limits)
            request.body = body
            bodiesBytes += facts.bytes
            actions.append(.keep(request))
            if credit > 0 { actions.append(.sendCredit(request, bytes: credit)) }
        } else {
            runningCount += 1
            actions.append(.start(request))
        }
    }

    /// Why a request may not start, if so. Nothing was executed then.
    private func refusal(_ peer: Peer, _ facts: RequestFacts, _ charge: Int, _ now: BusTime) -> ErrorCode? {
        guard let method = handledMethod(facts.methodID) else { return .unknownMethod }
        #if !MUTANT_BUS_AUTHORISATION_OFF
            guard method.isOpen(to: peer.service) else { return .notAuthorized }
        #endif
        if let refuseFrom, now >= refuseFrom { return .draining }
        if facts.budgetMicroseconds == 0 { return .deadlineExceeded }
        if peer.requests.count >= limits.requestsMax || peer.bytesInFlight + charge > limits.bytesMax { return .busy }
        if runningCount >= limits.runningMax { return .busy }
        if facts.hasMore, bodiesBytes + charge > limits.bodiesBytesMax { return .busy }
        return nil
    }

    private mutating func chunk(
        _ peer: PeerID, _ id: CallID, _ bytes: Int, _ isLast: Bool, _ isAborted: Bool, _ now: BusTime,
        _ actions: inout [Action]
    ) {
        guard let known = heard(peer, now, &actions) else { return }
        // The rest of a body that was refused may still be on its way.
        guard let request = known.requests[id], request.state == .receiving, var body = request.body else { return }
        if isAborted { return refuse(request, .cancelled, &actions) }
        if bodiesBytes + bytes > limits.bodiesBytesMax { return refuse(request, .busy, &actions) }
        switch body.receive(bytes, limits: limits) {
        case .violation: turnAway(peer, .violation, now, &actions)
        case .tooLarge: refuse(request, .payloadTooLarge, &actions)
        case .accepted(let credit):
            bodiesBytes += bytes
            request.body = body
            if isLast {
                guard runningCount < limits.runningMax else { return refuse(request, .busy, &actions) }
                bodiesBytes -= body.received
                request.body = nil
                request.state = .running
                runningCount += 1
                actions.append(.start(request))
            } else {
                actions.append(.keep(request))
                if credit > 0 { actions.append(.sendCredit(request, bytes: credit)) }
            }
        }
    }

    /// Answers a request whose body is still being received.
    private mutating func refuse(_ request: Request, _ code: ErrorCode, _ actions: inout [Action]) {
        end(request)
        bodiesBytes -= request.body?.received ?? 0
        actions.append(.refuse(request.peer, request.id, code, retryAfterMilliseconds: 0))
    }

    private mutating func cancel(_ peer: PeerID, _ id: CallID, _ now: BusTime, _ actions: inout [Action]) {
        guard let request = heard(peer, now, &actions)?.requests[id] else { return }
        switch request.state {
        case .receiving: refuse(request, .cancelled, &actions)
        case .running:
            guard !request.isCancelled else { return }
            request.isCancelled = true
            actions.append(.cancelTask(request))
        case .replying:
            end(request)
            actions.append(.sendAbort(request))
            checkDrained(now, &actions)
        case .ended: return
        }
    }

    private mutating func finished(_ request: Request, _ bytes: Int, _ now: BusTime, _ actions: inout [Action]) {
        runningCount -= 1
        guard request.state == .running else { return checkDrained(now, &actions) }
        // Nobody waits for the rest of a long answer to a request that was cancelled: its head settles it.
        var reply = BodySender(total: request.isCancelled ? 0 : bytes, limits: limits)
        let first = reply.next() ?? (offset: 0, bytes: 0, isLast: true)
        actions.append(.sendReply(request, bytes: first.bytes, hasMore: !first.isLast))
        if first.isLast {
            end(request)
            checkDrained(now, &actions)
        } else {
            request.state = .replying
            request.reply = reply
            sendChunks(request, now, &actions)
        }
    }

    private mutating func sendChunks(_ request: Request, _ now: BusTime, _ actions: inout [Action]) {
        while let piece = request.reply?.next() {
            actions.append(.sendChunk(request, offset: piece.offset, bytes: piece.bytes, isLast: piece.isLast))
            guard piece.isLast else { continue }
            end(request)
            checkDrained(now, &actions)
        }
    }

    private mutating func credit(
        _ peer: PeerID, _ id: CallID, _ bytes: Int, _ now: BusTime, _ actions: inout [Action]
    ) {
        guard let request = heard(peer, now, &actions)?.requests[id], request.state == .replying else { return }
        guard request.reply?.grant(bytes, limits: limits) == true else {
            return turnAway(peer, .violation, now, &actions)
        }
        sendChunks(request, now, &actions)
    }

    /// Lets go of a request and gives its credit back.
    private func end(_ request: Request) {
        request.state = .ended
        guard let known = peers[request.peer] else { return }
        known.requests[request.id] = nil
        known.bytesInFlight -= request.charge
    }
}

// MARK: - Time and draining

extension ServerMachine {
    private mutating func drain(_ now: BusTime, _ actions: inout [Action]) {
        guard refuseFrom == nil else { return }
        refuseFrom = now + limits.drainGrace
        drainEnd = now + limits.drainMax
        for peer in peers.keys { actions.append(.sendGoAway(peer, isFinal: false)) }
        checkDrained(now, &actions)
    }

    /// Drained: nothing runs or waits to be sent, and what was on its way has had its time; or the time is over.
    private mutating func checkDrained(_ now: BusTime, _ actions: inout [Action]) {
        guard let refuseFrom, let drainEnd, !isDrained else { return }
        let isIdle = runningCount == 0 && peers.values.allSatisfy { $0.requests.isEmpty }
        guard (isIdle && (now >= refuseFrom || peers.isEmpty)) || now >= drainEnd else { return }
        isDrained = true
        actions.append(.observe(.drained))
    }

    private mutating func tick(_ now: BusTime, _ actions: inout [Action]) {
        if now >= nextSilence {
            for (peer, known) in peers where now >= known.lastReceived + limits.silenceMax {
                lose(peer, .silent, now, &actions)
            }
            nextSilence = peers.values.map { $0.lastReceived + limits.silenceMax }.min() ?? .never
        }
        if now >= nextDeadline { tickDeadlines(now, &actions) }
        checkDrained(now, &actions)
        if let refuseFrom, now >= refuseFrom { isPastGrace = true }
    }

    private mutating func tickDeadlines(_ now: BusTime, _ actions: inout [Action]) {
        nextDeadline = .never
        for known in peers.values {
            for request in known.requests.values where !request.isCancelled && request.state != .replying {
                if request.deadline > now {
                    nextDeadline = min(nextDeadline, request.deadline)
                } else if request.state == .receiving {
                    refuse(request, .deadlineExceeded, &actions)
                } else {
                    request.isCancelled = true
                    actions.append(.cancelTask(request))
                }
            }
        }
    }
}
