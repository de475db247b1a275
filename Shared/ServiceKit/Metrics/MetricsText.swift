// SPDX-License-Identifier: Apache-2.0

/// Writes the text format of Prometheus
/// (https://prometheus.io/docs/instrumenting/exposition_formats/, version 0.0.4).
package struct MetricsText: Sendable {
    package private(set) var text = ""

    /// One metric of a collector: its heading and its samples.
    package mutating func metric(
        _ name: String, kind: String, help: String, _ samples: [(labels: [String: String], value: Double)]
    ) {
        begin(name, kind: kind, help: help)
        for (labels, value) in samples { sample(name, labels: Self.labels(labels), value) }
    }

    mutating func begin(_ name: String, kind: String, help: String) {
        let line = help.map { $0 == "\\" ? "\\\\" : $0 == "\n" ? "\\n" : String($0) }.joined()
        text += "# HELP \(name) \(line)\n# TYPE \(name) \(kind)\n"
    }

    mutating func sample(_ name: String, labels: String, _ value: Double) {
        text += labels.isEmpty ? name : "\(name){\(labels)}"
        text += " \(Self.number(value))\n"
    }

    mutating func histogram(_ name: String, labels: String, _ histogram: Histogram) {
        let snapshot = histogram.snapshot
        let prefix = labels.isEmpty ? "" : labels + ","
        var total: UInt64 = 0
        for (bound, count) in zip(histogram.bounds, snapshot.counts) {
            total += count
            sample(name + "_bucket", labels: "\(prefix)le=\"\(Self.number(bound))\"", Double(total))
        }
        sample(name + "_bucket", labels: "\(prefix)le=\"+Inf\"", Double(snapshot.count))
        sample(name + "_sum", labels: labels, snapshot.sum)
        sample(name + "_count", labels: labels, Double(snapshot.count))
    }

    /// `a="1",b="2"`, sorted.
    static func labels(_ labels: [String: String]) -> String {
        labels.sorted { $0.key < $1.key }.map { name, value in
            let escaped = value.map { character in
                switch character {
                case "\\": "\\\\"
                case "\"": "\\\""
                case "\n": "\\n"
                default: String(character)
                }
            }
            return "\(name)=\"\(escaped.joined())\""
        }.joined(separator: ",")
    }

    /// Whole numbers without a fraction.
    private static func number(_ value: Double) -> String {
        value.rounded() == value && value.magnitude < 9e15 ? String(Int64(value)) : String(value)
    }
}
