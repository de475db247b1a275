// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletServiceKit

/// What an edge reports about one of its sockets.
enum Incoming: Sendable {
    case opened(socket: String, serializer: Serializer, grant: Grant)
    case frame(socket: String, isBinary: Bool, bytes: [UInt8])
    case closed(socket: String)
}

/// The times that the hub looks at.
struct HubClock: Sendable {
    var now: @Sendable () -> ContinuousClock.Instant
    var unixSeconds: @Sendable () -> Int64
}

/// Every session, socket, channel and presence of this process, on one thread: no locks, one order, and a joining
/// member's snapshot and the stream behind it are cut at one point by themselves (RT-41).
///
/// Nothing here awaits while it changes something. What has to wait (keys of a token) is put aside under a ticket and
/// comes back as a call; a slow join holds up nobody.
actor Hub {
    nonisolated let thread: HubThread
    nonisolated var unownedExecutor: UnownedSerialExecutor { thread.asUnownedSerialExecutor() }

    let limits: HubLimits
    let clock: HubClock
    let verifier: TokenVerifier
    let metrics: HubMetrics
    /// Told when somebody waits to be connected to the change feed.
    let wakeFeed: @Sendable () -> Void
    /// Told when a token names a key that is not known; `keysRefreshed` is expected then.
    private let askForKeys: @Sendable () -> Void

    var sessions: [String: EdgeSession] = [:]
    var channels: [ChannelKey: Channel] = [:]
    var socketCount = 0
    var joins = RateWindow(seconds: 1)
    var messages = RateWindow(seconds: HubLimits.messageWindowSeconds)
    var waitingForKeys: [WaitingForKeys] = []
    var feed = FeedRegistry()
    /// Numbers for members, tickets and presence references; never used twice.
    private var lastNumber = 0
    /// Tells references of this process from those of the one before it.
    private let instancePrefix: String
    private var touched: [EdgeSession] = []
    private var isDraining = false

    init(
        limits: HubLimits, clock: HubClock, verifier: TokenVerifier, metrics: HubMetrics, thread: HubThread,
        instancePrefix: String = String(UInt32.random(in: .min ... .max), radix: 36),
        askForKeys: @escaping @Sendable () -> Void, wakeFeed: @escaping @Sendable () -> Void
    ) {
        self.limits = limits
        self.clock = clock
        self.verifier = verifier
        self.metrics = metrics
        self.thread = thread
        self.instancePrefix = instancePrefix
        self.askForKeys = askForKeys
        self.wakeFeed = wakeFeed
    }

    // MARK: What edges call

    /// Takes a batch from an edge; false when there is no such session (any more).
    func send(session id: String, sequence: UInt64, _ items: [Incoming]) -> Bool {
        guard let session = sessions[id] else { return false }
        if let last = session.upSequence, sequence != last + 1 {
            // Something of this edge is missing: what its clients said is no longer in order.
            end(session)
            flush()
            return false
        }
        session.upSequence = sequence
        for item in items { take(item, session) }
        flush()
        return true
    }

    /// What waits for an edge; answers at once when something does, else after `wait` at the latest.
    ///
    /// - Parameters:
    ///   - acknowledged: the last answer that the edge has. A lost one is given again.
    ///   - begins: makes the session.
    func receive(session id: String, acknowledged: UInt64, wait: Duration, begins: Bool) async -> Delivery {
        if begins {
            sessions[id].map(end)
            guard sessions.count < HubLimits.sessionsMax, !isDraining else { return .unknownSession }
            sessions[id] = EdgeSession(id: id, now: clock.now())
        }
        guard let session = sessions[id] else { return .unknownSession }
        session.lastAsked = clock.now()
        release(session, with: session.nothing)
        session.acknowledge(acknowledged)
        if let delivery = session.next() { return delivery }
        if begins || isDraining || wait <= .zero { return session.nothing }
        return await withCheckedContinuation { park($0, in: session, for: wait) }
    }

    /// Waits, or answers if something came in between: on its way into the continuation a task may pass through the
    /// hub's queue once more (seen: one in some hundred), and what was said meanwhile found nobody waiting.
    private func park(
        _ continuation: CheckedContinuation<Delivery, Never>, in session: EdgeSession, for wait: Duration
    ) {
        guard sessions[session.id] === session else { return continuation.resume(returning: .unknownSession) }
        release(session, with: session.nothing)
        if let delivery = session.next() { return continuation.resume(returning: delivery) }
        if isDraining { return continuation.resume(returning: session.nothing) }
        session.waiter = EdgeSession.Waiter(
            continuation: continuation, until: clock.now() + min(wait, HubLimits.waitMax))
    }

    /// Once a second: who was silent, whose token has ended, which edge is gone.
    ///
    /// A scan over all of them: some ten thousand comparisons, less than the bookkeeping of a timer wheel would cost.
    func tick() {
        let now = clock.now()
        let unixSeconds = clock.unixSeconds()
        for session in sessions.values {
            if let waiter = session.waiter, waiter.until <= now {
                release(session, with: session.nothing)
                session.lastAsked = now
            }
            if session.waiter == nil, now - session.lastAsked > HubLimits.sessionSilenceMax {
                metrics.sessionsLost.increment()
                end(session)
                continue
            }
            for socket in Array(session.sockets.values) {
                if now - socket.lastHeard > limits.socketIdleTimeout {
                    close(socket, code: 1_001, "No message within the idle timeout")
                    continue
                }
                expireTokens(of: socket, unixSeconds: unixSeconds)
            }
        }
        flush()
    }

    /// Ends every connection, because this process stops; clients reconnect.
    func drain() {
        isDraining = true
        for session in sessions.values where !session.sockets.isEmpty {
            append(
                Outgoing(
                    sockets: Array(session.sockets.keys), content: .close(code: 1_012, reason: "The service restarts")),
                to: session)
            _ = forgetSockets(of: session)
        }
        flush()
        for session in sessions.values { release(session, with: session.nothing) }
    }

    // MARK: Sockets

    private func take(_ item: Incoming, _ session: EdgeSession) {
        switch item {
        case .opened(let id, let serializer, let grant):
            guard session.sockets[id] == nil else { return }
            let socket = Socket(id: id, session: session, serializer: serializer, grant: grant, now: clock.now())
            session.sockets[id] = socket
            socketCount += 1
            metrics.sockets.add(1)
            if socketCount > limits.socketsMax || isDraining { close(socket, code: 1_013, "Too many connected users") }
        case .frame(let id, let isBinary, let bytes):
            guard let socket = session.sockets[id] else { return }
            socket.lastHeard = clock.now()
            metrics.framesIn.increment()
            take(bytes, isBinary: isBinary, socket)
        case .closed(let id):
            if let socket = session.sockets[id] { forget(socket) }
        }
    }

    /// Ends a connection from here.
    func close(_ socket: Socket, code: UInt32, _ reason: String) {
        guard !socket.isClosed else { return }
        append(Outgoing(sockets: [socket.id], content: .close(code: code, reason: reason)), to: socket.session)
        forget(socket)
    }

    /// Ends every membership of a connection that is no more.
    private func forget(_ socket: Socket) {
        guard !socket.isClosed else { return }
        socket.isClosed = true
        for member in Array(socket.members.values) { remove(member) }
        socket.session.sockets[socket.id] = nil
        socketCount -= 1
        metrics.sockets.add(-1)
    }

    /// Ends a session: its edge closes the sockets when it hears that there is none.
    private func end(_ session: EdgeSession) {
        sessions[session.id] = nil
        release(session, with: .unknownSession)
        // One message for each channel, however many of its members have ended.
        for (channel, difference) in forgetSockets(of: session) where !channel.members.isEmpty {
            announce(difference, in: channel)
        }
    }

    /// Ends every membership of an edge's sockets; returns who is no longer present where, for the others to be told.
    private func forgetSockets(of session: EdgeSession) -> [(Channel, PresenceTable.Difference)] {
        var ended: [ChannelKey: (Channel, PresenceTable.Difference)] = [:]
        for socket in session.sockets.values {
            socket.isClosed = true
            for member in Array(socket.members.values) {
                guard let difference = takeOut(member) else { continue }
                let channel = member.channel
                ended[channel.key, default: (channel, PresenceTable.Difference())].1.leaves += difference.leaves
            }
        }
        socketCount -= session.sockets.count
        metrics.sockets.add(-Int64(session.sockets.count))
        session.sockets = [:]
        return Array(ended.values)
    }

    private func release(_ session: EdgeSession, with delivery: Delivery) {
        guard let waiter = session.waiter else { return }
        session.waiter = nil
        waiter.continuation.resume(returning: delivery)
    }

    // MARK: Channels

    /// The channel; made if nobody has joined it yet.
    func channel(_ key: ChannelKey) -> Channel {
        if let found = channels[key] { return found }
        let made = Channel(key: key)
        channels[key] = made
        return made
    }

    /// Ends a membership and tells the others. The member itself is told by whoever calls.
    func remove(_ member: Member) {
        if let difference = takeOut(member) { announce(difference, in: member.channel) }
    }

    /// Ends a membership and tells nobody.
    private func takeOut(_ member: Member) -> PresenceTable.Difference? {
        let channel = member.channel
        member.socket.members[channel.key.topic] = nil
        channel.remove(member)
        detach(member)
        metrics.members.add(-1)
        let difference = channel.presence.end(member: member.id)
        if channel.members.isEmpty { channels[channel.key] = nil }
        return difference
    }

    /// Says why, then ends the membership (RT-62).
    func expel(_ member: Member, _ message: String) {
        let topic = member.channel.key
        push(
            "system", Payloads.system(extension: "system", isOK: false, message, topic: topic.name), to: member)
        let frame = EnvelopeWriter.end(
            member.socket.serializer, joinReference: member.joinReference, topic: topic.topic, event: "phx_close")
        append(Outgoing(sockets: [member.socket.id], content: .text(frame)), to: member.socket.session)
        remove(member)
    }

    // MARK: Sending

    /// Answers a message.
    func reply(_ payload: [UInt8], to envelope: Envelope, _ socket: Socket) {
        let frame = EnvelopeWriter.write(
            socket.serializer, joinReference: envelope.joinReference, reference: envelope.reference,
            topic: envelope.topic, event: "phx_reply", payload: payload)
        append(Outgoing(sockets: [socket.id], content: .text(frame)), to: socket.session)
    }

    /// Sends a message of our own to one member.
    func push(_ event: String, _ payload: [UInt8], to member: Member) {
        let frame = EnvelopeWriter.push(
            member.socket.serializer, topic: member.channel.key.topic, event: event, payload: payload)
        append(Outgoing(sockets: [member.socket.id], content: .text(frame)), to: member.socket.session)
    }

    /// Sends one message to many: encoded once for each serializer that somebody speaks, queued once for each edge.
    ///
    /// - Parameter encode: nil for a message that this serializer cannot carry.
    func fanOut(to members: some Sequence<Member>, encode: (Serializer) -> Outgoing.Content?) {
        var sessions: [EdgeSession] = []
        for member in members {
            let session = member.socket.session
            if session.found.one.isEmpty, session.found.two.isEmpty { sessions.append(session) }
            switch member.socket.serializer {
            case .one: session.found.one.append(member.socket.id)
            case .two: session.found.two.append(member.socket.id)
            }
        }
        var one: Outgoing.Content??
        var two: Outgoing.Content??
        for session in sessions {
            let found = session.found
            session.found = ([], [])
            if !found.one.isEmpty {
                let content = one ?? encode(.one)
                one = .some(content)
                if let content { append(Outgoing(sockets: found.one, content: content), to: session) }
            }
            if !found.two.isEmpty {
                let content = two ?? encode(.two)
                two = .some(content)
                if let content { append(Outgoing(sockets: found.two, content: content), to: session) }
            }
        }
    }

    func append(_ item: Outgoing, to session: EdgeSession) {
        metrics.framesOut.increment(by: UInt64(item.sockets.count))
        session.append(item)
        if !session.isTouched {
            session.isTouched = true
            touched.append(session)
        }
    }

    /// Answers the edges that wait for something that is there now. At the end of every call from outside.
    func flush() {
        let touched = touched
        self.touched = []
        for session in touched {
            session.isTouched = false
            guard sessions[session.id] === session else { continue }
            if session.waiter != nil, let delivery = session.next() {
                session.lastAsked = clock.now()
                release(session, with: delivery)
            }
            if session.queuedBytes > limits.sessionBytesMax {
                metrics.sessionsLost.increment()
                end(session)
            }
        }
        // Ended sessions may have left channels that others are in.
        if !self.touched.isEmpty { flush() }
    }

    // MARK: Small things

    func nextNumber() -> Int {
        lastNumber += 1
        return lastNumber
    }

    /// A `phx_ref`.
    func nextPresenceReference() -> String { "\(instancePrefix)-\(String(nextNumber(), radix: 36))" }

    func waitForKeys(_ waiting: WaitingForKeys) {
        waitingForKeys.append(waiting)
        askForKeys()
    }
}
