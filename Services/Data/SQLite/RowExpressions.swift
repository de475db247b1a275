// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// Writes fields, filters and orders as SQLite's SQL, collecting the parameters. Values are in the form on disk.
struct RowExpressions {
    let access: RowAccess
    private(set) var parameters: Parameters
    private var aliases = 0

    init(access: RowAccess) {
        self.access = access
        parameters = Parameters(context: access.context)
    }

    mutating func bind(_ value: SQLValue, from source: ParameterSource = .fixed) -> String {
        parameters.append(value, from: source)
        return "?\(parameters.count)"
    }

    /// One text of a filter, and its place among all of the read when they are counted.
    private struct Operand {
        let text: String
        let number: Int?
    }

    private static func operands(_ filter: Filter) -> [Operand] {
        filter.operation.texts.enumerated().map { index, text in
            Operand(text: text, number: filter.firstText.map { $0 + index })
        }
    }

    /// Binds a text by its conversion; nil when it cannot be written that way.
    private mutating func bind(_ operand: Operand, _ conversion: ValueConversion) throws -> String? {
        guard let value = try conversion.value(of: operand.text, access.catalog.enums) else { return nil }
        guard let number = operand.number else {
            forbidReuse()
            return bind(value)
        }
        return bind(value, from: .text(number, conversion))
    }

    /// The statement is for these values alone.
    mutating func forbidReuse() { parameters.isReusable = false }

    mutating func makeAlias() -> String {
        defer { aliases += 1 }
        return "t\(aliases)"
    }

    // MARK: Fields

    mutating func field(_ field: FieldReference, _ alias: String) -> String {
        var sql = SQLiteName.quoted(column: field.column, of: alias)
        guard !field.path.isEmpty else { return sql }
        let isDocument = field.type.base == .json || field.type.base == .jsonb
        // to_jsonb of anything else is a scalar, which has no members.
        guard isDocument || field.type.isArray else { return "NULL" }
        let family = field.type.base == .json && !field.type.isArray ? "json" : "jsonb"
        for step in field.path {
            let operand =
                switch step.operand {
                case .key(let key): bind(.text(key))
                case .index(let index): "\(index)"
                }
            sql = "martlet_\(family)_\(step.asText ? "text" : "get")(\(sql), \(operand))"
        }
        return sql
    }

    /// An expression that sorts as the type does, with its collation.
    mutating func sortKey(_ reference: FieldReference, _ alias: String) throws -> String {
        let value = field(reference, alias)
        let type = reference.comparedType
        guard !type.isArray else { return value }
        switch type.base {
        case .jsonb: return "\(value) COLLATE \(DocumentOrder.collation)"
        case .json:
            throw RowError(
                "42883", "could not identify an ordering operator for type json",
                hint: "Use an explicit ordering operator or modify the query.")
        case .enumeration: return ordinal(of: value, type)
        case .citext: return "martlet_lower(\(value))"
        default: return value
        }
    }

    private func ordinal(of value: String, _ type: ColumnType) -> String {
        let labels = type.enumName.flatMap { access.catalog.enums[$0]?.labels } ?? []
        let cases = labels.enumerated().map { "WHEN \(Self.literal($1)) THEN \($0)" }
        return cases.isEmpty ? value : "(CASE \(value) \(cases.joined(separator: " ")) END)"
    }

    static func literal(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }

    // MARK: Filters

    mutating func comparison(_ filter: Filter, _ alias: String) throws -> String {
        let value = field(filter.field, alias)
        let type = filter.field.comparedType
        let operands = Self.operands(filter)
        switch filter.operation {
        case .compare(let comparison, _):
            return try comparisons(value, type, comparison, operands)[0]
        case .isDistinct:
            return "(NOT coalesce(\(try comparisons(value, type, .equal, operands)[0]), 0))"
        case .isIn:
            let parts = try comparisons(value, type, .equal, operands)
            return parts.isEmpty ? "0" : Self.joined(parts, "OR")
        case .compareEach(let comparison, let quantifier, _):
            return Self.quantified(try comparisons(value, type, comparison, operands), quantifier)
        case .isExactly(let exact):
            switch exact {
            case .null, .unknown: return "(\(value) IS NULL)"
            case .notNull: return "(\(value) IS NOT NULL)"
            case .isTrue: return "(\(value) IS 1)"
            case .isFalse: return "(\(value) IS 0)"
            }
        case .like(_, let ignoresCase):
            return try matches(value, operands, Self.like(ignoresCase || type.base == .citext))[0]
        case .likeEach(_, let ignoresCase, let quantifier):
            return Self.quantified(
                try matches(value, operands, Self.like(ignoresCase || type.base == .citext)), quantifier)
        case .match(_, let ignoresCase):
            return try matches(value, operands, Self.match(ignoresCase || type.base == .citext))[0]
        case .matchEach(_, let ignoresCase, let quantifier):
            return Self.quantified(
                try matches(value, operands, Self.match(ignoresCase || type.base == .citext)), quantifier)
        }
    }

    private static func quantified(_ parts: [String], _ quantifier: FilterOperation.Quantifier) -> String {
        parts.isEmpty ? (quantifier == .any ? "0" : "1") : joined(parts, quantifier == .any ? "OR" : "AND")
    }

    /// A balanced tree: SQLite bounds the depth of an expression to 1,000.
    static func joined(_ parts: [String], _ word: String) -> String {
        guard parts.count > 1 else { return parts.first ?? "1" }
        let half = parts.count / 2
        return "(\(joined(Array(parts[..<half]), word)) \(word) \(joined(Array(parts[half...]), word)))"
    }

    private static func like(_ ignoresCase: Bool) -> (String, String) -> String {
        { "\(ignoresCase ? "martlet_ilike" : "martlet_like")(\($0), \($1))" }
    }

    private static func match(_ ignoresCase: Bool) -> (String, String) -> String {
        { "martlet_regex(\($0), \($1), \(ignoresCase ? 1 : 0))" }
    }

    private mutating func matches(
        _ value: String, _ patterns: [Operand], _ write: (String, String) -> String
    ) throws -> [String] {
        var parts: [String] = []
        for pattern in patterns {
            if let parameter = try bind(pattern, .verbatim) { parts.append(write(value, parameter)) }
        }
        return parts
    }

    private mutating func comparisons(
        _ value: String, _ type: ColumnType, _ comparison: FilterOperation.Comparison, _ operands: [Operand]
    ) throws -> [String] {
        var parts: [String] = []
        for operand in operands { parts.append(try compare(value, type, comparison, operand)) }
        return parts
    }

    private mutating func compare(
        _ value: String, _ type: ColumnType, _ comparison: FilterOperation.Comparison, _ operand: Operand
    ) throws -> String {
        let symbol = comparison.rawValue
        let isOrder = comparison != .equal && comparison != .notEqual
        if type.base == .numeric, !type.isArray { return try compareNumeric(value, type, symbol, operand) }
        if !type.isArray {
            switch type.base {
            case .enumeration where isOrder:
                // Its place in the type stands in the statement.
                forbidReuse()
                _ = try ValueForm.parse(operand.text, as: type.compared, enums: access.catalog.enums)
                let labels = type.enumName.flatMap { access.catalog.enums[$0]?.labels } ?? []
                let position = labels.firstIndex(of: operand.text) ?? 0
                return "(\(ordinal(of: value, type)) \(symbol) \(position))"
            case .interval where isOrder:
                _ = try ValueForm.parse(operand.text, as: type.compared, enums: access.catalog.enums)
                throw RowError.notImplemented("Comparing intervals by \(symbol) on SQLite")
            case .bpchar:
                guard let length = type.precision else { break }
                if let padded = try bind(operand, .padded(type.compared, length: length)) {
                    return "(\(value) \(symbol) \(padded))"
                }
            default: break
            }
        }
        guard let parameter = try bind(operand, .parsed(type.compared)) else { return "0" }
        guard !type.isArray else { return "(\(value) \(symbol) \(parameter))" }
        switch type.base {
        case .jsonb: return "(\(value) COLLATE \(DocumentOrder.collation) \(symbol) \(parameter))"
        case .citext: return "(martlet_lower(\(value)) \(symbol) martlet_lower(\(parameter)))"
        default: return "(\(value) \(symbol) \(parameter))"
        }
    }

    /// A number with more digits than the column keeps is compared as it is, not rounded first.
    private mutating func compareNumeric(
        _ value: String, _ type: ColumnType, _ symbol: String, _ operand: Operand
    ) throws -> String {
        if let scale = type.storedScale {
            if let parameter = try bind(operand, .scaled(scale)) { return "(\(value) \(symbol) \(parameter))" }
            forbidReuse()
            let exact = try bind(operand, .decimal) ?? "NULL"
            return "(martlet_decimal_unscale(\(value), \(scale)) COLLATE martlet_numeric \(symbol) \(exact))"
        }
        let exact = try bind(operand, .decimal) ?? "NULL"
        return "(\(value) COLLATE martlet_numeric \(symbol) \(exact))"
    }
}

extension ColumnType {
    /// The type that a filter's value has: lengths do not bound it.
    fileprivate var compared: ColumnType {
        guard base == .varchar || base == .bpchar else { return self }
        var type = self
        type.precision = nil
        return type
    }
}
