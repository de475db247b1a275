// SPDX-License-Identifier: Apache-2.0

/// Parses `[not.]operator[(modifier)].value` (rest contract 2.1–2.5).
enum OperationParser {
    /// Where the operation stands, which decides how far a value reaches.
    enum Style {
        /// A parameter of its own: the value is the rest, verbatim.
        case parameter
        /// An item of `and`/`or`: the value is quoted, or ends at `,` or `)`.
        case tree
    }

    /// Elements of one list; more are refused, because each is compared with every row.
    static let listElementsMax = 10_000

    private static let comparisons: [String: FilterOperation.Comparison] = [
        "eq": .equal, "neq": .notEqual, "gt": .greater, "gte": .greaterOrEqual, "lt": .less, "lte": .lessOrEqual,
    ]
    private static let unsupported: Set<String> = [
        "fts", "plfts", "phfts", "wfts", "cs", "cd", "ov", "sl", "sr", "nxl", "nxr", "adj",
    ]

    static func condition(
        on field: FieldNode, _ scanner: inout TextScanner, style: Style
    ) throws(RowError) -> ConditionNode {
        let isNegated = scanner.take("not.")
        let start = scanner.position
        let name = String(scanner.takeWhile { ("a"..."z").contains($0) })
        if unsupported.contains(name) {
            if scanner.take("(") {
                _ = scanner.takeWhile { $0 != ")" }
                try scanner.expect(")")
            }
            try scanner.expect(".")
            _ = value(&scanner, style)
            return .unsupported(field, operatorName: name)
        }
        let quantifier = try quantifier(&scanner)
        guard scanner.take(".") else {
            if !isOperator(name) { scanner.reset(to: start) }
            throw scanner.failure(expecting: isOperator(name) ? "\".\"" : "\"not\" or operator (eq, gt, ...)")
        }
        guard let operation = try operation(name, quantifier, &scanner, style) else {
            scanner.reset(to: start)
            throw scanner.failure(expecting: "\"not\" or operator (eq, gt, ...)")
        }
        return .filter(field, isNegated: isNegated, operation)
    }

    private static func isOperator(_ name: String) -> Bool {
        comparisons[name] != nil || ["like", "ilike", "match", "imatch", "in", "is", "isdistinct"].contains(name)
    }

    private static func quantifier(_ scanner: inout TextScanner) throws(RowError) -> FilterOperation.Quantifier? {
        if scanner.take("(any)") { return .any }
        if scanner.take("(all)") { return .all }
        if scanner.next == "(" { throw scanner.failure(expecting: "\"(any)\" or \"(all)\"") }
        return nil
    }

    /// Nil when there is no such operator, or it takes no modifier.
    private static func operation(
        _ name: String, _ quantifier: FilterOperation.Quantifier?, _ scanner: inout TextScanner, _ style: Style
    ) throws(RowError) -> FilterOperation? {
        if let comparison = comparisons[name] {
            guard let quantifier else { return .compare(comparison, value(&scanner, style)) }
            guard comparison != .notEqual else { return nil }
            return .compareEach(comparison, quantifier, try elements(&scanner, style))
        }
        switch name {
        case "like", "ilike":
            let ignoresCase = name == "ilike"
            guard let quantifier else {
                return .like(pattern: pattern(value(&scanner, style)), ignoresCase: ignoresCase)
            }
            let patterns = try elements(&scanner, style).map(pattern)
            return .likeEach(patterns: patterns, ignoresCase: ignoresCase, quantifier)
        case "match", "imatch":
            let ignoresCase = name == "imatch"
            guard let quantifier else { return .match(pattern: value(&scanner, style), ignoresCase: ignoresCase) }
            return .matchEach(patterns: try elements(&scanner, style), ignoresCase: ignoresCase, quantifier)
        case "in" where quantifier == nil: return .isIn(try list(&scanner))
        case "is" where quantifier == nil: return .isExactly(try exactValue(&scanner))
        case "isdistinct" where quantifier == nil: return .isDistinct(value(&scanner, style))
        default: return nil
        }
    }

    /// `*` stands for `%`, because `%` has to be encoded in URLs.
    private static func pattern(_ text: String) -> String {
        text.contains("*") ? String(text.map { $0 == "*" ? "%" : $0 }) : text
    }

    private static func value(_ scanner: inout TextScanner, _ style: Style) -> String {
        switch style {
        case .parameter: return scanner.takeRest()
        case .tree:
            let start = scanner.position
            // A quoted text counts as one only when the item ends with it.
            if let quoted = scanner.takeQuoted() {
                if scanner.isAtEnd || scanner.next == "," || scanner.next == ")" { return quoted }
                scanner.reset(to: start)
            }
            if scanner.next == "{" {
                scanner.advance()
                let inside = scanner.takeWhile { $0 != "{" && $0 != "}" }
                if scanner.take("}") { return "{\(inside)}" }
                scanner.reset(to: start)
            }
            return String(scanner.takeWhile { $0 != "," && $0 != ")" })
        }
    }

    /// The list of `in` (2.4). One empty element is the empty list.
    private static func list(_ scanner: inout TextScanner) throws(RowError) -> [String] {
        scanner.skipSpaces()
        try scanner.expect("(")
        scanner.skipSpaces()
        var elements: [String] = []
        repeat {
            elements.append(listElement(&scanner))
            guard elements.count <= listElementsMax else {
                throw scanner.failure(expecting: "at most \(listElementsMax) elements")
            }
        } while scanner.take(",")
        scanner.skipSpaces()
        try scanner.expect(")")
        scanner.skipSpaces()
        return elements == [""] ? [] : elements
    }

    private static func listElement(_ scanner: inout TextScanner) -> String {
        let start = scanner.position
        if let quoted = scanner.takeQuoted() {
            let end = scanner.position
            scanner.skipSpaces()
            if scanner.next == ")" { return quoted }
            scanner.reset(to: end)
            if scanner.next == "," { return quoted }
            scanner.reset(to: start)
        }
        return String(scanner.takeWhile { $0 != "," && $0 != ")" })
    }

    /// The elements of a one-dimensional PostgreSQL array literal, `{a,"b,c"}`.
    private static func elements(_ scanner: inout TextScanner, _ style: Style) throws(RowError) -> [String] {
        let start = scanner.position
        let text = value(&scanner, style)
        let end = scanner.position
        guard let elements = ArrayLiteral.elements(of: text), elements.count <= listElementsMax else {
            scanner.reset(to: start)
            throw scanner.failure(expecting: "an array literal such as {a,b}")
        }
        scanner.reset(to: end)
        return elements
    }

    private static func exactValue(_ scanner: inout TextScanner) throws(RowError) -> FilterOperation.ExactValue {
        let start = scanner.position
        let word = scanner.takeWhile { TextScanner.isIdentifier($0) && $0 != " " }
        switch word.lowercased() {
        case "null": return .null
        case "not_null": return .notNull
        case "true": return .isTrue
        case "false": return .isFalse
        case "unknown": return .unknown
        default:
            scanner.reset(to: start)
            throw scanner.failure(expecting: "null, not_null, true, false or unknown")
        }
    }
}
