// SPDX-License-Identifier: Apache-2.0

import CPostgreSQL

/// One connection, used by the one thread that made it; only `cancel` comes from elsewhere.
@safe final class PostgresConnection: SessionBackend {
    let engine = DatabaseEngine.postgres
    private let handle: OpaquePointer
    /// Names of prepared statements by text, with their last use.
    private var statements: [String: (name: String, lastUse: UInt64)] = [:]
    private var uses: UInt64 = 0

    init(url: String, startup: [String]) throws(DatabaseError) {
        guard let opened = unsafe PQconnectdb(url) else {
            throw DatabaseError(sqlState: "53200", message: "out of memory while connecting")
        }
        unsafe handle = opened
        guard unsafe PQstatus(opened) == CONNECTION_OK else {
            // `deinit` finishes it: every property has its value already.
            let message = unsafe String(cString: PQerrorMessage(opened))
            throw DatabaseError(sqlState: "08001", message: Self.firstLine(message), isRetriable: true)
        }
        // Else libpq writes every notice of a migration to standard error, between the lines of the log.
        unsafe PQsetNoticeProcessor(opened, { _, _ in }, nil)
        try executeScript("set client_encoding = 'UTF8'; set datestyle = 'ISO, MDY'; set timezone = 'UTC'; "
            + "set intervalstyle = 'postgres'; set extra_float_digits = 1; set standard_conforming_strings = on; "
            + "set client_min_messages = warning")
        for statement in startup { try executeScript(statement) }
    }

    deinit { unsafe PQfinish(handle) }

    var isConnected: Bool { unsafe PQstatus(handle) == CONNECTION_OK }

    /// The server waits for a roll-back or a commit.
    var isInTransaction: Bool { unsafe PQtransactionStatus(handle) != PQTRANS_IDLE }

    /// Lends what `cancel` needs; freed with the last holder.
    func makeCanceller() -> PostgresCanceller? { unsafe PQgetCancel(handle).map { unsafe PostgresCanceller($0) } }

    func execute(_ sql: String, _ parameters: [SQLValue]) throws(DatabaseError) -> Int {
        let result = try run(sql, parameters)
        return unsafe Int(String(cString: PQcmdTuples(result.handle))) ?? 0
    }

    func forEachRow(
        _ sql: String, _ parameters: [SQLValue], _ body: (borrowing RowCursor) throws -> Bool
    ) throws {
        let result = try run(sql, parameters)
        let columns = Int(unsafe PQnfields(result.handle))
        let rows = unsafe PQntuples(result.handle)
        for row in 0..<rows {
            let cursor = unsafe RowCursor(postgres: result.handle, row: row, columnCount: columns)
            guard try body(cursor) else { return }
        }
    }

    func executeScript(_ sql: String) throws(DatabaseError) {
        _ = unsafe try checked(unsafe PQexec(handle, sql))
    }

    private func run(_ sql: String, _ parameters: [SQLValue]) throws(DatabaseError) -> PostgresResult {
        let name = try prepared(sql)
        return unsafe try withTexts(parameters) { values throws(DatabaseError) in
            unsafe try checked(
                unsafe PQexecPrepared(handle, name, Int32(parameters.count), values, nil, nil, 0))
        }
    }

    /// Parameters travel as text of unknown type, so that the server infers the type from where they stand.
    private func withTexts<Result>(
        _ parameters: [SQLValue], _ body: ([UnsafePointer<CChar>?]) throws(DatabaseError) -> Result
    ) throws(DatabaseError) -> Result {
        // All texts in one buffer, each with its closing zero: one allocation, and pointers that hold inside the scope.
        var bytes: [CChar] = []
        var starts: [Int?] = []
        for parameter in parameters {
            guard let text = Self.text(of: parameter) else {
                starts.append(nil)
                continue
            }
            guard !text.utf8.contains(0) else {
                throw DatabaseError(sqlState: "22021", message: "invalid byte sequence for encoding \"UTF8\": 0x00")
            }
            starts.append(bytes.count)
            bytes.append(contentsOf: text.utf8.lazy.map { CChar(bitPattern: $0) })
            bytes.append(0)
        }
        return try unsafe bytes.withUnsafeBufferPointer { buffer throws(DatabaseError) -> Result in
            try unsafe body(starts.map { start in unsafe start.flatMap { start in unsafe buffer.baseAddress.map { unsafe $0 + start } } })
        }
    }

    private static func text(of value: SQLValue) -> String? {
        switch value {
        case .null: return nil
        case .boolean(let value): return value ? "t" : "f"
        case .integer(let value): return String(value)
        case .real(let value):
            if value.isNaN { return "NaN" }
            if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
            return "\(value)"
        case .text(let text): return text
        case .blob(let bytes):
            let digits = Array("0123456789abcdef".utf8)
            var text: [UInt8] = [0x5C, 0x78]
            text.reserveCapacity(2 + bytes.count * 2)
            for byte in bytes {
                text.append(digits[Int(byte >> 4)])
                text.append(digits[Int(byte & 15)])
            }
            return String(decoding: text, as: UTF8.self)
        }
    }

    private func prepared(_ sql: String) throws(DatabaseError) -> String {
        uses += 1
        if let known = statements[sql] {
            statements[sql]?.lastUse = uses
            return known.name
        }
        if statements.count >= DatabaseLimits.statementsMax {
            let oldest = statements.sorted { $0.value.lastUse < $1.value.lastUse }
            for (text, statement) in oldest.prefix(DatabaseLimits.statementsMax / 4) {
                statements[text] = nil
                // In a failed transaction the server refuses this too; the name is never used again either way.
                _ = try? executeScript("deallocate \(statement.name)")
            }
        }
        let name = "martlet_\(uses)"
        _ = unsafe try checked(unsafe PQprepare(handle, name, sql, 0, nil))
        statements[sql] = (name, uses)
        return name
    }

    private func checked(_ result: OpaquePointer?) throws(DatabaseError) -> PostgresResult {
        guard let result = unsafe result else {
            let message = unsafe String(cString: PQerrorMessage(handle))
            throw DatabaseError(sqlState: "08006", message: Self.firstLine(message), isRetriable: true)
        }
        let owned = unsafe PostgresResult(result)
        switch unsafe PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK, PGRES_EMPTY_QUERY: return owned
        default: throw owned.error(connected: isConnected)
        }
    }

    fileprivate static func firstLine(_ text: String) -> String {
        String(text.prefix { $0 != "\n" })
    }
}

/// A result, freed with its last holder.
@safe final class PostgresResult {
    let handle: OpaquePointer

    init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe PQclear(handle) }

    /// The server's error with all its fields; a lost connection has none of them.
    func error(connected: Bool) -> DatabaseError {
        guard let state = field("C") else {
            let message = unsafe String(cString: PQresultErrorMessage(handle))
            return DatabaseError(
                sqlState: connected ? "XX000" : "08006", message: PostgresConnection.firstLine(message))
        }
        return DatabaseError(
            sqlState: state, message: field("M") ?? "", detail: field("D"), hint: field("H"), schema: field("s"),
            table: field("t"), column: field("c"), constraint: field("n"))
    }

    /// A diagnostic field by its letter (protocol section 55.8, "Error and Notice Message Fields").
    private func field(_ letter: Unicode.Scalar) -> String? {
        unsafe PQresultErrorField(handle, Int32(letter.value)).map { unsafe String(cString: $0) }
    }
}

/// Asks the server to stop the statement of one connection; callable from any thread (libpq, "Canceling Queries").
///
/// `@unchecked Sendable`: PQcancel is documented as thread-safe on its own object, and that object never changes.
@safe final class PostgresCanceller: @unchecked Sendable {
    private let handle: OpaquePointer

    init(_ handle: OpaquePointer) { unsafe self.handle = handle }

    deinit { unsafe PQfreeCancel(handle) }

    func cancel() {
        var message = [CChar](repeating: 0, count: 256)
        _ = unsafe PQcancel(handle, &message, Int32(message.count))
    }
}
