// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Logging
internal import MartletServiceKit
internal import NIOCore
internal import Synchronization

/// One process that answers for a function: started, listening, used, ended. `tick` does everything that has to do with
/// the process, on the keeper's thread; the rest is called from anywhere.
final class Worker: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// How soon a tick is due.
    private static let bootInterval = Duration.milliseconds(5)
    private static let busyInterval = Duration.milliseconds(50)
    private static let idleInterval = Duration.seconds(1)

    private enum Phase {
        case waiting(until: Instant)
        case starting(ProcessGroup, since: Instant)
        case ready(ProcessGroup)
        case ending(ProcessGroup, since: Instant, isKilled: Bool)
        case ended
    }

    private struct State {
        var phase: Phase
        var inHand = 0
        var isRetired = false
        /// Whether it ends although requests are in hand.
        var isStopped = false
        var hasAnswered = false
        var hasMoved = false
        /// Why there is, or will be, no answer of it.
        var cause: FunctionFailure.Code?
        var detail = ""
    }

    /// What only the keeper's thread touches; a mutex, as the compiler cannot know.
    private struct Kept {
        var watch: WorkerWatch
        var output = OutputLines()
        var error = OutputLines()
        var lookedAt: Instant?
        /// Whether it has written that its heap is full: what that means shows when it ends.
        var saysHeapIsFull = false
    }

    let socket: String
    /// Of the sources that it runs.
    let signature: UInt64?
    let connections: FunctionConnections
    private let name: String
    private let command: ProcessCommand
    private let countsGroup: Bool
    private let logger: Logger
    private let ready: FactSignal
    private let gone: FactSignal
    private let state: Mutex<State>
    private let kept: Mutex<Kept>

    /// Nothing is started before the keeper's first tick at `start`, or later.
    init(
        _ entry: FunctionEntry, command: ProcessCommand, socket: String, signature: UInt64?, start: Instant,
        group: any EventLoopGroup, logger: Logger
    ) {
        name = entry.name
        self.command = command
        self.socket = socket
        self.signature = signature
        if case .process = entry.kind { countsGroup = true } else { countsGroup = false }
        var logger = logger
        logger[metadataKey: "function.name"] = "\(entry.name)"
        self.logger = logger
        let loop = group.any()
        ready = FactSignal(loop: loop)
        gone = FactSignal(loop: loop)
        connections = FunctionConnections(.socket(path: socket), group: group)
        state = Mutex(State(phase: .waiting(until: start)))
        kept = Mutex(
            Kept(
                watch: WorkerWatch(
                    cpuTime: entry.cpuTime, memoryBytesMax: entry.memoryMebibytes << 20,
                    processesMax: countsGroup ? entry.processesMax : .max)))
    }

    var hasEnded: Bool { state.withLock { if case .ended = $0.phase { true } else { false } } }
    var hasAnswered: Bool { state.withLock { $0.hasAnswered } }

    /// Takes it for one request, until `finish`; false if it takes none any more.
    func begin() -> Bool {
        state.withLock { state in
            guard !state.isRetired else { return false }
            switch state.phase {
            case .waiting, .starting, .ready:
                state.inHand += 1
                state.hasMoved = true
                return true
            case .ending, .ended: return false
            }
        }
    }

    func finish(hasAnswered: Bool) {
        state.withLock { state in
            state.inHand -= 1
            state.hasMoved = true
            if hasAnswered { state.hasAnswered = true }
        }
    }

    /// No further requests; it ends when it has answered the last.
    func retire() { state.withLock { $0.isRetired = true } }

    /// It ends, whatever it has in hand.
    func stop() {
        state.withLock { state in
            state.isRetired = true
            state.isStopped = true
        }
    }

    /// It will not be started.
    func giveUp() {
        state.withLock { state in
            state.phase = .ended
            state.cause = .bootError
            state.detail = "the service stops"
        }
        ready.fire()
        gone.fire()
    }

    /// Waits until it listens.
    func becomesReady(until deadline: Instant) async throws(FunctionFailure) {
        guard await ready.wait(until: deadline) else {
            throw FunctionFailure(code: .idleTimeout, wasDelivered: false, detail: "the worker was not ready in time")
        }
        let (cause, detail, isReady) = state.withLock { state in
            if case .ready = state.phase {
                (state.cause, state.detail, true)
            } else {
                (state.cause, state.detail, false)
            }
        }
        if !isReady { throw FunctionFailure(code: cause ?? .bootError, wasDelivered: false, detail: detail) }
    }

    /// Why a connection to it may have ended: its end, if it ends within `time`.
    func cause(within time: Duration) async -> (code: FunctionFailure.Code, detail: String)? {
        _ = await gone.wait(until: .now + time)
        return state.withLock { state in state.cause.map { ($0, state.detail) } }
    }

    // MARK: On the keeper's thread

    /// Does what is due; returns when it wants to be called again, nil when it has ended.
    func tick(_ now: Instant) -> Instant? {
        let (phase, isOver, inHand) = state.withLock { state in
            (state.phase, state.isStopped || state.isRetired && state.inHand == 0, state.inHand)
        }
        switch phase {
        case .waiting(let start):
            if isOver {
                giveUp()
                return nil
            }
            return now < start ? start : boot(now)
        case .starting(let process, let since):
            readOutput(process, now)
            if let end = process.reap() { return ended(process, end, now) }
            if PosixFile.exists(socket) {
                state.withLock { $0.phase = .ready(process) }
                logger.debug("A worker listens.", metadata: ["function.process": "\(process.number)"])
                ready.fire()
                return now + Self.busyInterval
            }
            if isOver {
                process.signal(SIGKILL)
                state.withLock { $0.phase = .ending(process, since: now, isKilled: true) }
            } else if now - since > FunctionLimits.bootMax {
                kill(process, .bootError, "it did not listen on its socket in time", now)
            }
            return now + Self.bootInterval
        case .ready(let process):
            readOutput(process, now)
            if let end = process.reap() { return ended(process, end, now) }
            if isOver {
                process.signal(SIGTERM)
                state.withLock { $0.phase = .ending(process, since: now, isKilled: false) }
                return now + Self.busyInterval
            }
            watch(process, inHand: inHand, now)
            return now + (inHand > 0 ? Self.busyInterval : Self.idleInterval)
        case .ending(let process, let since, let isKilled):
            readOutput(process, now)
            if let end = process.reap() { return ended(process, end, now) }
            if !isKilled, now - since > FunctionLimits.endMax {
                process.signal(SIGKILL)
                state.withLock { $0.phase = .ending(process, since: since, isKilled: true) }
            }
            return now + Self.busyInterval
        case .ended: return nil
        }
    }

    private func boot(_ now: Instant) -> Instant? {
        try? PosixFile.remove(socket)
        do throws(ProcessGroup.Failure) {
            let process = try ProcessGroup.start(command)
            state.withLock { $0.phase = .starting(process, since: now) }
            return now + Self.bootInterval
        } catch {
            logger.error("A worker cannot be started.", metadata: ["error.detail": "\(error.reason)"])
            state.withLock { state in
                state.phase = .ended
                state.cause = .bootError
                state.detail = error.reason
            }
            ready.fire()
            gone.fire()
            return nil
        }
    }

    private func kill(_ process: ProcessGroup, _ cause: FunctionFailure.Code, _ detail: String, _ now: Instant) {
        state.withLock { state in
            state.phase = .ending(process, since: now, isKilled: true)
            state.cause = cause
            state.detail = detail
        }
        process.signal(SIGKILL)
        logger.warning(
            "A worker is killed.",
            metadata: ["error.detail": "\(detail)", "function.process": "\(process.number)"])
    }

    private func watch(_ process: ProcessGroup, inHand: Int, _ now: Instant) {
        let excess: WorkerWatch.Excess? = kept.withLock { kept in
            // Looking at a whole group means looking at all of /proc.
            if countsGroup, let last = kept.lookedAt, now - last < Self.busyInterval * 4 { return nil }
            kept.lookedAt = now
            let usage =
                countsGroup ? ProcessTable.usage(ofGroup: process.number) : ProcessTable.usage(of: process.number)
            guard let usage else { return nil }
            let hasMoved = state.withLock { state in
                defer { state.hasMoved = false }
                return state.hasMoved
            }
            return kept.watch.check(usage, inHand: inHand, hasMoved: hasMoved, at: now)
        }
        if let excess { kill(process, .workerLimit, "it has used more than its \(excess.text)", now) }
    }

    private func ended(_ process: ProcessGroup, _ end: ProcessGroup.End, _ now: Instant) -> Instant? {
        // Whatever else is in its session has nobody to answer for any more.
        process.signal(SIGKILL)
        ProcessTable.kill(session: process.number)
        readOutput(process, now)
        process.closePipes()
        try? PosixFile.remove(socket)
        for line in kept.withLock({ $0.output.rest(at: now) }) { log(line, isError: false) }
        for line in kept.withLock({ $0.error.rest(at: now) }) { log(line, isError: true) }
        let isTooLarge: Bool
        if case .signalled(let number) = end {
            // The kernel kills what takes too much memory; V8 says so, and traps.
            isTooLarge = number == SIGKILL || kept.withLock { $0.saysHeapIsFull }
        } else {
            isTooLarge = false
        }
        let (wasAsked, wasReady) = state.withLock { state in
            let wasAsked = state.isRetired && state.cause == nil
            var wasReady = true
            if case .starting = state.phase { wasReady = false }
            state.phase = .ended
            if state.cause == nil {
                state.cause = !wasReady ? .bootError : isTooLarge ? .workerLimit : .workerError
                state.detail = end.text
            }
            return (wasAsked, wasReady)
        }
        if !wasAsked {
            logger.warning(
                wasReady ? "A worker has ended." : "A worker has ended before it listened.",
                metadata: ["error.detail": "\(end.text)", "function.process": "\(process.number)"])
        }
        connections.close()
        ready.fire()
        gone.fire()
        return nil
    }

    // MARK: Output

    /// What V8 says when its heap is full, before it ends the process: `Fatal JavaScript out of memory` in Deno,
    /// `JavaScript heap out of memory` in Node.
    private static let heapIsFull = ["JavaScript out of memory", "heap out of memory"]

    private func readOutput(_ process: ProcessGroup, _ now: Instant) {
        for (descriptor, isError) in [(process.output, false), (process.error, true)] {
            let bytes = Self.read(descriptor)
            guard !bytes.isEmpty else { continue }
            let (lines, dropped) = kept.withLock { kept in
                isError
                    ? (kept.error.take(bytes, at: now), kept.error.takeDropped())
                    : (kept.output.take(bytes, at: now), kept.output.takeDropped())
            }
            for line in lines { log(line, isError: isError) }
            if dropped > 0 {
                logger.warning("Output of a function was dropped.", metadata: ["function.lines": "\(dropped)"])
            }
        }
    }

    private func log(_ line: OutputLines.Line, isError: Bool) {
        var text = line.text
        for secret in command.secrets where text.contains(secret) { text = text.replacing(secret, with: "(hidden)") }
        if isError, Self.heapIsFull.contains(where: text.contains) { kept.withLock { $0.saysHeapIsFull = true } }
        let metadata: Logger.Metadata = [
            "function.output": "\(text)", "function.stream": isError ? "stderr" : "stdout",
        ]
        logger.info("A function has written.", metadata: metadata)
    }

    /// What there is, up to some pieces: a worker that writes without end must not hold the keeper.
    private static func read(_ descriptor: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 16_384)
        for _ in 0..<16 {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        return bytes
    }
}
