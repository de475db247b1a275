// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletBus
internal import MartletWire
internal import Synchronization

/// Turns what the bus observes into metrics and, where a person wants to know it, log lines.
final class BusTelemetry: Sendable {
    private let logger: Logger
    private let retries: Counter
    private let badFrames: Counter
    private let metrics: MetricsRegistry
    /// Endpoints with a ready link: the end of any other one is only a try that failed.
    private let connected = Mutex<Set<String>>([])

    init(logger: Logger, metrics: MetricsRegistry) {
        self.logger = logger
        self.metrics = metrics
        retries = metrics.counter("martlet_bus_retries_total", "Requests that were sent again.")
        badFrames = metrics.counter("martlet_bus_bad_frames_total", "Bytes of peers that were no legal frame.")
    }

    /// Runs on the bus thread.
    func observe(_ observation: BusObservation) {
        switch observation {
        case .linkReady(let target, let endpoint):
            _ = connected.withLock { $0.insert(endpoint) }
            logger.info("Connected.", metadata: ["bus.peer": "\(target.rawValue)", "bus.endpoint": "\(endpoint)"])
        case .linkLost(let target, let endpoint, let reason):
            // A service that is not there yet is tried several times a second.
            let wasConnected = connected.withLock { $0.remove(endpoint) } != nil
            logger.log(
                level: wasConnected ? .info : .debug, "A connection has ended.",
                metadata: [
                    "bus.peer": "\(target.rawValue)", "bus.endpoint": "\(endpoint)", "bus.reason": "\(reason.rawValue)",
                ])
        case .retried: retries.increment()
        case .peerReady(let peer): logger.debug("A caller has connected.", metadata: ["bus.peer": "\(peer.rawValue)"])
        case .peerLost(let peer, let reason):
            logger.debug(
                "A caller has gone.", metadata: ["bus.peer": "\(peer.rawValue)", "bus.reason": "\(reason.rawValue)"])
        case .peerRefused(let reason):
            refusals(reason.rawValue).increment()
            logger.warning("A connection was refused.", metadata: ["bus.reason": "\(reason.rawValue)"])
        case .requestRefused(let caller, let code):
            logger.debug(
                "A request was refused.", metadata: ["bus.peer": "\(caller.rawValue)", "bus.code": "\(code)"])
        case .badFrame: badFrames.increment()
        case .longTurn(let duration):
            logger.debug("The bus thread was busy for long.", metadata: ["bus.turn": "\(DurationText.text(duration))"])
        case .eventDropped: break
        case .drained: logger.info("The bus has drained.")
        }
    }

    private func refusals(_ reason: String) -> Counter {
        metrics.counter(
            "martlet_bus_connections_refused_total", "Connections that were turned away.", ["reason": reason])
    }

    /// Reads the totals of the bus whenever somebody asks for metrics.
    func collect(from bus: Bus) {
        metrics.collect { [weak bus] text in
            guard let metrics = bus?.metrics() else { return }
            let targets = metrics.targets.sorted { $0.key.rawValue < $1.key.rawValue }
            func perTarget(
                _ name: String, _ kind: String, _ help: String, _ value: (BusMetrics.Target) -> Double
            ) {
                text.metric(
                    name, kind: kind, help: help, targets.map { (["target": $0.key.rawValue], value($0.value)) })
            }
            perTarget("martlet_bus_requests_total", "counter", "Requests sent.") { Double($0.counters.requests) }
            perTarget("martlet_bus_replies_total", "counter", "Replies received.") { Double($0.counters.replies) }
            perTarget("martlet_bus_failures_total", "counter", "Requests without a reply.") {
                Double($0.counters.failures)
            }
            perTarget("martlet_bus_ready_links", "gauge", "Replicas that take requests.") { Double($0.readyLinks) }
            perTarget("martlet_bus_waiting", "gauge", "Requests that wait for a replica or for credit.") {
                Double($0.waiting)
            }
            func single(_ name: String, _ kind: String, _ help: String, _ value: Double) {
                text.metric(name, kind: kind, help: help, [([:], value)])
            }
            single("martlet_bus_served_requests_total", "counter", "Requests taken.", Double(metrics.server.requests))
            single("martlet_bus_served_replies_total", "counter", "Replies given.", Double(metrics.server.replies))
            single("martlet_bus_refusals_total", "counter", "Requests refused.", Double(metrics.server.refusals))
            single("martlet_bus_running", "gauge", "Handlers that run.", Double(metrics.running))
            single("martlet_bus_peers", "gauge", "Callers that are connected.", Double(metrics.peers))
            single(
                "martlet_bus_long_turns_total", "counter", "Turns of the bus thread over a millisecond.",
                Double(metrics.longTurns))
            single("martlet_bus_events_dropped_total", "counter", "Events dropped.", Double(metrics.eventsDropped))
        }
    }
}
