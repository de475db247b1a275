// SPDX-License-Identifier: Apache-2.0

internal import MartletBus
internal import MartletDatabase
internal import MartletServiceKit
internal import MartletWire

/// Reads the change log from the sink's cursor on.
struct EventReader: Sendable {
    private static let stream = "rows"
    /// What data publishes when the log has grown.
    private static let doorbell = Array("log/rows".utf8)
    /// How long nothing may ring before the log is looked at anyway.
    private static let idleInterval = Duration.seconds(1)
    private static let pauseMin = Duration.milliseconds(50)
    private static let pauseMax = Duration.seconds(1)

    let bus: Bus
    let sink: any EventSink

    /// Reads to the log's end.
    func read() async throws {
        while try await !turn() {}
    }

    /// Reads on for ever; a data service that is away is waited for.
    func follow() async throws {
        let (wakes, wake) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await bus.withSubscription(to: .data, topic: Self.doorbell) { events in
                    for await _ in events { wake.yield() }
                }
            }
            group.addTask {
                while !Task.isCancelled {
                    wake.yield()
                    try await Task.sleep(for: Self.idleInterval)
                }
            }
            defer { group.cancelAll() }
            var pause = Self.pauseMin
            for await _ in wakes {
                do {
                    try await read()
                    pause = Self.pauseMin
                } catch let error as BusError where error.isPassing {
                    if pause == Self.pauseMin { Console.complain("waiting for the data service: \(error.message)") }
                    try await Task.sleep(for: pause)
                    pause = min(pause * 2, Self.pauseMax)
                    wake.yield()
                }
            }
        }
    }

    /// One batch; true when there is no more.
    private func turn() async throws -> Bool {
        guard let cursor = try await sink.cursor() else {
            let reply = try await pull(LogCursor(epoch: 0, sequence: 0))
            try await sink.start(at: reply.oldest, after: nil)
            return false
        }
        let reply = try await pull(cursor)
        guard reply.outcome == .entries else {
            Console.complain("entries after \(cursor.sequence) are no longer in the log; a line of type log.gap says so")
            try await sink.start(at: reply.oldest, after: cursor)
            return false
        }
        guard let last = reply.entries.last else { return true }
        try await sink.append(reply.entries, epoch: cursor.epoch)
        return last.sequence >= reply.head
    }

    private func pull(_ cursor: LogCursor) async throws -> Martlet_Wire_V1_LogPullReply {
        var request = Martlet_Wire_V1_LogPullRequest()
        request.stream = Self.stream
        request.epoch = UInt64(clamping: cursor.epoch)
        request.after = UInt64(clamping: cursor.sequence)
        let reply = try await bus.request(
            MethodRegistry.logPull, to: .data, header: RequestHeader(), payload: request.payload)
        return try Martlet_Wire_V1_LogPullReply(payload: reply.payload)
    }
}

extension Martlet_Wire_V1_LogPullReply {
    /// Before the first entry that the log still has.
    fileprivate var oldest: LogCursor {
        LogCursor(epoch: Int64(clamping: epoch), sequence: Int64(clamping: trimmed))
    }
}

extension BusError {
    /// Whether asking again can help.
    var isPassing: Bool {
        switch code {
        case .busy, .draining, .unavailable, .linkLost, .deadlineExceeded, .storageUnavailable: true
        default: false
        }
    }
}
