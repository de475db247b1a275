// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletServiceKit

@Suite("Metrics")
struct MetricsTests {
    @Test("Counters, gauges and histograms are printed as Prometheus reads them")
    func text() {
        let registry = MetricsRegistry()
        registry.counter("b_total", "Bs.", ["route": "a\"b", "code": "200"]).increment(by: 3)
        registry.counter("b_total", "Bs.", ["code": "200", "route": "a\"b"]).increment()
        registry.gauge("a_open", "Open\nones.").set(-2)
        let histogram = registry.histogram("c_seconds", "Time.", bounds: [0.1, 1])
        histogram.observe(.milliseconds(100))
        histogram.observe(0.5)
        histogram.observe(2.0)
        registry.collect { $0.metric("d_total", kind: "counter", help: "Ds.", [(["x": "y"], 1.5)]) }
        #expect(
            registry.text == """
                # HELP a_open Open\\nones.
                # TYPE a_open gauge
                a_open -2
                # HELP b_total Bs.
                # TYPE b_total counter
                b_total{code="200",route="a\\"b"} 4
                # HELP c_seconds Time.
                # TYPE c_seconds histogram
                c_seconds_bucket{le="0.1"} 1
                c_seconds_bucket{le="1"} 2
                c_seconds_bucket{le="+Inf"} 3
                c_seconds_sum 2.6
                c_seconds_count 3
                # HELP d_total Ds.
                # TYPE d_total counter
                d_total{x="y"} 1.5

                """)
    }

    @Test("The number of series of one name is bounded; what comes later shares one")
    func bounded() {
        let registry = MetricsRegistry()
        for number in 0..<(MetricsRegistry.seriesMax + 50) {
            registry.counter("x_total", "Xs.", ["n": "\(number)"]).increment()
        }
        let lines = registry.text.split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines.count == MetricsRegistry.seriesMax + 1)
        #expect(lines.contains("x_total{n=\"other\"} 50"))
    }
}

@Suite("Admin answers")
struct AdminSourceTests {
    @Test("/readyz follows the readiness of the service and never comes back from draining")
    func readyz() {
        let source = AdminSource(readiness: Readiness(), metrics: MetricsRegistry())
        #expect(source.answer(isRead: true, target: "/readyz") == .text(503, "starting"))
        source.readiness.set(.ready)
        #expect(source.answer(isRead: true, target: "/readyz?x") == .text(200, "ready"))
        source.readiness.set(.notReady("no database"))
        #expect(source.answer(isRead: true, target: "/readyz") == .text(503, "no database"))
        source.readiness.beginDraining()
        source.readiness.set(.ready)
        #expect(source.answer(isRead: true, target: "/readyz") == .text(503, "draining"))
        #expect(source.answer(isRead: true, target: "/livez") == .text(200, "ok"))
    }

    @Test("Other paths and methods are refused")
    func refused() {
        let source = AdminSource(readiness: Readiness(), metrics: MetricsRegistry())
        #expect(source.answer(isRead: true, target: "/").status == 404)
        #expect(source.answer(isRead: false, target: "/metrics").status == 405)
    }

    @Test("Who waits for readiness goes on when it comes, and ends when cancelled")
    func waiting() async throws {
        let readiness = Readiness()
        async let waited: Void = readiness.waitUntilReady()
        readiness.set(.ready)
        try await waited
        let never = Readiness()
        let task = Task { try await never.waitUntilReady() }
        task.cancel()
        await #expect(throws: CancellationError.self) { try await task.value }
    }
}
