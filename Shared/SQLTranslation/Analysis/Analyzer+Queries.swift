// SPDX-License-Identifier: Apache-2.0

extension Analyzer {
    /// A SELECT, a compound of SELECTs or VALUES, as a view or subquery has it.
    ///
    /// With `keepsUnknown` a literal of no type stays so, for the other side of a compound to decide.
    func query(_ node: ParseNode, parent: Scope?, keepsUnknown: Bool = false) throws -> TypedQuery {
        guard node.kind == "SelectStmt" else {
            throw TranslationFault("\(ParseNode.words(node.kind)) inside a query is not translated", at: node.location)
        }
        try node.allow(
            "targetList", "fromClause", "whereClause", "groupClause", "havingClause", "sortClause", "limitCount",
            "limitOffset", "limitOption", "withClause", "distinctClause", "op", "larg", "rarg", "all")
        let scope = Scope(parent: parent, commonTables: try commonTables(of: node))
        var query: TypedQuery
        if let symbol = node.string("op"), symbol != "SETOP_NONE" {
            query = try compound(symbol, node, in: scope)
        } else {
            query = try select(node, in: scope, keepsUnknown: keepsUnknown)
        }
        scope.allowsAggregates = false
        if let limit = node.node("limitCount") { query.limit = try bound(limit, in: scope) }
        if let offset = node.node("limitOffset") { query.offset = try bound(offset, in: scope) }
        if node.string("limitOption") == "LIMIT_OPTION_WITH_TIES" {
            throw TranslationFault("FETCH … WITH TIES is not translated", at: node.location)
        }
        return query
    }

    private func commonTables(of node: ParseNode) throws -> [String: ParseNode] {
        guard let clause = node.bare("withClause", as: "WithClause") else { return [:] }
        try clause.allow("ctes")
        var tables: [String: ParseNode] = [:]
        for table in clause.list("ctes") {
            try table.allow("ctename", "ctematerialized", "ctequery")
            guard let name = table.string("ctename"), let query = table.node("ctequery") else { continue }
            tables[name] = query
        }
        return tables
    }

    /// LIMIT and OFFSET: constants, and NULL for none.
    private func bound(_ node: ParseNode, in scope: Scope) throws -> TypedExpression? {
        let value = try coercion.coerce(try expression(node, in: scope), to: .int8, .implicit)
        guard case .literal(let text) = value.node else {
            throw TranslationFault("LIMIT and OFFSET must be constants", at: node.location)
        }
        guard let text else { return nil }
        guard !text.hasPrefix("-") else {
            throw TranslationFault("LIMIT must not be negative", at: node.location, sqlState: "2201W")
        }
        return value
    }

    private func compound(_ symbol: String, _ node: ParseNode, in scope: Scope) throws -> TypedQuery {
        guard let leftNode = node.bare("larg", as: "SelectStmt"), let rightNode = node.bare("rarg", as: "SelectStmt")
        else { throw TranslationFault("a compound query without both sides", at: node.location) }
        var left = try query(leftNode, parent: scope, keepsUnknown: true)
        var right = try query(rightNode, parent: scope, keepsUnknown: true)
        guard left.columns.count == right.columns.count else {
            throw TranslationFault(
                "each query of a compound must have the same number of columns", at: node.location, sqlState: "42601")
        }
        var types: [ColumnType] = []
        for (first, second) in zip(left.columns, right.columns) {
            let common = try Coercion.commonType([first.type, second.type], at: node.location)
            types.append(common)
        }
        try convert(&left, to: types, at: node.location)
        try convert(&right, to: types, at: node.location)
        let all = node.flag("all")
        let operation: TypedQuery.CompoundOperator
        switch (symbol, all) {
        case ("SETOP_UNION", false): operation = .union
        case ("SETOP_UNION", true): operation = .unionAll
        case ("SETOP_INTERSECT", false): operation = .intersect
        case ("SETOP_EXCEPT", false): operation = .except
        default: throw TranslationFault("INTERSECT ALL and EXCEPT ALL are not translated", at: node.location)
        }
        if operation != .unionAll, let type = types.first(where: { !Self.isGroupable($0) }) {
            throw TranslationFault("\(operation.rawValue) of \(type.display) is not translated", at: node.location)
        }
        var result = TypedQuery(body: .compound(operation, left, right), columns: [])
        result.columns = zip(left.columns, types).map { ($0.name, $1) }
        for term in node.list("sortClause") {
            result.order.append(try orderTerm(term, outputs: result.columns.map(\.name), scope: nil, select: nil))
        }
        return result
    }

    /// Whether SQLite's notion of equal values in DISTINCT, GROUP BY and UNION is PostgreSQL's for the type.
    static func isGroupable(_ type: ColumnType) -> Bool {
        if type.isArray { return hasCanonicalElements(type) }
        return ![.json, .jsonb, .interval, .bpchar, .other].contains(type.base)
    }

    private func select(_ node: ParseNode, in scope: Scope, keepsUnknown: Bool) throws -> TypedQuery {
        var select = TypedSelect()
        for item in node.list("fromClause") { select.from.append(try fromItem(item, in: scope)) }
        if let test = node.node("whereClause") { select.condition = try condition(test, in: scope) }
        scope.allowsAggregates = true
        var columns: [(name: String, type: ColumnType)] = []
        for target in node.list("targetList") {
            try target.allow("name", "val")
            guard let value = target.node("val") else { continue }
            if value.kind == "ColumnRef", value.list("fields").last?.kind == "A_Star" {
                for column in try star(value, in: scope) {
                    columns.append((name: column.name, type: column.expression.type))
                    select.targets.append(column.expression)
                }
                continue
            }
            var expression = try expression(value, in: scope)
            if expression.type.isUnknown, !keepsUnknown {
                expression = try coercion.coerce(expression, to: .text, .implicit)
            }
            columns.append((name: target.string("name") ?? Self.outputName(of: value), type: expression.type))
            select.targets.append(expression)
        }
        if let test = node.node("havingClause") { select.having = try condition(test, in: scope) }
        try distinct(node, &select)
        for term in node.list("groupClause") {
            select.grouping.append(try groupTerm(term, select: select, columns: columns, in: scope))
        }
        var query = TypedQuery(body: .select(select), columns: columns)
        for term in node.list("sortClause") {
            query.order.append(
                try orderTerm(term, outputs: columns.map(\.name), scope: scope, select: select))
        }
        select.isGrouped = scope.hasAggregates || !select.grouping.isEmpty || select.having != nil
        query.body = .select(select)
        if select.isGrouped { try GroupingRule.check(query, select, sources: scope.sources, catalog: names.catalog) }
        return query
    }

    private func distinct(_ node: ParseNode, _ select: inout TypedSelect) throws {
        let clause = node.list("distinctClause")
        guard !clause.isEmpty else { return }
        guard clause.allSatisfy({ $0.kind.isEmpty }) else {
            throw TranslationFault("DISTINCT ON is not translated", at: node.location)
        }
        if let target = select.targets.first(where: { !Self.isGroupable($0.type) }) {
            throw TranslationFault("DISTINCT of \(target.type.display) is not translated", at: target.location)
        }
        select.isDistinct = true
    }

    private func groupTerm(
        _ term: ParseNode, select: TypedSelect, columns: [(name: String, type: ColumnType)], in scope: Scope
    ) throws -> TypedExpression {
        var expression: TypedExpression
        if let position = Self.position(term) {
            guard (1...max(select.targets.count, 1)).contains(position), position <= select.targets.count else {
                throw TranslationFault(
                    "GROUP BY position \(position) is not in select list", at: term.location, sqlState: "42P10")
            }
            expression = select.targets[position - 1]
        } else if term.kind == "ColumnRef", term.strings("fields").count == 1,
            (try? scope.column(term.strings("fields"), at: term.location)) == nil,
            let index = columns.firstIndex(where: { $0.name == term.strings("fields")[0] })
        {
            // A name that is no column may be an output column.
            expression = select.targets[index]
        } else {
            scope.allowsAggregates = false
            defer { scope.allowsAggregates = true }
            expression = try self.expression(term, in: scope)
        }
        guard Self.isGroupable(expression.type) else {
            throw TranslationFault("GROUP BY of \(expression.type.display) is not translated", at: term.location)
        }
        return expression
    }

    private func orderTerm(
        _ term: ParseNode, outputs: [String], scope: Scope?, select: TypedSelect?
    ) throws -> TypedQuery.OrderTerm {
        try term.allow("node", "sortby_dir", "sortby_nulls", "useOp")
        guard let key = term.node("node"), !term.has("useOp") else {
            throw TranslationFault("ORDER BY … USING is not translated", at: term.location)
        }
        let isDescending = term.string("sortby_dir") == "SORTBY_DESC"
        let nullsFirst: Bool =
            switch term.string("sortby_nulls") {
            case "SORTBY_NULLS_FIRST": true
            case "SORTBY_NULLS_LAST": false
            default: isDescending
            }
        var output = Self.position(key)
        if output == nil, key.kind == "ColumnRef", key.strings("fields").count == 1 {
            output = outputs.firstIndex(of: key.strings("fields")[0]).map { $0 + 1 }
        }
        if let output {
            guard output >= 1, output <= outputs.count else {
                throw TranslationFault(
                    "ORDER BY position \(output) is not in select list", at: key.location, sqlState: "42P10")
            }
            let expression = select?.targets[output - 1] ?? TypedExpression(.literal(nil), type: .text, at: nil)
            return TypedQuery.OrderTerm(
                key: expression, output: output, isDescending: isDescending, nullsFirst: nullsFirst)
        }
        guard let scope, let select, !select.isDistinct else {
            throw TranslationFault("ORDER BY must name an output column here", at: key.location, sqlState: "42P10")
        }
        let expression = try expression(key, in: scope)
        guard Self.isOrdered(expression.type) else {
            throw TranslationFault("ORDER BY of \(expression.type.display) is not translated", at: key.location)
        }
        return TypedQuery.OrderTerm(
            key: expression, output: nil, isDescending: isDescending, nullsFirst: nullsFirst)
    }

    /// A bare integer in GROUP BY and ORDER BY means an output column.
    private static func position(_ node: ParseNode) -> Int? {
        guard node.kind == "A_Const", let value = node.bare("ival", as: "Integer") else { return nil }
        return Int(value.integer("ival") ?? 0)
    }

    /// Name of an output column without AS, as PostgreSQL's FigureColname picks it.
    static func outputName(of node: ParseNode) -> String {
        switch node.kind {
        case "ColumnRef": return node.strings("fields").last ?? "?column?"
        case "FuncCall": return node.strings("funcname").last ?? "?column?"
        case "TypeCast":
            if let argument = node.node("arg") {
                let name = outputName(of: argument)
                if name != "?column?" { return name }
            }
            return node.bare("typeName", as: "TypeName")?.strings("names").last ?? "?column?"
        case "CoalesceExpr": return "coalesce"
        case "MinMaxExpr": return node.string("op") == "IS_LEAST" ? "least" : "greatest"
        case "A_ArrayExpr": return "array"
        case "A_Expr" where node.string("kind") == "AEXPR_NULLIF": return "nullif"
        case "CaseExpr":
            if let otherwise = node.node("defresult") {
                let name = outputName(of: otherwise)
                if name != "?column?" { return name }
            }
            return "case"
        case "SubLink":
            switch node.string("subLinkType") {
            case "EXISTS_SUBLINK", nil: return "exists"
            case "EXPR_SUBLINK":
                let target = node.node("subselect")?.list("targetList").first
                return target?.string("name") ?? target?.node("val").map(outputName) ?? "?column?"
            default: return "?column?"
            }
        case "SQLValueFunction":
            switch node.string("op") {
            case "SVFOP_CURRENT_DATE": return "current_date"
            case "SVFOP_CURRENT_TIMESTAMP": return "current_timestamp"
            case "SVFOP_LOCALTIMESTAMP": return "localtimestamp"
            case "SVFOP_CURRENT_USER": return "current_user"
            default: return "?column?"
            }
        default: return "?column?"
        }
    }
}
