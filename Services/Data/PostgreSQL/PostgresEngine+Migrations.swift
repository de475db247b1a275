// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

extension PostgresEngine {
    package func migrate(_ files: [MigrationFile], requiresRowSecurity: Bool) async throws -> MigrationReport {
        let entries = try await administration.read { session in
            try session.query("select version, checksum from martlet.migration order by version").map {
                MigrationLedger.Entry(version: $0[0].textValue ?? "", checksum: $0[1].textValue ?? "")
            }
        }
        let pending = try MigrationLedger(entries: entries).pending(files)
        for file in pending {
            // A later file may repair what an earlier one leaves open.
            try await apply(file, checksRowSecurity: requiresRowSecurity && file == pending.last)
        }
        if !pending.isEmpty { try await reloadSchema() }
        return MigrationReport(applied: pending.map(\.fileName), present: entries.count)
    }

    private func apply(_ file: MigrationFile, checksRowSecurity: Bool) async throws {
        let schemas = schema.exposedSchemas
        let captured = captured
        try await administration.write(alone: true) { session in
            // Another process may be migrating the same database: the second one finds the file applied.
            try session.execute("lock table martlet.migration in share row exclusive mode")
            let known = try session.query("select from martlet.migration where version = $1", [.text(file.version)])
            guard known.isEmpty else { return }
            // Everything that was changed under the old schema is numbered under it: the head's row first, as the
            // numbering does, then nobody writes to the outbox any more.
            _ = try TableLog.head(LogStream.rows, session, lock: " for update")
            try session.execute("lock table martlet.outbox in share mode")
            let before = try PostgresCatalogReader(session: session).read()
            while try PostgresNumbering.number(before, session) > 0 {}
            try Self.run(file.sql, fileName: file.fileName, session)
            try PostgresCapture.synchronise(captured, session)
            if checksRowSecurity {
                let catalog = try PostgresCatalogReader(session: session).read()
                if let failure = MigrationLedger.openTable(in: catalog, schemas, file) { throw failure }
            }
            try session.execute(
                "insert into martlet.migration (version, file, checksum, sql) values ($1, $2, $3, $4)",
                [
                    .text(file.version), .text(file.fileName), .text(ContentDigest.text(of: file.sql)),
                    .text(file.sql),
                ])
            try session.execute(
                """
                insert into martlet.outbox (stream, type, relation, at, headers) values ($1, $2, '{}', $3, '{}')
                """,
                [.text(LogStream.rows), .text(LogEntryType.schemaChanged), .integer(MartletFunctions.now())])
        }
    }

    package func seed(_ sql: String, fileName: String) async throws -> Bool {
        try await administration.write(alone: true) { session in
            try session.execute("lock table martlet.seed in share row exclusive mode")
            guard try session.query("select from martlet.seed").isEmpty else { return false }
            try Self.run(sql, fileName: fileName, session)
            try session.execute("insert into martlet.seed (file) values ($1)", [.text(fileName)])
            return true
        }
    }

    /// Runs a file as the application's owner, statement by statement, and leaves the transaction as it found it.
    private static func run(_ sql: String, fileName: String, _ session: DatabaseSession) throws {
        // Rows that migrations and the seed write are no changes (data-semantics 2).
        try session.executeScript("set local role postgres; set local martlet.capture = 'off'")
        for statement in PostgresScript.statements(of: sql) {
            do {
                try session.executeScript(statement.sql)
            } catch let error {
                let reason = [error.message, error.detail, error.hint].compactMap(\.self).joined(separator: "; ")
                throw MigrationFailure(
                    file: fileName, line: statement.line, reason: reason, sqlState: error.sqlState)
            }
        }
        // A file may have changed settings; ours must not follow them.
        try session.executeScript(
            "set local role none; set local search_path = public, extensions; set local martlet.capture = 'on'")
    }
}
