// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletWire

/// Where `martlet events` puts what it reads.
protocol EventSink: Sendable {
    /// How far the sink has come; nil before `start`.
    func cursor() async throws -> LogCursor?
    /// Goes on behind `cursor`. With `last` what followed it is lost, and the sink says so.
    func start(at cursor: LogCursor, after last: LogCursor?) async throws
    /// Takes entries that follow the cursor; they are kept when it returns.
    func append(_ entries: [Martlet_Wire_V1_LogEntry], epoch: Int64) async throws
}

/// Standard output, which remembers nothing.
actor EventOutput: EventSink {
    private var place: LogCursor?

    func cursor() -> LogCursor? { place }

    func start(at cursor: LogCursor, after last: LogCursor?) {
        if let last { Console.print(bytes: EventLine.gap(after: last, before: cursor)) }
        place = cursor
    }

    func append(_ entries: [Martlet_Wire_V1_LogEntry], epoch: Int64) {
        for entry in entries { Console.print(bytes: EventLine.line(entry, epoch: epoch)) }
        guard let last = entries.last else { return }
        place = LogCursor(epoch: epoch, sequence: Int64(clamping: last.sequence))
    }
}
