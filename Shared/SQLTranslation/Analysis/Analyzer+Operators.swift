// SPDX-License-Identifier: Apache-2.0

extension Analyzer {
    func operation(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("kind", "name", "lexpr", "rexpr")
        let location = node.location
        let parts = node.strings("name")
        guard let symbol = parts.last, parts.count == 1 || parts.first == "pg_catalog" else {
            throw TranslationFault("operators of other schemas are not translated", at: location)
        }
        switch node.string("kind") {
        case "AEXPR_OP": return try binary(symbol, node, in: scope)
        case "AEXPR_OP_ANY": return try quantified(symbol, node, isAll: false, in: scope)
        case "AEXPR_OP_ALL": return try quantified(symbol, node, isAll: true, in: scope)
        case "AEXPR_DISTINCT": return try distinct(node, negated: false, in: scope)
        case "AEXPR_NOT_DISTINCT": return try distinct(node, negated: true, in: scope)
        case "AEXPR_NULLIF": return try nullIf(node, in: scope)
        case "AEXPR_IN": return try membership(node, negated: symbol == "<>", in: scope)
        case "AEXPR_LIKE": return try like(node, ignoresCase: false, negated: symbol == "!~~", in: scope)
        case "AEXPR_ILIKE": return try like(node, ignoresCase: true, negated: symbol == "!~~*", in: scope)
        case "AEXPR_BETWEEN": return try between(node, negated: false, in: scope)
        case "AEXPR_NOT_BETWEEN": return try between(node, negated: true, in: scope)
        default: throw TranslationFault("this form of operator is not translated", at: location)
        }
    }

    private func binary(_ symbol: String, _ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        let location = node.location
        guard let leftNode = node.node("lexpr") else {
            return try apply(symbol, [try expression(node.node("rexpr"), in: scope)], at: location)
        }
        guard let rightNode = node.node("rexpr") else {
            throw TranslationFault("an operator without its right side", at: location)
        }
        if leftNode.kind == "RowExpr", rightNode.kind == "RowExpr" {
            return try rows(symbol, leftNode, rightNode, in: scope)
        }
        let left = try expression(leftNode, in: scope)
        let right = try expression(rightNode, in: scope)
        switch symbol {
        case "=", "<>", "<", ">", "<=", ">=": return try comparison(symbol, left, right, at: location)
        case "~", "~*", "!~", "!~*": return try regularExpression(symbol, left, right, at: location)
        case "~~": return try like(left, right, ignoresCase: false, negated: false, at: location)
        case "~~*": return try like(left, right, ignoresCase: true, negated: false, at: location)
        case "!~~": return try like(left, right, ignoresCase: false, negated: true, at: location)
        case "!~~*": return try like(left, right, ignoresCase: true, negated: true, at: location)
        case "@>", "<@", "&&":
            if left.type.isArray || right.type.isArray { return try arrays(symbol, left, right, at: location) }
        case "||":
            if let joined = try concatenation(left, right, at: location) { return joined }
        default: break
        }
        return try apply(symbol, [left, right], at: location)
    }

    /// An operator of the table, with its arguments converted to what it takes.
    private func apply(
        _ symbol: String, _ arguments: [TypedExpression], at location: Int?
    ) throws -> TypedExpression {
        var arguments = arguments
        if symbol == "+", arguments.count == 1, arguments[0].type.isNumber { return arguments[0] }
        // A literal of unknown type beside a known one is read as that one's type, as PostgreSQL does first.
        if arguments.count == 2, arguments[0].type.isUnknown != arguments[1].type.isUnknown {
            let known = arguments[0].type.isUnknown ? arguments[1].type : arguments[0].type
            let same = OperatorTable.byName[symbol, default: []].contains { candidate in
                candidate.arguments.count == 2 && candidate.arguments.allSatisfy { $0.isSame(as: known) }
            }
            if same {
                for index in arguments.indices {
                    arguments[index] = try coercion.coerce(arguments[index], to: known.withoutModifiers, .implicit)
                }
            }
        }
        let candidates = OperatorTable.byName[symbol] ?? []
        guard
            let signature = try Signature.choose(
                among: candidates, for: arguments.map(\.type), name: "operator \(symbol)", at: location)
        else { throw missingOperator(symbol, arguments.map(\.type), at: location) }
        return try call(signature, arguments, at: location)
    }

    private func missingOperator(_ symbol: String, _ types: [ColumnType], at location: Int?) -> TranslationFault {
        let sides = types.map(\.display)
        let text = sides.count == 2 ? "\(sides[0]) \(symbol) \(sides[1])" : "\(symbol) \(sides.first ?? "")"
        return TranslationFault(
            "operator \(text) is not one that PostgreSQL has or that SQLite can compute", at: location,
            sqlState: "42883")
    }

    func comparison(
        _ symbol: String, _ left: TypedExpression, _ right: TypedExpression, at location: Int?
    ) throws -> TypedExpression {
        guard let comparison = Comparison(rawValue: symbol) else {
            throw TranslationFault("operator \(symbol) is not a comparison", at: location)
        }
        let sides = try comparable(left, right, symbol: symbol, at: location)
        if !comparison.isEquality, !Self.isOrdered(sides.left.type) {
            throw TranslationFault(
                "values of type \(sides.left.type.display) are compared by = and <> only", at: location)
        }
        return TypedExpression(.comparison(comparison, sides.left, sides.right), type: .bool, at: location)
    }

    /// Both sides in types that compare with each other as PostgreSQL compares them.
    func comparable(
        _ left: TypedExpression, _ right: TypedExpression, symbol: String, at location: Int?
    ) throws -> (left: TypedExpression, right: TypedExpression) {
        var (left, right) = (left, right)
        if left.type.isUnknown, right.type.isUnknown {
            left = try coercion.coerce(left, to: .text, .implicit)
            right = try coercion.coerce(right, to: .text, .implicit)
        } else if left.type.isUnknown {
            left = try coercion.coerce(left, to: right.type.withoutModifiers, .implicit)
        } else if right.type.isUnknown {
            right = try coercion.coerce(right, to: left.type.withoutModifiers, .implicit)
        }
        let (first, second) = (left.type, right.type)
        if first.isArray || second.isArray {
            guard first.isSame(as: second) || (first.element.isText && second.element.isText),
                Self.hasCanonicalElements(first)
            else { throw missingOperator(symbol, [first, second], at: location) }
            return (left, right)
        }
        if first.isInteger, second.isInteger { return (left, right) }
        if first.isNumber, second.isNumber {
            let target: ColumnType = first.isFloat || second.isFloat ? .float8 : .numeric
            return (try numeric(left, target), try numeric(right, target))
        }
        if first.isString, second.isString {
            if first.base == .bpchar, second.base == .bpchar { return (left, right) }
            return (
                try coercion.coerce(left, to: .text, .implicit), try coercion.coerce(right, to: .text, .implicit)
            )
        }
        if first.isMoment, second.isMoment, first.base != second.base {
            let target = [first, second].contains { $0.base == .timestamptz } ? ColumnType.timestamptz : .timestamp
            return (
                try coercion.coerce(left, to: target, .implicit), try coercion.coerce(right, to: target, .implicit)
            )
        }
        guard first.isSame(as: second), first.base != .json, first.base != .other else {
            throw missingOperator(symbol, [first, second], at: location)
        }
        return (left, right)
    }

    /// A scaled column stays as it is, so that an index on it serves; the emitter compares scales.
    private func numeric(_ expression: TypedExpression, _ target: ColumnType) throws -> TypedExpression {
        if target.base == .numeric, expression.type.base == .numeric { return expression }
        return try coercion.coerce(expression, to: target, .implicit)
    }

    /// Whether equal arrays of this type always have equal text.
    static func hasCanonicalElements(_ type: ColumnType) -> Bool {
        let element = type.element
        return element.isText || element.isInteger || [.uuid, .bool, .enumeration].contains(element.base)
    }

    /// Whether SQLite's `=` on the form on disk is PostgreSQL's.
    static func comparesPlainly(_ type: ColumnType) -> Bool {
        !type.isArray && ![.numeric, .bpchar, .json, .jsonb, .interval, .other].contains(type.base)
    }

    static func isOrdered(_ type: ColumnType) -> Bool { !type.isArray && type.base != .jsonb && type.base != .json }

    private func rows(
        _ symbol: String, _ left: ParseNode, _ right: ParseNode, in scope: Scope
    ) throws -> TypedExpression {
        try left.allow("args", "row_format")
        try right.allow("args", "row_format")
        let lefts = left.list("args")
        let rights = right.list("args")
        guard symbol == "=" || symbol == "<>", lefts.count == rights.count, !lefts.isEmpty else {
            throw TranslationFault("rows are compared by = and <> only", at: left.location)
        }
        var parts: [TypedExpression] = []
        for (first, second) in zip(lefts, rights) {
            parts.append(
                try comparison(
                    symbol, try expression(first, in: scope), try expression(second, in: scope), at: first.location))
        }
        return TypedExpression(symbol == "=" ? .all(parts) : .any(parts), type: .bool, at: left.location)
    }

    private func distinct(_ node: ParseNode, negated: Bool, in scope: Scope) throws -> TypedExpression {
        let sides = try comparable(
            try expression(node.node("lexpr"), in: scope), try expression(node.node("rexpr"), in: scope), symbol: "=",
            at: node.location)
        return TypedExpression(
            .isDistinct(sides.left, sides.right, negated: negated), type: .bool, at: node.location)
    }

    private func nullIf(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        let left = try expression(node.node("lexpr"), in: scope)
        let right = try expression(node.node("rexpr"), in: scope)
        let test = try comparison("=", left, right, at: node.location)
        let result = left.type.isUnknown ? try coercion.coerce(left, to: .text, .implicit) : left
        let null = TypedExpression(.literal(nil), type: result.type, at: node.location)
        return TypedExpression(
            .conditional([(condition: test, result: null)], otherwise: result), type: result.type, at: node.location)
    }

    private func membership(_ node: ParseNode, negated: Bool, in scope: Scope) throws -> TypedExpression {
        guard let list = node.node("rexpr"), list.kind == "List" else {
            throw TranslationFault("IN needs a list", at: node.location)
        }
        let subject = try expression(node.node("lexpr"), in: scope)
        return try membership(subject, try expressions(list.items, in: scope), negated: negated, at: node.location)
    }

    func membership(
        _ subject: TypedExpression, _ items: [TypedExpression], negated: Bool, at location: Int?
    ) throws -> TypedExpression {
        var tests: [TypedExpression] = []
        for item in items { tests.append(try comparison(negated ? "<>" : "=", subject, item, at: item.location)) }
        // One type on both sides: a real IN, which an index serves.
        var converted: [TypedExpression] = []
        var first: TypedExpression?
        for test in tests {
            guard case .comparison(_, let left, let right) = test.node, left.type == subject.type,
                right.type.isSame(as: left.type), Self.comparesPlainly(left.type)
            else {
                return TypedExpression(negated ? .all(tests) : .any(tests), type: .bool, at: location)
            }
            first = first ?? left
            converted.append(right)
        }
        guard let first else { throw TranslationFault("IN needs a list", at: location) }
        return TypedExpression(.isIn(first, converted, negated: negated), type: .bool, at: location)
    }

    private func between(_ node: ParseNode, negated: Bool, in scope: Scope) throws -> TypedExpression {
        guard let bounds = node.node("rexpr")?.items, bounds.count == 2 else {
            throw TranslationFault("BETWEEN needs two bounds", at: node.location)
        }
        let subject = try expression(node.node("lexpr"), in: scope)
        let low = try comparison(
            negated ? "<" : ">=", subject, try expression(bounds[0], in: scope), at: node.location)
        let high = try comparison(
            negated ? ">" : "<=", subject, try expression(bounds[1], in: scope), at: node.location)
        return TypedExpression(negated ? .any([low, high]) : .all([low, high]), type: .bool, at: node.location)
    }

    private func like(
        _ node: ParseNode, ignoresCase: Bool, negated: Bool, in scope: Scope
    ) throws -> TypedExpression {
        try like(
            try expression(node.node("lexpr"), in: scope), try expression(node.node("rexpr"), in: scope),
            ignoresCase: ignoresCase, negated: negated, at: node.location)
    }

    private func like(
        _ subject: TypedExpression, _ pattern: TypedExpression, ignoresCase: Bool, negated: Bool, at location: Int?
    ) throws -> TypedExpression {
        guard subject.type.isString || subject.type.isUnknown, pattern.type.isString || pattern.type.isUnknown else {
            throw missingOperator(ignoresCase ? "~~*" : "~~", [subject.type, pattern.type], at: location)
        }
        // char(n) keeps its blanks under LIKE.
        let text = subject.type.base == .bpchar ? subject : try coercion.coerce(subject, to: .text, .implicit)
        return TypedExpression(
            .like(
                text, pattern: try coercion.coerce(pattern, to: .text, .implicit), ignoresCase: ignoresCase,
                negated: negated), type: .bool, at: location)
    }

    private func regularExpression(
        _ symbol: String, _ subject: TypedExpression, _ pattern: TypedExpression, at location: Int?
    ) throws -> TypedExpression {
        guard case .literal(let text?) = pattern.node, RegularExpressionSubset.contains(text) else {
            throw TranslationFault(
                "regular expressions are translated when the pattern is a plain constant: characters, classes, "
                    + "groups, alternatives, repetition and anchors", at: location)
        }
        guard subject.type.isString || subject.type.isUnknown else {
            throw missingOperator(symbol, [subject.type, .text], at: location)
        }
        let ignoresCase = symbol.hasSuffix("*")
        let signature = Signature(
            symbol, [.text, .text], .bool, "martlet_regex(%1, %2, \(ignoresCase ? 1 : 0))")
        let match = try call(signature, [subject, pattern], at: location)
        return symbol.hasPrefix("!") ? TypedExpression(.not(match), type: .bool, at: location) : match
    }

    private func quantified(
        _ symbol: String, _ node: ParseNode, isAll: Bool, in scope: Scope
    ) throws -> TypedExpression {
        let location = node.location
        guard (symbol == "=" && !isAll) || (symbol == "<>" && isAll) else {
            throw TranslationFault("only = ANY (array) and <> ALL (array) are translated", at: location)
        }
        let subject = try expression(node.node("lexpr"), in: scope)
        if let sub = node.node("rexpr"), sub.kind == "SubLink", sub.string("subLinkType") == "ARRAY_SUBLINK",
            let select = sub.node("subselect")
        {
            return try membership(subject, select, isAll: isAll, in: scope, at: location)
        }
        var list = try expression(node.node("rexpr"), in: scope)
        if case .array(let items) = list.node {
            guard !items.isEmpty else {
                return TypedExpression(.literal(isAll ? "true" : "false"), type: .bool, at: location)
            }
            return try membership(subject, items, negated: isAll, at: location)
        }
        let element = subject.type.isUnknown ? nil : subject.type.withoutModifiers
        if list.type.isUnknown {
            guard let element else { throw TranslationFault("the array has no type: add a cast", at: location) }
            list = try coercion.coerce(list, to: element.array, .implicit)
        }
        guard list.type.isArray else {
            throw TranslationFault("op ANY/ALL (array) requires array on right side", at: location, sqlState: "42809")
        }
        guard Self.hasCanonicalElements(list.type) else {
            throw TranslationFault(
                "= ANY over an array of \(list.type.element.display) is not translated", at: location)
        }
        let value = try coercion.coerce(subject, to: list.type.element.withoutModifiers, .implicit)
        return TypedExpression(.isElement(value, of: list, negated: isAll), type: .bool, at: location)
    }

    private func arrays(
        _ symbol: String, _ left: TypedExpression, _ right: TypedExpression, at location: Int?
    ) throws -> TypedExpression {
        let sides = try comparable(left, right, symbol: symbol, at: location)
        let template =
            switch symbol {
            case "@>": "martlet_array_contains(%1, %2)"
            case "<@": "martlet_array_contains(%2, %1)"
            default: "martlet_array_overlaps(%1, %2)"
            }
        let signature = Signature(symbol, [sides.left.type, sides.right.type], .bool, template)
        return TypedExpression(.call(signature, [sides.left, sides.right]), type: .bool, at: location)
    }

    /// `text || anything that is not an array`: the other side becomes text.
    private func concatenation(
        _ left: TypedExpression, _ right: TypedExpression, at location: Int?
    ) throws -> TypedExpression? {
        let types = [left.type, right.type]
        guard types.contains(where: { $0.isString || $0.isUnknown }) else { return nil }
        guard !types.contains(where: { $0.isArray || $0.base == .jsonb }) else {
            throw TranslationFault("|| joins text only on SQLite", at: location)
        }
        guard let signature = OperatorTable.byName["||"]?.first else { return nil }
        var sides: [TypedExpression] = []
        for side in [left, right] { sides.append(try coercion.coerce(side, to: .text, .assignment)) }
        return TypedExpression(.call(signature, sides), type: .text, at: location)
    }
}
