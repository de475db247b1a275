// SPDX-License-Identifier: Apache-2.0

package import Logging
internal import MartletJSON

/// Writes each event as one line of JSON: `time`, `level`, `service`, `message`, then the metadata under its own keys.
///
/// A line below the level costs the comparison that `Logger` makes and nothing else. As a last fence a value whose key
/// ends in the name of a secret is hidden; the rule is not to log secrets at all.
package struct JSONLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let service: String
    private let sink: LogSink
    private let clock: @Sendable () -> WallTime

    /// `service` is what the lines carry under that key.
    package init(
        service: String, level: Logger.Level, sink: LogSink = .standardError,
        clock: @escaping @Sendable () -> WallTime = { .now }
    ) {
        self.service = service
        self.logLevel = level
        self.sink = sink
        self.clock = clock
    }

    package subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        var line: [UInt8] = []
        line.reserveCapacity(256)
        line.append(UInt8(ascii: "{"))
        Self.append("time", clock().text, to: &line, isFirst: true)
        Self.append("level", event.level.rawValue, to: &line)
        Self.append("service", service, to: &line)
        Self.append("message", event.message.description, to: &line)
        if let error = event.error { Self.append("error", "\(error)", to: &line) }
        var values = metadata
        if let provided = metadataProvider?.get() { values.merge(provided) { $1 } }
        if let own = event.metadata { values.merge(own) { $1 } }
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            Self.appendKey(Self.reserved.contains(key) ? "metadata.\(key)" : key, to: &line)
            if SecretNames.contain(key) {
                JSONText.appendString("(hidden)", to: &line)
            } else {
                Self.append(value, depth: 0, to: &line)
            }
        }
        line.append(UInt8(ascii: "}"))
        line.append(UInt8(ascii: "\n"))
        sink.append(line)
    }

    private static let reserved: Set<String> = ["time", "level", "service", "message", "error"]

    private static func append(_ key: String, _ value: String, to line: inout [UInt8], isFirst: Bool = false) {
        appendKey(key, to: &line, isFirst: isFirst)
        JSONText.appendString(value, to: &line)
    }

    private static func appendKey(_ key: String, to line: inout [UInt8], isFirst: Bool = false) {
        if !isFirst { line.append(UInt8(ascii: ",")) }
        JSONText.appendString(key, to: &line)
        line.append(UInt8(ascii: ":"))
    }

    /// Metadata is ours and shallow; what is deeper than `depthMax` becomes text.
    private static func append(_ value: Logger.MetadataValue, depth: Int, to line: inout [UInt8]) {
        let depthMax = 8
        switch value {
        case .array(let elements) where depth < depthMax:
            line.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { line.append(UInt8(ascii: ",")) }
                append(element, depth: depth + 1, to: &line)
            }
            line.append(UInt8(ascii: "]"))
        case .dictionary(let members) where depth < depthMax:
            line.append(UInt8(ascii: "{"))
            for (index, member) in members.sorted(by: { $0.key < $1.key }).enumerated() {
                appendKey(member.key, to: &line, isFirst: index == 0)
                if SecretNames.contain(member.key) {
                    JSONText.appendString("(hidden)", to: &line)
                } else {
                    append(member.value, depth: depth + 1, to: &line)
                }
            }
            line.append(UInt8(ascii: "}"))
        default: JSONText.appendString(value.description, to: &line)
        }
    }
}
