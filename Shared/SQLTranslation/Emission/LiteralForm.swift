// SPDX-License-Identifier: Apache-2.0
import MartletDatabase

/// Constants of SQL in the form that SQLite keeps for their type (D23).
enum LiteralForm {
    /// Refuses a literal that the type does not take.
    static func check(
        _ text: String, as type: ColumnType, enums: [QualifiedName: EnumType], at location: Int?
    ) throws(TranslationFault) {
        _ = try value(of: text, type: type, enums: enums, at: location)
    }

    /// SQLite's expression of the literal; `NULL` for nil.
    static func sql(of text: String?, type: ColumnType, at location: Int?) throws(TranslationFault) -> String {
        guard let text else { return "NULL" }
        switch try value(of: text, type: type, enums: [:], at: location) {
        case .null: return "NULL"
        case .boolean(let truth): return truth ? "1" : "0"
        case .integer(let number): return Self.number(number)
        case .real(let number):
            guard number.isFinite else { return number < 0 ? "(-9e999)" : "9e999" }
            return number < 0 ? "(\(number))" : "\(number)"
        case .text(let text): return quoted(text)
        case .blob(let bytes):
            var digits: [UInt8] = []
            ByteaText.append(bytes, to: &digits)
            return "x'\(String(decoding: digits.dropFirst(2), as: UTF8.self))'"
        }
    }

    private static func value(
        of text: String, type: ColumnType, enums: [QualifiedName: EnumType], at location: Int?
    ) throws(TranslationFault) -> SQLValue {
        do {
            return try ValueForm.parse(text, as: type, enums: enums)
        } catch {
            // A word such as `today` would have to be computed when the statement runs.
            if error.sqlState == "22007", moving.contains(text.lowercased()) {
                throw TranslationFault("write a function instead of the constant '\(text)'", at: location)
            }
            throw TranslationFault(error.message, at: location, sqlState: error.sqlState)
        }
    }

    private static let moving: Set<String> = ["now", "today", "tomorrow", "yesterday", "allballs"]

    /// A text constant of SQL.
    static func quoted(_ text: String) -> String {
        "'" + text.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "''") + "'"
    }

    /// A negative number stands in parentheses, so that a minus before it starts no comment.
    static func number(_ value: Int64) -> String {
        // SQLite reads the digits before the sign, and these do not fit.
        if value == .min { return "(-9223372036854775807 - 1)" }
        return value < 0 ? "(\(value))" : String(value)
    }
}
