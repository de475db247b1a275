// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL
import MartletWire
import Synchronization

/// Turns captured changes into entries of the log, in the savepoint of the write that made them (D27).
final class SQLiteLogWriter: Sendable {
    private let images = Mutex<[String: RowImage]>([:])
    private let hasWritten = Atomic(false)
    /// Tables whose changes are logged though they are not published.
    let captured: Set<QualifiedName>

    init(captured: Set<QualifiedName>) { self.captured = captured }

    /// What is logged from now on. Returns the names of the tables in the file.
    func take(_ catalog: Catalog) -> Set<String> {
        var made: [String: RowImage] = [:]
        for name in catalog.publication.union(captured) {
            guard let relation = catalog.relations[name], relation.kind == .table else { continue }
            made[SQLiteName.encoded(name)] = RowImage(relation, version: catalog.version)
        }
        images.withLock { [made] in $0 = made }
        return Set(made.keys)
    }

    /// Whether entries were written since the last question; they are committed if the asker's own write is.
    func takeNews() -> Bool { hasWritten.exchange(false, ordering: .relaxed) }

    func write(_ changes: [CapturedChange], _ session: DatabaseSession) throws {
        let images = images.withLock { $0 }
        let trace = TraceContext(line: session.annotation)
        let entries = changes.compactMap { change -> RowImage.Written? in
            guard let image = images[change.table] else { return nil }
            let type =
                switch change.operation {
                case .insert: LogEntryType.insert
                case .update: LogEntryType.update
                case .delete: LogEntryType.delete
                }
            return image.entry(
                type, record: change.new.map(image.record), oldRecord: change.old.map(image.record), trace: trace)
        }
        try Self.append(entries, session)
        hasWritten.store(true, ordering: .relaxed)
    }

    /// One entry says that everything which was derived from the schema is void (data-semantics 19).
    static func appendSchemaChange(version: Int64, _ session: DatabaseSession) throws {
        try append([.schemaChange(version: version)], session)
    }

    private static func append(_ entries: [RowImage.Written], _ session: DatabaseSession) throws {
        guard !entries.isEmpty else { return }
        let bytes = entries.reduce(into: Int64(0)) { $0 += Int64($1.body.count) + LogEntry.overheadBytes }
        let rows = try session.query(
            """
            UPDATE martlet_log_head SET head = head + ?2, bytes = bytes + ?3 WHERE stream = ?1 \
            RETURNING epoch, head
            """, [.text(LogStream.rows), .integer(Int64(entries.count)), .integer(bytes)])
        guard let epoch = rows.first?[0].integerValue, let head = rows.first?[1].integerValue else {
            throw DatabaseError(sqlState: "XX000", message: "the log has no head")
        }
        let time = MartletFunctions.now()
        let transaction = MartletFunctions.randomUUID()
        for (position, entry) in entries.enumerated() {
            try session.execute(
                """
                INSERT INTO martlet_log (stream, epoch, seq, id, type, key, at, tx, headers, body) \
                VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
                """,
                [
                    .text(LogStream.rows), .integer(epoch), .integer(head - Int64(entries.count - 1 - position)),
                    .text(LogIdentity.identifier(at: time)), .text(entry.type), .text(entry.key), .integer(time),
                    .text(transaction), .text(entry.headers), .blob(entry.body),
                ])
        }
    }
}

extension RowImage.Written {
    static func schemaChange(version: Int64) -> RowImage.Written {
        RowImage.Written(
            type: LogEntryType.schemaChanged, key: "", headers: "{\"version\":\(version)}", body: Array("{}".utf8))
    }
}
