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
        var report = MigrationReport(present: entries.count)
        for file in pending {
            // A later file may repair what an earlier one leaves open.
            report.absentExtensions += try await apply(
                file, checksRowSecurity: requiresRowSecurity && file == pending.last)
            report.applied.append(file.fileName)
        }
        if !pending.isEmpty { try await reloadSchema() }
        return report
    }

    /// Returns the extensions that the server does not have.
    private func apply(_ file: MigrationFile, checksRowSecurity: Bool) async throws -> [String] {
        let schemas = schema.exposedSchemas
        let captured = captured
        return try await writeOnce { session in
            // Another process may be migrating the same database: the second one finds the file applied.
            try session.execute("lock table martlet.migration in share row exclusive mode")
            let known = try session.query("select from martlet.migration where version = $1", [.text(file.version)])
            guard known.isEmpty else { return [] }
            // Everything that was changed under the old schema is numbered under it: the head's row first, as the
            // numbering does, then nobody writes to the outbox any more.
            _ = try TableLog.head(LogStream.rows, session, lock: " for update")
            try session.execute("lock table martlet.outbox in share mode")
            let before = try PostgresCatalogReader(session: session).read()
            while try PostgresNumbering.number(before, session) > 0 {}
            let absent = try Self.run(file.sql, fileName: file.fileName, session)
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
            return absent
        }
    }

    package func seed(_ sql: String, fileName: String) async throws -> Bool {
        try await writeOnce { session in
            try session.execute("lock table martlet.seed in share row exclusive mode")
            guard try session.query("select from martlet.seed where file = $1", [.text(fileName)]).isEmpty else { return false }
            _ = try Self.run(sql, fileName: fileName, session)
            try session.execute("insert into martlet.seed (file) values ($1)", [.text(fileName)])
            return true
        }
    }

    /// Runs a file's transaction on a connection of its own: what the file sets for its session ends with it.
    private func writeOnce<Result: Sendable>(
        _ body: @escaping @Sendable (DatabaseSession) throws -> Result
    ) async throws -> Result {
        let database = try Database(
            DatabaseConfiguration(
                location: .postgres(url: url), poolSize: 1, startupStatements: Self.startupStatements))
        do {
            let result = try await database.write(alone: true, body)
            await database.close()
            return result
        } catch {
            await database.close()
            throw error
        }
    }

    /// Runs a file as the application's owner, statement by statement, and leaves the transaction as it found it.
    ///
    /// - Returns: extensions that the server does not have. They are left out: many projects name some that they never
    ///   use, and what calls one is refused where it stands.
    private static func run(_ sql: String, fileName: String, _ session: DatabaseSession) throws -> [String] {
        var absent: [String] = []
        // Rows that migrations and the seed write are no changes (data-semantics 2).
        try session.executeScript("set local role postgres; set local martlet.capture = 'off'")
        for statement in PostgresScript.statements(of: sql) {
            do {
                if statement.isExtension, let (name, isCreation) = SQLNames.extension(in: statement.sql) {
                    let isThere = try changeExtension(name, statement.sql, session)
                    if isCreation, !isThere, name != PostgresCronPlatform.replaces { absent.append(name) }
                } else {
                    try session.executeScript(statement.sql)
                }
            } catch let error {
                let reason = [error.message, error.detail, error.hint].compactMap(\.self).joined(separator: "; ")
                throw MigrationFailure(
                    file: fileName, line: statement.line, reason: reason, sqlState: error.sqlState)
            }
        }
        // A file may have changed settings, dumps do so for the whole session; ours must not follow them.
        try session.executeScript(
            "set local role none; set search_path = public, extensions; set row_security = on; "
                + "set local martlet.capture = 'on'")
        return absent
    }

    /// Makes or changes an extension as the login, since many take more rights than the application's owner has.
    ///
    /// - Returns: false when the server does not have it.
    private static func changeExtension(
        _ name: String, _ sql: String, _ session: DatabaseSession
    ) throws(DatabaseError) -> Bool {
        let found = try session.query("select from pg_available_extensions where name = $1", [.text(name)])
        guard !found.isEmpty else { return false }
        try session.executeScript("set local role none")
        try session.executeScript(sql)
        try session.executeScript("set local role postgres")
        return true
    }
}
