// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// What every project's file holds before its first migration: our own records, and the platform's tables.
enum SQLitePlatform {
    /// Version of the forms on disk (D23).
    private static let format = "1"

    private static let records = """
        CREATE TABLE IF NOT EXISTS martlet_meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS martlet_migration (
            version TEXT PRIMARY KEY, file TEXT NOT NULL, checksum TEXT NOT NULL, sql TEXT NOT NULL,
            applied_at INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS martlet_seed (file TEXT PRIMARY KEY, applied_at INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS martlet_sequence (
            relation TEXT NOT NULL, "column" TEXT NOT NULL, last INTEGER NOT NULL,
            PRIMARY KEY (relation, "column")) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS martlet_user_version (id TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS martlet_user_tombstone (id TEXT PRIMARY KEY, deleted_at INTEGER NOT NULL) STRICT;
        CREATE TABLE IF NOT EXISTS martlet_idempotency (
            principal TEXT NOT NULL, method TEXT NOT NULL, key TEXT NOT NULL, request_hash TEXT NOT NULL,
            status INTEGER, fields TEXT, body BLOB, created_at INTEGER NOT NULL,
            UNIQUE (principal, method, key)) STRICT;
        CREATE INDEX IF NOT EXISTS martlet_idempotency_created_at ON martlet_idempotency (created_at);
        CREATE TABLE IF NOT EXISTS martlet_log (
            stream TEXT NOT NULL, epoch INTEGER NOT NULL, seq INTEGER NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
            key TEXT NOT NULL, at INTEGER NOT NULL, tx TEXT NOT NULL, headers TEXT NOT NULL, body BLOB NOT NULL,
            PRIMARY KEY (stream, epoch, seq)) STRICT, WITHOUT ROWID;
        CREATE TABLE IF NOT EXISTS martlet_log_head (
            stream TEXT PRIMARY KEY, epoch INTEGER NOT NULL, head INTEGER NOT NULL, trimmed INTEGER NOT NULL,
            bytes INTEGER NOT NULL) STRICT, WITHOUT ROWID;
        """

    /// Brings the file into shape and reads its catalogue.
    ///
    /// - Throws: `DatabaseError`; `F0000` when a later version of Martlet wrote the file.
    static func prepare(_ session: DatabaseSession) throws -> Catalog {
        try session.executeScript(records)
        if let format = try value("format", session), format != Self.format {
            throw DatabaseError(sqlState: "F0000", message: "the file has the format \(format), not \(Self.format)")
        }
        try TableLog.prepare(session)
        if let stored = try value("catalog", session) { return try Catalog(decoding: stored) }
        let (catalog, steps) = try Platform.catalog()
        for case .sql(let sql) in steps { try session.executeScript(sql) }
        try set("format", format, session)
        try store(catalog, session)
        return catalog
    }

    static func store(_ catalog: Catalog, _ session: DatabaseSession) throws {
        try set("catalog", catalog.encoded(), session)
    }

    private static func value(_ key: String, _ session: DatabaseSession) throws -> String? {
        try session.query("SELECT value FROM martlet_meta WHERE key = ?1", [.text(key)]).first?[0].textValue
    }

    private static func set(_ key: String, _ value: String, _ session: DatabaseSession) throws {
        try session.execute(
            "INSERT INTO martlet_meta (key, value) VALUES (?1, ?2) "
                + "ON CONFLICT (key) DO UPDATE SET value = excluded.value", [.text(key), .text(value)])
    }
}
