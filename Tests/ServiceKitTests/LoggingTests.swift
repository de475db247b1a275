// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletJSON
import MartletServiceKit
import Synchronization
import Testing

@Suite("Logs")
struct LoggingTests {
    /// Lines that were written, as text.
    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        var all: [String] { lines.withLock { $0 } }
        var sink: LogSink {
            LogSink { line in self.lines.withLock { $0.append(String(decoding: line, as: UTF8.self)) } }
        }

        func logger(_ level: Logger.Level = .info) -> Logger {
            let handler = JSONLogHandler(service: "data", level: level, sink: sink) {
                WallTime(seconds: 1_767_323_045, nanoseconds: 678_900_000)
            }
            return Logger(label: "test") { _ in handler }
        }
    }

    @Test("A line is one JSON object: time, level, service, message, metadata")
    func line() {
        let lines = Lines()
        var logger = lines.logger()
        logger[metadataKey: "request.id"] = "r\"1"
        logger.info("Done.", metadata: ["rows": ["1", "2"], "level": "x"])
        #expect(
            lines.all == [
                #"{"time":"2026-01-02T03:04:05.678Z","level":"info","service":"data","message":"Done.","#
                    + #""metadata.level":"x","request.id":"r\"1","rows":["1","2"]}"# + "\n"
            ])
    }

    @Test("What is below the level is not even put together")
    func filtered() {
        let lines = Lines()
        let built = Mutex(0)
        let logger = lines.logger(.warning)
        logger.info("No \(built.withLock { $0 += 1 })")
        #expect(lines.all.isEmpty)
        #expect(built.withLock { $0 } == 0)
    }

    @Test(
        "Values under the name of a secret are hidden",
        arguments: ["password", "smtp.password", "auth.code", "x.Authorization", "refresh_token"])
    func secrets(key: String) throws {
        let lines = Lines()
        lines.logger().info("x", metadata: ["\(key)": "hunter2", "nested": ["\(key)": "hunter2"]])
        #expect(lines.all.count == 1)
        #expect(lines.all.allSatisfy { !$0.contains("hunter2") && $0.contains("(hidden)") })
    }

    @Test("Any text stays on its line and valid")
    func escaping() throws {
        let lines = Lines()
        lines.logger().error("a\nb\u{0}\u{2028}\"\\", metadata: ["k\n": "v\r\n"])
        let line = try #require(lines.all.first)
        #expect(line.filter { $0 == "\n" }.count == 1)
        let value = try JSONValue(parsing: line)
        #expect(value["message"]?.stringValue == "a\nb\u{0}\u{2028}\"\\")
        #expect(value["k\n"]?.stringValue == "v\r\n")
    }

    @Test("On a terminal a line is text for a person, still one line and without secrets")
    func text() {
        let lines = Lines()
        let handler = TextLogHandler(service: "data", level: .info, sink: lines.sink) {
            WallTime(seconds: 1_767_323_045, nanoseconds: 678_900_000)
        }
        Logger(label: "test") { _ in handler }.info("Done.\u{1B}[2J\n", metadata: ["rows": "2", "db.password": "x"])
        #expect(lines.all == ["03:04:05.678 info     data         Done. [2J  db.password=(hidden) rows=2\n"])
    }
}
