// SPDX-License-Identifier: Apache-2.0

import MartletWire
import Testing

@testable import MartletTracing

@Suite("Traces: spans and their contexts")
struct TracerTests {
    private static func tracer(_ ratio: Double = 1) throws -> (Tracer, SpanQueue) {
        let queue = SpanQueue(limits: SpanLimits(), separator: SpanEncoding.json.separator, wake: {})
        let (source, _) = queue.addSource(SpanSource(name: "s", instance: "i", version: "1", environment: "e"))
        let output = SpanOutput(
            queue: queue, encoding: .json, source: source, sampling: try #require(SamplingRatio(ratio)))
        return (Tracer(output: output), queue)
    }

    private static func given(_ flags: String) -> TraceContext {
        TraceContext(
            requestID: "r", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-\(flags)")
    }

    @Test("Without a collector contexts go on as they are, and nothing is asked")
    func off() {
        for trace in [TraceContext.none, Self.given("01"), Self.given("00"), .new()] {
            for span in [Tracer.off.begin("a", .server, in: trace), Tracer.off.beginTrace("a", .server, trace)] {
                #expect(span.context == trace)
                #expect(!span.isRecording)
                span.end { _ in Issue.record("Attributes were asked for") }
            }
        }
    }

    @Test("A span is a child of the one before it, in the same trace")
    func children() throws {
        let (tracer, queue) = try Self.tracer()
        let span = tracer.begin("a", .server, in: Self.given("01"))
        #expect(span.context.traceID == Self.given("01").traceID)
        #expect(span.context.spanID != Self.given("01").spanID)
        #expect(span.context.requestID == "r")
        #expect(span.context.isSampled)
        span.end()
        span.end()
        #expect(queue.held == 1, "Ended twice is ended once")
        let batch = try #require(queue.take(all: true).batch)
        let text = String(decoding: batch.parts[0].spans, as: UTF8.self)
        #expect(text.contains(#""parentSpanId":"b7ad6b7169203331""#))
        #expect(text.contains(#""spanId":"\#(span.context.spanID ?? "")""#))
    }

    @Test("What its beginner does not want recorded is passed on as it is")
    func unsampled() throws {
        let (tracer, queue) = try Self.tracer()
        for trace in [Self.given("00"), Self.given("02"), TraceContext.none] {
            let span = tracer.begin("a", .server, in: trace)
            #expect(span.context == trace)
            span.end()
        }
        #expect(queue.held == 0)
    }

    @Test("The first span of a trace is the one that its context names")
    func roots() throws {
        let (tracer, queue) = try Self.tracer()
        let trace = TraceContext.new()
        let span = tracer.beginTrace("a", .server, trace)
        #expect(span.context == trace)
        span.end()
        let batch = try #require(queue.take(all: true).batch)
        #expect(!String(decoding: batch.parts[0].spans, as: UTF8.self).contains("parentSpanId"))
    }

    @Test("The ratio draws about its share, each trace always alike, and tells those after it")
    func ratio() throws {
        let (tracer, _) = try Self.tracer(0.25)
        var drawn = 0
        for _ in 0..<4_000 {
            let trace = TraceContext.new()
            let span = tracer.beginTrace("a", .server, trace)
            #expect(span.isRecording == tracer.beginTrace("b", .server, trace).isRecording)
            #expect(span.context.isSampled == span.isRecording)
            #expect(span.context.traceID == trace.traceID)
            drawn += span.isRecording ? 1 : 0
        }
        // Seven standard deviations.
        #expect((810...1_190).contains(drawn), "\(drawn)")
        for ratio in [0.0, 1.0] {
            let (tracer, _) = try Self.tracer(ratio)
            for _ in 0..<100 { #expect(tracer.beginTrace("a", .server, .new()).isRecording == (ratio == 1)) }
        }
        #expect(SamplingRatio(1.01) == nil)
        #expect(SamplingRatio(.nan) == nil)
    }
}
