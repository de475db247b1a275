// SPDX-License-Identifier: Apache-2.0

extension ColumnType {
    package static let bool = ColumnType(base: .bool, display: "boolean")
    package static let int2 = ColumnType(base: .int2, display: "smallint")
    package static let int4 = ColumnType(base: .int4, display: "integer")
    package static let int8 = ColumnType(base: .int8, display: "bigint")
    package static let float4 = ColumnType(base: .float4, display: "real")
    package static let float8 = ColumnType(base: .float8, display: "double precision")
    /// Without precision: an exact decimal of any size, TEXT on disk and in every expression.
    package static let numeric = ColumnType(base: .numeric, display: "numeric")
    package static let text = ColumnType(base: .text, display: "text")
    package static let varchar = ColumnType(base: .varchar, display: "character varying")
    package static let bpchar = ColumnType(base: .bpchar, display: "character")
    package static let uuid = ColumnType(base: .uuid, display: "uuid")
    package static let date = ColumnType(base: .date, display: "date")
    package static let time = ColumnType(base: .time, display: "time without time zone")
    package static let timestamp = ColumnType(base: .timestamp, display: "timestamp without time zone")
    package static let timestamptz = ColumnType(base: .timestamptz, display: "timestamp with time zone")
    package static let interval = ColumnType(base: .interval, display: "interval")
    package static let json = ColumnType(base: .json, display: "json")
    package static let jsonb = ColumnType(base: .jsonb, display: "jsonb")
    package static let bytea = ColumnType(base: .bytea, display: "bytea")
    /// The type of a quoted literal and of NULL until their surroundings give them one.
    static let unknown = ColumnType(base: .other, display: "unknown")

    var isUnknown: Bool { base == .other && display == "unknown" }
    var isInteger: Bool { !isArray && (base == .int2 || base == .int4 || base == .int8) }
    var isFloat: Bool { !isArray && (base == .float4 || base == .float8) }
    var isNumber: Bool { isInteger || isFloat || (!isArray && base == .numeric) }
    /// text and varchar; char(n) compares by other rules.
    var isText: Bool { !isArray && (base == .text || base == .varchar) }
    var isString: Bool { isText || (!isArray && base == .bpchar) }
    var isMoment: Bool { !isArray && (base == .date || base == .timestamp || base == .timestamptz) }

    /// Digits behind the point of a numeric kept as a scaled INTEGER; nil for every other form (D23).
    package var storedScale: Int? {
        guard base == .numeric, !isArray, let precision, precision <= 18 else { return nil }
        return scale ?? 0
    }

    /// The type of one element of an array type.
    var element: ColumnType {
        var type = self
        type.isArray = false
        if type.display.hasSuffix("[]") { type.display.removeLast(2) }
        return type
    }

    var array: ColumnType {
        var type = self
        type.isArray = true
        type.display += "[]"
        return type
    }

    /// The type without length, precision and scale: what functions take and give.
    var withoutModifiers: ColumnType {
        guard precision != nil || scale != nil else { return self }
        switch base {
        case .numeric: return isArray ? ColumnType.numeric.array : .numeric
        case .varchar: return isArray ? ColumnType.varchar.array : .varchar
        case .bpchar: return isArray ? ColumnType.bpchar.array : .bpchar
        case .time: return isArray ? ColumnType.time.array : .time
        case .timestamp: return isArray ? ColumnType.timestamp.array : .timestamp
        case .timestamptz: return isArray ? ColumnType.timestamptz.array : .timestamptz
        default: return self
        }
    }

    /// Whether both are one type to PostgreSQL, lengths apart.
    func isSame(as other: ColumnType) -> Bool {
        base == other.base && isArray == other.isArray && enumName == other.enumName
            && (base != .other || display == other.display)
    }

    /// The type a column of STRICT tables has on disk.
    package var storageClass: String {
        if isArray { return "TEXT" }
        switch base {
        case .int2, .int4, .int8, .bool, .date, .time, .timestamp, .timestamptz: return "INTEGER"
        case .float4, .float8: return "REAL"
        case .numeric: return storedScale == nil ? "TEXT" : "INTEGER"
        case .bytea: return "BLOB"
        default: return "TEXT"
        }
    }
}
