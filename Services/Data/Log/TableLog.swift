// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// The change log in the tables that both engines have, in SQL that both take.
package struct TableLog: LogStore {
    package let signal: LogSignal
    private let database: Database
    private let tables: Tables

    /// The tables' names on one engine.
    struct Tables: Sendable {
        let log: String
        let head: String
        /// Behind a SELECT that must not be overtaken; SQLite has one writer.
        let lock: String

        init(_ engine: DatabaseEngine) {
            let prefix = engine == .sqlite ? "martlet_" : "martlet."
            log = prefix + "log"
            head = prefix + "log_head"
            lock = engine == .sqlite ? "" : " for update"
        }
    }

    init(_ database: Database, signal: LogSignal = LogSignal()) {
        self.database = database
        self.signal = signal
        tables = Tables(database.engine)
    }

    /// Gives a new database its log.
    static func prepare(_ session: DatabaseSession) throws {
        try session.execute(
            "insert into \(Tables(session.engine).head) (stream, epoch, head, trimmed, bytes) values ($1, $2, 0, 0, 0) "
                + "on conflict (stream) do nothing",
            [.text(LogStream.rows), .integer(LogIdentity.epoch(above: 0))])
    }

    package func head(_ stream: String) async throws -> LogHead {
        try await database.read { try Self.head(stream, $0) }
    }

    package func pull(
        _ stream: String, epoch: Int64, after: Int64, entriesMax: Int, bytesMax: Int, deadline: ContinuousClock.Instant?
    ) async throws -> LogPull {
        let (head, verdict, entries) = try await database.read(deadline: deadline) { [tables] session in
            var head = try Self.head(stream, session)
            let verdict = CursorVerdict(head, epoch: epoch, after: after)
            guard verdict == .entries else { return (head, verdict, [LogEntry]()) }
            var entries: [LogEntry] = []
            var bytes = 0
            try session.forEachRow(
                "select \(Self.columns) from \(tables.log) where stream = $1 and epoch = $2 and seq > $3 "
                    + "order by seq limit $4",
                [.text(stream), .integer(head.epoch), .integer(after), .integer(Int64(entriesMax))]
            ) { row in
                let entry = LogEntry(row)
                bytes += Int(entry.bytes)
                guard entries.isEmpty || bytes <= bytesMax else { return false }
                entries.append(entry)
                return true
            }
            // On PostgreSQL the two statements may see different moments: entries that were trimmed in between would
            // be a hole, and entries that came in between are beyond the head.
            if let first = entries.first, first.sequence != after + 1 { return (head, .snapshotRequired, []) }
            head.head = max(head.head, entries.last?.sequence ?? 0)
            return (head, verdict, entries)
        }
        switch verdict {
        case .headOnly, .entries: return .entries(entries, head)
        case .snapshotRequired: return .snapshotRequired(head)
        case .raiseAbove(let earlier): return .snapshotRequired(try await raiseEpoch(stream, above: earlier, head))
        }
    }

    package func entries(_ stream: String, epoch: Int64, at sequences: [Int64]) async throws -> [LogEntry] {
        try await database.read { try Self.entries(stream, epoch: epoch, at: sequences, $0) }
    }

    /// The entries that are there, in the session of the caller.
    static func entries(
        _ stream: String, epoch: Int64, at sequences: [Int64], _ session: DatabaseSession
    ) throws -> [LogEntry] {
        var entries: [LogEntry] = []
        for sequence in sequences {
            try session.forEachRow(
                "select \(columns) from \(Tables(session.engine).log) where stream = $1 and epoch = $2 and seq = $3",
                [.text(stream), .integer(epoch), .integer(sequence)]
            ) { row in
                entries.append(LogEntry(row))
                return true
            }
        }
        return entries
    }

    package func trim(_ stream: String, _ retention: LogRetention) async throws -> Int {
        try await database.write { [tables] session in
            let head = try Self.head(stream, session, lock: tables.lock)
            let oldest = try session.query(
                "select seq, at, length(body) from \(tables.log) where stream = $1 and epoch = $2 and seq > $3 "
                    + "order by seq limit \(LogRetention.entriesMax)",
                [.text(stream), .integer(head.epoch), .integer(head.trimmed)]
            ).map { row in
                (
                    sequence: row[0].integerValue ?? 0, time: row[1].integerValue ?? 0,
                    bytes: (row[2].integerValue ?? 0) + LogEntry.overheadBytes
                )
            }
            guard let last = retention.last(of: oldest, bytes: head.bytes, now: MartletFunctions.now()) else {
                return 0
            }
            let bytes = oldest.filter { $0.sequence <= last }.reduce(into: Int64(0)) { $0 += $1.bytes }
            let removed = try session.execute(
                "delete from \(tables.log) where stream = $1 and epoch = $2 and seq <= $3",
                [.text(stream), .integer(head.epoch), .integer(last)])
            try session.execute(
                "update \(tables.head) set trimmed = $2, bytes = bytes - $3 where stream = $1",
                [.text(stream), .integer(last), .integer(bytes)])
            return removed
        }
    }

    /// Begins a new lineage, unless somebody has done so since `seen` was read.
    private func raiseEpoch(_ stream: String, above earlier: Int64, _ seen: LogHead) async throws -> LogHead {
        try await database.write { [tables] session in
            let head = try Self.head(stream, session, lock: tables.lock)
            guard head.epoch == seen.epoch else { return head }
            return try Self.raiseEpoch(stream, above: max(earlier, head.epoch), session)
        }
    }

    static func raiseEpoch(_ stream: String, above earlier: Int64, _ session: DatabaseSession) throws -> LogHead {
        let tables = Tables(session.engine)
        try session.execute("delete from \(tables.log) where stream = $1", [.text(stream)])
        try session.execute(
            "update \(tables.head) set epoch = $2, head = 0, trimmed = 0, bytes = 0 where stream = $1",
            [.text(stream), .integer(LogIdentity.epoch(above: earlier))])
        return try Self.head(stream, session)
    }

    static func head(_ stream: String, _ session: DatabaseSession, lock: String = "") throws -> LogHead {
        let rows = try session.query(
            "select epoch, head, trimmed, bytes from \(Tables(session.engine).head) where stream = $1\(lock)",
            [.text(stream)])
        guard let row = rows.first, let epoch = row[0].integerValue, let head = row[1].integerValue,
            let trimmed = row[2].integerValue, let bytes = row[3].integerValue
        else { throw DatabaseError(sqlState: "42704", message: "there is no stream \(stream)") }
        return LogHead(epoch: epoch, head: head, trimmed: trimmed, bytes: bytes)
    }

    /// What `LogEntry.init` reads.
    private static let columns = "seq, id, type, key, at, tx, headers, body"
}

extension LogEntry {
    /// The columns of `TableLog.columns`, numbers and bytes in the form of either engine.
    fileprivate init(_ row: borrowing RowCursor) {
        self.init(
            sequence: row.value(0).integerValue ?? 0, id: row.text(1), type: row.text(2), key: row.text(3),
            time: row.value(4).integerValue ?? 0, transaction: row.text(5), headers: row.text(6),
            body: row.value(7).blobValue ?? [])
    }
}
