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

    static let engineFault: @Sendable (String) -> String? = { text in
        if text == "sqlite" || text.hasPrefix("postgres://") || text.hasPrefix("postgresql://") { return nil }
        return "expected sqlite or a URL that begins with postgres://"
    }
}
