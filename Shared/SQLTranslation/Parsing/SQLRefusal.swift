// SPDX-License-Identifier: Apache-2.0

/// A statement that SQLite cannot run truly, with its place and the reason.
package struct SQLRefusal: Error, Sendable, Equatable, CustomStringConvertible {
    /// Name of the migration file as it was given to the translator.
    package var file: String
    /// Line and column of what is refused, both from 1.
    package var line: Int
    package var column: Int
    package var reason: String
    /// The statement's beginning, on one line.
    package var statement: String
    /// PostgreSQL's code: `0A000` when only this engine refuses, PostgreSQL's own when PostgreSQL would refuse too.
    package var sqlState: String

    package init(file: String, line: Int, column: Int, reason: String, statement: String, sqlState: String) {
        self.file = file
        self.line = line
        self.column = column
        self.reason = reason
        self.statement = statement
        self.sqlState = sqlState
    }

    package var description: String { "\(file):\(line):\(column): \(reason) [\(statement)]" }
}
