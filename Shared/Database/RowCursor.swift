// SPDX-License-Identifier: Apache-2.0

import CPostgreSQL
import CSQLite

/// The current row of a statement, read in place. It is lent for one call of the body and must not be kept.
@safe package struct RowCursor: ~Copyable {
    /// How a column's value is stored.
    package enum Kind: Sendable { case null, integer, real, text, blob }

    @unsafe private enum Source {
        case sqlite(OpaquePointer)
        /// A result and the row in it; every value is text.
        case postgres(OpaquePointer, Int32)
    }

    private let source: Source
    package let columnCount: Int

    init(sqlite statement: OpaquePointer) {
        unsafe source = .sqlite(statement)
        columnCount = Int(unsafe sqlite3_column_count(statement))
    }

    init(postgres result: OpaquePointer, row: Int32, columnCount: Int) {
        unsafe source = .postgres(result, row)
        self.columnCount = columnCount
    }

    package func columnName(_ column: Int) -> String {
        switch unsafe source {
        case .sqlite(let statement):
            unsafe sqlite3_column_name(statement, Int32(column)).map { unsafe String(cString: $0) } ?? ""
        case .postgres(let result, _):
            unsafe PQfname(result, Int32(column)).map { unsafe String(cString: $0) } ?? ""
        }
    }

    package func kind(_ column: Int) -> Kind {
        switch unsafe source {
        case .sqlite(let statement):
            switch unsafe sqlite3_column_type(statement, Int32(column)) {
            case SQLITE_INTEGER: .integer
            case SQLITE_FLOAT: .real
            case SQLITE_TEXT: .text
            case SQLITE_BLOB: .blob
            default: .null
            }
        case .postgres(let result, let row):
            unsafe PQgetisnull(result, row, Int32(column)) == 1 ? .null : .text
        }
    }

    package func isNull(_ column: Int) -> Bool { kind(column) == .null }

    /// The column as an integer; 0 when it is none.
    package func integer(_ column: Int) -> Int64 {
        switch unsafe source {
        case .sqlite(let statement): unsafe sqlite3_column_int64(statement, Int32(column))
        case .postgres: unsafe withText(column) { unsafe Int64(String(decoding: $0, as: UTF8.self)) ?? 0 }
        }
    }

    /// The column as a floating-point number; 0 when it is none.
    package func real(_ column: Int) -> Double {
        switch unsafe source {
        case .sqlite(let statement): unsafe sqlite3_column_double(statement, Int32(column))
        case .postgres: unsafe withText(column) { unsafe Double(String(decoding: $0, as: UTF8.self)) ?? 0 }
        }
    }

    /// Lends the bytes of a text column (of a number: its decimal text); empty for null.
    package func withText<Result>(_ column: Int, _ body: (UnsafeBufferPointer<UInt8>) throws -> Result) rethrows -> Result {
        switch unsafe source {
        case .sqlite(let statement):
            let start = unsafe sqlite3_column_text(statement, Int32(column))
            let count = Int(unsafe sqlite3_column_bytes(statement, Int32(column)))
            return try unsafe body(UnsafeBufferPointer(start: start, count: start == nil ? 0 : count))
        case .postgres(let result, let row):
            let count = Int(unsafe PQgetlength(result, row, Int32(column)))
            guard let start = unsafe PQgetvalue(result, row, Int32(column)), count > 0 else {
                return try unsafe body(UnsafeBufferPointer(start: nil, count: 0))
            }
            return try unsafe start.withMemoryRebound(to: UInt8.self, capacity: count) {
                try unsafe body(UnsafeBufferPointer(start: $0, count: count))
            }
        }
    }

    /// Lends the bytes of a blob column of SQLite.
    package func withBlob<Result>(_ column: Int, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows -> Result {
        switch unsafe source {
        case .sqlite(let statement):
            let start = unsafe sqlite3_column_blob(statement, Int32(column))
            let count = Int(unsafe sqlite3_column_bytes(statement, Int32(column)))
            return try unsafe body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
        case .postgres:
            return unsafe try withText(column) { try unsafe body(UnsafeRawBufferPointer($0)) }
        }
    }

    package func text(_ column: Int) -> String { unsafe withText(column) { unsafe String(decoding: $0, as: UTF8.self) } }

    /// The column as an owned value.
    package func value(_ column: Int) -> SQLValue {
        switch kind(column) {
        case .null: .null
        case .integer: .integer(integer(column))
        case .real: .real(real(column))
        case .text: .text(text(column))
        case .blob: unsafe .blob(withBlob(column) { unsafe Array($0) })
        }
    }
}
