// SPDX-License-Identifier: Apache-2.0

/// Why a piece of SQL is not translated, at a byte offset of the text being read.
///
/// Inside the module only: it becomes an `SQLRefusal` for a migration and a `DatabaseError` for a request.
struct TranslationFault: Error, Sendable {
    var reason: String
    /// Byte offset in the parsed text; nil means the start of the statement.
    var location: Int?
    /// PostgreSQL's code: `0A000` for what this engine does not do, PostgreSQL's own for what PostgreSQL refuses too.
    var sqlState: String

    init(_ reason: String, at location: Int? = nil, sqlState: String = "0A000") {
        self.reason = reason
        self.location = location
        self.sqlState = sqlState
    }

    /// The fault with a location, when it did not know one.
    func located(at location: Int?) -> TranslationFault {
        var fault = self
        if fault.location == nil { fault.location = location }
        return fault
    }
}
