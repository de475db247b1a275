// SPDX-License-Identifier: Apache-2.0

/// Reads raw parse trees as typed expressions and queries.
///
/// Every kind of node that it understands is named in its switches; any other is refused with its place.
final class Analyzer {
    let names: NameResolver
    let types: TypeResolver
    let coercion: Coercion
    let aliases: AliasSupply
    let log = ReferenceLog()
    private var depth = 0

    /// Bounds the stack of the analyser and of everything that walks its trees after it.
    private static let depthMax = 200

    init(names: NameResolver, aliases: AliasSupply = AliasSupply()) {
        self.names = names
        types = TypeResolver(names: names)
        coercion = Coercion(enums: names.catalog.enums)
        self.aliases = aliases
    }

    /// A condition: an expression of type boolean.
    func condition(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        let expression = try expression(node, in: scope)
        guard expression.type.base == .bool && !expression.type.isArray || expression.type.isUnknown else {
            throw TranslationFault(
                "argument must be type boolean, not type \(expression.type.display)", at: node.location,
                sqlState: "42804")
        }
        return try coercion.coerce(expression, to: .bool, .implicit)
    }

    func expressions(_ nodes: [ParseNode], in scope: Scope) throws -> [TypedExpression] {
        var result: [TypedExpression] = []
        for node in nodes { result.append(try expression(node, in: scope)) }
        return result
    }

    func expression(_ node: ParseNode?, in scope: Scope) throws -> TypedExpression {
        guard let node else { throw TranslationFault("an expression is missing", sqlState: "42601") }
        depth += 1
        defer { depth -= 1 }
        guard depth <= Self.depthMax else {
            throw TranslationFault("the expression is nested too deeply", at: node.location, sqlState: "54001")
        }
        do {
            return try dispatch(node, in: scope)
        } catch let fault as TranslationFault {
            throw fault.located(at: node.location)
        }
    }

    private func dispatch(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        switch node.kind {
        case "A_Const": return try constant(node)
        case "ColumnRef": return try column(node, in: scope)
        case "TypeCast": return try cast(node, in: scope)
        case "A_Expr": return try operation(node, in: scope)
        case "BoolExpr": return try logic(node, in: scope)
        case "NullTest": return try nullTest(node, in: scope)
        case "BooleanTest": return try booleanTest(node, in: scope)
        case "CaseExpr": return try conditional(node, in: scope)
        case "CoalesceExpr":
            try node.allow("args")
            let unified = try coercion.unify(try expressions(node.list("args"), in: scope), at: node.location)
            return TypedExpression(.coalesce(unified.expressions), type: unified.type, at: node.location)
        case "MinMaxExpr": return try extreme(node, in: scope)
        case "A_ArrayExpr": return try array(node, in: scope)
        case "FuncCall": return try call(node, in: scope)
        case "SubLink": return try subquery(node, in: scope)
        case "SQLValueFunction": return try valueFunction(node)
        case "SetToDefault":
            throw TranslationFault("DEFAULT is not allowed in this context", at: node.location, sqlState: "42601")
        default:
            throw TranslationFault("\(ParseNode.words(node.kind)) is not translated", at: node.location)
        }
    }

    private func constant(_ node: ParseNode) throws -> TypedExpression {
        try node.allow("ival", "fval", "sval", "boolval", "bsval", "isnull")
        let location = node.location
        if node.flag("isnull") { return TypedExpression(.literal(nil), type: .unknown, at: location) }
        if let text = node.bare("sval", as: "String") {
            return TypedExpression(.literal(text.string("sval") ?? ""), type: .unknown, at: location)
        }
        if let value = node.bare("boolval", as: "Boolean") {
            return TypedExpression(.literal(value.flag("boolval") ? "true" : "false"), type: .bool, at: location)
        }
        if let value = node.bare("ival", as: "Integer") {
            return TypedExpression(.literal(String(value.integer("ival") ?? 0)), type: .int4, at: location)
        }
        if let value = node.bare("fval", as: "Float"), let text = value.string("fval") {
            // An integer too long for int4 comes as a "float".
            let isInt8 = Int64(text) != nil
            return TypedExpression(.literal(text), type: isInt8 ? .int8 : .numeric, at: location)
        }
        throw TranslationFault("bit strings are not translated", at: location)
    }

    private func column(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("fields")
        guard !node.list("fields").contains(where: { $0.kind == "A_Star" }) else {
            throw TranslationFault("a whole row is not a value on SQLite", at: node.location)
        }
        let match = try scope.column(node.strings("fields"), at: node.location)
        return read(match, at: node.location)
    }

    func read(_ match: Scope.Match, at location: Int?) -> TypedExpression {
        match.source.use?.columns.insert(match.column)
        if let relation = match.source.relation {
            log.mentions.insert(ReferenceLog.Mention(relation: relation, column: match.column))
        }
        if let location {
            log.columns[location] = ReferenceLog.ColumnReference(
                relation: match.source.relation, column: match.column, isOwnRow: match.source.isOwnRow)
        }
        return TypedExpression(
            .column(name: match.column, alias: match.source.alias), type: match.type, at: location)
    }

    private func cast(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("arg", "typeName")
        guard let typeName = node.bare("typeName", as: "TypeName") else {
            throw TranslationFault("a cast without a type", at: node.location)
        }
        // `'x'::regclass` and its kin would look objects up at run time.
        let type = try types.type(typeName)
        let argument = try expression(node.node("arg"), in: scope)
        if case .array(let elements) = argument.node, elements.isEmpty, type.isArray {
            return TypedExpression(.array([]), type: type, at: node.location)
        }
        return try coercion.coerce(argument, to: type, .explicit)
    }

    private func logic(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("boolop", "args")
        var arguments: [TypedExpression] = []
        for argument in node.list("args") { arguments.append(try condition(argument, in: scope)) }
        switch node.string("boolop") {
        case "AND_EXPR": return TypedExpression(.all(arguments), type: .bool, at: node.location)
        case "OR_EXPR": return TypedExpression(.any(arguments), type: .bool, at: node.location)
        case "NOT_EXPR" where arguments.count == 1:
            return TypedExpression(.not(arguments[0]), type: .bool, at: node.location)
        default: throw TranslationFault("this logical operator is not translated", at: node.location)
        }
    }

    private func nullTest(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("arg", "nulltesttype")
        let argument = try expression(node.node("arg"), in: scope)
        return TypedExpression(
            .isNull(argument, negated: node.string("nulltesttype") == "IS_NOT_NULL"), type: .bool, at: node.location)
    }

    private func booleanTest(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("arg", "booltesttype")
        guard let argumentNode = node.node("arg") else { throw TranslationFault("a test without an argument") }
        let argument = try condition(argumentNode, in: scope)
        let test: TypedExpression.Node =
            switch node.string("booltesttype") {
            case "IS_NOT_TRUE": .isTruth(argument, true, negated: true)
            case "IS_FALSE": .isTruth(argument, false, negated: false)
            case "IS_NOT_FALSE": .isTruth(argument, false, negated: true)
            case "IS_UNKNOWN": .isNull(argument, negated: false)
            case "IS_NOT_UNKNOWN": .isNull(argument, negated: true)
            case "IS_TRUE", nil: .isTruth(argument, true, negated: false)
            default: throw TranslationFault("this boolean test is not translated", at: node.location)
            }
        return TypedExpression(test, type: .bool, at: node.location)
    }

    private func conditional(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("arg", "args", "defresult")
        var conditions: [TypedExpression] = []
        var results: [TypedExpression] = []
        for when in node.list("args") {
            try when.allow("expr", "result")
            if let subject = node.node("arg") {
                let left = try expression(subject, in: scope)
                let right = try expression(when.node("expr"), in: scope)
                conditions.append(try comparison("=", left, right, at: when.location))
            } else {
                guard let test = when.node("expr") else { throw TranslationFault("WHEN without a condition") }
                conditions.append(try condition(test, in: scope))
            }
            results.append(try expression(when.node("result"), in: scope))
        }
        if let otherwise = node.node("defresult") { results.append(try expression(otherwise, in: scope)) }
        let unified = try coercion.unify(results, at: node.location)
        let branches = zip(conditions, unified.expressions).map { (condition: $0, result: $1) }
        let otherwise = unified.expressions.count > branches.count ? unified.expressions.last : nil
        return TypedExpression(
            .conditional(branches, otherwise: otherwise), type: unified.type, at: node.location)
    }

    private func extreme(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("op", "args")
        let unified = try coercion.unify(try expressions(node.list("args"), in: scope), at: node.location)
        return TypedExpression(
            .extreme(unified.expressions, isGreatest: node.string("op") != "IS_LEAST"), type: unified.type,
            at: node.location)
    }

    private func array(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("elements")
        let unified = try coercion.unify(try expressions(node.list("elements"), in: scope), at: node.location)
        guard !unified.type.isArray else {
            throw TranslationFault("arrays of arrays are not translated", at: node.location)
        }
        return TypedExpression(.array(unified.expressions), type: unified.type.array, at: node.location)
    }

    private func valueFunction(_ node: ParseNode) throws -> TypedExpression {
        try node.allow("op", "typmod", "type")
        let now = TypedExpression(.context(.now), type: .timestamptz, at: node.location)
        switch node.string("op") {
        case "SVFOP_CURRENT_DATE":
            return TypedExpression(.cast(now, isExplicit: true), type: .date, at: node.location)
        case "SVFOP_CURRENT_TIMESTAMP": return now
        case "SVFOP_LOCALTIMESTAMP":
            return TypedExpression(.cast(now, isExplicit: true), type: .timestamp, at: node.location)
        case "SVFOP_CURRENT_USER", "SVFOP_CURRENT_ROLE", "SVFOP_USER":
            return TypedExpression(.currentRole, type: .text, at: node.location)
        default: throw TranslationFault("this session value is not translated", at: node.location)
        }
    }
}
