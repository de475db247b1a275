// SPDX-License-Identifier: Apache-2.0

extension Analyzer {
    func call(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("funcname", "args", "funcformat", "agg_star", "agg_distinct", "agg_filter")
        let location = node.location
        let parts = node.strings("funcname")
        guard let name = parts.last, parts.count <= 2 else {
            throw TranslationFault("improper qualified name", at: location, sqlState: "42601")
        }
        let schema = parts.count == 2 ? parts[0] : nil
        if let value = try claims(schema, name, node, in: scope) { return value }
        if schema == nil || schema == "pg_catalog" {
            if let kind = Self.aggregates[name] { return try aggregate(kind, node, in: scope) }
            guard !node.has("agg_star"), !node.has("agg_distinct"), !node.has("agg_filter") else {
                throw TranslationFault("aggregate \(name) is not translated", at: location)
            }
            if name == "current_setting" { return try setting(node, in: scope) }
        }
        var arguments = try expressions(node.list("args"), in: scope)
        if name == "coalesce" || name == "greatest" { throw unknownFunction(parts, arguments, at: location) }
        if let array = try arrayFunction(name, arguments, at: location) { return array }
        if schema == nil || schema == "pg_catalog",
            let document = try documentFunction(name, arguments, at: location)
        {
            return document
        }
        if name == "concat", schema != "auth" {
            // Takes anything and makes text of it.
            for index in arguments.indices {
                arguments[index] = try coercion.coerce(arguments[index], to: .text, .assignment)
            }
        }
        let homes: [String?] = schema.map { [$0 == "pg_catalog" ? nil : $0] } ?? [nil] + names.searchPath
        for home in homes {
            let candidates = (FunctionTable.byName[name] ?? []).filter { $0.schema == home }
            let signature = try Signature.choose(
                among: candidates, for: arguments.map(\.type), name: "function \(name)", at: location)
            if let signature { return try call(signature, arguments, at: location) }
        }
        if let type = TypeResolver.builtIn[name], schema == nil || schema == "pg_catalog", arguments.count == 1 {
            // `date(x)` is a cast.
            return try coercion.coerce(arguments[0], to: type, .explicit)
        }
        throw unknownFunction(parts, arguments, at: location)
    }

    /// The call with its arguments converted to the signature's types.
    func call(
        _ signature: Signature, _ arguments: [TypedExpression], at location: Int?
    ) throws -> TypedExpression {
        var converted: [TypedExpression] = []
        for (index, argument) in arguments.enumerated() {
            converted.append(try coercion.coerce(argument, to: signature.argument(index), .implicit))
        }
        return TypedExpression(.call(signature, converted), type: signature.result, at: location)
    }

    private func unknownFunction(
        _ parts: [String], _ arguments: [TypedExpression], at location: Int?
    ) -> TranslationFault {
        let types = arguments.map(\.type.display).joined(separator: ", ")
        return TranslationFault(
            "function \(parts.joined(separator: "."))(\(types)) is not one that SQLite can compute", at: location,
            sqlState: "42883")
    }

    /// `auth.uid()` and its kin.
    private func claims(
        _ schema: String?, _ name: String, _ node: ParseNode, in scope: Scope
    ) throws -> TypedExpression? {
        guard schema == "auth" else { return nil }
        let values: [String: (ContextValue, ColumnType)] = [
            "uid": (.userID, .uuid), "role": (.role, .text), "email": (.email, .text), "jwt": (.claims, .jsonb),
        ]
        guard let (value, type) = values[name], node.list("args").isEmpty else {
            throw TranslationFault("function auth.\(name) does not exist", at: node.location, sqlState: "42883")
        }
        return TypedExpression(.context(value), type: type, at: node.location)
    }

    /// `current_setting('request.jwt.claims', true)`: the request's claims; no other setting exists on SQLite.
    private func setting(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        let arguments = try expressions(node.list("args"), in: scope)
        guard (1...2).contains(arguments.count), case .literal(let name?) = arguments[0].node else {
            throw TranslationFault("current_setting needs a constant name", at: node.location)
        }
        if arguments.count == 2 { _ = try coercion.coerce(arguments[1], to: .bool, .implicit) }
        let values: [String: ContextValue] = [
            "request.jwt.claims": .claims, "request.jwt.claim.sub": .userID, "request.jwt.claim.role": .role,
            "request.jwt.claim.email": .email,
        ]
        guard let value = values[name] else {
            throw TranslationFault("setting \"\(name)\" does not exist on SQLite", at: node.location)
        }
        return TypedExpression(.context(value), type: .text, at: node.location)
    }

    private func arrayFunction(
        _ name: String, _ arguments: [TypedExpression], at location: Int?
    ) throws -> TypedExpression? {
        guard name == "cardinality" || name == "array_length", let array = arguments.first, array.type.isArray,
            let signature = FunctionTable.byName[name]?.first, signature.accepts(count: arguments.count)
        else { return nil }
        var converted = [array]
        for argument in arguments.dropFirst() {
            converted.append(try coercion.coerce(argument, to: .int4, .implicit))
        }
        return TypedExpression(.call(signature, converted), type: .int4, at: location)
    }

    // MARK: Aggregates

    static let aggregates: [String: Aggregate.Kind] = [
        "count": .count, "sum": .sum, "avg": .avg, "min": .min, "max": .max, "bool_and": .boolAnd, "every": .boolAnd,
        "bool_or": .boolOr, "string_agg": .stringAgg, "array_agg": .arrayAgg, "json_agg": .jsonAgg,
        "jsonb_agg": .jsonbAgg,
    ]

    private func aggregate(_ kind: Aggregate.Kind, _ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        let location = node.location
        guard scope.allowsAggregates else {
            throw TranslationFault("aggregate functions are not allowed here", at: location, sqlState: "42803")
        }
        scope.hasAggregates = true
        scope.allowsAggregates = false
        defer { scope.allowsAggregates = true }
        var filter: TypedExpression?
        if let test = node.node("agg_filter") { filter = try condition(test, in: scope) }
        let isDistinct = node.flag("agg_distinct")
        if node.flag("agg_star") {
            guard kind == .count else { throw TranslationFault("only count takes *", at: location) }
            return TypedExpression(
                .aggregate(Aggregate(kind: kind, argument: nil, isDistinct: false, filter: filter)), type: .int8,
                at: location)
        }
        let arguments = try expressions(node.list("args"), in: scope)
        if let value = try collection(kind, arguments, isDistinct: isDistinct, filter: filter, at: location) {
            return value
        }
        guard var argument = arguments.first, arguments.count == 1 else {
            throw TranslationFault("this aggregate takes one argument", at: location)
        }
        if argument.type.isUnknown { argument = try coercion.coerce(argument, to: .text, .implicit) }
        let result = try aggregateType(kind, argument: &argument, at: location)
        return TypedExpression(
            .aggregate(Aggregate(kind: kind, argument: argument, isDistinct: isDistinct, filter: filter)),
            type: result, at: location)
    }

    private func aggregateType(
        _ kind: Aggregate.Kind, argument: inout TypedExpression, at location: Int?
    ) throws -> ColumnType {
        let type = argument.type.withoutModifiers
        let fault = TranslationFault(
            "\(kind.rawValue)(\(type.display)) is not translated", at: location, sqlState: "42883")
        switch kind {
        case .count: return .int8
        case .stringAgg, .arrayAgg, .jsonAgg, .jsonbAgg: throw fault
        case .boolAnd, .boolOr:
            argument = try coercion.coerce(argument, to: .bool, .implicit)
            return .bool
        case .min, .max:
            guard !type.isArray, type.isNumber || type.isString || type.isMoment || type.base == .time else {
                throw fault
            }
            if type.base == .numeric { argument = try coercion.coerce(argument, to: .numeric, .implicit) }
            if type.isString { argument = try coercion.coerce(argument, to: .text, .implicit) }
            return type.isString ? .text : type
        case .sum, .avg:
            guard type.isNumber, !type.isFloat || type.base == .float8 else { throw fault }
            if type.isFloat { return .float8 }
            if kind == .sum, type.base == .int2 || type.base == .int4 { return .int8 }
            argument = try coercion.coerce(argument, to: .numeric, .implicit)
            return .numeric
        }
    }
}
