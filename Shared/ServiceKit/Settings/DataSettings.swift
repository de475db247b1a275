// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// The application's tables.
package struct DataSettings: Sendable {
    package let engine = Setting<String>(
        "martlet.data.engine", "auto", range: "`auto`, `sqlite`, `postgres` or `postgres://…`", isSecret: true,
        readers: [.data],
        "Database of the application: `sqlite`; a server by its URL; `postgres`, a private server that the data service runs itself; `auto`, SQLite if it can run every migration, else `postgres`, decided at the first start.",
        fault: engineFault)
    package let postgresBinaries = Setting<String?>(
        "martlet.data.postgres_binaries", nil, readers: [.data],
        "Folder with `postgres` and `initdb` for the private server; without it they are looked for on PATH and in the usual places.")
    package let postgresFolder = Setting<String?>(
        "martlet.data.postgres_folder", nil, readers: [.data],
        "Folder of the private server; without it `postgres` in the data directory.")
    package let postgresUser = Setting<String>(
        "martlet.data.postgres_user", "postgres", readers: [.data],
        "System user that the private server runs as where martlet runs as root.")
    package let requiresRowSecurity = Setting<Bool>(
        "martlet.data.require_row_security", false, readers: [.data],
        "Refuses migrations that leave a table of an exposed schema without row level security.")
    package let readers = Setting<Int>(
        "martlet.data.readers", 2, in: 1...64, readers: [.data], "Threads that read SQLite at once.")
    package let poolSize = Setting<Int>(
        "martlet.data.pool_size", 8, in: 1...256, readers: [.data], "Connections to PostgreSQL.")
    package let schemas = Setting<[String]>(
        "api.schemas", ["public"], readers: [.data],
        "Schemas whose tables and functions are served; the first one is meant where a request names none.")
    package let seeds = Setting<Bool>(
        "db.seed.enabled", true, readers: [.data], "Whether development runs the seed once.")
    package let seedPaths = Setting<[String]>(
        "db.seed.sql_paths", ["./seed.sql"], readers: [.data],
        "Files of the seed, from the project's folder on, in this order; `*` in a name stands for any text. One that is not there is left out.")
    package let rowsMax = Setting<Int>(
        "api.max_rows", 1_000, in: 1...1_000_000, readers: [.data], "Most rows of one answer.")

    package let logRetention = Setting<Duration>(
        "martlet.data.log_retention", .seconds(24 * 3_600), in: .seconds(60)...(.seconds(30 * 24 * 3_600)),
        readers: [.data], "How long the change log keeps an entry; a consumer that is later must read the state anew.")
    package let logBytesMax = Setting<Int>(
        "martlet.data.log_bytes_max", 268_435_456, in: 16_777_216...68_719_476_736, readers: [.data],
        "Size of the change log, in bytes; beyond it the oldest entries go.")

    static let engineFault: @Sendable (String) -> String? = { text in
        if ["auto", "sqlite", "postgres"].contains(text) || text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") { return nil }
        return "expected auto, sqlite, postgres or a URL that begins with postgres://"
    }
}
