// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// The change log of one database. Two conform, as of `RowEngine`; one suite runs on both.
package protocol LogStore: Sendable {
    /// Raised after entries were committed; never before.
    var signal: LogSignal { get }

    func head(_ stream: String) async throws -> LogHead

    /// Entries after a cursor, at least one if there is one. An epoch of 0 asks for the head alone. A cursor that the
    /// log never gave out, as after a restored backup, raises the epoch.
    func pull(
        _ stream: String, epoch: Int64, after: Int64, entriesMax: Int, bytesMax: Int, deadline: ContinuousClock.Instant?
    ) async throws -> LogPull

    /// The entries with these sequences that are still there.
    func entries(_ stream: String, epoch: Int64, at sequences: [Int64]) async throws -> [LogEntry]

    /// Removes the oldest entries that are beyond `retention` or `bytesMax`, in one short transaction. Returns how many
    /// were removed; as many as `LogRetention.entriesMax` means that there may be more.
    func trim(_ stream: String, _ retention: LogRetention) async throws -> Int
}

/// How long and how much the log keeps. No consumer holds it back; one that is late is told.
package struct LogRetention: Sendable {
    /// Entries that one transaction removes, so that it is short.
    package static let entriesMax = 1_000

    package var age: Duration
    package var bytesMax: Int64

    package init(age: Duration, bytesMax: Int64) {
        self.age = age
        self.bytesMax = bytesMax
    }

    /// The last sequence to remove; nil for none.
    ///
    /// - Parameters:
    ///   - entries: the oldest ones, in order.
    ///   - bytes: of the whole log.
    func last(of entries: [(sequence: Int64, time: Int64, bytes: Int64)], bytes: Int64, now: Int64) -> Int64? {
        let oldest = now - age.components.seconds * 1_000_000
        var left = bytes
        var last: Int64?
        for entry in entries {
            guard entry.time < oldest || left > bytesMax else { break }
            left -= entry.bytes
            last = entry.sequence
        }
        return last
    }
}

/// Says that the log has grown. Waking is coalesced: one waiter, at most one wake-up stored.
package final class LogSignal: Sendable {
    private let continuation: AsyncStream<Void>.Continuation
    package let stream: AsyncStream<Void>

    package init() { (stream, continuation) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(1)) }

    package func raise() { continuation.yield() }
}

/// What a cursor gets, by the log's state alone.
enum CursorVerdict: Equatable {
    case headOnly
    case entries
    case snapshotRequired
    /// The log is not the one that gave the cursor out: its epoch must rise above this one.
    case raiseAbove(Int64)

    init(_ head: LogHead, epoch: Int64, after: Int64) {
        if epoch == 0 {
            self = .headOnly
        } else if epoch > head.epoch {
            self = .raiseAbove(epoch)
        } else if epoch < head.epoch || after < head.trimmed {
            self = .snapshotRequired
        } else if after > head.head {
            self = .raiseAbove(head.epoch)
        } else {
            self = .entries
        }
    }
}

/// Identities in the log.
enum LogIdentity {
    /// An epoch for a lineage that begins now: µs since 1970, above the one before.
    static func epoch(above earlier: Int64) -> Int64 {
        max(MartletFunctions.now(), earlier < .max ? earlier + 1 : earlier)
    }

    /// A UUID of version 7: its first 48 bits are the time in ms, so ids of one log stand about in its order.
    static func identifier(at microseconds: Int64) -> String {
        let time = UInt64(max(0, microseconds) / 1_000) & 0xFFFF_FFFF_FFFF
        let high = time << 16 | 0x7000 | UInt64.random(in: 0...0xFFF)
        let low = 1 << 63 | UInt64.random(in: 0...(1 << 62 - 1))
        let digits = padded(high) + padded(low)
        let parts = [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { range in
            String(digits.dropFirst(range.lowerBound).prefix(range.count))
        }
        return parts.joined(separator: "-")
    }

    private static func padded(_ number: UInt64) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: 16 - text.count) + text
    }
}
