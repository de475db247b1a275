// SPDX-License-Identifier: Apache-2.0

import Glibc
import MartletWire
import Synchronization
import Testing

@testable import MartletTracing

@Suite("Traces: the queue and the exporter")
struct ExporterTests {
    /// A collector that answers what the test says.
    private final class Collector: Sendable {
        private struct State {
            var answers: [TransportOutcome] = []
            var bodies: [[UInt8]] = []
            var observations: [ExporterObservation] = []
            var isHolding = false
        }

        private let state = Mutex(State())

        init(_ answers: [TransportOutcome] = [], isHolding: Bool = false) {
            state.withLock { $0 = State(answers: answers, isHolding: isHolding) }
        }

        var bodies: [[UInt8]] { state.withLock { $0.bodies } }
        var observations: [ExporterObservation] { state.withLock { $0.observations } }

        func observe(_ observation: ExporterObservation) { state.withLock { $0.observations.append(observation) } }
        func letGo() { state.withLock { $0.isHolding = false } }

        /// Runs on the exporter's thread; the last answer holds for all further requests.
        func answer(_ body: [UInt8], isToStop: () -> Bool) -> TransportOutcome {
            state.withLock { $0.bodies.append(body) }
            while state.withLock({ $0.isHolding }) {
                if isToStop() { return .failed("stopped") }
                usleep(2_000)
            }
            return state.withLock { state in
                guard let first = state.answers.first else {
                    return .answered(status: 200, retryAfterSeconds: 0, body: [])
                }
                if state.answers.count > 1 { state.answers.removeFirst() }
                return first
            }
        }
    }

    private final class Transport: SpanTransport {
        private let collector: Collector
        init(_ collector: Collector) { self.collector = collector }

        func send(_ body: [UInt8], timeout: Duration, isToStop: @escaping () -> Bool) -> TransportOutcome {
            collector.answer(body, isToStop: isToStop)
        }
    }

    private static let ok = TransportOutcome.answered(status: 200, retryAfterSeconds: 0, body: [])

    private static func exporter(
        _ collector: Collector, _ change: (inout SpanLimits) -> Void = { _ in }
    ) throws -> (exporter: SpanExporter, tracer: Tracer, counters: SpanCounters) {
        var limits = SpanLimits()
        limits.delay = .milliseconds(10)
        limits.pauseFirst = .milliseconds(4)
        limits.pauseMax = .milliseconds(10)
        change(&limits)
        let exporter = try SpanExporter(
            encoding: .json, sampling: .all, limits: limits, observer: { collector.observe($0) },
            transport: { Transport(collector) })
        let (tracer, counters) = exporter.tracer(
            of: SpanSource(name: "s", instance: "i", version: "1", environment: "e"))
        return (exporter, tracer, counters)
    }

    private static func spans(_ count: Int, _ tracer: Tracer) {
        for _ in 0..<count { tracer.begin("a", .internal, in: .new()).end() }
    }

    private static func until(_ fact: () -> Bool, _ what: Comment) async throws {
        let deadline = ContinuousClock.now + .seconds(20)
        while !fact() {
            guard ContinuousClock.now < deadline else {
                Issue.record(what)
                return
            }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    private static func count(_ body: [UInt8]) -> Int {
        String(decoding: body, as: UTF8.self).split(separator: "\"spanId\"").count - 1
    }

    @Test("The queue keeps what fits, drops the newest and counts it; what is on its way still counts")
    func bounds() throws {
        var limits = SpanLimits()
        limits.spansMax = 5
        limits.batchMax = 3
        let queue = SpanQueue(limits: limits, separator: [], wake: {})
        let (source, counters) = queue.addSource(
            SpanSource(name: "s", instance: "i", version: "1", environment: "e"))
        for number in 0..<8 { queue.add([UInt8(number)], of: source) }
        #expect(queue.held == 5)
        #expect(counters.overflown == 3)
        let first = try #require(queue.take(all: false).batch)
        #expect(first.parts[0].spans == [0, 1, 2])
        queue.add([9], of: source)
        #expect(counters.overflown == 4, "On its way is not gone")
        queue.release(first)
        queue.add([10], of: source)
        #expect(try #require(queue.take(all: true).batch).parts[0].spans == [3, 4, 10])
        #expect(queue.take(all: true).batch == nil)
    }

    @Test("The queue is bounded in bytes too")
    func byteBound() {
        var limits = SpanLimits()
        limits.bytesMax = 1_000
        let queue = SpanQueue(limits: limits, separator: [0], wake: {})
        let (source, counters) = queue.addSource(
            SpanSource(name: "s", instance: "i", version: "1", environment: "e"))
        for _ in 0..<100 { queue.add(Array(repeating: 1, count: 99), of: source) }
        #expect(queue.heldBytes <= 1_000)
        #expect(queue.held == 10)
        #expect(counters.overflown == 90)
    }

    @Test("Spans go by number and by time, each once")
    func batches() async throws {
        let collector = Collector([Self.ok])
        let (exporter, tracer, counters) = try Self.exporter(collector) { $0.batchMax = 10 }
        Self.spans(25, tracer)
        try await Self.until({ counters.exported == 25 }, "25 spans arrive")
        #expect(collector.bodies.map(Self.count).reduce(0, +) == 25)
        #expect(collector.bodies.allSatisfy { Self.count($0) <= 10 })
        #expect(exporter.waiting == 0)
        #expect(exporter.waitingBytes == 0)
        await exporter.stop(within: .seconds(1))
        #expect(collector.observations == [])
    }

    @Test("What is refused for now is sent again, and told once", arguments: [429, 502, 503, 504])
    func again(status: Int) async throws {
        let refusal = TransportOutcome.answered(status: status, retryAfterSeconds: 0, body: [])
        let collector = Collector([refusal, refusal, .failed("gone"), Self.ok])
        let (exporter, tracer, counters) = try Self.exporter(collector)
        Self.spans(3, tracer)
        try await Self.until({ counters.exported == 3 }, "The spans arrive in the end")
        #expect(Set(collector.bodies).count == 1, "The same request each time")
        #expect(collector.bodies.count == 4)
        #expect(collector.observations == [.failing(reason: "HTTP \(status)"), .recovered])
        await exporter.stop(within: .seconds(1))
    }

    @Test("What is refused for good is not sent again", arguments: [400, 401, 404, 413, 500, 301])
    func refused(status: Int) async throws {
        let collector = Collector([.answered(status: status, retryAfterSeconds: 0, body: [])])
        let (exporter, tracer, counters) = try Self.exporter(collector)
        for round in 1...3 {
            Self.spans(2, tracer)
            try await Self.until({ counters.lost == UInt64(round * 2) }, "Lost ones are counted")
        }
        #expect(collector.bodies.map(Self.count).reduce(0, +) == 6)
        #expect(collector.observations == [.failing(reason: "HTTP \(status)")])
        await exporter.stop(within: .seconds(1))
    }

    @Test("Retry-After is kept to, and pauses grow up to their bound")
    func pauses() {
        func verdict(_ seconds: Int, tries: Int, spent: Duration = .zero) -> ExportVerdict {
            ExportVerdict(
                .answered(status: 503, retryAfterSeconds: seconds, body: []), encoding: .protobuf,
                limits: SpanLimits(), tries: tries, spent: spent, draw: 1)
        }
        #expect(verdict(0, tries: 1) == .again(after: .seconds(1), reason: "HTTP 503"))
        #expect(verdict(0, tries: 3) == .again(after: .seconds(4), reason: "HTTP 503"))
        #expect(verdict(0, tries: 40) == .again(after: .seconds(10), reason: "HTTP 503"))
        #expect(verdict(7, tries: 1) == .again(after: .seconds(7), reason: "HTTP 503"))
        #expect(verdict(0, tries: 40, spent: .seconds(51)) == .lost(reason: "HTTP 503"))
        #expect(verdict(100_000, tries: 1) == .lost(reason: "HTTP 503"))
    }

    @Test("A part that the collector rejected is counted as such")
    func partly() async throws {
        let body = Array(#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"old"}}"#.utf8)
        let collector = Collector([.answered(status: 200, retryAfterSeconds: 0, body: body)])
        let (exporter, tracer, counters) = try Self.exporter(collector) { $0.batchMax = 5 }
        Self.spans(5, tracer)
        try await Self.until({ counters.exported + counters.rejected == 5 }, "All are counted")
        #expect(counters.rejected == 2)
        #expect(collector.observations == [.rejecting(reason: "old")])
        await exporter.stop(within: .seconds(1))
    }

    @Test("A collector that does not answer holds up nobody, and no more than the bound waits for it")
    func holding() async throws {
        let collector = Collector([Self.ok], isHolding: true)
        let (exporter, tracer, counters) = try Self.exporter(collector) {
            $0.spansMax = 100
            $0.batchMax = 10
        }
        Self.spans(1_000, tracer)
        #expect(exporter.waiting == 100)
        #expect(counters.overflown == 900)
        collector.letGo()
        try await Self.until({ counters.exported == 100 }, "What waited arrives")
        await exporter.stop(within: .seconds(1))
    }

    @Test("A graceful stop sends what waits")
    func flush() async throws {
        let collector = Collector([Self.ok])
        let (exporter, tracer, counters) = try Self.exporter(collector) { $0.delay = .seconds(600) }
        Self.spans(700, tracer)
        await exporter.stop(within: .seconds(10))
        #expect(counters.exported == 700)
        Self.spans(1, tracer)
        #expect(counters.overflown == 1, "Afterwards nothing is taken")
        #expect(exporter.waiting == 0)
    }

    @Test("A stop ends at its deadline, whatever the collector does", arguments: [true, false])
    func deadline(isHolding: Bool) async throws {
        let refusal = TransportOutcome.answered(status: 503, retryAfterSeconds: 30, body: [])
        let collector = Collector([refusal], isHolding: isHolding)
        let (exporter, tracer, counters) = try Self.exporter(collector) { $0.delay = .seconds(600) }
        Self.spans(3, tracer)
        let begun = ContinuousClock.now
        await exporter.stop(within: .milliseconds(300))
        // Not when this task goes on: the other tests keep its threads busy.
        #expect(try #require(exporter.ended) - begun < .seconds(5))
        #expect(counters.lost == 3)
        #expect(counters.exported == 0)
    }
}
