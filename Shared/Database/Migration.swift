// SPDX-License-Identifier: Apache-2.0

/// One numbered change of a service's own schema, in SQL that both engines take.
package struct Migration: Sendable {
    /// Ascending without gaps, from 1.
    package let number: Int64
    package let name: String
    /// One or more statements. Frozen once released.
    package let sql: String

    package init(number: Int64, name: String, sql: String) {
        self.number = number
        self.name = name
        self.sql = sql
    }

    /// FNV-1a over the text: tells an edited migration from the applied one; not meant against malice.
    var checksum: String {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in sql.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
        return String(hash, radix: 16)
    }
}

extension Database {
    /// Applies the migrations that are new, each in a transaction of its own.
    ///
    /// Replicas may start at once: on PostgreSQL they take turns by an advisory lock, SQLite has one writer.
    ///
    /// - Throws: `DatabaseError`: what a statement failed with, or `F0000` when the database was migrated by a later
    ///   version or an applied migration reads differently now.
    package func migrate(_ migrations: [Migration]) async throws {
        try await write(alone: true) { session in
            try session.lockMigrations()
            try session.execute(
                """
                create table if not exists martlet_migrations \
                (number bigint primary key, name text not null, checksum text not null)
                """)
            let applied = try session.query("select number, checksum from martlet_migrations order by number")
            guard applied.count <= migrations.count else {
                throw DatabaseError(sqlState: "F0000", message: "the database belongs to a later version")
            }
            for (row, migration) in zip(applied, migrations) where row[1].textValue != migration.checksum {
                throw DatabaseError(
                    sqlState: "F0000",
                    message: "migration \(migration.number) (\(migration.name)) differs from the applied one")
            }
        }
        for migration in migrations {
            try await write(alone: true) { session in
                try session.lockMigrations()
                let applied = try session.query(
                    "select 1 from martlet_migrations where number = $1", [.integer(migration.number)])
                guard applied.isEmpty else { return }
                try session.executeScript(migration.sql)
                try session.execute(
                    "insert into martlet_migrations (number, name, checksum) values ($1, $2, $3)",
                    [.integer(migration.number), .text(migration.name), .text(migration.checksum)])
            }
        }
    }
}

extension DatabaseSession {
    /// Any fixed number: one lock for the migrations of a database, until the transaction ends.
    fileprivate func lockMigrations() throws(DatabaseError) {
        if engine == .postgres { _ = try query("select pg_advisory_xact_lock(6720931)") }
    }
}
