// SPDX-License-Identifier: Apache-2.0

internal import CZeroMQ
internal import Glibc
internal import MartletWire
internal import NIOCore

/// The bus thread's own state and its loop. Everything here runs on that thread alone.
///
/// A turn: commands and jobs, sockets that have something (at most 256 messages each), timers, then sleep in `epoll`.
/// libzmq's descriptors are edge-triggered: a socket is looked at again after every edge, after every send, and until a
/// receive found nothing.
final class BusLoop {
    static let messagesPerTurnMax = 256
    /// How often a turn looks at the sockets that its own work touched.
    private static let roundsPerTurnMax = 2
    /// A longer turn is reported: some handler blocks or computes where it should not.
    private static let turnMax: Int64 = 1_000_000

    private let inbox: BusInbox
    private var context: ZeroMQContext?
    private let epoll: Int32
    private var sources: [UInt64: SocketSource] = [:]
    private var nextSource: UInt64 = 1
    private var hot: [SocketSource] = []
    private var drained: [SocketSource] = []
    private var unsent: [SocketSource] = []
    private var ticks: [TickSource] = []
    private var jobs: [UnownedJob] = []
    private var runningJobs: [UnownedJob] = []
    private var commands: [BusInbox.Command] = []
    private var isEnding = false
    /// Lets `inproc` links know when an endpoint appears or goes, which libzmq does not tell.
    let localEndpoints = LocalEndpoints()
    var authenticator: Authenticator?
    private(set) var now = BusLoop.clock()
    /// Seconds since 1970-01-01 UTC, read once a turn; decides about the end of keys.
    private(set) var wallSeconds = BusLoop.wallClock()
    private var turn: UInt64 = 0
    private var clocks: (turn: UInt64, time: BusTime, instant: ContinuousClock.Instant)?
    private var number: UInt64 = 0
    private var deferred: [() -> Void] = []
    private var roundEnds: [() -> Void] = []
    /// Turns that took longer than a millisecond.
    private(set) var longTurns: UInt64 = 0
    var observers: [UInt64: (BusObservation) -> Void] = [:]
    /// One room for every frame that is written, and for every one that is read.
    let scratch = FrameScratch()

    init(inbox: BusInbox) throws(ZeroMQError) {
        self.inbox = inbox
        context = try ZeroMQContext()
        epoll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard epoll >= 0 else { throw ZeroMQError("epoll_create1", number: errno) }
        watch(inbox.descriptor, id: 0)
    }

    deinit { _ = Glibc.close(epoll) }

    static func clock() -> BusTime {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return BusTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
    }

    /// Not `time()`, which answers from the last tick and so, for some milliseconds, with the second before.
    private static func wallClock() -> Int64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Int64(time.tv_sec)
    }

    func setNow(_ time: BusTime) { now = time }

    /// Brings `now` to a time that was read in the middle of this turn.
    func advance(to time: BusTime) { now = max(now, time) }

    /// Brings `now` up to date in the middle of a turn, for work that begins a deadline.
    func refreshNow() { now = Self.clock() }

    /// The same point on the clock that handlers read. Both clocks are read once a turn at most.
    func instant(of time: BusTime) -> ContinuousClock.Instant {
        if clocks?.turn != turn { clocks = (turn, Self.clock(), .now) }
        guard let clocks else { return .now }
        return clocks.instant.advanced(by: .nanoseconds((time - clocks.time).nanoseconds))
    }

    /// A number that no one else on this thread has.
    func nextNumber() -> UInt64 {
        number += 1
        return number
    }

    /// Runs `body` later in this turn or in the next: for what must not happen inside a machine's step.
    func later(_ body: @escaping () -> Void) { deferred.append(body) }

    /// Runs `body` once this round's messages and jobs are dealt with, together with the frames that they send.
    func atRoundEnd(_ body: @escaping () -> Void) { roundEnds.append(body) }

    // MARK: Sockets

    func makeSocket(_ kind: ZeroMQSocket.Kind) throws(ZeroMQError) -> ZeroMQSocket {
        guard context != nil, let socket = try context?.makeSocket(kind) else {
            throw ZeroMQError("zmq_socket", number: ENOTSOCK)
        }
        return socket
    }

    /// Watches a socket until `remove`.
    func add(_ socket: ZeroMQSocket, drain: @escaping (Int) -> Bool) -> SocketSource {
        let source = SocketSource(id: nextSource, socket: socket, drain: drain)
        nextSource += 1
        sources[source.id] = source
        watch(socket.descriptor, id: source.id)
        touch(source)
        return source
    }

    /// Stops watching and closes the socket.
    func remove(_ source: SocketSource) {
        guard sources.removeValue(forKey: source.id) != nil else { return }
        flush(source)
        _ = epoll_ctl(epoll, EPOLL_CTL_DEL, source.socket.descriptor, nil)
        source.socket.close()
    }

    /// Looks at the socket in this turn: a send may have swallowed the edge of something that arrived.
    func touch(_ source: SocketSource) {
        guard !source.isHot else { return }
        source.isHot = true
        hot.append(source)
    }

    /// Gives a frame to a socket; it leaves at the end of this round at the latest, together with others. Fails through
    /// the source's `onSendFailure`.
    func send(
        on source: SocketSource, to routing: UInt32? = nil, _ prefix: Prefix, payload: ByteBuffer = ByteBuffer(),
        header: (inout ByteBuffer) -> Void = { _ in }
    ) {
        if source.outbox.isEmpty { unsent.append(source) }
        do throws(ZeroMQError) {
            try scratch.write(to: source.outbox, routing, prefix, payload: payload, header: header)
        } catch {
            source.onSendFailure?(routing, .full)
        }
        if source.outbox.isFull { flush(source) }
    }

    private func flush() {
        if !roundEnds.isEmpty {
            let bodies = roundEnds
            roundEnds.removeAll(keepingCapacity: true)
            for body in bodies { body() }
        }
        guard !unsent.isEmpty else { return }
        let sources = unsent
        unsent.removeAll(keepingCapacity: true)
        for source in sources { flush(source) }
    }

    private func flush(_ source: SocketSource) {
        guard !source.outbox.isEmpty else { return }
        source.outbox.flush(source.socket) { routing, outcome in source.onSendFailure?(routing, outcome) }
        // The send may have swallowed the edge of something that arrived.
        if sources[source.id] != nil { touch(source) }
    }

    func add(_ tick: TickSource) { ticks.append(tick) }
    func remove(_ tick: TickSource) { ticks.removeAll { $0 === tick } }

    private func watch(_ descriptor: Int32, id: UInt64) {
        var event = unsafe epoll_event()
        unsafe event.events = EPOLLIN.rawValue | EPOLLET.rawValue
        unsafe event.data.u64 = id
        _ = unsafe epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event)
    }

    // MARK: Loop

    /// A job from this thread itself needs no lock.
    func enqueueHere(_ job: UnownedJob) { jobs.append(job) }

    func run(on executor: () -> UnownedTaskExecutor?) {
        while !isEnding {
            let start = Self.clock()
            now = start
            turn &+= 1
            wallSeconds = Self.wallClock()
            inbox.take(&commands)
            for command in commands {
                switch command {
                case .job(let job): jobs.append(job)
                case .run(let body): body(self)
                case .end: isEnding = true
                }
            }
            commands.removeAll(keepingCapacity: true)
            unsafe runJobs(on: executor)
            flush()
            // Handlers answered, callers went on: their sockets are looked at again before the kernel is asked.
            for _ in 0..<Self.roundsPerTurnMax where !hot.isEmpty {
                drainHot()
                unsafe runJobs(on: executor)
                flush()
            }
            let end = Self.clock()
            now = end
            for tick in ticks where tick.next <= end { tick.tick?(end) }
            runDeferred()
            flush()
            now = Self.clock()
            noteTurn(now.nanoseconds - start.nanoseconds)
            sleep()
        }
        shutDown()
    }

    private func runJobs(on executor: () -> UnownedTaskExecutor?) {
        guard !jobs.isEmpty, let executor = unsafe executor() else { return }
        swap(&jobs, &runningJobs)
        for job in runningJobs { unsafe job.runSynchronously(on: executor) }
        runningJobs.removeAll(keepingCapacity: true)
    }

    private func runDeferred() {
        guard !deferred.isEmpty else { return }
        let bodies = deferred
        deferred.removeAll(keepingCapacity: true)
        for body in bodies { body() }
    }

    private func drainHot() {
        guard !hot.isEmpty else { return }
        // Two rooms take turns, so that neither is copied or made anew.
        swap(&hot, &drained)
        for source in drained {
            source.isHot = false
            guard !source.socket.isClosed else { continue }
            if source.drain(Self.messagesPerTurnMax), !source.socket.isClosed { touch(source) }
        }
        drained.removeAll(keepingCapacity: true)
    }

    private func noteTurn(_ nanoseconds: Int64) {
        guard nanoseconds > Self.turnMax else { return }
        longTurns += 1
        for observer in observers.values { observer(.longTurn(.nanoseconds(nanoseconds))) }
    }

    private func sleep() {
        var timeout: Int32 = 0
        let isIdle = jobs.isEmpty && hot.isEmpty && deferred.isEmpty && inbox.startSleeping()
        if isIdle {
            var next = BusTime.never
            for tick in ticks { next = min(next, tick.next) }
            let wait = next.nanoseconds - now.nanoseconds
            timeout = next == .never ? -1 : Int32(clamping: max(0, (wait + 999_999) / 1_000_000))
        }
        var events = unsafe [64 of epoll_event](repeating: epoll_event())
        var span = unsafe events.mutableSpan
        let count = unsafe span.withUnsafeMutableBufferPointer { buffer in
            unsafe epoll_wait(epoll, buffer.baseAddress, Int32(buffer.count), timeout)
        }
        guard count > 0 else { return }
        for index in 0..<Int(count) {
            let id = unsafe events[index].data.u64
            if id == 0 {
                inbox.acknowledge()
            } else if let source = sources[id] {
                touch(source)
            }
        }
    }

    /// Closes every socket and the context. Jobs still run after it.
    func shutDown() {
        for source in Array(sources.values) { remove(source) }
        hot.removeAll()
        ticks.removeAll()
        authenticator = nil
        if let context = context.take() { context.terminate() }
    }
}
