// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

extension SQLiteEngine {
    package func migrate(_ files: [MigrationFile], requiresRowSecurity: Bool) async throws -> MigrationReport {
        let entries = try await database.read { session in
            try session.query("SELECT version, checksum FROM martlet_migration ORDER BY version").map {
                MigrationLedger.Entry(version: $0[0].textValue ?? "", checksum: $0[1].textValue ?? "")
            }
        }
        let pending = try MigrationLedger(entries: entries).pending(files)
        guard let last = pending.last else { return MigrationReport(present: entries.count) }
        // Everything is translated before anything runs.
        var translated: [TranslatedFile] = []
        var catalog = snapshot.catalog
        for file in pending {
            let next = try Self.translate(file.sql, file.fileName, from: catalog)
            translated.append(next)
            catalog = next.after
        }
        if requiresRowSecurity, let failure = MigrationLedger.openTable(in: catalog, exposedSchemas, last) {
            throw failure
        }
        try await withSchemaDatabase { [translated] database in
            for (file, steps) in zip(pending, translated) {
                try await database.write(alone: true) { session in
                    try steps.run(session)
                    try session.execute(
                        "INSERT INTO martlet_migration (version, file, checksum, sql, applied_at) "
                            + "VALUES (?1, ?2, ?3, ?4, ?5)",
                        [
                            .text(file.version), .text(file.fileName), .text(ContentDigest.text(of: file.sql)),
                            .text(file.sql), .integer(MartletFunctions.now()),
                        ])
                }
                self.take(steps.after)
                self.log.signal.raise()
            }
        }
        return MigrationReport(applied: pending.map(\.fileName), present: entries.count)
    }

    package func seed(_ sql: String, fileName: String) async throws -> Bool {
        let isNew = try await database.read { session in
            try session.query("SELECT 1 FROM martlet_seed WHERE file = ?1", [.text(fileName)]).isEmpty
        }
        guard isNew else { return false }
        let translated = try Self.translate(sql, fileName, from: snapshot.catalog)
        try await withSchemaDatabase { database in
            try await database.write(alone: true) { session in
                try translated.run(session)
                try session.execute(
                    "INSERT INTO martlet_seed (file, applied_at) VALUES (?1, ?2)",
                    [.text(fileName), .integer(MartletFunctions.now())])
            }
        }
        take(translated.after)
        log.signal.raise()
        return true
    }

    private static func translate(
        _ sql: String, _ fileName: String, from catalog: Catalog
    ) throws(MigrationFailure) -> TranslatedFile {
        var translator = MigrationTranslator(catalog: catalog)
        do {
            let steps = try translator.translate(sql, file: fileName)
            return TranslatedFile(name: fileName, steps: steps, before: catalog, after: translator.catalog)
        } catch {
            guard let first = error.refusals.first else {
                throw MigrationFailure(file: fileName, reason: "the file was refused without a reason")
            }
            let others = error.refusals.dropFirst().map { "\n\($0)" }.joined()
            throw MigrationFailure(
                file: fileName, line: first.line, column: first.column,
                reason: "\(first.reason) [\(first.statement)]\(others)", sqlState: first.sqlState)
        }
    }

    /// A connection for changes of the schema, open only meanwhile: it does not check foreign keys by itself
    /// (data-semantics 2).
    private func withSchemaDatabase(_ body: (Database) async throws -> Void) async throws {
        let changing = try Database(schemaConfiguration)
        do {
            try await body(changing)
        } catch {
            await changing.close()
            throw error
        }
        await changing.close()
    }
}

/// A file as steps, with the catalogue before and after it.
struct TranslatedFile: Sendable {
    let name: String
    let steps: [TranslatedStep]
    let before: Catalog
    let after: Catalog

    /// Runs the steps in the session's transaction and stores the catalogue.
    ///
    /// - Throws: `MigrationFailure`.
    func run(_ session: DatabaseSession) throws {
        do {
            for step in steps {
                switch step {
                case .sql(let sql): try session.executeScript(sql)
                case .insert(let insert): try TranslatedRows(session: session, insert: insert, file: self).run()
                }
            }
            try startSequences(session)
            try checkForeignKeys(session)
            if after != before {
                try SQLitePlatform.store(after, session)
                try SQLiteLogWriter.appendSchemaChange(version: after.version, session)
            }
        } catch let error as DatabaseError {
            throw MigrationFailure(
                file: name, reason: [error.message, error.detail].compactMap(\.self).joined(separator: "; "),
                sqlState: error.sqlState)
        }
    }

    /// The sequences of identity columns that are new start at 1, as on PostgreSQL.
    private func startSequences(_ session: DatabaseSession) throws {
        for relation in after.relations.values {
            for column in relation.columns where column.identity != Column.Identity.none {
                let earlier = before.relations[relation.name]?.column(column.name)?.identity
                guard earlier == nil || earlier == Column.Identity.none else { continue }
                try session.execute(
                    "INSERT OR IGNORE INTO martlet_sequence (relation, \"column\", last) VALUES (?1, ?2, 0)",
                    [.text(SQLiteName.encoded(relation.name)), .text(column.name)])
            }
        }
        for relation in before.relations.values where after.relations[relation.name] == nil {
            try session.execute(
                "DELETE FROM martlet_sequence WHERE relation = ?1", [.text(SQLiteName.encoded(relation.name))])
        }
    }

    private func checkForeignKeys(_ session: DatabaseSession) throws {
        guard let broken = try session.query("PRAGMA foreign_key_check").first else { return }
        throw DatabaseError(
            sqlState: "23503",
            message: "a row of \"\(broken[0].textValue ?? "")\" refers to a row of \"\(broken[2].textValue ?? "")\" "
                + "that does not exist")
    }
}
