// SPDX-License-Identifier: Apache-2.0

internal import MartletServiceKit

/// The edge's series: requests by prefix and class of status, and how long they took.
struct EdgeMetrics: Sendable {
    private let counters: [String: [Counter]]
    private let durations: [String: Histogram]

    /// What the server has open, and what its WebSockets went through.
    struct Open: Sendable {
        var connections = 0
        var sockets = 0
        var unwrittenBytes = 0
        var tooSlow: UInt64 = 0
        var pauses: UInt64 = 0
        var sessionsLost: UInt64 = 0
    }

    init(_ registry: MetricsRegistry, open: @escaping @Sendable () -> Open) {
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
            let open = open()
            func write(_ name: String, _ kind: String, _ help: String, _ value: Double) {
                text.metric(name, kind: kind, help: help, [(labels: [:], value: value)])
            }
            write("martlet_http_connections", "gauge", "Open connections of clients.", Double(open.connections))
            write("martlet_websockets", "gauge", "Open WebSockets of clients.", Double(open.sockets))
            write(
                "martlet_websocket_unwritten_bytes", "gauge", "Bytes that wait for clients of WebSockets to read.",
                Double(open.unwrittenBytes))
            write(
                "martlet_websockets_too_slow_total", "counter",
                "WebSockets cut off because their clients read too slowly.",
                Double(open.tooSlow))
            write(
                "martlet_websocket_pauses_total", "counter",
                "Times that a WebSocket was not read on, since notification did not take what it had sent.",
                Double(open.pauses))
            write(
                "martlet_realtime_sessions_lost_total", "counter",
                "Sessions with notification that ended with all their WebSockets.", Double(open.sessionsLost))
        }
    }

    func note(prefix: String, status: Int, since start: ContinuousClock.Instant) {
        if let counters = counters[prefix], (100..<600).contains(status) { counters[status / 100 - 1].increment() }
        durations[prefix]?.observe(ContinuousClock.now - start)
    }
}
