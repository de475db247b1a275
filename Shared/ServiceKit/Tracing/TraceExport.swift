// SPDX-License-Identifier: Apache-2.0

internal import Logging
internal import MartletTracing
internal import MartletWire

/// The exporter of this process as its settings want it, with its metrics and log lines.
struct TraceExport: Sendable {
    /// How long the last spans may take when the process stops.
    private static let stopMax = Duration.seconds(3)

    private let exporter: SpanExporter
    private let prefix: String
    private let environment: String

    /// Nil when no collector is configured.
    static func start(_ settings: Settings, logger: Logger) throws -> TraceExport? {
        guard let endpoint = settings[\.traces.endpoint] else { return nil }
        var limits = SpanLimits()
        limits.timeout = settings[\.traces.timeout]
        let collector = Collector(
            endpoint: endpoint, encoding: settings[\.traces.encoding],
            headers: CollectorHeaders.read(settings[\.traces.headers]) ?? [],
            certificates: settings[\.traces.certificates], version: MartletVersion.current)
        let exporter: SpanExporter
        do throws(SpanExporter.Fault) {
            exporter = try SpanExporter(
                to: collector, sampling: settings[\.traces.samplingRatio], limits: limits,
                observer: { Self.log($0, logger, collector.url) })
        } catch {
            throw StartFailure(.unavailable, "martlet.otlp.endpoint: traces cannot be sent: \(error.reason)")
        }
        logger.info("Traces are sent.", metadata: ["otlp.url": "\(collector.url)"])
        return TraceExport(
            exporter: exporter, prefix: settings[\.traces.servicePrefix],
            environment: settings[\.process.mode].rawValue)
    }

    /// The tracer of one service; its totals appear among the service's metrics.
    func tracer(of service: ServiceName, instance: String, metrics: MetricsRegistry) -> Tracer {
        let (tracer, counters) = exporter.tracer(
            of: SpanSource(
                name: "\(prefix)-\(service.rawValue)", instance: instance, version: MartletVersion.current,
                environment: environment))
        metrics.collect { [exporter] text in
            text.metric(
                "martlet_spans_exported_total", kind: "counter", help: "Spans that the collector took.",
                [([:], Double(counters.exported))])
            text.metric(
                "martlet_spans_dropped_total", kind: "counter", help: "Spans that the collector did not get.",
                [
                    (["reason": "queue_full"], Double(counters.overflown)),
                    (["reason": "not_delivered"], Double(counters.lost)),
                    (["reason": "rejected"], Double(counters.rejected)),
                ])
            text.metric(
                "martlet_spans_waiting", kind: "gauge", help: "Spans of the process that wait for the collector.",
                [([:], Double(exporter.waiting))])
        }
        return tracer
    }

    func stop() async { await exporter.stop(within: Self.stopMax) }

    private static func log(_ observation: ExporterObservation, _ logger: Logger, _ url: String) {
        switch observation {
        case .failing(let reason):
            logger.warning(
                "Traces do not arrive.", metadata: ["otlp.url": "\(url)", "error.detail": "\(reason)"])
        case .recovered: logger.info("Traces arrive again.", metadata: ["otlp.url": "\(url)"])
        case .rejecting(let reason):
            logger.warning(
                "The collector takes only a part of the traces.",
                metadata: ["otlp.url": "\(url)", "error.detail": "\(reason)"])
        case .overflowing:
            logger.warning(
                "Spans are dropped, since the collector is slower than they come.", metadata: ["otlp.url": "\(url)"])
        }
    }
}
