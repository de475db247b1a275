// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// Everything a caller knows about one target service: its links, the requests that wait and the requests in flight.
///
/// Without I/O: `step` takes what happened and appends what must be done. It promises that each submitted
/// request ends in exactly one `deliver` or `fail`; that a request whose outcome is unknown is sent again only when it
/// is repeatable; that no link carries more than the credit it was granted; and that waiting is bounded in number and
/// time (D16).
///
/// It is not copied, so its requests are objects that a step changes in place.
struct TargetMachine: ~Copyable {
    /// One replica's address, and the connection to it or the time of the next try.
    struct Replica {
        let endpoint: String
        var link: LinkID?
        var failures = 0
        var retryAt: BusTime
    }

    final class Call {
        enum State: Equatable {
            /// In the queue, until `parkedUntil`.
            case waiting
            /// Refused or lost; goes again at this time.
            case backingOff(until: BusTime)
            case sent(LinkID)
            /// Its caller was answered already; the replica's REPLY will give the credit back.
            case abandoned(LinkID)
        }

        let facts: CallFacts
        var state = State.waiting
        var parkedUntil: BusTime
        var attempts: UInt8 = 0
        /// Set by the first refusal of a replica that was not ready; until then such refusals are no attempts.
        var unreadyUntil: BusTime?
        /// An earlier attempt ended without anybody knowing what it did.
        var mayHaveExecuted = false
        var body: BodySender?
        var reply: BodyReceiver?

        init(facts: CallFacts, parkedUntil: BusTime) {
            self.facts = facts
            self.parkedUntil = parkedUntil
        }
    }

    let target: ServiceName
    let limits: BusLimits
    private(set) var replicas: [Replica] = []
    private(set) var links: [LinkMachine] = []
    private(set) var calls: [CallID: Call] = [:]
    private(set) var waiting = CallQueue()
    private var random: SplitMix64
    private var nextLink: UInt64 = 1
    private var nextChoice = 0
    private var isClosing = false
    /// No request has something to do before this; it may be earlier than necessary, never later.
    private var nextCallTick = BusTime.never

    init(target: ServiceName, limits: BusLimits, seed: UInt64) {
        self.target = target
        self.limits = limits
        random = SplitMix64(seed: seed)
    }

    /// Whether a request would be sent at once.
    var isReady: Bool { links.contains { $0.state == .ready } }
    /// Requests that nobody has answered yet.
    var pendingCount: Int { calls.count }

    /// When `tick` is due next.
    var nextTick: BusTime {
        var next = nextCallTick
        // By index: an element on its own would be a copy, and this is asked after every step.
        for index in links.indices { next = min(next, links[index].nextTick(limits)) }
        guard !isClosing else { return next }
        for index in replicas.indices where replicas[index].link == nil { next = min(next, replicas[index].retryAt) }
        return next
    }

    mutating func step(_ event: Event, now: BusTime, actions: inout [Action]) {
        switch event {
        case .submit(let call, let facts): submit(call, facts, now, &actions)
        case .reply(let link, let call, let facts): receivedReply(link, call, facts, now, &actions)
        case .chunk(let link, let call, let bytes, let isLast, let isAborted):
            receivedChunk(link, call, bytes: bytes, isLast: isLast, isAborted: isAborted, now, &actions)
        case .credit(let link, let call, let bytes): receivedCredit(link, call, bytes: bytes, now, &actions)
        case .cancel(let call): cancel(call, &actions)
        case .pong(let id, let isDraining):
            guard let index = index(of: id) else { return }
            links[index].received(now: now)
            if isDraining { drain(index, now, &actions) }
        case .goAway(let id):
            guard let index = index(of: id) else { return }
            drain(index, now, &actions)
        case .connected(let id):
            guard let index = index(of: id), links[index].connected(now: now) else { return }
            actions.append(.sendHello(id))
        case .introduced(let id, let grant): introduced(id, grant, now, &actions)
        case .lost(let id, let loss): lose(id, loss, now, &actions)
        case .endpoints(let endpoints): replace(endpoints, now, &actions)
        case .retryNow(let endpoint):
            for index in replicas.indices where replicas[index].endpoint == endpoint { replicas[index].retryAt = now }
            connect(now, &actions)
        case .close: close(now, &actions)
        case .tick: tick(now, &actions)
        }
    }
}

// MARK: - Requests

extension TargetMachine {
    private mutating func submit(_ id: CallID, _ facts: CallFacts, _ now: BusTime, _ actions: inout [Action]) {
        guard facts.bytes <= limits.bodyBytesMax else {
            return actions.append(.fail(id, .payloadTooLarge, .no, retryAfterMilliseconds: 0))
        }
        guard facts.deadline > now else {
            return actions.append(.fail(id, .deadlineExceeded, .no, retryAfterMilliseconds: 0))
        }
        guard !isClosing else { return actions.append(.fail(id, .draining, .no, retryAfterMilliseconds: 0)) }
        calls[id] = Call(facts: facts, parkedUntil: now + limits.parkedTimeMax)
        nextCallTick = min(nextCallTick, facts.deadline)
        if waiting.isEmpty, send(id, now, &actions) { return }
        park(id, now, &actions)
    }

    /// Puts a request at the end of the queue, or refuses it when the queue is full.
    private mutating func park(_ id: CallID, _ now: BusTime, _ actions: inout [Action]) {
        guard waiting.count < limits.parkedMax else {
            return finish(id, .busy, executedSoFar(id), retryAfterMilliseconds: 100, &actions)
        }
        calls[id]?.state = .waiting
        let until = now + limits.parkedTimeMax
        calls[id]?.parkedUntil = until
        nextCallTick = min(nextCallTick, until)
        waiting.append(id)
    }

    private func executedSoFar(_ id: CallID) -> Executed { calls[id]?.mayHaveExecuted == true ? .unknown : .no }

    /// Sends a request on the best link. Returns false when no link has credit for it.
    private mutating func send(_ id: CallID, _ now: BusTime, _ actions: inout [Action]) -> Bool {
        guard let call = calls[id] else { return true }
        let charge = limits.charge(call.facts.bytes)
        guard let index = choose(charge, call.facts.routeKey) else { return false }
        if call.facts.bytes > links[index].bodyBytesMax {
            finish(id, .payloadTooLarge, executedSoFar(id), retryAfterMilliseconds: 0, &actions)
            return true
        }
        let link = links[index].id
        var body = BodySender(total: call.facts.bytes, limits: limits)
        let first = body.next() ?? (offset: 0, bytes: 0, isLast: true)
        links[index].take(charge)
        links[index].sent(now: now)
        call.attempts += 1
        call.state = .sent(link)
        call.reply = nil
        actions.append(
            .sendRequest(
                link, id, attempt: call.attempts, budgetMicroseconds: now.microseconds(until: call.facts.deadline),
                bytes: first.bytes, hasMore: !first.isLast))
        call.body = first.isLast ? nil : body
        if !first.isLast { sendChunks(id, link, &actions) }
        return true
    }

    private mutating func sendChunks(_ id: CallID, _ link: LinkID, _ actions: inout [Action]) {
        while let piece = calls[id]?.body?.next() {
            actions.append(
                .sendChunk(link, id, offset: piece.offset, bytes: piece.bytes, isLast: piece.isLast))
        }
    }

    /// The ready link with credit that carries least; ties go round. Keyed requests have one owner among the ready.
    private mutating func choose(_ charge: Int, _ routeKey: UInt64?) -> Int? {
        if let routeKey {
            let owner = links.indices.filter { links[$0].state == .ready }.max {
                RendezvousHash.weight(routeKey, links[$0].endpoint) < RendezvousHash.weight(routeKey, links[$1].endpoint)
            }
            return owner.flatMap { links[$0].hasCredit(charge) ? $0 : nil }
        }
        var best: Int?
        for step in links.indices {
            let index = (nextChoice + step) % links.count
            guard links[index].hasCredit(charge) else { continue }
            if let found = best, links[found].requestsInFlight <= links[index].requestsInFlight { continue }
            best = index
        }
        if let best { nextChoice = best + 1 }
        return best
    }

    /// Sends what waits, in order, while there is credit.
    private mutating func dispatch(_ now: BusTime, _ actions: inout [Action]) {
        while let id = waiting.first {
            guard calls[id]?.state == .waiting else {
                waiting.removeFirst()
                continue
            }
            guard send(id, now, &actions) else { return }
            waiting.removeFirst()
        }
    }

    private mutating func cancel(_ id: CallID, _ actions: inout [Action]) {
        guard let call = calls[id] else { return }
        switch call.state {
        case .abandoned: return
        case .waiting, .backingOff:
            finish(id, .cancelled, executedSoFar(id), retryAfterMilliseconds: 0, &actions)
        case .sent(let link): abandon(id, link, .cancelled, &actions)
        }
    }

    /// Answers the caller of a request that is on its way and tells the replica to stop.
    private mutating func abandon(_ id: CallID, _ link: LinkID, _ code: ErrorCode, _ actions: inout [Action]) {
        calls[id]?.state = .abandoned(link)
        calls[id]?.body = nil
        actions.append(.sendCancel(link, id))
        actions.append(.forget(id))
        actions.append(.fail(id, code, .unknown, retryAfterMilliseconds: 0))
    }

    private mutating func finish(
        _ id: CallID, _ code: ErrorCode, _ executed: Executed, retryAfterMilliseconds: UInt32,
        _ actions: inout [Action]
    ) {
        if calls.removeValue(forKey: id)?.state == .waiting { waiting.remove(id) }
        actions.append(.fail(id, code, executed, retryAfterMilliseconds: retryAfterMilliseconds))
    }

    /// Sends a request again after a random time, or answers it with `code` when it may not be sent again.
    private mutating func retry(
        _ id: CallID, _ code: ErrorCode, _ executed: Executed, retryAfterMilliseconds: UInt32, _ now: BusTime,
        _ actions: inout [Action]
    ) {
        guard let call = calls[id] else { return }
        // A replica that is linked but not ready is as good as none: the request waits for it as if parked (D16).
        let unreadyUntil = call.unreadyUntil ?? call.parkedUntil
        let isUnready = code == .unavailable && now < unreadyUntil
        let doublings = isUnready ? 3 : min(call.attempts, 10)
        let bound = limits.retryFirst.nanoseconds << Int64(doublings)
        let pause = BusSpan(nanoseconds: Int64(random.next(below: UInt64(bound))))
        let until = now + pause + .milliseconds(Int64(retryAfterMilliseconds))
        guard isUnready || call.attempts < limits.attemptsMax, until < call.facts.deadline else {
            return finish(id, code, executed, retryAfterMilliseconds: retryAfterMilliseconds, &actions)
        }
        if isUnready {
            calls[id]?.attempts -= 1
            calls[id]?.unreadyUntil = unreadyUntil
        }
        calls[id]?.state = .backingOff(until: until)
        calls[id]?.body = nil
        calls[id]?.reply = nil
        nextCallTick = min(nextCallTick, until)
        actions.append(.observe(.retried(target: target, code: code)))
    }
}

// MARK: - Replies

extension TargetMachine {
    private mutating func receivedReply(
        _ link: LinkID, _ id: CallID, _ facts: ReplyFacts, _ now: BusTime, _ actions: inout [Action]
    ) {
        guard let index = index(of: link) else { return }
        links[index].received(now: now)
        guard let call = calls[id] else { return lose(link, .violation, now, &actions) }
        switch call.state {
        case .abandoned(link):
            // A chunked reply ends with its last chunk, or with the abort that our CANCEL causes.
            if facts.hasMore { return }
            settle(id, index)
        case .sent(link) where call.reply == nil:
            if facts.hasMore {
                calls[id]?.reply = BodyReceiver(firstPiece: facts.bytes)
                actions.append(.keep(id))
                return giveCredit(id, link, &actions)
            }
            let charge = limits.charge(call.facts.bytes)
            links[index].giveBack(charge)
            if isRefusal(facts) {
                if facts.code == .draining { links[index].startDraining() }
                retry(
                    id, facts.code, executedSoFar(id), retryAfterMilliseconds: facts.retryAfterMilliseconds, now,
                    &actions)
            } else {
                calls[id] = nil
                actions.append(.deliver(id))
            }
        default: return lose(link, .violation, now, &actions)
        }
        afterReply(link, now, &actions)
    }

    private mutating func receivedChunk(
        _ link: LinkID, _ id: CallID, bytes: Int, isLast: Bool, isAborted: Bool, _ now: BusTime,
        _ actions: inout [Action]
    ) {
        guard let index = index(of: link) else { return }
        links[index].received(now: now)
        guard let call = calls[id] else { return lose(link, .violation, now, &actions) }
        if call.state == .abandoned(link) {
            if isLast || isAborted {
                settle(id, index)
                afterReply(link, now, &actions)
            }
            return
        }
        guard call.state == .sent(link), var reply = call.reply else { return lose(link, .violation, now, &actions) }
        if isAborted {
            settle(id, index)
            actions.append(.forget(id))
            actions.append(.fail(id, .internalError, .yes, retryAfterMilliseconds: 0))
            return afterReply(link, now, &actions)
        }
        switch reply.receive(bytes, limits: limits) {
        case .violation: return lose(link, .violation, now, &actions)
        case .tooLarge:
            calls[id]?.state = .abandoned(link)
            actions.append(.sendCancel(link, id))
            actions.append(.forget(id))
            actions.append(.fail(id, .payloadTooLarge, .yes, retryAfterMilliseconds: 0))
            if isLast {
                settle(id, index)
                afterReply(link, now, &actions)
            }
        case .accepted(let credit):
            if isLast {
                settle(id, index)
                actions.append(.deliver(id))
                afterReply(link, now, &actions)
            } else {
                calls[id]?.reply = reply
                actions.append(.keep(id))
                if credit > 0 { actions.append(.sendCredit(link, id, bytes: credit)) }
            }
        }
    }

    private mutating func giveCredit(_ id: CallID, _ link: LinkID, _ actions: inout [Action]) {
        guard let credit = calls[id]?.reply?.takeCredit(limits: limits), credit > 0 else { return }
        actions.append(.sendCredit(link, id, bytes: credit))
    }

    private mutating func receivedCredit(
        _ link: LinkID, _ id: CallID, bytes: Int, _ now: BusTime, _ actions: inout [Action]
    ) {
        guard let index = index(of: link) else { return }
        links[index].received(now: now)
        // Credit for a body that was given up may still be on its way.
        guard calls[id]?.state == .sent(link), calls[id]?.body != nil else { return }
        guard calls[id]?.body?.grant(bytes, limits: limits) == true else {
            return lose(link, .violation, now, &actions)
        }
        links[index].sent(now: now)
        sendChunks(id, link, &actions)
    }

    /// Removes a request and gives its credit back.
    private mutating func settle(_ id: CallID, _ index: Int) {
        guard let call = calls.removeValue(forKey: id) else { return }
        links[index].giveBack(limits.charge(call.facts.bytes))
    }

    private mutating func afterReply(_ link: LinkID, _ now: BusTime, _ actions: inout [Action]) {
        if !waiting.isEmpty { dispatch(now, &actions) }
        if let index = index(of: link), links[index].state == .draining, links[index].requestsInFlight == 0 {
            lose(link, .closed, now, &actions)
        }
    }

    /// Refusals that say "nothing was done, ask again or elsewhere".
    private func isRefusal(_ facts: ReplyFacts) -> Bool {
        facts.executed == .no && (facts.code == .busy || facts.code == .draining || facts.code == .unavailable)
    }
}

// MARK: - Links

extension TargetMachine {
    private func index(of id: LinkID) -> Int? {
        for index in links.indices where links[index].id == id { return index }
        return nil
    }

    private mutating func introduced(
        _ id: LinkID, _ grant: ReplicaGrant, _ now: BusTime, _ actions: inout [Action]
    ) {
        guard let index = index(of: id) else { return }
        guard links[index].introduced(grant, now: now, limits: limits) else {
            return lose(id, .violation, now, &actions)
        }
        for index in replicas.indices where replicas[index].link == id { replicas[index].failures = 0 }
        actions.append(.observe(.linkReady(target: target, endpoint: links[index].endpoint)))
        dispatch(now, &actions)
    }

    private mutating func drain(_ index: Int, _ now: BusTime, _ actions: inout [Action]) {
        links[index].received(now: now)
        // A replica that drains before READY will not answer: the next try comes after the backoff.
        guard links[index].state == .ready || links[index].state == .draining else {
            return lose(links[index].id, .closed, now, &actions)
        }
        links[index].startDraining()
        if links[index].requestsInFlight == 0 { lose(links[index].id, .closed, now, &actions) }
    }

    /// A link's end: everything in flight on it has an outcome now, and its replica gets a new link later.
    private mutating func lose(_ id: LinkID, _ loss: LinkLoss, _ now: BusTime, _ actions: inout [Action]) {
        guard let index = index(of: id) else { return }
        let link = links.remove(at: index)
        nextChoice = 0
        actions.append(.close(id))
        actions.append(.observe(.linkLost(target: target, endpoint: link.endpoint, reason: loss)))
        for index in replicas.indices where replicas[index].link == id {
            replicas[index].link = nil
            let bound = min(
                limits.reconnectFirst.nanoseconds << Int64(min(replicas[index].failures, 20)),
                limits.reconnectMax.nanoseconds)
            replicas[index].retryAt = now + BusSpan(nanoseconds: Int64(random.next(below: UInt64(max(1, bound)))))
            replicas[index].failures += 1
        }
        if link.requestsInFlight > 0 { settleLost(id, now, &actions) }
    }

    private mutating func settleLost(_ link: LinkID, _ now: BusTime, _ actions: inout [Action]) {
        // In order of submission, so that requests do not overtake each other needlessly.
        let affected = calls.filter { $0.value.state == .sent(link) || $0.value.state == .abandoned(link) }
            .keys.sorted { $0.rawValue < $1.rawValue }
        for id in affected {
            guard let call = calls[id] else { continue }
            if call.state == .abandoned(link) {
                calls[id] = nil
                continue
            }
            // Once the second chunk is on its way there is no retry (D17).
            let isPastRetry = call.facts.bytes > limits.chunkBytesMax
            if call.reply != nil { actions.append(.forget(id)) }
            #if MUTANT_BUS_RETRY_UNKNOWN
                // Always; said so that the compiler does not see it.
                let isRepeatable = call.facts.bytes >= 0
            #else
                let isRepeatable = call.facts.isRepeatable && !isPastRetry
            #endif
            if isRepeatable {
                calls[id]?.mayHaveExecuted = true
                retry(id, .linkLost, .unknown, retryAfterMilliseconds: 0, now, &actions)
            } else {
                finish(id, .linkLost, call.reply == nil ? .unknown : .yes, retryAfterMilliseconds: 0, &actions)
            }
        }
    }

    private mutating func connect(_ now: BusTime, _ actions: inout [Action]) {
        guard !isClosing else { return }
        for index in replicas.indices where replicas[index].link == nil && replicas[index].retryAt <= now {
            let id = LinkID(rawValue: nextLink)
            nextLink += 1
            replicas[index].link = id
            links.append(LinkMachine(id: id, endpoint: replicas[index].endpoint, now: now, limits: limits))
            actions.append(.open(id, endpoint: replicas[index].endpoint))
        }
    }

    private mutating func replace(_ endpoints: [String], _ now: BusTime, _ actions: inout [Action]) {
        for replica in replicas where !endpoints.contains(replica.endpoint) {
            guard let link = replica.link, let index = index(of: link) else { continue }
            drain(index, now, &actions)
        }
        let kept = replicas.filter { endpoints.contains($0.endpoint) }
        let added = endpoints.filter { endpoint in !kept.contains { $0.endpoint == endpoint } }
        replicas = kept + added.map { Replica(endpoint: $0, retryAt: now) }
        connect(now, &actions)
    }

    private mutating func close(_ now: BusTime, _ actions: inout [Action]) {
        isClosing = true
        for link in links where link.requestsInFlight == 0 { lose(link.id, .closed, now, &actions) }
        for id in calls.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
            switch calls[id]?.state {
            case .waiting, .backingOff:
                finish(id, .draining, executedSoFar(id), retryAfterMilliseconds: 0, &actions)
            case .sent, .abandoned, nil: continue
            }
        }
        for index in links.indices { links[index].startDraining() }
    }
}

// MARK: - Time

extension TargetMachine {
    private mutating func tick(_ now: BusTime, _ actions: inout [Action]) {
        for link in links {
            guard let index = index(of: link.id) else { continue }
            switch links[index].tick(now: now, limits: limits) {
            case .nothing: continue
            case .ping: actions.append(.sendPing(link.id))
            case .dead(let loss): lose(link.id, loss, now, &actions)
            }
        }
        connect(now, &actions)
        if now >= nextCallTick { tickCalls(now, &actions) }
    }

    private mutating func tickCalls(_ now: BusTime, _ actions: inout [Action]) {
        nextCallTick = .never
        var due: [CallID] = []
        for (id, call) in calls {
            let time: BusTime
            switch call.state {
            case .waiting: time = min(call.facts.deadline, call.parkedUntil)
            case .backingOff(let until): time = min(call.facts.deadline, until)
            case .sent: time = call.facts.deadline
            case .abandoned: continue
            }
            if time <= now { due.append(id) } else { nextCallTick = min(nextCallTick, time) }
        }
        for id in due.sorted(by: { $0.rawValue < $1.rawValue }) {
            guard let call = calls[id] else { continue }
            let isTooLate = call.facts.deadline <= now
            switch call.state {
            case .abandoned: continue
            case .sent(let link): abandon(id, link, .deadlineExceeded, &actions)
            case .waiting:
                let code: ErrorCode = isTooLate ? .deadlineExceeded : (isReady ? .busy : .unavailable)
                finish(id, code, executedSoFar(id), retryAfterMilliseconds: 0, &actions)
            case .backingOff where isTooLate:
                finish(id, .deadlineExceeded, executedSoFar(id), retryAfterMilliseconds: 0, &actions)
            case .backingOff:
                nextCallTick = min(nextCallTick, call.facts.deadline)
                if !waiting.isEmpty || !send(id, now, &actions) { park(id, now, &actions) }
            }
        }
        dispatch(now, &actions)
    }
}
