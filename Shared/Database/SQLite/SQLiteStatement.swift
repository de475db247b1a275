// SPDX-License-Identifier: Apache-2.0

import CSQLite

/// A prepared statement in its connection's cache. Lives and dies on the connection's thread.
@safe final class SQLiteStatement {
    let handle: OpaquePointer
    /// Parameter number, from 1, of each of SQLite's bind positions: `$2` is number 2 wherever it stands.
    private let numbers: [Int]
    /// When it was last used, in uses of the connection.
    var lastUse: UInt64 = 0
    /// It is being stepped: a nested use of the same text needs a statement of its own.
    var isBusy = false

    init(_ handle: OpaquePointer) {
        unsafe self.handle = handle
        let count = unsafe sqlite3_bind_parameter_count(handle)
        var numbers: [Int] = []
        for position in 0..<count {
            let name = unsafe sqlite3_bind_parameter_name(handle, position + 1).map { unsafe String(cString: $0) }
            numbers.append(name.flatMap { Int($0.dropFirst()) } ?? Int(position) + 1)
        }
        self.numbers = numbers
    }

    deinit { unsafe sqlite3_finalize(handle) }

    /// Binds by number; a parameter that is not given is null.
    func bind(_ parameters: [SQLValue]) -> Int32 {
        for (index, number) in numbers.enumerated() {
            let value = parameters.indices.contains(number - 1) ? parameters[number - 1] : .null
            let result = bind(value, at: Int32(index + 1))
            guard result == SQLITE_OK else { return result }
        }
        return SQLITE_OK
    }

    private func bind(_ value: SQLValue, at position: Int32) -> Int32 {
        switch value {
        case .null: return unsafe sqlite3_bind_null(handle, position)
        case .boolean(let value): return unsafe sqlite3_bind_int64(handle, position, value ? 1 : 0)
        case .integer(let value): return unsafe sqlite3_bind_int64(handle, position, value)
        case .real(let value): return unsafe sqlite3_bind_double(handle, position, value)
        case .text(var text):
            return text.withUTF8 { utf8 in
                unsafe utf8.withMemoryRebound(to: CChar.self) {
                    unsafe martlet_sqlite3_bind_text(handle, position, $0.baseAddress ?? emptyText, UInt64($0.count))
                }
            }
        case .blob(let bytes):
            return unsafe bytes.withUnsafeBytes {
                unsafe martlet_sqlite3_bind_blob(
                    handle, position, $0.baseAddress ?? UnsafeRawPointer(emptyText), UInt64($0.count))
            }
        }
    }

    func reset() {
        unsafe sqlite3_reset(handle)
        unsafe sqlite3_clear_bindings(handle)
        isBusy = false
    }
}

/// A null pointer would bind NULL instead of an empty text; a static string has an address.
private var emptyText: UnsafePointer<CChar> {
    let text: StaticString = ""
    return unsafe UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
}
