// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// The application's tables.
package struct DataSettings: Sendable {
    package let engine = Setting<String>(
        "martlet.data.engine", "sqlite", range: "`sqlite` or `postgres://…`", isSecret: true, readers: [.data],
        "Database of the application.", fault: engineFault)
    package let requiresRowSecurity = Setting<Bool>(
        "martlet.data.require_row_security", false, readers: [.data],
        "Refuses migrations that leave a table of an exposed schema without row level security.")
    package let readers = Setting<Int>(
        "martlet.data.readers", 2, in: 1...64, readers: [.data], "Threads that read SQLite at once.")
    package let poolSize = Setting<Int>(
        "martlet.data.pool_size", 8, in: 1...256, readers: [.data], "Connections to PostgreSQL.")
    package let rowsMax = Setting<Int>(
        "api.max_rows", 1_000, in: 1...1_000_000, readers: [.data], "Most rows of one answer.")

    package let logRetention = Setting<Duration>(
        "martlet.data.log_retention", .seconds(24 * 3_600), in: .seconds(60)...(.seconds(30 * 24 * 3_600)),
        readers: [.data], "How long the change log keeps an entry; a consumer that is later must read the state anew.")
    package let logBytesMax = Setting<Int>(
        "martlet.data.log_bytes_max", 268_435_456, in: 16_777_216...68_719_476_736, readers: [.data],
        "Size of the change log, in bytes; beyond it the oldest entries go.")

    static let engineFault: @Sendable (String) -> String? = { text in
        if text == "sqlite" || text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") { return nil }
        return "expected sqlite or a URL that begins with postgres://"
    }
}
