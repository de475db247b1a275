// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// How much may wait for the collector, and what goes to it at once.
package struct SpanLimits: Sendable {
    /// Spans that wait or are on their way; further ones are dropped (OpenTelemetry's SDKs have 2,048).
    package var spansMax = 8_192
    /// The same in bytes: spans have about 500.
    package var bytesMax = 8 << 20
    /// Spans of one request (OpenTelemetry's SDKs have 512).
    package var batchMax = 512
    /// How long a span may wait for others.
    package var delay = Duration.seconds(1)
    /// How long one request may take.
    package var timeout = Duration.seconds(10)
    /// The pause before the second try; it doubles from try to try.
    package var pauseFirst = Duration.seconds(1)
    package var pauseMax = Duration.seconds(10)
    /// How long spans are tried before they are given up, so that old ones do not keep out new ones for ever.
    package var tryingMax = Duration.seconds(60)

    package init() {}
}

/// The totals of one service's spans.
package final class SpanCounters: Sendable {
    private let exportedTotal = Atomic<UInt64>(0)
    private let overflownTotal = Atomic<UInt64>(0)
    private let lostTotal = Atomic<UInt64>(0)
    private let rejectedTotal = Atomic<UInt64>(0)

    init() {}

    /// Taken by the collector.
    package var exported: UInt64 { exportedTotal.load(ordering: .relaxed) }
    /// Dropped because the queue was full.
    package var overflown: UInt64 { overflownTotal.load(ordering: .relaxed) }
    /// Dropped because the collector could not be reached, or did not take them.
    package var lost: UInt64 { lostTotal.load(ordering: .relaxed) }
    /// Of a request that the collector took in part.
    package var rejected: UInt64 { rejectedTotal.load(ordering: .relaxed) }

    func addExported(_ count: Int) { exportedTotal.wrappingAdd(UInt64(count), ordering: .relaxed) }
    func addOverflown() { overflownTotal.wrappingAdd(1, ordering: .relaxed) }
    func addLost(_ count: Int) { lostTotal.wrappingAdd(UInt64(count), ordering: .relaxed) }
    func addRejected(_ count: Int) { rejectedTotal.wrappingAdd(UInt64(count), ordering: .relaxed) }
}

/// Spans of all services of the process, written and counted, until the exporter's thread takes them. Adding never waits:
/// what does not fit is dropped, the newest first, and counted.
final class SpanQueue: Sendable {
    /// Spans that travel together.
    struct Batch: Sendable {
        struct Part: Sendable {
            var spans: [UInt8] = []
            var count = 0
        }

        /// By source.
        var parts: [Part] = []
        var count = 0
        var bytes = 0
        /// When the first of them came.
        var since = ContinuousClock.now
    }

    private struct State {
        var sources: [SpanSource] = []
        var counters: [SpanCounters] = []
        var full: [Batch] = []
        var growing = Batch()
        /// Those on their way included.
        var held = 0
        var heldBytes = 0
        var isClosed = false

        func hasRoom(for size: Int, _ limits: SpanLimits) -> Bool {
            #if MUTANT_TRACE_QUEUE_UNBOUNDED
                return true
            #else
                return !isClosed && held < limits.spansMax && heldBytes + size <= limits.bytesMax
            #endif
        }
    }

    private let limits: SpanLimits
    private let separator: [UInt8]
    private let state = Mutex(State())
    /// Told when there is a first span, and when a batch is full.
    private let wake: @Sendable () -> Void

    init(limits: SpanLimits, separator: [UInt8], wake: @escaping @Sendable () -> Void) {
        self.limits = limits
        self.separator = separator
        self.wake = wake
    }

    /// Names a further service; the number is its place in every batch.
    func addSource(_ source: SpanSource) -> (number: Int, counters: SpanCounters) {
        let counters = SpanCounters()
        let number = state.withLock { state in
            state.sources.append(source)
            state.counters.append(counters)
            return state.sources.count - 1
        }
        return (number, counters)
    }

    func add(_ span: [UInt8], of source: Int) {
        let isToWake = state.withLock { state -> Bool in
            guard state.hasRoom(for: span.count, limits) else {
                state.counters[source].addOverflown()
                return false
            }
            if state.growing.count == 0 { state.growing.since = .now }
            while state.growing.parts.count <= source { state.growing.parts.append(Batch.Part()) }
            let size = state.growing.parts[source].count == 0 ? span.count : span.count + separator.count
            if state.growing.parts[source].count > 0 { state.growing.parts[source].spans += separator }
            state.growing.parts[source].spans += span
            state.growing.parts[source].count += 1
            state.growing.count += 1
            state.growing.bytes += size
            state.held += 1
            state.heldBytes += size
            guard state.growing.count >= limits.batchMax else { return state.growing.count == 1 }
            state.full.append(state.growing)
            state.growing = Batch()
            return true
        }
        if isToWake { wake() }
    }

    /// The oldest full batch, else what has waited long enough; with `all` whatever there is. Else the time at which
    /// something will be due, or nil for nothing. What is taken stays counted until `release`.
    func take(all: Bool) -> (batch: Batch?, due: ContinuousClock.Instant?) {
        state.withLock { state in
            if !state.full.isEmpty { return (state.full.removeFirst(), nil) }
            guard state.growing.count > 0 else { return (nil, nil) }
            let due = state.growing.since + limits.delay
            guard all || due <= .now else { return (nil, due) }
            let batch = state.growing
            state.growing = Batch()
            return (batch, nil)
        }
    }

    func release(_ batch: Batch) {
        state.withLock { state in
            state.held -= batch.count
            state.heldBytes -= batch.bytes
        }
    }

    /// Takes no more; further ones count as overflown.
    func close() { state.withLock { $0.isClosed = true } }

    var held: Int { state.withLock { $0.held } }
    var heldBytes: Int { state.withLock { $0.heldBytes } }
    var overflown: UInt64 { state.withLock { $0.counters.reduce(0) { $0 + $1.overflown } } }

    /// The parts that are not empty, with whose they are.
    func named(_ batch: Batch) -> [(source: SpanSource, counters: SpanCounters, part: Batch.Part)] {
        state.withLock { state in
            batch.parts.indices.filter { batch.parts[$0].count > 0 }
                .map { (state.sources[$0], state.counters[$0], batch.parts[$0]) }
        }
    }
}
