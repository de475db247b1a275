// SPDX-License-Identifier: Apache-2.0

internal import Glibc
internal import Synchronization

/// What an operator wants to know of the exporter; told once per change, not once per batch.
package enum ExporterObservation: Sendable, Equatable {
    /// Spans do not arrive; they are tried again as long as they are kept.
    case failing(reason: String)
    /// They arrive again.
    case recovered
    /// The collector takes requests but not all of their spans.
    case rejecting(reason: String)
    /// More spans end than the collector takes; the newest are dropped.
    case overflowing
}

/// Sends the spans of this process to a collector by OTLP/HTTP, from a thread of its own. Nobody else ever waits for it.
package final class SpanExporter: Sendable {
    private let encoding: SpanEncoding
    private let sampling: SamplingRatio
    private let limits: SpanLimits
    private let queue: SpanQueue
    private let bell: Bell
    private let observer: @Sendable (ExporterObservation) -> Void
    private let stopping: Mutex<Stop>

    private struct Stop {
        var deadline: ContinuousClock.Instant?
        /// When the thread ended.
        var ended: ContinuousClock.Instant?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// The words say what keeps the exporter from being made.
    package struct Fault: Error, Sendable {
        package let reason: String
    }

    /// Starts the thread. `transport` is made on it and used there only.
    init(
        encoding: SpanEncoding, sampling: SamplingRatio, limits: SpanLimits = SpanLimits(),
        observer: @escaping @Sendable (ExporterObservation) -> Void,
        transport: @escaping @Sendable () -> any SpanTransport
    ) throws(Fault) {
        guard let bell = Bell() else { throw Fault(reason: "the system has no descriptor for it") }
        self.bell = bell
        self.encoding = encoding
        self.sampling = sampling
        self.limits = limits
        self.observer = observer
        stopping = Mutex(Stop())
        queue = SpanQueue(limits: limits, separator: encoding.separator) { bell.ring() }
        guard ExporterThread.start({ [self] in run(transport()) }) else {
            throw Fault(reason: "the system has no thread for it")
        }
    }

    /// The tracer of one service, and what it counts.
    package func tracer(of source: SpanSource) -> (tracer: Tracer, counters: SpanCounters) {
        let (number, counters) = queue.addSource(source)
        let output = SpanOutput(queue: queue, encoding: encoding, source: number, sampling: sampling)
        return (Tracer(output: output), counters)
    }

    /// Spans that wait or are on their way.
    package var waiting: Int { queue.held }
    var waitingBytes: Int { queue.heldBytes }
    var ended: ContinuousClock.Instant? { stopping.withLock { $0.ended } }

    /// Sends what there is and ends the thread: at the latest a second after `duration`; what is left then is lost.
    package func stop(within duration: Duration) async {
        queue.close()
        stopping.withLock { $0.deadline = $0.deadline ?? .now + duration }
        bell.ring()
        await withCheckedContinuation { continuation in
            let isEnded = stopping.withLock { stop in
                if stop.ended == nil { stop.waiters.append(continuation) }
                return stop.ended != nil
            }
            if isEnded { continuation.resume() }
        }
    }

    // MARK: On the thread

    private enum Health { case well, failing, rejecting }

    private struct Progress {
        var health = Health.well
        var overflown: UInt64 = 0
        var isOverflowing = false
    }

    private var deadline: ContinuousClock.Instant? { stopping.withLock { $0.deadline } }

    private func run(_ transport: any SpanTransport) {
        var progress = Progress()
        while true {
            let isStopping = deadline != nil
            let (batch, due) = queue.take(all: isStopping)
            if let batch {
                deliver(batch, transport, &progress)
                noteOverflow(&progress)
            } else if isStopping {
                break
            } else {
                bell.wait(until: due)
            }
        }
        let waiters = stopping.withLock { stop in
            stop.ended = .now
            defer { stop.waiters = [] }
            return stop.waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private func deliver(_ batch: SpanQueue.Batch, _ transport: any SpanTransport, _ progress: inout Progress) {
        defer { queue.release(batch) }
        let named = queue.named(batch)
        let body = encoding.body(named.map { ($0.source, $0.part.spans) })
        let begun = ContinuousClock.now
        var tries = 0
        while true {
            let left = deadline.map { $0 - .now } ?? limits.timeout
            guard left > .zero else {
                return lose(named, "the process stops", &progress)
            }
            tries += 1
            let outcome = transport.send(body, timeout: min(left, limits.timeout)) { [self] in
                deadline.map { $0 <= .now } ?? false
            }
            let verdict = ExportVerdict(
                outcome, encoding: encoding, limits: limits, tries: tries, spent: .now - begun,
                draw: .random(in: 0...1))
            switch verdict {
            case .delivered:
                for (_, counters, part) in named { counters.addExported(part.count) }
                return change(to: .well, .recovered, &progress)
            case .partly(let rejected, let reason):
                count(named, rejected: rejected)
                return change(to: .rejecting, .rejecting(reason: reason), &progress)
            case .lost(let reason): return lose(named, reason, &progress)
            case .again(let pause, let reason):
                change(to: .failing, .failing(reason: reason), &progress)
                let until = ContinuousClock.now + pause
                while ContinuousClock.now < until, deadline == nil { bell.wait(until: until) }
                // While the process stops there is one more try at most.
                if let deadline, until > deadline, tries > 1 { return lose(named, reason, &progress) }
            }
        }
    }

    /// The collector does not say whose spans it rejected: the first parts bear it.
    private func count(
        _ named: [(source: SpanSource, counters: SpanCounters, part: SpanQueue.Batch.Part)], rejected: Int
    ) {
        var left = rejected
        for (_, counters, part) in named {
            let here = min(left, part.count)
            left -= here
            counters.addRejected(here)
            counters.addExported(part.count - here)
        }
    }

    private func lose(
        _ named: [(source: SpanSource, counters: SpanCounters, part: SpanQueue.Batch.Part)], _ reason: String,
        _ progress: inout Progress
    ) {
        for (_, counters, part) in named { counters.addLost(part.count) }
        change(to: .failing, .failing(reason: reason), &progress)
    }

    private func change(to health: Health, _ observation: ExporterObservation, _ progress: inout Progress) {
        guard progress.health != health else { return }
        progress.health = health
        observer(observation)
    }

    private func noteOverflow(_ progress: inout Progress) {
        let overflown = queue.overflown
        let isOverflowing = overflown > progress.overflown
        progress.overflown = overflown
        if isOverflowing, !progress.isOverflowing { observer(.overflowing) }
        progress.isOverflowing = isOverflowing
    }
}

/// Wakes the exporter's thread: a pipe, of which a full one rings already.
private final class Bell: Sendable {
    private let reading: Int32
    private let writing: Int32

    init?() {
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { return nil }
        (reading, writing) = (ends[0], ends[1])
        for end in ends {
            _ = fcntl(end, F_SETFD, FD_CLOEXEC)
            _ = fcntl(end, F_SETFL, O_NONBLOCK)
        }
    }

    deinit {
        _ = close(reading)
        _ = close(writing)
    }

    func ring() {
        var byte: UInt8 = 1
        _ = unsafe write(writing, &byte, 1)
    }

    /// Returns when it has rung since the last time, or at `instant`; with nil only when it rings.
    func wait(until instant: ContinuousClock.Instant?) {
        var milliseconds: Int32 = -1
        if let instant {
            let (seconds, attoseconds) = (instant - .now).components
            milliseconds = Int32(clamping: max(0, seconds * 1_000 + attoseconds / 1_000_000_000_000_000 + 1))
        }
        var entry = pollfd(fd: reading, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&entry, 1, milliseconds) > 0 else { return }
        var bytes: [UInt8] = Array(repeating: 0, count: 64)
        _ = unsafe read(reading, &bytes, bytes.count)
    }
}

private enum ExporterThread {
    private final class Start {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }

    /// False when the system has no thread for it.
    static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        let start = unsafe Unmanaged.passRetained(Start(body))
        // Signals are for the threads that asked for them.
        var all = sigset_t()
        var before = sigset_t()
        unsafe sigfillset(&all)
        unsafe pthread_sigmask(SIG_SETMASK, &all, &before)
        var thread = pthread_t()
        let result = unsafe pthread_create(
            &thread, nil,
            { argument in
                guard let argument = unsafe argument else { return nil }
                unsafe Unmanaged<Start>.fromOpaque(argument).takeRetainedValue().body()
                return nil
            }, start.toOpaque())
        unsafe pthread_sigmask(SIG_SETMASK, &before, nil)
        guard result == 0 else {
            unsafe start.release()
            return false
        }
        pthread_detach(thread)
        return true
    }
}
