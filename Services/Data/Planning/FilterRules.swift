// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// Which operators a column's type has: what PostgreSQL refuses when it resolves an operator, on both engines in the
/// same words.
enum FilterRules {
    /// - Throws: `RowError` 42883 for an operator that the type lacks, 42804 for `is.true` on no boolean.
    static func check(_ operation: FilterOperation, on field: FieldReference) throws(RowError) {
        let type = field.comparedType
        guard type.isArray || type.base != .other else { return }
        switch operation {
        case .like(_, let ignoresCase), .likeEach(_, let ignoresCase, _):
            try requireText(type, ignoresCase ? "~~*" : "~~", operation)
        case .match(_, let ignoresCase), .matchEach(_, let ignoresCase, _):
            try requireText(type, ignoresCase ? "~*" : "~", operation)
        case .compare(let comparison, _), .compareEach(let comparison, _, _):
            try requireEquality(type, comparison.rawValue)
        case .isIn, .isDistinct:
            try requireEquality(type, "=")
        case .isExactly(let value):
            guard value != .null, value != .notNull, type.base != .bool || type.isArray else { return }
            throw RowError(
                "42804", "argument of IS \(value.rawValue) must be type boolean, not type \(type.plainName)")
        }
    }

    private static func requireText(
        _ type: ColumnType, _ symbol: String, _ operation: FilterOperation
    ) throws(RowError) {
        switch type.base {
        case .text, .varchar, .bpchar, .citext: if !type.isArray { return }
        case .bytea where symbol == "~~": if !type.isArray { return }
        default: break
        }
        throw noOperator(type, symbol)
    }

    /// json has no equality (jsonb has); every other type is ordered.
    private static func requireEquality(_ type: ColumnType, _ symbol: String) throws(RowError) {
        guard type.base == .json else { return }
        throw noOperator(type, symbol)
    }

    private static func noOperator(_ type: ColumnType, _ symbol: String) -> RowError {
        RowError(
            "42883", "operator does not exist: \(type.plainName) \(symbol) unknown",
            hint: "No operator matches the given name and argument types. You might need to add explicit type casts.")
    }
}

extension FieldReference {
    /// The type that comparisons see: text after `->>`, jsonb or json after `->`, else the column's.
    var comparedType: ColumnType {
        guard let last = path.last else { return type }
        if last.asText { return ColumnType(base: .text, display: "text") }
        return type.base == .json && !type.isArray ? type : ColumnType(base: .jsonb, display: "jsonb")
    }
}

extension ColumnType {
    /// `display` without modifiers, as messages name types: `numeric`, `character varying[]`.
    var plainName: String {
        guard let open = display.firstIndex(of: "("), let close = display.lastIndex(of: ")"), open < close else {
            return display
        }
        return String(display[..<open]) + String(display[display.index(after: close)...])
    }
}
