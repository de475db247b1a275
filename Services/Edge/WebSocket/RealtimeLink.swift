// SPDX-License-Identifier: Apache-2.0

internal import FoundationEssentials
internal import Logging
internal import MartletBus
internal import MartletWire
internal import NIOCore
internal import Synchronization

/// The edge's one conversation with notification about all of its WebSockets.
///
/// A *session* is what notification knows of this edge's sockets. It begins with a `realtime.receive` that says `begin`
/// under a name nobody used before, and ends for good as soon as one side cannot be sure of the other: then every
/// socket of it is closed with 1012 (clients come back at once) and another session begins. Within a session:
///
/// - *Up*, `realtime.send`: one call on its way at a time, numbered from 1 without gaps, so that what a client sends
///   arrives once and in order. A call whose outcome is unknown ends the session, because it cannot be asked again. A
///   call that was certainly not executed is sent again under the same number.
/// - *Down*, `realtime.receive`: one call at a time, which waits at notification for something to say. It names the
///   last reply that this side has passed to its sockets; notification keeps a reply until the next call names it. So a
///   lost reply costs nothing: the same is asked again and the same is answered. A reply may repeat the number that was
///   named, with no items (nothing happened), or carry the next one; any other ends the session.
/// - Each announced socket is told closed exactly once, also when it was notification that asked for it. For a socket
///   that notification has closed itself, what still comes up crossed its order on the way.
final class RealtimeLink: SocketUplink {
    /// How long notification waits for something to say before it answers with nothing.
    private static let pollMilliseconds: UInt32 = 10_000
    /// How long asking may fail before the session is given up. Notification drops a session that was not asked for as
    /// long, so that the two agree.
    static let failureMax = Duration.seconds(15)
    /// How long a handshake waits for a session (D16), and how many may.
    static let waitMax = Duration.seconds(3)
    static let waitersMax = 1_000
    /// Failed calls are tried again after a time that doubles from the first to the second of these.
    private static let retryFirst = Duration.milliseconds(20)
    private static let retryMax = Duration.milliseconds(500)

    private struct State {
        /// Counts sessions. The current one while `isOpen`.
        var session: UInt64 = 0
        var isOpen = false
        /// The last call failed and the next has not succeeded yet: what is open stays, nobody new comes in.
        var isTroubled = false
        var queue = UpQueue()
        /// Wakes who tells it to notification.
        var wake: AsyncStream<Void>.Continuation?
        var isSending = false
        var waiters: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        var lastWaiter: UInt64 = 0
    }

    private let bus: Bus
    private let instance: String
    private let logger: Logger
    let room: BodyRoom
    private let state = Mutex(State())
    /// Sessions that ended other than by our stopping.
    let sessionsLost = Atomic<UInt64>(0)

    /// - Parameter room: what messages take that notification does not have yet.
    init(bus: Bus, instance: String, logger: Logger, room: BodyRoom) {
        self.bus = bus
        self.instance = instance
        self.logger = logger
        self.room = room
    }

    // MARK: From the sockets

    func open(_ socket: String, _ request: SocketRequest) -> UInt64? {
        var opened = Martlet_Wire_V1_SocketOpened()
        opened.socket = socket
        opened.query = request.query
        opened.clientAddress = request.clientAddress
        opened.serializer = request.serializer
        opened.role = request.role
        opened.claims = request.claims
        opened.token = request.token
        opened.expiresAt = request.expiresAt
        var item = Martlet_Wire_V1_SocketUp()
        item.opened = opened
        return append(item, socket: socket, cost: 0, session: nil)
    }

    func send(_ socket: String, isBinary: Bool, _ bytes: ByteBuffer, session: UInt64) -> Bool {
        let cost = bytes.readableBytes + SocketLimits.messageOverheadBytes
        guard room.take(cost) else { return false }
        var frame = Martlet_Wire_V1_SocketFrame()
        frame.socket = socket
        frame.binary = isBinary
        frame.payload = Data(bytes.readableBytesView)
        var item = Martlet_Wire_V1_SocketUp()
        item.frame = frame
        if append(item, socket: socket, cost: cost, session: session) == nil { room.giveBack(cost) }
        return true
    }

    func close(_ socket: String, code: UInt16, reason: String, session: UInt64) {
        var closed = Martlet_Wire_V1_SocketClosed()
        closed.socket = socket
        closed.code = UInt32(code)
        closed.reason = reason
        var item = Martlet_Wire_V1_SocketUp()
        item.closed = closed
        _ = append(item, socket: socket, cost: 0, session: session)
    }

    /// Nil, and nothing appended, when there is no session, or another than the given one.
    private func append(_ item: Martlet_Wire_V1_SocketUp, socket: String, cost: Int, session: UInt64?) -> UInt64? {
        state.withLock { state in
            guard state.isOpen, session == nil || session == state.session else { return nil }
            state.queue.append(item, socket: socket, cost: cost)
            state.wake?.yield()
            return state.session
        }
    }

    // MARK: Waiting for a session

    /// Whether a handshake may go on: at once while all is well, else as soon as it is, within three seconds.
    func becomesReady() async -> Bool {
        let number = state.withLock { state -> UInt64? in
            if state.isOpen, !state.isTroubled { return nil }
            state.lastWaiter += 1
            return state.lastWaiter
        }
        guard let number else { return true }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let answer = state.withLock { state -> Bool? in
                    if state.isOpen, !state.isTroubled { return true }
                    guard state.waiters.count < Self.waitersMax, !Task.isCancelled else { return false }
                    state.waiters[number] = continuation
                    return nil
                }
                if let answer { return continuation.resume(returning: answer) }
                Task { [weak self] in
                    try? await Task.sleep(for: Self.waitMax)
                    self?.giveUpWaiting(number)
                }
            }
        } onCancel: {
            giveUpWaiting(number)
        }
    }

    private func giveUpWaiting(_ number: UInt64) {
        state.withLock { $0.waiters.removeValue(forKey: number) }?.resume(returning: false)
    }

    /// All is well, from now on or again.
    private func noteReady() {
        let waiters = state.withLock { state -> [CheckedContinuation<Bool, Never>] in
            guard state.isTroubled || !state.waiters.isEmpty else { return [] }
            state.isTroubled = false
            defer { state.waiters = [:] }
            return Array(state.waiters.values)
        }
        for waiter in waiters { waiter.resume(returning: true) }
    }

    private func noteTrouble() { state.withLock { $0.isTroubled = true } }

    // MARK: Sessions

    /// Until its task is cancelled.
    func run(_ sockets: Sockets) async {
        var pause = Self.retryFirst
        while !Task.isCancelled {
            // A name of its own for every attempt: whoever is behind a call whose reply was lost is forgotten there.
            let name = Self.randomName() + "-" + instance
            guard await begin(name) else {
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.retryMax)
                continue
            }
            pause = Self.retryFirst
            let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
            let number = state.withLock { state in
                state.session += 1
                state.isOpen = true
                state.wake = wake
                return state.session
            }
            noteReady()
            logger.debug("Realtime has a session.", metadata: ["realtime.session": "\(name)"])
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await self.sendAll(name, wakes, sockets) }
                group.addTask { await self.receiveAll(name, sockets) }
                await group.next()
                group.cancelAll()
            }
            let bytes = state.withLock { state in
                state.isOpen = false
                state.isSending = false
                return state.queue.removeAll()
            }
            room.giveBack(bytes)
            guard !Task.isCancelled else { break }
            sessionsLost.wrappingAdd(1, ordering: .relaxed)
            logger.warning(
                "The session with notification has ended; its clients are asked to come back.",
                metadata: [
                    "realtime.session": "\(name)", "sockets": "\(sockets.counters.open.load(ordering: .relaxed))",
                ])
            await sockets.endSession(number)
        }
    }

    /// Returns once notification has been told everything, or after `limit`.
    func drain(within limit: Duration) async {
        let end = ContinuousClock.now + limit
        while ContinuousClock.now < end, state.withLock({ $0.isOpen && ($0.isSending || !$0.queue.isEmpty) }) {
            try? await Task.sleep(for: .milliseconds(5))
        }
    }

    private static func randomName() -> String {
        let text = String(UInt64.random(in: .min ... .max), radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }

    private func begin(_ name: String) async -> Bool {
        var request = Martlet_Wire_V1_RealtimeReceiveRequest()
        request.session = name
        request.begin = true
        // Answered at once: as long as there is no answer no client comes in.
        request.waitMilliseconds = 0
        do {
            let reply = try await bus.request(
                MethodRegistry.realtimeReceive, to: .notification, header: RequestHeader(), payload: request.payload)
            return try !Martlet_Wire_V1_RealtimeReceiveReply(payload: reply.payload).unknownSession
        } catch {
            return false
        }
    }

    // MARK: Up

    private func sendAll(_ name: String, _ wakes: AsyncStream<Void>, _ sockets: Sockets) async {
        var sequence: UInt64 = 0
        for await _ in wakes {
            while let batch = nextBatch() {
                sequence += 1
                let isDone = await send(batch, name, sequence)
                room.giveBack(batch.bytes)
                guard isDone else { return }
                await sockets.settle(batch.cost)
            }
        }
    }

    private func nextBatch() -> UpQueue.Batch? {
        state.withLock { state in
            let batch = state.queue.takeBatch()
            state.isSending = batch != nil
            return batch
        }
    }

    /// False when the session has to end.
    private func send(_ batch: UpQueue.Batch, _ name: String, _ sequence: UInt64) async -> Bool {
        var request = Martlet_Wire_V1_RealtimeSendRequest()
        request.session = name
        request.sequence = sequence
        request.items = batch.items
        let payload = request.payload
        var pause = Self.retryFirst
        while !Task.isCancelled {
            do throws(BusError) {
                let reply = try await bus.request(
                    MethodRegistry.realtimeSend, to: .notification, header: RequestHeader(), payload: payload)
                guard let answer = try? Martlet_Wire_V1_RealtimeSendReply(payload: reply.payload) else { return false }
                return !answer.unknownSession
            } catch {
                guard error.executed == .no, Self.passes(error.code) else { return false }
            }
            // For how long is up to the other direction, which gives the session up when it fails too.
            try? await Task.sleep(for: pause)
            pause = min(pause * 2, Self.retryMax)
        }
        return false
    }

    /// Whether trying again can help.
    private static func passes(_ code: ErrorCode) -> Bool {
        code == .busy || code == .draining || code == .unavailable || code == .linkLost || code == .deadlineExceeded
    }

    // MARK: Down

    private func receiveAll(_ name: String, _ sockets: Sockets) async {
        var request = Martlet_Wire_V1_RealtimeReceiveRequest()
        request.session = name
        request.waitMilliseconds = Self.pollMilliseconds
        var failingSince: ContinuousClock.Instant?
        var pause = Self.retryFirst
        while !Task.isCancelled {
            do throws(BusError) {
                let reply = try await bus.request(
                    MethodRegistry.realtimeReceive, to: .notification, header: RequestHeader(),
                    payload: request.payload)
                guard let answer = try? Martlet_Wire_V1_RealtimeReceiveReply(payload: reply.payload),
                    !answer.unknownSession
                else { return }
                failingSince = nil
                pause = Self.retryFirst
                noteReady()
                switch answer.sequence {
                case request.acknowledged: continue
                case request.acknowledged + 1:
                    // Before the next call: a batch is on its way to the clients, or it is asked for again.
                    await sockets.deliver(answer.items.map(Self.delivery))
                    request.acknowledged += 1
                default: return
                }
            } catch {
                guard error.code != .cancelled else { return }
                noteTrouble()
                let since = failingSince ?? .now
                failingSince = since
                guard Self.passes(error.code), .now - since < Self.failureMax else { return }
                try? await Task.sleep(for: pause)
                pause = min(pause * 2, Self.retryMax)
            }
        }
    }

    /// An item with a close code closes its sockets, after its payload when it has one; an item without is a message.
    private static func delivery(_ item: Martlet_Wire_V1_SocketDown) -> SocketDelivery {
        let isMessage = item.closeCode == 0 || !item.payload.isEmpty
        let code = UInt16(exactly: item.closeCode).flatMap { CloseCode.isValid($0) ? $0 : nil }
        return SocketDelivery(
            sockets: item.sockets,
            frame: isMessage ? ServerFrame.message(isBinary: item.binary, item.payload) : nil,
            close: item.closeCode == 0
                ? nil : SocketFault(code: code ?? CloseCode.goingAway, reason: item.closeReason))
    }
}
