// SPDX-License-Identifier: Apache-2.0

/// PostgreSQL's rule that a grouped query shows only what is one value per group; SQLite would pick some row's value.
struct GroupingRule {
    private let keys: Set<String>
    /// Aliases of this query's own FROM items.
    private let own: Set<String>
    /// Aliases whose primary key is grouped by: all their columns follow from it.
    private let determined: Set<String>
    private let writer = SQLiteWriter.forComparison

    static func check(
        _ query: TypedQuery, _ select: TypedSelect, sources: [Scope.Source], catalog: Catalog
    ) throws {
        let rule = try GroupingRule(select.grouping, sources: sources, catalog: catalog)
        for target in select.targets { try rule.check(target) }
        if let having = select.having { try rule.check(having) }
        for term in query.order where term.output == nil { try rule.check(term.key) }
    }

    private init(_ grouping: [TypedExpression], sources: [Scope.Source], catalog: Catalog) throws {
        var keys: Set<String> = []
        for key in grouping { keys.insert(try SQLiteWriter.forComparison.sql(key)) }
        self.keys = keys
        own = Set(sources.map(\.alias))
        var determined: Set<String> = []
        for source in sources {
            guard let name = source.relation, let key = catalog.relations[name]?.primaryKey else { continue }
            let isGrouped = key.columns.allSatisfy { column in
                grouping.contains { expression in
                    if case .column(column, source.alias) = expression.node { true } else { false }
                }
            }
            if isGrouped { determined.insert(source.alias) }
        }
        self.determined = determined
    }

    private func check(_ expression: TypedExpression) throws {
        if keys.contains(try writer.sql(expression)) { return }
        switch expression.node {
        case .aggregate: return
        case .column(let name, let alias) where own.contains(alias) && !determined.contains(alias):
            throw TranslationFault(
                "column \"\(name)\" must appear in the GROUP BY clause or be used in an aggregate function",
                at: expression.location, sqlState: "42803")
        default:
            for child in expression.children { try check(child) }
        }
    }
}
