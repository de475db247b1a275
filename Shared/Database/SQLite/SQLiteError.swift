// SPDX-License-Identifier: Apache-2.0

import CSQLite

/// SQLite's results in PostgreSQL's words (contract of the data API, 18.3).
enum SQLiteError {
    static func error(code: Int32, message: String) -> DatabaseError {
        var error = DatabaseError(sqlState: "XX000", message: message, engineCode: code)
        switch code {
        case uniqueviolation, primarykeyviolation, rowidviolation:
            error.sqlState = "23505"
            takeColumns(of: message, into: &error)
        case foreignkeyviolation: error.sqlState = "23503"
        case notnullviolation:
            error.sqlState = "23502"
            takeColumns(of: message, into: &error)
        case checkviolation:
            error.sqlState = "23514"
            error.constraint = subject(of: message)
        case triggerviolation: error.sqlState = "P0001"
        case datatypeviolation: error.sqlState = "22P02"
        default:
            switch code & 0xFF {
            case SQLITE_CONSTRAINT: error.sqlState = "23000"
            case SQLITE_READONLY: error.sqlState = "25006"
            case SQLITE_BUSY, SQLITE_LOCKED:
                error.sqlState = "55P03"
                error.isRetriable = true
            case SQLITE_FULL:
                error.sqlState = "53100"
                error.isRetriable = true
            case SQLITE_NOMEM: error.sqlState = "53200"
            // A full disk also shows as a failed write, depending on the file system.
            case SQLITE_IOERR, SQLITE_CANTOPEN: error.sqlState = "58030"
            case SQLITE_CORRUPT, SQLITE_NOTADB: error.sqlState = "XX001"
            case SQLITE_INTERRUPT:
                error.sqlState = "57014"
                error.message = "canceling statement due to statement timeout"
            case SQLITE_TOOBIG: error.sqlState = "54000"
            case SQLITE_ERROR:
                if message.hasPrefix("no such table") { error.sqlState = "42P01" }
                if message.hasPrefix("no such column") { error.sqlState = "42703" }
                if message.hasPrefix("no such function") { error.sqlState = "42883" }
                if message.contains("syntax error") { error.sqlState = "42601" }
            default: break
            }
        }
        return error
    }

    /// `UNIQUE constraint failed: t.a, t.b` names the table and its columns.
    private static func takeColumns(of message: String, into error: inout DatabaseError) {
        guard let subject = subject(of: message) else { return }
        if subject.hasPrefix("index '") {
            error.constraint = String(subject.dropFirst(7).dropLast())
            return
        }
        var columns: [String] = []
        for term in subject.split(separator: ",") {
            let name = String(term.drop { $0 == " " })
            // Tables outside `public` are named "schema.table", so the column follows the last dot.
            guard let dot = name.lastIndex(of: ".") else { continue }
            error.table = String(name[..<dot])
            columns.append(String(name[name.index(after: dot)...]))
        }
        error.column = columns.joined(separator: ", ")
    }

    private static func subject(of message: String) -> String? {
        guard let range = message.firstRange(of: "failed: ") else { return nil }
        return String(message[range.upperBound...])
    }

    // The extended codes are expressions over macros, which Swift does not import (sqlite3.h, "Extended Result Codes").
    private static let checkviolation = SQLITE_CONSTRAINT | 1 << 8
    private static let foreignkeyviolation = SQLITE_CONSTRAINT | 3 << 8
    private static let notnullviolation = SQLITE_CONSTRAINT | 5 << 8
    private static let primarykeyviolation = SQLITE_CONSTRAINT | 6 << 8
    private static let triggerviolation = SQLITE_CONSTRAINT | 7 << 8
    private static let uniqueviolation = SQLITE_CONSTRAINT | 8 << 8
    private static let rowidviolation = SQLITE_CONSTRAINT | 10 << 8
    private static let datatypeviolation = SQLITE_CONSTRAINT | 12 << 8
}
