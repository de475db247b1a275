// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// The edge's series: requests by prefix and class of status, and how long they took.
struct EdgeMetrics: Sendable {
    private let counters: [String: [Counter]]
    private let durations: [String: Histogram]

    init(_ registry: MetricsRegistry, connections: @escaping @Sendable () -> Int) {
        let prefixes = RouteTable.all.map(\.prefix) + ["/"]
        counters = Dictionary(
            uniqueKeysWithValues: prefixes.map { prefix in
                (
                    prefix,
                    (1...5).map { digit in
                        registry.counter(
                            "martlet_http_requests_total", "Requests answered.",
                            ["prefix": prefix, "status": "\(digit)xx"])
                    }
                )
            })
        durations = Dictionary(
            uniqueKeysWithValues: prefixes.map { prefix in
                (
                    prefix,
                    registry.histogram(
                        "martlet_http_request_seconds", "From the whole request to the answer, in seconds.",
                        ["prefix": prefix], bounds: Histogram.requestSeconds)
                )
            })
        registry.collect { text in
            text.metric(
                "martlet_http_connections", kind: "gauge", help: "Open connections of clients.",
                [(labels: [:], value: Double(connections()))])
        }
    }

    func note(prefix: String, status: Int, since start: ContinuousClock.Instant) {
        if let counters = counters[prefix], (100..<600).contains(status) { counters[status / 100 - 1].increment() }
        durations[prefix]?.observe(ContinuousClock.now - start)
    }
}
