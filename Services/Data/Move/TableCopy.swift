// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletServiceKit
import MartletSQL

/// Copies tables from SQLite to PostgreSQL in pieces, as PostgreSQL's texts, and compares what arrived.
struct TableCopy: Sendable {
    let source: Database
    let target: Database

    /// Values of one INSERT; PostgreSQL takes 65,535 parameters.
    private static let valuesMax = 8_000
    private static let rowsMax = 500
    /// Texts of one INSERT, in bytes; a row may be larger by itself.
    private static let bytesMax = 4 << 20

    /// Rows that are read back at once.
    private static let fetchMax = 20

    /// Triggers, foreign keys and the capture have had their say when the rows were written.
    private static let quiet = "set local session_replication_role = replica; set local martlet.capture = 'off'; set local martlet.user_of_auth = '*'"

    /// The migrations as they were applied, whatever their files say now.
    func migrations() async throws -> [MigrationFile] {
        try await source.read { session in
            try session.query("SELECT version, file, sql FROM martlet_migration ORDER BY file").map { row in
                MigrationFile(
                    version: row[0].textValue ?? "", fileName: row[1].textValue ?? "", sql: row[2].textValue ?? "")
            }
        }
    }

    func empty(_ tables: [QualifiedName]) async throws {
        let list = tables.map(PostgresStatement.quote).joined(separator: ", ")
        guard !list.isEmpty else { return }
        try await target.write(alone: true) { session in
            try session.executeScript("\(Self.quiet); truncate \(list) cascade")
            try session.executeScript("delete from martlet.user_news; delete from martlet.user_version; delete from martlet.user_tombstone")
        }
    }

    /// Copies the rows of a table and returns their number.
    ///
    /// - Throws: `StartFailure` when what is there afterwards is not what was here.
    func copy(_ table: Relation) async throws -> Int64 {
        let columns = table.columns.filter { $0.generatedExpression == nil }
        guard !columns.isEmpty else { return try await copyEmptyRows(table) }
        var here = RowsDigest()
        var last = Int64.min
        let size = max(1, min(Self.rowsMax, Self.valuesMax / columns.count))
        while true {
            let (rows, end) = try await page(of: table, columns, after: last, size)
            guard !rows.isEmpty else { break }
            for row in rows { here.add(row) }
            try await insert(rows, columns.map(\.name), into: table.name)
            last = end
        }
        let there = try await digest(of: table.name, columns.map(\.name))
        guard here == there else {
            throw StartFailure(
                .internalError,
                "The table \(table.name.schema).\(table.name.name) differs after the copy (\(here.rows) and \(there.rows) "
                    + "rows); nothing was decided, the project is on SQLite as before.")
        }
        return here.rows
    }

    private func page(
        of table: Relation, _ columns: [Column], after last: Int64, _ size: Int
    ) async throws -> (rows: [[String?]], last: Int64) {
        let list = columns.map { SQLiteName.quoted(column: $0.name) }.joined(separator: ", ")
        let sql =
            "SELECT rowid, \(list) FROM \(SQLiteName.quoted(table.name)) WHERE rowid > ?1 OR ?1 = \(Int64.min) "
            + "ORDER BY rowid LIMIT ?2"
        return try await source.read { session in
            var rows: [[String?]] = []
            var end = last
            var bytes = 0
            try session.forEachRow(sql, [.integer(last), .integer(Int64(size))]) { row in
                end = row.value(0).integerValue ?? end
                let texts = columns.indices.map { ValueForm.text(row.value($0 + 1), type: columns[$0].type) }
                bytes += texts.reduce(0) { $0 + ($1?.utf8.count ?? 0) }
                rows.append(texts)
                return bytes < Self.bytesMax
            }
            return (rows, end)
        }
    }

    private func insert(_ rows: [[String?]], _ columns: [String], into table: QualifiedName) async throws {
        let names = columns.map { PostgresStatement.quote($0) }.joined(separator: ", ")
        let places = rows.indices.map { row in
            "(" + columns.indices.map { "$\(row * columns.count + $0 + 1)" }.joined(separator: ", ") + ")"
        }.joined(separator: ", ")
        let sql =
            "insert into \(PostgresStatement.quote(table)) (\(names)) overriding system value values \(places)"
        let values = rows.flatMap { row in row.map { $0.map { SQLValue.text($0) } ?? .null } }
        try await target.write(alone: true) { session in
            try session.executeScript(Self.quiet)
            try session.execute(sql, values)
        }
    }

    /// Of the rows as PostgreSQL writes them out.
    private func digest(of table: QualifiedName, _ columns: [String]) async throws -> RowsDigest {
        let list = columns.map { PostgresStatement.quote($0) }.joined(separator: ", ")
        return try await target.read { session in
            var digest = RowsDigest()
            try session.execute(
                "declare moved no scroll cursor for select \(list) from \(PostgresStatement.quote(table))")
            while true {
                let rows = try session.query("fetch \(Self.fetchMax) from moved")
                guard !rows.isEmpty else { return digest }
                for row in rows { digest.add(row.values.map(\.textValue)) }
            }
        }
    }

    /// A table without columns has rows all the same.
    private func copyEmptyRows(_ table: Relation) async throws -> Int64 {
        let count = try await source.read { session in
            try session.query("SELECT count(*) FROM \(SQLiteName.quoted(table.name))").first?[0].integerValue ?? 0
        }
        try await target.write(alone: true) { session in
            for _ in 0..<count {
                try session.execute("insert into \(PostgresStatement.quote(table.name)) default values")
            }
        }
        return count
    }

    // MARK: The platform's own

    private static let records: [(from: String, to: String)] = [
        ("SELECT id, version FROM martlet_user_version ORDER BY id", "martlet.user_version (id, version) values ($1, $2)"),
        (
            "SELECT id, deleted_at FROM martlet_user_tombstone ORDER BY id",
            "martlet.user_tombstone (id, deleted_at) values ($1, to_timestamp($2::bigint / 1000000.0))"
        ),
        (
            "SELECT file, applied_at FROM martlet_seed ORDER BY file",
            "martlet.seed (file, applied_at) values ($1, to_timestamp($2::bigint / 1000000.0))"
        ),
        (
            "SELECT principal, method, key, request_hash, status, fields, body, created_at FROM martlet_idempotency ORDER BY rowid",
            "martlet.idempotency (principal, method, key, request_hash, status, fields, body, created_at) "
                + "values ($1, $2, $3, $4, $5, $6, $7, to_timestamp($8::bigint / 1000000.0))"
        ),
        (
            "SELECT stream, epoch, seq, id, type, key, at, tx, headers, body FROM martlet_log ORDER BY stream, epoch, seq",
            "martlet.log (stream, epoch, seq, id, type, key, at, tx, headers, body) "
                + "values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ),
        (
            "SELECT stream, epoch, head, trimmed, bytes FROM martlet_log_head ORDER BY stream",
            "martlet.log_head (stream, epoch, head, trimmed, bytes) values ($1, $2, $3, $4, $5)"
        ),
    ]

    /// Versions of users, seeds that have run, answers under idempotency keys, and the change log with its numbers, so
    /// that its consumers go on where they are.
    func copyRecords() async throws {
        try await target.write(alone: true) { session in
            try session.executeScript(
                "delete from martlet.outbox; delete from martlet.log; delete from martlet.log_head")
        }
        for (from, to) in Self.records {
            var offset: Int64 = 0
            while true {
                let sql = "\(from) LIMIT \(Self.rowsMax) OFFSET \(offset)"
                let rows = try await source.read { try $0.query(sql).map(\.values) }
                guard !rows.isEmpty else { break }
                try await target.write(alone: true) { session in
                    for row in rows { try session.execute("insert into \(to)", row) }
                }
                offset += Int64(rows.count)
            }
        }
    }

    /// Sequences of identity columns go on behind the numbers that SQLite has given out.
    func startSequences(_ tables: [Relation]) async throws {
        let given = try await source.read { session in
            try session.query("SELECT relation, \"column\", last FROM martlet_sequence").map(\.values)
        }
        try await target.write(alone: true) { session in
            for table in tables {
                let name = SQLiteName.encoded(table.name)
                for row in given where row[0].textValue == name {
                    guard let column = row[1].textValue, let last = row[2].integerValue, last > 0 else { continue }
                    try session.execute(
                        "select setval(pg_get_serial_sequence($1, $2), $3::bigint)",
                        [.text(PostgresStatement.quote(table.name)), .text(column), .integer(last)])
                }
            }
        }
    }
}

/// Number and sum of rows, whatever their order.
struct RowsDigest: Sendable, Equatable {
    private(set) var rows: Int64 = 0
    private var sum: UInt64 = 0

    /// FNV-1a over the texts, each with its length in front; null is a length of its own.
    mutating func add(_ row: [String?]) {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        func mix(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }
        for text in row {
            let length = text.map { UInt64($0.utf8.count) } ?? .max
            for shift in stride(from: 0, to: 64, by: 8) { mix(UInt8(truncatingIfNeeded: length >> UInt64(shift))) }
            for byte in (text ?? "").utf8 { mix(byte) }
        }
        rows += 1
        sum &+= hash
    }
}
