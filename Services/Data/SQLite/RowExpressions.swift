// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// Writes fields, filters and orders as SQLite's SQL, collecting the parameters. Values are in the form on disk.
struct RowExpressions {
    let access: RowAccess
    private(set) var parameters: [SQLValue]
    private var aliases = 0

    init(access: RowAccess) {
        self.access = access
        parameters = access.context
    }

    mutating func bind(_ value: SQLValue) -> String {
        parameters.append(value)
        return "?\(parameters.count)"
    }

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
        switch filter.operation {
        case .compare(let comparison, let text): return try compare(value, type, comparison, text)
        case .isDistinct(let text): return try "(NOT coalesce(\(compare(value, type, .equal, text)), 0))"
        case .isIn(let texts):
            var parts: [String] = []
            for text in texts { parts.append(try compare(value, type, .equal, text)) }
            return parts.isEmpty ? "0" : Self.joined(parts, "OR")
        case .compareEach(let comparison, let quantifier, let texts):
            var parts: [String] = []
            for text in texts { parts.append(try compare(value, type, comparison, text)) }
            return Self.quantified(parts, quantifier)
        case .isExactly(let exact):
            switch exact {
            case .null, .unknown: return "(\(value) IS NULL)"
            case .notNull: return "(\(value) IS NOT NULL)"
            case .isTrue: return "(\(value) IS 1)"
            case .isFalse: return "(\(value) IS 0)"
            }
        case .like(let pattern, let ignoresCase): return like(value, pattern, ignoresCase || type.base == .citext)
        case .likeEach(let patterns, let ignoresCase, let quantifier):
            let parts = patterns.map { like(value, $0, ignoresCase || type.base == .citext) }
            return Self.quantified(parts, quantifier)
        case .match(let pattern, let ignoresCase): return match(value, pattern, ignoresCase || type.base == .citext)
        case .matchEach(let patterns, let ignoresCase, let quantifier):
            let parts = patterns.map { match(value, $0, ignoresCase || type.base == .citext) }
            return Self.quantified(parts, quantifier)
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

    private mutating func like(_ value: String, _ pattern: String, _ ignoresCase: Bool) -> String {
        "\(ignoresCase ? "martlet_ilike" : "martlet_like")(\(value), \(bind(.text(pattern))))"
    }

    private mutating func match(_ value: String, _ pattern: String, _ ignoresCase: Bool) -> String {
        "martlet_regex(\(value), \(bind(.text(pattern))), \(ignoresCase ? 1 : 0))"
    }

    private mutating func compare(
        _ value: String, _ type: ColumnType, _ comparison: FilterOperation.Comparison, _ text: String
    ) throws -> String {
        let symbol = comparison.rawValue
        let isOrder = comparison != .equal && comparison != .notEqual
        if type.base == .numeric, !type.isArray { return try compareNumeric(value, type, symbol, text) }
        let parsed = try ValueForm.parse(text, as: type.compared, enums: access.catalog.enums)
        guard !type.isArray else { return "(\(value) \(symbol) \(bind(parsed)))" }
        switch type.base {
        case .jsonb: return "(\(value) COLLATE \(DocumentOrder.collation) \(symbol) \(bind(parsed)))"
        case .citext: return "(martlet_lower(\(value)) \(symbol) martlet_lower(\(bind(parsed))))"
        case .enumeration where isOrder:
            let labels = type.enumName.flatMap { access.catalog.enums[$0]?.labels } ?? []
            let position = labels.firstIndex(of: text) ?? 0
            return "(\(ordinal(of: value, type)) \(symbol) \(position))"
        case .interval where isOrder:
            throw RowError.notImplemented("Comparing intervals by \(symbol) on SQLite")
        case .bpchar:
            guard case .text(let short) = parsed, let length = type.precision else { break }
            let padding = max(0, length - short.unicodeScalars.count)
            return "(\(value) \(symbol) \(bind(.text(short + String(repeating: " ", count: padding)))))"
        default: break
        }
        return "(\(value) \(symbol) \(bind(parsed)))"
    }

    /// A number with more digits than the column keeps is compared as it is, not rounded first.
    private mutating func compareNumeric(
        _ value: String, _ type: ColumnType, _ symbol: String, _ text: String
    ) throws -> String {
        let exact = try ValueForm.parse(text, as: ColumnType(base: .numeric, display: "numeric"))
        guard let scale = type.storedScale else { return "(\(value) COLLATE martlet_numeric \(symbol) \(bind(exact)))" }
        if case .text(let digits) = exact, let scaled = Self.scaled(digits, scale) {
            return "(\(value) \(symbol) \(bind(.integer(scaled))))"
        }
        return "(martlet_decimal_unscale(\(value), \(scale)) COLLATE martlet_numeric \(symbol) \(bind(exact)))"
    }

    /// The decimal times ten to the scale, when that is an integer of 64 bits.
    private static func scaled(_ digits: String, _ scale: Int) -> Int64? {
        let parts = digits.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count <= 2 else { return nil }
        var fraction = parts.count == 2 ? String(parts[1]) : ""
        while fraction.hasSuffix("0"), fraction.count > scale { fraction.removeLast() }
        guard fraction.count <= scale else { return nil }
        return Int64(parts[0] + fraction + String(repeating: "0", count: scale - fraction.count))
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
