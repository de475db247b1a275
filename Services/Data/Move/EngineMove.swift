// SPDX-License-Identifier: Apache-2.0

import Glibc
package import Logging
import MartletDatabase
package import MartletServiceKit
import MartletSQL
import MartletWire

/// Takes a project from SQLite to a private PostgreSQL: migrations as they were applied, rows, users, sequences, the
/// change log and the keys of finished requests, each table counted and compared. The file of SQLite stays.
///
/// Nothing is decided before everything is there: until then the project is on SQLite, and what a move that failed has
/// made is removed.
package struct EngineMove: Sendable {
    /// What became of one table.
    package struct Moved: Sendable, Equatable {
        package var table: String
        package var rows: Int64
    }

    private let settings: Settings
    private let directory: DataDirectory
    private let logger: Logger

    package init(settings: Settings, directory: DataDirectory, logger: Logger) {
        self.settings = settings
        self.directory = directory
        self.logger = logger
    }

    /// - Parameter tell: hears of each table once it is there and equal.
    /// - Throws: `StartFailure` when there is nothing to move or the suite runs, and when a table differs.
    package func run(_ tell: @Sendable (Moved) -> Void) async throws {
        let lock = try directory.lock(.data)
        defer { withExtendedLifetime(lock) {} }
        guard EngineChoice(setting: settings[\.data.engine]) == nil else {
            throw StartFailure(
                .configuration,
                "martlet.data.engine names an engine: take it out first, so that the data directory says where the rows are.")
        }
        let file = directory.database(of: .data)
        guard EngineChoice.recorded(in: directory) != .managed, PosixFile.exists(file) else {
            throw StartFailure(.configuration, "The project in \(directory.path) is not on SQLite.")
        }
        let server = try ManagedPostgres.of(settings, directory, logger)
        guard !server.exists else {
            throw StartFailure(
                .configuration,
                "There is a PostgreSQL cluster in \(server.folder) already. If nothing in it is needed, remove that folder.")
        }
        do {
            try await server.start()
            try await move(from: file, to: server.url, tell)
            await server.close()
        } catch {
            await server.close()
            // Nobody's but what this run has made.
            server.remove()
            throw error
        }
        try PosixFile.replace(directory.engineFile, with: "postgres\n")
        for suffix in ["", "-wal", "-shm"] where PosixFile.exists(file + suffix) {
            try PosixFile.rename(file + suffix, to: "\(file).moved\(suffix)")
        }
    }

    private func move(from file: String, to url: String, _ tell: (Moved) -> Void) async throws {
        let schemas = settings[\.data.schemas]
        let source = try await SQLiteEngine.open(path: file, readers: 1, exposedSchemas: schemas)
        do {
            let target = try await PostgresEngine.open(url: url, poolSize: 1, exposedSchemas: schemas)
            do {
                let copy = TableCopy(source: source.database, target: target.administration)
                _ = try await target.migrate(try await copy.migrations(), requiresRowSecurity: false)
                let tables = source.schema.catalog.relations.values.filter { $0.kind == .table }
                    .sorted { $0.name < $1.name }
                // What migrations have written themselves is among the rows.
                try await copy.empty(tables.map(\.name))
                for table in tables {
                    let rows = try await copy.copy(table)
                    tell(Moved(table: "\(table.name.schema).\(table.name.name)", rows: rows))
                }
                try await copy.copyRecords()
                try await copy.startSequences(tables)
            } catch {
                await target.close()
                throw error
            }
            await target.close()
        } catch {
            await source.close()
            throw error
        }
        await source.close()
    }
}
