// SPDX-License-Identifier: Apache-2.0

extension Analyzer {
    func subquery(_ node: ParseNode, in scope: Scope) throws -> TypedExpression {
        try node.allow("subLinkType", "subselect", "testexpr", "operName")
        let location = node.location
        guard let select = node.node("subselect") else { throw TranslationFault("a subquery is missing") }
        switch node.string("subLinkType") {
        case "EXISTS_SUBLINK", nil:
            return TypedExpression(.exists(try query(select, parent: scope)), type: .bool, at: location)
        case "EXPR_SUBLINK":
            let query = try query(select, parent: scope)
            let type = try singleColumn(of: query, at: location)
            return TypedExpression(.scalar(query), type: type, at: location)
        case "ANY_SUBLINK": return try membership(node, select, isAll: false, in: scope)
        case "ALL_SUBLINK": return try membership(node, select, isAll: true, in: scope)
        default: throw TranslationFault("this kind of subquery is not translated", at: location)
        }
    }

    private func singleColumn(of query: TypedQuery, at location: Int?) throws -> ColumnType {
        guard query.columns.count == 1 else {
            throw TranslationFault("subquery must return only one column", at: location, sqlState: "42601")
        }
        return query.columns[0].type
    }

    /// `x in (select …)`, `x = any (select …)`, `x <> all (select …)`.
    private func membership(
        _ node: ParseNode, _ select: ParseNode, isAll: Bool, in scope: Scope
    ) throws -> TypedExpression {
        let location = node.location
        let symbol = node.strings("operName").last ?? "="
        guard symbol == (isAll ? "<>" : "=") else {
            throw TranslationFault("only = ANY and <> ALL of a subquery are translated", at: location)
        }
        guard let test = node.node("testexpr"), test.kind != "RowExpr" else {
            throw TranslationFault("rows on the left of IN are not translated", at: location)
        }
        return try membership(try expression(test, in: scope), select, isAll: isAll, in: scope, at: location)
    }

    /// The same for a subject that is read already: `x = any (array(select …))` asks it too.
    func membership(
        _ subject: TypedExpression, _ select: ParseNode, isAll: Bool, in scope: Scope, at location: Int?
    ) throws -> TypedExpression {
        let symbol = isAll ? "<>" : "="
        var query = try query(select, parent: scope)
        let type = try singleColumn(of: query, at: location)
        let output = TypedExpression(.column(name: "", alias: ""), type: type, at: location)
        let sides = try comparable(subject, output, symbol: symbol, at: location)
        // The query gives its column in the type that is compared; numeric always as decimal text.
        let common = sides.right.type.base == .numeric ? ColumnType.numeric : sides.right.type
        let left = try coercion.coerce(sides.left, to: common.withoutModifiers, .implicit)
        guard common.base == .numeric || Self.comparesPlainly(common) else {
            throw TranslationFault("IN over values of type \(common.display) is not translated", at: location)
        }
        try convert(&query, to: [common.withoutModifiers], at: location)
        return TypedExpression(.isInQuery(left, query, negated: isAll), type: .bool, at: location)
    }

    /// Gives the output columns of a query other types, by casts inside it.
    func convert(_ query: inout TypedQuery, to types: [ColumnType], at location: Int?) throws {
        guard zip(query.columns, types).contains(where: { $0.type != $1 }) else { return }
        switch query.body {
        case .select(var select):
            for index in select.targets.indices {
                select.targets[index] = try coercion.coerce(select.targets[index], to: types[index], .implicit)
            }
            query.body = .select(select)
        case .compound(let symbol, var left, var right):
            try convert(&left, to: types, at: location)
            try convert(&right, to: types, at: location)
            query.body = .compound(symbol, left, right)
        }
        for index in query.columns.indices { query.columns[index].type = types[index] }
    }
}
