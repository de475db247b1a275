// SPDX-License-Identifier: Apache-2.0

/// One comparison of a subscription's filter.
struct FilterCondition: Sendable, Equatable {
    enum Operator: String, Sendable {
        case equal = "eq"
        case notEqual = "neq"
        case less = "lt"
        case lessOrEqual = "lte"
        case greater = "gt"
        case greaterOrEqual = "gte"
        case oneOf = "in"

        var needsOrder: Bool {
            switch self {
            case .equal, .notEqual, .oneOf: false
            case .less, .lessOrEqual, .greater, .greaterOrEqual: true
            }
        }
    }

    let column: String
    let comparison: Operator
    /// One, or as many as the list has.
    let values: [String]
}

/// Why a filter cannot be used.
struct FilterError: Error, Sendable, Equatable {
    /// What stands behind the contract's beginning.
    let reason: String

    var message: String { "Error parsing `filter` params: \(reason)" }
}

/// Reads `col=op.value[,col=op.value…]` (RT-51).
enum FilterParser {
    /// Conditions of one filter; more are no filter but a query.
    static let conditionsMax = 20
    /// Values of one `in`.
    static let valuesMax = 100

    static func parse(_ text: String) throws(FilterError) -> [FilterCondition] {
        if text.allSatisfy({ $0 == " " }) { return [] }
        var conditions: [FilterCondition] = []
        for part in try split(text) { conditions.append(try condition(part)) }
        guard conditions.count <= conditionsMax else { throw FilterError(reason: "too many conditions") }
        return conditions
    }

    private static func condition(_ text: String) throws(FilterError) -> FilterCondition {
        guard let equals = text.firstIndex(of: "=") else { throw FilterError(reason: "no operator in \(text)") }
        let column = text[..<equals].drop { $0 == " " }
        let rest = text[text.index(after: equals)...]
        guard let dot = rest.firstIndex(of: "."), !column.isEmpty else {
            throw FilterError(reason: "no operator in \(text)")
        }
        guard let comparison = FilterCondition.Operator(rawValue: String(rest[..<dot])) else {
            throw FilterError(reason: "unknown operator \(rest[..<dot])")
        }
        let value = String(rest[rest.index(after: dot)...])
        guard comparison == .oneOf else {
            return FilterCondition(
                column: unquoted(String(column)), comparison: comparison, values: [unquoted(value)])
        }
        guard value.hasPrefix("("), value.hasSuffix(")"), value.utf8.count >= 2 else {
            throw FilterError(reason: "`in` needs parentheses: \(value)")
        }
        let list = try split(String(value.dropFirst().dropLast())).map(unquoted)
        guard list.count <= valuesMax else { throw FilterError(reason: "too many values") }
        return FilterCondition(column: unquoted(String(column)), comparison: comparison, values: list)
    }

    /// Splits at commas, but not within quotes or parentheses.
    private static func split(_ text: String) throws(FilterError) -> [String] {
        var parts: [String] = []
        var part = ""
        var depth = 0
        var isQuoted = false
        var isEscaped = false
        for character in text {
            if isEscaped {
                isEscaped = false
            } else if isQuoted {
                if character == "\\" { isEscaped = true }
                if character == "\"" { isQuoted = false }
            } else {
                switch character {
                case "\"": isQuoted = true
                case "(": depth += 1
                case ")": depth -= 1
                case "," where depth == 0:
                    parts.append(part)
                    part = ""
                    continue
                default: break
                }
            }
            part.append(character)
        }
        guard !isQuoted, depth == 0 else { throw FilterError(reason: "a quote or parenthesis is not closed") }
        return parts + [part]
    }

    /// The text within quotes, escapes resolved; anything else as it is.
    private static func unquoted(_ text: String) -> String {
        guard text.hasPrefix("\""), text.hasSuffix("\""), text.count >= 2 else { return text }
        var result = ""
        var isEscaped = false
        for character in text.dropFirst().dropLast() {
            if character == "\\", !isEscaped {
                isEscaped = true
                continue
            }
            isEscaped = false
            result.append(character)
        }
        return result
    }
}
