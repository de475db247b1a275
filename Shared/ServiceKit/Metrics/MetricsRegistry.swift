// SPDX-License-Identifier: Apache-2.0

internal import Synchronization

/// The metrics of one service, printed as Prometheus text.
///
/// A metric is made once and kept by who counts; asking again for the same name and labels gives the same one. Label
/// values come from small fixed sets (the route, never the path): beyond `seriesMax` series of one name all further
/// ones share the label value `other`.
package final class MetricsRegistry: Sendable {
    /// Series of one name.
    package static let seriesMax = 1_000

    private enum Series: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)

        var kind: String {
            switch self {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        }
    }

    private struct Family: Sendable {
        let help: String
        let kind: String
        /// By the labels as they are printed.
        var series: [String: Series] = [:]
    }

    private struct State {
        var families: [String: Family] = [:]
        var collectors: [@Sendable (inout MetricsText) -> Void] = []
    }

    private let state = Mutex(State())

    package init() {}

    /// A total; its name ends in `_total`.
    package func counter(_ name: String, _ help: String, _ labels: [String: String] = [:]) -> Counter {
        let series = series(name, help, labels) { .counter(Counter()) }
        guard case .counter(let counter) = series else { preconditionFailure("\(name) is a \(series.kind).") }
        return counter
    }

    package func gauge(_ name: String, _ help: String, _ labels: [String: String] = [:]) -> Gauge {
        let series = series(name, help, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = series else { preconditionFailure("\(name) is a \(series.kind).") }
        return gauge
    }

    /// `bounds` are upper bounds in the unit that the name ends in.
    package func histogram(
        _ name: String, _ help: String, _ labels: [String: String] = [:], bounds: [Double] = Histogram.requestSeconds
    ) -> Histogram {
        let series = series(name, help, labels) { .histogram(Histogram(bounds: bounds)) }
        guard case .histogram(let histogram) = series else { preconditionFailure("\(name) is a \(series.kind).") }
        return histogram
    }

    /// Adds samples that are read at the moment somebody asks; `body` must not block.
    package func collect(_ body: @escaping @Sendable (inout MetricsText) -> Void) {
        state.withLock { $0.collectors.append(body) }
    }

    /// Everything in the text format of Prometheus, version 0.0.4.
    package var text: String {
        let (families, collectors) = state.withLock { ($0.families, $0.collectors) }
        var text = MetricsText()
        for (name, family) in families.sorted(by: { $0.key < $1.key }) {
            text.begin(name, kind: family.kind, help: family.help)
            for (labels, series) in family.series.sorted(by: { $0.key < $1.key }) {
                switch series {
                case .counter(let counter): text.sample(name, labels: labels, Double(counter.value))
                case .gauge(let gauge): text.sample(name, labels: labels, Double(gauge.value))
                case .histogram(let histogram): text.histogram(name, labels: labels, histogram)
                }
            }
        }
        for collector in collectors { collector(&text) }
        return text.text
    }

    private func series(
        _ name: String, _ help: String, _ labels: [String: String], make: () -> Series
    ) -> Series {
        let key = MetricsText.labels(labels)
        return state.withLock { state in
            if let found = state.families[name]?.series[key] { return found }
            let made = make()
            var family = state.families[name] ?? Family(help: help, kind: made.kind)
            precondition(family.kind == made.kind, "\(name) is a \(family.kind).")
            let isFull = family.series.count >= Self.seriesMax
            let place = isFull ? MetricsText.labels(labels.mapValues { _ in "other" }) : key
            let series = family.series[place] ?? made
            family.series[place] = series
            state.families[name] = family
            return series
        }
    }
}
