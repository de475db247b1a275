// SPDX-License-Identifier: Apache-2.0
import MartletJSON

extension SQLiteWriter {
    /// A conversion at run time, between the forms of two types.
    func cast(_ argument: TypedExpression, to type: ColumnType, isExplicit: Bool) throws -> String {
        let value = try converted(argument, to: type, isExplicit: isExplicit)
        guard let digits = type.precision, !type.isArray, [.time, .timestamp, .timestamptz].contains(type.base) else {
            return value
        }
        return "martlet_moment_round(\(value), \(digits))"
    }

    private func converted(_ argument: TypedExpression, to type: ColumnType, isExplicit: Bool) throws -> String {
        let from = argument.type
        let value = try sql(argument)
        if from.isUnknown { return parsed(value, as: type) }
        if from.isArray || type.isArray {
            guard from.isArray != type.isArray else { return value }
            return "martlet_cast(\(value), \(key(from)), \(key(type)))"
        }
        if type.base == .numeric { return try toNumeric(argument, value, type) }
        if type.isString { return try toText(argument, value, type, isExplicit: isExplicit) }
        if from.base == .numeric { return try fromNumeric(argument, type) }
        switch (from.base, type.base) {
        case (.int2, .int4), (.int2, .int8), (.int4, .int8), (.json, .text), (.jsonb, .json), (.bool, .int4),
            (.timestamp, .timestamptz), (.timestamptz, .timestamp), (.float4, .float8):
            return value
        case (.int4, .int2), (.int8, .int2): return "martlet_int2(\(value))"
        case (.int8, .int4): return "martlet_int4(\(value))"
        case (.int2, .float4), (.int2, .float8), (.int4, .float4), (.int4, .float8), (.int8, .float4), (.int8, .float8):
            return "CAST(\(value) AS REAL)"
        case (.int4, .bool): return "(\(value) <> 0)"
        case (.date, .timestamp), (.date, .timestamptz): return "martlet_date_moment(\(value))"
        case (.timestamp, .date), (.timestamptz, .date): return "martlet_moment_date(\(value))"
        case (.timestamp, .time), (.timestamptz, .time): return "martlet_moment_time(\(value))"
        default:
            if from.base == type.base, from.enumName == type.enumName { return value }
            if from.isString { return parsed(value, as: type) }
            return "martlet_cast(\(value), \(key(from)), \(key(type)))"
        }
    }

    private func parsed(_ value: String, as type: ColumnType) -> String {
        if type.base == .enumeration, !type.isArray, let name = type.enumName {
            let labels = JSONValue.array((enums[name]?.labels ?? []).map(JSONValue.string)).text
            return "martlet_enum(\(value), \(LiteralForm.quoted(labels)), \(LiteralForm.quoted(type.display)))"
        }
        return "martlet_cast(\(value), 'text', \(key(type)))"
    }

    private func toNumeric(_ argument: TypedExpression, _ value: String, _ type: ColumnType) throws -> String {
        let from = argument.type
        let text: String
        if from.base == .numeric {
            if from.storedScale == type.storedScale, from.storedScale != nil,
                (from.precision ?? 0) <= (type.precision ?? 0)
            {
                return value
            }
            text = try decimal(argument)
        } else if from.isInteger {
            text = "CAST(\(value) AS TEXT)"
        } else {
            text = "martlet_cast(\(value), \(key(from)), 'numeric')"
        }
        guard let precision = type.precision else { return text }
        let scale = type.scale ?? 0
        return type.storedScale == nil
            ? "martlet_decimal_fit(\(text), \(precision), \(scale))"
            : "martlet_decimal_scale(\(text), \(precision), \(scale))"
    }

    private func fromNumeric(_ argument: TypedExpression, _ type: ColumnType) throws -> String {
        if type.isFloat { return "CAST(\(try decimal(argument)) AS REAL)" }
        return "martlet_cast(\(try decimal(argument)), 'numeric', \(key(type)))"
    }

    private func toText(
        _ argument: TypedExpression, _ value: String, _ type: ColumnType, isExplicit: Bool
    ) throws -> String {
        let from = argument.type
        var text: String
        switch from.base {
        case .text, .varchar, .citext, .uuid, .enumeration, .json, .jsonb: text = value
        case .bpchar: text = type.base == .bpchar ? value : "rtrim(\(value), ' ')"
        case .int2, .int4, .int8: text = "CAST(\(value) AS TEXT)"
        case .numeric: text = try decimal(argument)
        case .bool: text = "(CASE \(value) WHEN 1 THEN 'true' WHEN 0 THEN 'false' END)"
        default: text = "martlet_cast(\(value), \(key(from)), 'text')"
        }
        guard let length = type.precision else { return text }
        let name = type.base == .bpchar ? "martlet_bpchar" : "martlet_varchar"
        text = "\(name)(\(text), \(length), \(isExplicit ? 1 : 0))"
        return text
    }

    private func key(_ type: ColumnType) -> String { LiteralForm.quoted(type.castKey) }
}

extension ColumnType {
    /// The type as `martlet_cast` names it: `numeric(10,2)`, `int4[]`.
    var castKey: String {
        var key = base.rawValue
        if let precision { key += "(\(precision)" + (scale.map { ",\($0)" } ?? "") + ")" }
        return key + (isArray ? "[]" : "")
    }

    /// The inverse of `castKey`; enums are their text.
    init?(castKey: String) {
        var rest = Substring(castKey)
        let isArray = rest.hasSuffix("[]")
        if isArray { rest.removeLast(2) }
        var modifiers: [Int] = []
        if let open = rest.firstIndex(of: "(") {
            modifiers = rest[rest.index(after: open)...].dropLast().split(separator: ",").compactMap { Int($0) }
            rest = rest[..<open]
        }
        guard let base = Base(rawValue: String(rest)) else { return nil }
        self.init(
            base: base, isArray: isArray, precision: modifiers.first, scale: modifiers.count > 1 ? modifiers[1] : nil,
            display: castKey)
        self.display = Self.displays[base] ?? base.rawValue
        if isArray { self.display += "[]" }
    }

    private static let displays: [Base: String] = Dictionary(
        uniqueKeysWithValues: [
            ColumnType.bool, .int2, .int4, .int8, .float4, .float8, .numeric, .text, .varchar, .bpchar, .uuid, .date,
            .time, .timestamp, .timestamptz, .interval, .json, .jsonb, .bytea,
        ].map { ($0.base, $0.display) })
}
