// SPDX-License-Identifier: Apache-2.0

package import MartletWire
internal import Synchronization

/// What a span is to the one before it (OTLP's `Span.SpanKind`).
package enum SpanKind: UInt8, Sendable {
    case `internal` = 1
    case server
    case client
    case producer
    case consumer

    /// Whether the cause is in another process, or was at another time.
    var hasRemoteParent: Bool { self == .server || self == .consumer }
}

/// Begins the spans of one service. Without a collector it passes contexts on as they are: no memory, no lock, no clock.
package struct Tracer: Sendable {
    private let output: SpanOutput?

    /// Records nothing.
    package static let off = Tracer(output: nil)

    init(output: SpanOutput?) { self.output = output }

    package var isOn: Bool { output != nil }

    /// Part of the work that `trace` is the place of. Not recorded when the one who began the trace does not want that,
    /// and when there is no trace.
    package func begin(_ name: @autoclosure () -> String, _ kind: SpanKind, in trace: TraceContext) -> Span {
        guard let output, trace.isSampled else { return Span(context: trace, recording: nil) }
        let parent = trace.spanID.map(String.init)
        return record(output, name(), kind, trace.child(), parent: parent)
    }

    /// The first span of a trace that was made here (`TraceContext.new`), which is the span that it names. Drawn by the
    /// ratio that is configured; those that are not drawn are passed on as not sampled.
    package func beginTrace(_ name: @autoclosure () -> String, _ kind: SpanKind, _ trace: TraceContext) -> Span {
        guard let output, trace.isSampled else { return Span(context: trace, recording: nil) }
        guard output.draws(trace) else { return Span(context: trace.unsampled, recording: nil) }
        return record(output, name(), kind, trace, parent: nil)
    }

    private func record(
        _ output: SpanOutput, _ name: String, _ kind: SpanKind, _ trace: TraceContext, parent: String?
    ) -> Span {
        Span(
            context: trace,
            recording: SpanRecording(
                output: output, name: name, kind: kind, context: trace, parent: parent, began: SpanClock.wall,
                start: .now))
    }
}

/// Work in a trace: `context` is what goes on to whom it asks. A span that is not ended is not exported.
package struct Span: Sendable {
    package let context: TraceContext
    private let recording: SpanRecording?

    init(context: TraceContext, recording: SpanRecording?) {
        self.context = context
        self.recording = recording
    }

    package var isRecording: Bool { recording != nil }

    /// Ends it, once. `error`: the code of what failed (`error.type`), from a small fixed set; nil when nothing did.
    /// `attributes` is not called when nothing is recorded.
    package func end(
        name: @autoclosure () -> String? = nil, error: String? = nil,
        _ attributes: (inout SpanAttributes) -> Void = { _ in }
    ) {
        guard let recording else { return }
        recording.end(name: name(), error: error, attributes)
    }
}

/// What is known from a span's beginning.
final class SpanRecording: Sendable {
    private let output: SpanOutput
    private let name: String
    private let kind: SpanKind
    private let context: TraceContext
    private let parent: String?
    private let began: UInt64
    private let start: ContinuousClock.Instant
    private let isEnded = Atomic<Bool>(false)

    init(
        output: SpanOutput, name: String, kind: SpanKind, context: TraceContext, parent: String?, began: UInt64,
        start: ContinuousClock.Instant
    ) {
        self.output = output
        self.name = name
        self.kind = kind
        self.context = context
        self.parent = parent
        self.began = began
        self.start = start
    }

    func end(name: String?, error: String?, _ fill: (inout SpanAttributes) -> Void) {
        guard !isEnded.exchange(true, ordering: .relaxed) else { return }
        var attributes = SpanAttributes()
        fill(&attributes)
        attributes.set(.requestID, context.requestID)
        attributes.set(.errorType, error)
        // The wall clock is read once: it may be set while the work runs.
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        let nanoseconds = UInt64(clamping: seconds * 1_000_000_000 + attoseconds / 1_000_000_000)
        output.add(
            SpanRecord(
                traceparent: context.traceparent, parent: parent, name: name ?? self.name, kind: kind, began: began,
                ended: began &+ nanoseconds, attributes: attributes, hasFailed: error != nil))
    }
}

/// A span that has ended.
struct SpanRecord {
    /// Its trace and itself.
    var traceparent: String
    var parent: String?
    var name: String
    var kind: SpanKind
    /// Nanoseconds since 1970.
    var began: UInt64
    var ended: UInt64
    var attributes: SpanAttributes
    var hasFailed: Bool
}

/// Where the spans of one service go.
final class SpanOutput: Sendable {
    private let queue: SpanQueue
    private let encoding: SpanEncoding
    private let source: Int
    private let sampling: SamplingRatio

    init(queue: SpanQueue, encoding: SpanEncoding, source: Int, sampling: SamplingRatio) {
        self.queue = queue
        self.encoding = encoding
        self.source = source
        self.sampling = sampling
    }

    func draws(_ trace: TraceContext) -> Bool { sampling.draws(trace) }

    func add(_ record: SpanRecord) { queue.add(encoding.encode(record), of: source) }
}

extension TraceContext {
    /// The same place, with the wish that nobody records it.
    var unsampled: TraceContext {
        TraceContext(requestID: requestID, traceparent: String(traceparent.dropLast(2)) + "00")
    }
}
