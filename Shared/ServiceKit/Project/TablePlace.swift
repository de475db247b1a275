// SPDX-License-Identifier: Apache-2.0

/// Where a named table of the project stands in config.toml, so that whoever finds it wrong later can say so.
package struct TablePlace: Sendable, Equatable {
    /// `martlet.rules.place-order`.
    package let path: String
    /// Lines of its keys, by the path below it; the header's is under the empty string.
    let lines: [String: Int]

    /// The words for an operator: `martlet.schedules.nightly.cron (config.toml:12): expected five fields`.
    package func problem(_ key: String, _ reason: String) -> String {
        let line = (lines[key] ?? lines[""]).map { " (config.toml:\($0))" } ?? ""
        return "\(key.isEmpty ? path : "\(path).\(key)")\(line): \(reason)"
    }
}
