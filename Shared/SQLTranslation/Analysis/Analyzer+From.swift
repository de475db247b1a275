// SPDX-License-Identifier: Apache-2.0

extension Analyzer {
    func fromItem(_ node: ParseNode, in scope: Scope) throws -> TypedFrom {
        switch node.kind {
        case "RangeVar": return try table(node, in: scope)
        case "RangeSubselect":
            try node.allow("subquery", "alias")
            guard let select = node.node("subquery"), let alias = try aliasName(node) else {
                throw TranslationFault("a subquery in FROM must have an alias", at: node.location, sqlState: "42601")
            }
            // Not LATERAL: the items beside it are out of its sight.
            return try subquery(try query(select, parent: outer(scope)), alias, in: scope, at: node.location)
        case "JoinExpr": return try join(node, in: scope)
        default:
            throw TranslationFault("\(ParseNode.words(node.kind)) in FROM is not translated", at: node.location)
        }
    }

    /// What a FROM item may see: the queries of WITH and the statements around, not the items beside it.
    private func outer(_ scope: Scope) -> Scope {
        Scope(parent: scope.parent, commonTables: scope.commonTables)
    }

    private func aliasName(_ node: ParseNode) throws -> String? {
        guard let alias = node.bare("alias", as: "Alias") else { return nil }
        guard !alias.has("colnames") else {
            throw TranslationFault("names for the columns of a FROM item are not translated", at: node.location)
        }
        return alias.string("aliasname")
    }

    private func table(_ node: ParseNode, in scope: Scope) throws -> TypedFrom {
        let alias = try aliasName(node)
        if !node.has("schemaname"), let name = node.string("relname"), let common = scope.commonTable(name) {
            // A query of WITH does not see itself; those before it it does, and a name is looked up once more there.
            let inner = Scope(parent: scope.parent, commonTables: scope.commonTables.filter { $0.key != name })
            return try subquery(try query(common, parent: inner), alias ?? name, in: scope, at: node.location)
        }
        let relation = try names.relation(node)
        log.relations.insert(relation.name)
        let use = RelationUse()
        let source = Scope.Source(
            name: alias ?? relation.name.name, alias: aliases.next(),
            columns: relation.columns.map { ($0.name, $0.type) },
            relation: relation.name, use: use)
        try add(source, to: scope, at: node.location)
        return .relation(relation.name, alias: source.alias, use: use)
    }

    private func subquery(
        _ query: TypedQuery, _ name: String, in scope: Scope, at location: Int?
    ) throws -> TypedFrom {
        let source = Scope.Source(
            name: name, alias: aliases.next(), columns: query.columns, relation: nil, use: nil)
        try add(source, to: scope, at: location)
        return .subquery(query, alias: source.alias)
    }

    private func add(_ source: Scope.Source, to scope: Scope, at location: Int?) throws {
        guard !scope.sources.contains(where: { $0.name == source.name }) else {
            throw TranslationFault(
                "table name \"\(source.name)\" specified more than once", at: location, sqlState: "42712")
        }
        scope.sources.append(source)
    }

    private func join(_ node: ParseNode, in scope: Scope) throws -> TypedFrom {
        try node.allow("jointype", "larg", "rarg", "quals", "usingClause")
        guard let leftNode = node.node("larg"), let rightNode = node.node("rarg") else {
            throw TranslationFault("a join without both sides", at: node.location)
        }
        let start = scope.sources.count
        let left = try fromItem(leftNode, in: scope)
        let middle = scope.sources.count
        let right = try fromItem(rightNode, in: scope)
        let end = scope.sources.count
        // A join's condition sees the items of its own two sides, and the statements around.
        let visible = Scope(
            parent: scope.parent, sources: Array(scope.sources[start..<end]), commonTables: scope.commonTables)
        var tests: [TypedExpression] = []
        let using = node.strings("usingClause")
        if !using.isEmpty, node.string("jointype") == "JOIN_RIGHT" {
            throw TranslationFault("RIGHT JOIN … USING is not translated", at: node.location)
        }
        for name in using {
            let first = Scope(sources: Array(scope.sources[start..<middle]))
            let second = Scope(sources: Array(scope.sources[middle..<end]))
            tests.append(
                try comparison(
                    "=", read(try first.column([name], at: node.location), at: nil),
                    read(try second.column([name], at: node.location), at: nil), at: node.location))
            for index in middle..<end { scope.sources[index].merged.insert(name) }
        }
        if let test = node.node("quals") { tests.append(try condition(test, in: visible)) }
        let on = tests.isEmpty ? nil : TypedExpression(.all(tests), type: .bool, at: node.location)
        switch node.string("jointype") {
        case "JOIN_INNER", nil: return .join(on == nil ? .cross : .inner, left, right, on: on)
        case "JOIN_LEFT": return .join(.left, left, right, on: on)
        case "JOIN_RIGHT": return .join(.left, right, left, on: on)
        default: throw TranslationFault("FULL JOIN is not translated", at: node.location)
        }
    }

    /// The columns that `*` or `t.*` stands for.
    func star(_ node: ParseNode, in scope: Scope) throws -> [(name: String, expression: TypedExpression)] {
        let parts = node.strings("fields")
        var sources = scope.sources
        if let name = parts.last {
            guard
                let source = scope.sources.first(where: {
                    $0.name == name && (parts.count == 1 || $0.relation?.schema == parts[0])
                })
            else {
                throw TranslationFault(
                    "missing FROM-clause entry for table \"\(name)\"", at: node.location, sqlState: "42P01")
            }
            sources = [source]
        }
        guard !sources.isEmpty else {
            throw TranslationFault(
                "SELECT * with no tables specified is not valid", at: node.location, sqlState: "42601")
        }
        var result: [(name: String, expression: TypedExpression)] = []
        var expansion: [(qualifier: String, column: String)] = []
        for source in sources {
            for column in source.columns where parts.isEmpty == false || !source.merged.contains(column.name) {
                let match = Scope.Match(source: source, column: column.name, type: column.type)
                result.append((column.name, read(match, at: nil)))
                expansion.append((source.name, column.name))
            }
        }
        if let location = node.location { log.stars[location] = expansion }
        return result
    }
}
