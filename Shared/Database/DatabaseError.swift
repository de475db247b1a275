// SPDX-License-Identifier: Apache-2.0

/// What a statement, a transaction or a connection failed with, in PostgreSQL's words on both engines.
package struct DatabaseError: Error, Sendable, Equatable {
    /// SQLSTATE, five characters. SQLite's results are mapped as the data API's contract says (18.3).
    package var sqlState: String
    package var message: String
    package var detail: String?
    package var hint: String?
    package var schema: String?
    package var table: String?
    /// The column, or on a broken key its columns, joined by `, `.
    package var column: String?
    package var constraint: String?
    /// Nothing was executed, and a later attempt can succeed.
    package var isRetriable: Bool
    /// SQLite's extended result code; 0 on PostgreSQL.
    package var engineCode: Int32

    package init(
        sqlState: String, message: String, detail: String? = nil, hint: String? = nil, schema: String? = nil,
        table: String? = nil, column: String? = nil, constraint: String? = nil, isRetriable: Bool = false,
        engineCode: Int32 = 0
    ) {
        self.sqlState = sqlState
        self.message = message
        self.detail = detail
        self.hint = hint
        self.schema = schema
        self.table = table
        self.column = column
        self.constraint = constraint
        self.isRetriable = isRetriable
        self.engineCode = engineCode
    }

    /// The request's deadline passed, or its caller went away (57014).
    package static func cancelled(_ message: String = "canceling statement due to statement timeout") -> DatabaseError {
        DatabaseError(sqlState: "57014", message: message)
    }

    /// The database is closing or closed (57P01).
    package static let closed = DatabaseError(
        sqlState: "57P01", message: "the database is shutting down", isRetriable: true)

    /// More work waits than the queue holds (53300).
    package static let tooMuchWaiting = DatabaseError(
        sqlState: "53300", message: "too many requests wait for the database", isRetriable: true)
}
