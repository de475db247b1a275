// SPDX-License-Identifier: Apache-2.0

package import Logging

/// Writes each event as one line for a person at a terminal: `12:34:56.789 info    data  Ready. key=value`.
package struct TextLogHandler: LogHandler {
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?

    private let service: String
    private let sink: LogSink
    private let clock: @Sendable () -> WallTime

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
        // 2026-01-02T03:04:05.678Z: the clock alone.
        let time = clock().text.dropFirst(11).dropLast()
        var line = "\(time) \(Self.padded(event.level.rawValue, 8)) \(Self.padded(service, 12)) \(event.message)"
        if let error = event.error { line += " error=\(error)" }
        var values = metadata
        if let provided = metadataProvider?.get() { values.merge(provided) { $1 } }
        if let own = event.metadata { values.merge(own) { $1 } }
        for (key, value) in values.sorted(by: { $0.key < $1.key }) {
            line += " \(key)=\(SecretNames.contain(key) ? "(hidden)" : value.description)"
        }
        sink.append(Array(Self.printable(line).utf8) + [UInt8(ascii: "\n")])
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.count))
    }

    /// Control characters could move the cursor or forge a line.
    private static func printable(_ text: String) -> String {
        String(
            String.UnicodeScalarView(text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
    }
}
