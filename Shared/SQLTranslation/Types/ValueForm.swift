// SPDX-License-Identifier: Apache-2.0
package import MartletDatabase
package import MartletJSON

/// Values between what clients write, what SQLite keeps (D23) and what clients read.
///
/// Forms on disk: integers, booleans as 0/1, date in days, time and moments in µs, numeric(p ≤ 18, s) scaled: INTEGER.
/// Floats: REAL. bytea: BLOB. All else TEXT: other numerics in decimal, uuid in lower case, json verbatim, jsonb
/// canonical, arrays as the JSON that PostgreSQL's `to_json` gives, intervals in PostgreSQL's output form.
package enum ValueForm {
    /// A value from PostgreSQL's text of it.
    ///
    /// Throws PostgreSQL's own errors: 22P02, 22003, 22007, 22008, 22001; 0A000 for NaN and infinite numerics.
    package static func parse(
        _ text: String, as type: ColumnType, enums: [QualifiedName: EnumType] = [:]
    ) throws(DatabaseError) -> SQLValue {
        if type.isArray {
            guard let items = ArrayForm.items(text) else {
                throw DatabaseError(
                    sqlState: "22P02", message: "malformed array literal: \"\(text)\"")
            }
            return .text(try array(items, of: type.element, enums).text)
        }
        return try scalar(text, as: type, enums)
    }

    /// A value from a member of a JSON body, as `json_to_recordset` reads it.
    package static func parse(
        _ value: JSONValue, as type: ColumnType, enums: [QualifiedName: EnumType] = [:]
    ) throws(DatabaseError) -> SQLValue {
        if value.isNull { return .null }
        if type.isArray {
            if case .array(let elements) = value { return .text(try array(elements, of: type.element, enums).text) }
            guard case .string(let text) = value else {
                throw DatabaseError(
                    sqlState: "22P02", message: "expected JSON array", hint: "See the array dimension of key.")
            }
            return try parse(text, as: type, enums: enums)
        }
        switch type.base {
        case .json: return .text(value.text)
        case .jsonb: return .text(try canonical(value, type))
        default: return try scalar(text(of: value), as: type, enums)
        }
    }

    private static func text(of value: JSONValue) -> String {
        if case .string(let text) = value { text } else { value.text }
    }

    // MARK: Arrays

    private static func array(
        _ items: [ArrayForm.Item], of element: ColumnType, _ enums: [QualifiedName: EnumType]
    ) throws(DatabaseError) -> JSONValue {
        var elements: [JSONValue] = []
        for item in items {
            switch item {
            case .null: elements.append(.null)
            case .list(let inner): elements.append(try array(inner, of: element, enums))
            case .text(let text): elements.append(json(try scalar(text, as: element, enums), element))
            }
        }
        return .array(elements)
    }

    private static func array(
        _ values: [JSONValue], of element: ColumnType, _ enums: [QualifiedName: EnumType]
    ) throws(DatabaseError) -> JSONValue {
        let isDocument = element.base == .json || element.base == .jsonb
        let lengths = Set(values.map { $0.arrayValue?.count })
        guard isDocument || lengths.count <= 1 else {
            throw DatabaseError(
                sqlState: "22P02", message: "malformed JSON array",
                detail: "Multidimensional arrays must have sub-arrays with matching dimensions.")
        }
        var elements: [JSONValue] = []
        for value in values {
            if case .array(let inner) = value, !isDocument {
                elements.append(try array(inner, of: element, enums))
            } else if isDocument {
                elements.append(value)
            } else {
                elements.append(json(try parse(value, as: element, enums: enums), element))
            }
        }
        return .array(elements)
    }

    /// A stored value as a JSON value.
    static func json(_ value: SQLValue, _ type: ColumnType) -> JSONValue {
        var out: [UInt8] = []
        appendJSON(value, type: type, to: &out)
        return (try? JSONValue(parsing: out)) ?? .null
    }

    // MARK: Scalars

    private static func scalar(
        _ text: String, as type: ColumnType, _ enums: [QualifiedName: EnumType]
    ) throws(DatabaseError) -> SQLValue {
        switch type.base {
        case .int2: return .integer(try integer(text, Int64(Int16.min)...Int64(Int16.max), type))
        case .int4: return .integer(try integer(text, Int64(Int32.min)...Int64(Int32.max), type))
        case .int8: return .integer(try integer(text, Int64.min...Int64.max, type))
        case .float4, .float8: return .real(try float(text, type))
        case .numeric:
            guard let decimal = Decimal(text) else {
                if ["nan", "infinity", "-infinity", "+infinity"].contains(text.lowercased()) {
                    throw DatabaseError(sqlState: "0A000", message: "\(text) is not kept in numeric on SQLite")
                }
                throw invalid(text, type)
            }
            return try numeric(decimal, type)
        case .bool:
            switch word(text) {
            case "t", "tr", "tru", "true", "y", "ye", "yes", "on", "1": return .boolean(true)
            case "f", "fa", "fal", "fals", "false", "n", "no", "of", "off", "0": return .boolean(false)
            default: throw invalid(text, type)
            }
        case .text, .citext, .inet, .other: return .text(try storable(text))
        case .varchar, .bpchar: return .text(try bounded(try storable(text), type))
        case .enumeration:
            if let name = type.enumName, let known = enums[name], !known.labels.contains(text) {
                throw DatabaseError(
                    sqlState: "22P02", message: "invalid input value for enum \(type.display): \"\(text)\"")
            }
            return .text(text)
        case .uuid:
            guard let uuid = uuid(text) else { throw invalid(text, type) }
            return .text(uuid)
        case .date, .time, .timestamp, .timestamptz: return .integer(try moment(text, type))
        case .interval:
            guard let interval = IntervalValue(text) else { throw invalid(text, type, sqlState: "22007") }
            return .text(interval.text)
        case .json, .jsonb:
            let value: JSONValue
            do { value = try JSONValue(parsing: text) } catch {
                throw DatabaseError(sqlState: "22P02", message: "invalid input syntax for type json")
            }
            return .text(type.base == .json ? try storable(text) : try canonical(value, type))
        case .bytea:
            guard let bytes = try ByteaText.bytes(text) else { throw invalid(text, type) }
            return .blob(bytes)
        }
    }

    private static func invalid(_ text: String, _ type: ColumnType, sqlState: String = "22P02") -> DatabaseError {
        // PostgreSQL's input functions call these two by their short names.
        let name =
            switch type.base {
            case .time: "time"
            case .timestamp: "timestamp"
            default: type.withoutModifiers.display
            }
        return DatabaseError(sqlState: sqlState, message: "invalid input syntax for type \(name): \"\(text)\"")
    }

    private static func canonical(_ value: JSONValue, _ type: ColumnType) throws(DatabaseError) -> String {
        guard let text = DocumentForm.canonical(value) else {
            throw DatabaseError(
                sqlState: "22P05", message: "unsupported Unicode escape sequence",
                detail: "\\u0000 cannot be converted to text.")
        }
        return text
    }

    private static func storable(_ text: String) throws(DatabaseError) -> String {
        guard !text.utf8.contains(0) else {
            throw DatabaseError(
                sqlState: "22P05", message: "unsupported Unicode escape sequence",
                detail: "\\u0000 cannot be converted to text.")
        }
        return text
    }

    private static func word(_ text: String) -> String {
        text.split(whereSeparator: \.isWhitespace).joined(separator: " ").lowercased()
    }

    private static func integer(
        _ text: String, _ range: ClosedRange<Int64>, _ type: ColumnType
    ) throws(DatabaseError) -> Int64 {
        let digits = text.drop(while: \.isWhitespace)
        var trimmed = digits
        while let last = trimmed.last, last.isWhitespace { trimmed.removeLast() }
        if let value = Int64(trimmed), range.contains(value) { return value }
        let body = trimmed.first == "-" || trimmed.first == "+" ? trimmed.dropFirst() : trimmed
        guard !body.isEmpty, body.utf8.allSatisfy({ (48...57).contains($0) }) else { throw invalid(text, type) }
        throw DatabaseError(sqlState: "22003", message: "value \"\(text)\" is out of range for type \(type.display)")
    }

    private static func float(_ text: String, _ type: ColumnType) throws(DatabaseError) -> Double {
        guard var value = FloatText.value(text) else { throw invalid(text, type) }
        guard !value.isNaN else {
            throw DatabaseError(sqlState: "0A000", message: "NaN is not kept on SQLite")
        }
        if type.base == .float4 { value = Double(Float(value)) }
        let isSpelledOut = text.contains { $0.isLetter && $0 != "e" && $0 != "E" }
        guard value.isFinite || isSpelledOut else {
            throw DatabaseError(sqlState: "22003", message: "\"\(text)\" is out of range for type \(type.display)")
        }
        return value
    }

    /// A decimal in the form of its type: rounded to the scale, refused beyond the precision.
    static func numeric(_ decimal: Decimal, _ type: ColumnType) throws(DatabaseError) -> SQLValue {
        guard let precision = type.precision else { return .text(decimal.text) }
        let scale = type.scale ?? 0
        let rounded = decimal.rounded(to: scale)
        guard rounded.wholeDigits <= precision - scale else {
            throw DatabaseError(
                sqlState: "22003", message: "numeric field overflow",
                detail: "A field with precision \(precision), scale \(scale) must round to an absolute value less than "
                    + "\(precision == scale ? "1" : "10^\(precision - scale)").")
        }
        guard type.storedScale != nil, let scaled = rounded.scaled(by: scale) else { return .text(rounded.text) }
        return .integer(scaled)
    }

    /// The length of varchar(n) and char(n), counted in characters; blanks beyond it are cut.
    static func bounded(_ text: String, _ type: ColumnType) throws(DatabaseError) -> String {
        guard let length = type.precision else { return text }
        let scalars = text.unicodeScalars
        if scalars.count <= length {
            return type.base == .bpchar ? text + String(repeating: " ", count: length - scalars.count) : text
        }
        guard scalars.dropFirst(length).allSatisfy({ $0 == " " }) else {
            throw DatabaseError(sqlState: "22001", message: "value too long for type \(type.display)")
        }
        return String(String.UnicodeScalarView(scalars.prefix(length)))
    }

    /// Lower case with dashes; PostgreSQL also reads braces and any or no dashes between groups of four.
    private static func uuid(_ text: String) -> String? {
        var slice = Substring(text)
        if slice.first == "{", slice.last == "}" { slice = slice.dropFirst().dropLast() }
        var digits: [UInt8] = []
        for byte in slice.utf8 {
            switch byte {
            case 48...57, 97...102: digits.append(byte)
            case 65...70: digits.append(byte + 32)
            case UInt8(ascii: "-") where digits.count % 4 == 0 && !digits.isEmpty: continue
            default: return nil
            }
        }
        guard digits.count == 32, slice.last != "-" else { return nil }
        let groups = [digits[0..<8], digits[8..<12], digits[12..<16], digits[16..<20], digits[20..<32]]
        return groups.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "-")
    }

    private static func moment(_ text: String, _ type: ColumnType) throws(DatabaseError) -> Int64 {
        do {
            let value =
                switch type.base {
                case .date: try CivilTime.date(text)
                case .time: try CivilTime.timeOfDay(text)
                default: try CivilTime.moment(text, hasZone: type.base == .timestamptz)
                }
            return type.precision.map { CivilTime.rounded(value, to: $0) } ?? value
        } catch {
            switch error {
            case .syntax: throw invalid(text, type, sqlState: "22007")
            case .range:
                throw DatabaseError(sqlState: "22008", message: "date/time field value out of range: \"\(text)\"")
            }
        }
    }
}
