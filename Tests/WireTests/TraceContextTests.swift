// SPDX-License-Identifier: Apache-2.0

import MartletWire
import Testing

/// W3C Trace Context, section 3.2, and request ids.
@Suite("Trace context")
struct TraceContextTests {
    private static let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

    @Test("A well-formed traceparent is kept and taken apart")
    func good() {
        let context = TraceContext(givenRequestID: "order-7", givenTraceparent: Self.parent)
        #expect(context.traceparent == Self.parent)
        #expect(context.traceID == "0af7651916cd43dd8448eb211c80319c")
        #expect(context.spanID == "b7ad6b7169203331")
        #expect(context.isSampled)
        #expect(context.requestID == "order-7")
    }

    @Test(
        "Anything else counts as not there",
        arguments: [
            "", "00", "00-", String(parent.dropLast()), parent + "-00", parent.uppercased(), "01" + parent.dropFirst(2),
            "ff" + parent.dropFirst(2), "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c80319g-b7ad6b7169203331-01",
            "00-0af7651916cd43dd8448eb211c8031é-b7ad6b7169203331-01",
        ])
    func bad(text: String) {
        let context = TraceContext(givenRequestID: nil, givenTraceparent: text)
        #expect(context == .none)
        #expect(context.traceID == nil && context.spanID == nil && !context.isSampled)
    }

    @Test("The flag says whether a trace is recorded", arguments: 0...255)
    func sampled(flags: Int) {
        let digits = String(flags, radix: 16)
        let text = Self.parent.dropLast(2) + (digits.count == 1 ? "0" : "") + digits
        #expect(TraceContext(givenRequestID: nil, givenTraceparent: String(text)).isSampled == (flags & 1 == 1))
    }

    @Test("A child has the trace, the request and the flag of its parent, and a span of its own")
    func child() {
        let parent = TraceContext(
            requestID: "order-7", traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")
        let child = parent.child()
        #expect(child.traceID == parent.traceID && child.requestID == "order-7" && !child.isSampled)
        #expect(child.spanID != parent.spanID)
        #expect(TraceContext.isTraceparent(child.traceparent))
        let orphan = TraceContext.none.child()
        #expect(TraceContext.isTraceparent(orphan.traceparent) && orphan.requestID == orphan.traceID ?? "")
    }

    @Test("New traces are well formed and differ; one word finds their request and their trace")
    func new() {
        let traces = (0..<100).map { _ in TraceContext.new() }
        #expect(Set(traces.map(\.traceparent)).count == 100)
        for trace in traces {
            #expect(TraceContext.isTraceparent(trace.traceparent) && trace.isSampled)
            #expect(trace.requestID == trace.traceID ?? "")
        }
    }

    @Test("Ids do not repeat, also when threads make them at once")
    func unique() async {
        let ids = await withTaskGroup(of: [String].self) { group in
            for _ in 0..<8 {
                group.addTask { (0..<2_000).flatMap { _ in [TraceContext.newTraceID(), TraceContext.newSpanID()] } }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        #expect(Set(ids).count == 32_000)
        // Each digit of the two halves takes every value: none is fixed.
        for position in 0..<32 {
            let digits = Set(ids.filter { $0.utf8.count == 32 }.map { Array($0.utf8)[position] })
            #expect(digits.count == 16)
        }
    }

    @Test(
        "Request ids are visible ASCII of at most 64 bytes",
        arguments: [("a", true), ("", false), ("a b", false), ("a\"", false), ("a\\", false), ("é", false), ("a\n", false)])
    func requestIDs(text: String, isGood: Bool) {
        #expect(TraceContext.isRequestID(text) == isGood)
        #expect(TraceContext.isRequestID(String(repeating: "x", count: 64)))
        #expect(!TraceContext.isRequestID(String(repeating: "x", count: 65)))
    }
}
