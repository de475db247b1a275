// SPDX-License-Identifier: Apache-2.0

/// One file of the project's `migrations/` folder: `<digits>_name.sql`, by custom fourteen digits of a time.
package struct MigrationFile: Sendable, Equatable {
    /// The digits.
    package var version: String
    /// The file's name with its version and suffix, for messages.
    package var fileName: String
    package var sql: String

    package init(version: String, fileName: String, sql: String) {
        self.version = version
        self.fileName = fileName
        self.sql = sql
    }
}

/// Why migrations or the seed did not run. Nothing of the file that failed was applied.
package struct MigrationFailure: Error, Sendable, Equatable, CustomStringConvertible {
    package var file: String
    /// Line and column of the statement, from 1; nil where the engine does not know.
    package var line: Int?
    package var column: Int?
    package var reason: String
    package var sqlState: String?

    package init(file: String, line: Int? = nil, column: Int? = nil, reason: String, sqlState: String? = nil) {
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
        self.sqlState = sqlState
    }

    package var description: String {
        let place = [file, line.map(String.init), column.map(String.init)].compactMap { $0 }.joined(separator: ":")
        return "\(place): \(reason)\(sqlState.map { " (\($0))" } ?? "")"
    }
}

/// What a start found and did.
package struct MigrationReport: Sendable, Equatable {
    /// Files applied now, in order.
    package var applied: [String]
    /// Files that had been applied before.
    package var present: Int
    /// Extensions that migrations ask for and the server does not have.
    package var absentExtensions: [String] = []

    package init(applied: [String] = [], present: Int = 0) {
        self.applied = applied
        self.present = present
    }
}
