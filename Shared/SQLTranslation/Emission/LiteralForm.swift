// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Constants of SQL in the form that SQLite keeps for their type (D23).
///
/// Only spellings that leave no doubt are read: a date is `2026-01-31`, a moment adds a time and for timestamptz
/// optionally an offset. PostgreSQL reads many more; those are refused here, never guessed.
enum LiteralForm {
    /// Refuses a literal that the type does not take.
    static func check(
        _ text: String, as type: ColumnType, enums: [QualifiedName: EnumType], at location: Int?
    ) throws(TranslationFault) {
        if type.base == .enumeration, !type.isArray, let name = type.enumName {
            guard enums[name]?.labels.contains(text) == true else {
                throw TranslationFault(
                    "invalid input value for enum \(type.display): \"\(text)\"", at: location, sqlState: "22P02")
            }
        }
        _ = try sql(of: text, type: type, at: location)
    }

    /// SQLite's expression of the literal; `NULL` for nil.
    static func sql(of text: String?, type: ColumnType, at location: Int?) throws(TranslationFault) -> String {
        guard let text else { return "NULL" }
        if type.isArray { return quoted(try array(text, of: type, at: location)) }
        switch type.base {
        case .int2: return number(try integer(text, in: Int64(Int16.min)...Int64(Int16.max), type, location))
        case .int4: return number(try integer(text, in: Int64(Int32.min)...Int64(Int32.max), type, location))
        case .int8: return number(try integer(text, in: Int64.min...Int64.max, type, location))
        case .float4, .float8:
            guard let value = Double(trimmed(text)), value.isFinite else { throw invalid(text, type, location) }
            return value < 0 ? "(\(value))" : "\(value)"
        case .numeric:
            guard let decimal = DecimalText(trimmed(text)) else { throw invalid(text, type, location) }
            guard let scale = type.storedScale else {
                guard type.precision == nil || decimal.fits(precision: type.precision ?? 0, scale: type.scale ?? 0)
                else { throw tooPrecise(type, location) }
                return quoted(decimal.text(scale: type.precision == nil ? nil : type.scale))
            }
            guard let scaled = decimal.scaled(by: scale), String(scaled.magnitude).count <= type.precision ?? 18 else {
                throw tooPrecise(type, location)
            }
            return number(scaled)
        case .bool:
            switch trimmed(text).lowercased() {
            case "t", "tr", "tru", "true", "y", "ye", "yes", "on", "1": return "1"
            case "f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0": return "0"
            default: throw invalid(text, type, location)
            }
        case .uuid:
            guard let value = uuid(text) else { throw invalid(text, type, location) }
            return quoted(value)
        case .date:
            guard let days = CalendarText.days(trimmed(text)) else { throw unread(text, type, location) }
            return number(days)
        case .timestamp, .timestamptz:
            guard let moment = CalendarText.microseconds(trimmed(text), takesZone: type.base == .timestamptz) else {
                throw unread(text, type, location)
            }
            return number(moment)
        case .time:
            guard let time = CalendarText.timeOfDay(trimmed(text)) else { throw unread(text, type, location) }
            return number(time)
        case .json, .jsonb:
            guard let value = DocumentText.canonical(text, isBinary: type.base == .jsonb) else {
                throw TranslationFault(
                    "invalid input syntax for type \(type.display)", at: location, sqlState: "22P02")
            }
            return quoted(value)
        case .text, .enumeration, .varchar:
            if type.base == .varchar, let length = type.precision, text.unicodeScalars.count > length {
                throw tooLong(type, location)
            }
            return quoted(text)
        case .bpchar:
            let length = type.precision ?? text.unicodeScalars.count
            guard text.unicodeScalars.count <= length else { throw tooLong(type, location) }
            return quoted(text + String(repeating: " ", count: length - text.unicodeScalars.count))
        case .bytea, .interval, .citext, .inet, .other:
            throw TranslationFault("a constant of type \(type.display) is not translated", at: location)
        }
    }

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

    private static func trimmed(_ text: String) -> String {
        var slice = Substring(text)
        while let first = slice.first, first.isWhitespace { slice.removeFirst() }
        while let last = slice.last, last.isWhitespace { slice.removeLast() }
        return String(slice)
    }

    private static func integer(
        _ text: String, in range: ClosedRange<Int64>, _ type: ColumnType, _ location: Int?
    ) throws(TranslationFault) -> Int64 {
        let digits = trimmed(text)
        guard let value = Int64(digits), range.contains(value) else {
            let isNumber = !digits.isEmpty && digits.drop { $0 == "-" || $0 == "+" }.allSatisfy(\.isNumber)
            if isNumber {
                throw TranslationFault(
                    "value \"\(digits)\" is out of range for type \(type.display)", at: location, sqlState: "22003")
            }
            throw invalid(text, type, location)
        }
        return value
    }

    private static func uuid(_ text: String) -> String? {
        let characters = Array(text.lowercased())
        guard characters.count == 36 else { return nil }
        for (index, character) in characters.enumerated() {
            let isDash = [8, 13, 18, 23].contains(index)
            guard isDash ? character == "-" : character.isASCII && character.isHexDigit else { return nil }
        }
        return String(characters)
    }

    private static func array(
        _ text: String, of type: ColumnType, at location: Int?
    ) throws(TranslationFault) -> String {
        guard let items = ArrayText.items(text) else {
            throw TranslationFault("malformed array literal: \"\(text)\"", at: location, sqlState: "22P02")
        }
        let element = type.element
        var parts: [String] = []
        for item in items {
            guard let item else {
                parts.append("null")
                continue
            }
            let form = try sql(of: item, type: element, at: location)
            parts.append(try DocumentText.element(form, text: item, type: element, at: location))
        }
        return "[" + parts.joined(separator: ",") + "]"
    }

    private static func invalid(_ text: String, _ type: ColumnType, _ location: Int?) -> TranslationFault {
        TranslationFault(
            "invalid input syntax for type \(type.display): \"\(text)\"", at: location, sqlState: "22P02")
    }

    private static func unread(_ text: String, _ type: ColumnType, _ location: Int?) -> TranslationFault {
        TranslationFault(
            "\(type.display) \"\(text)\" is not in the form 2026-01-31, 2026-01-31 12:00:00 or …+00", at: location,
            sqlState: "22007")
    }

    private static func tooLong(_ type: ColumnType, _ location: Int?) -> TranslationFault {
        TranslationFault("value too long for type \(type.display)", at: location, sqlState: "22001")
    }

    private static func tooPrecise(_ type: ColumnType, _ location: Int?) -> TranslationFault {
        TranslationFault(
            "the number has more digits than \(type.display) keeps; SQLite's translation does not round constants",
            at: location, sqlState: "22003")
    }
}
