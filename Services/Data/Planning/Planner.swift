// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// Checks a parsed query against the schema cache and makes plans of it.
struct Planner {
    let schema: SchemaCache
    /// Most rows that a read shows, at the root and in each embed; nil: no bound (`max_rows`).
    let rowsMax: Int64?
    /// The root is no relation of the schema, though it may have the name of one: nothing is related to it.
    var isRootUnrelated = false

    /// The relation of a URL.
    ///
    /// - Throws: `RowError` PGRST205.
    func relation(_ name: QualifiedName) throws(RowError) -> Relation {
        if let relation = schema.exposedRelation(name) { return relation }
        let known = schema.catalog.relations.keys.filter { $0.schema == name.schema }.map(\.name).sorted()
        let similar = NameSuggestion.closest(to: name.name, among: known)
        throw RowError(
            "PGRST205", "Could not find the table '\(name.schema).\(name.name)' in the schema cache",
            hint: similar.map { "Perhaps you meant the table '\(name.schema).\($0)'" })
    }

    func readPlan(
        _ relation: Relation, _ query: ParsedQuery, page: PageRange, count: CountMode
    ) throws(RowError) -> ReadPlan {
        var rows = try rowSet(relation, PlanLevel(query), bounded: true)
        rows.limit = [page.limit, rowsMax].compactMap(\.self).min()
        rows.offset = page.offset
        var plan = ReadPlan(rows: rows, count: count)
        plan.schema = schema
        return plan
    }

    /// What a write with `return=representation` shows. The root's filter is the write's own and not in it.
    func representation(_ relation: Relation, _ query: ParsedQuery) throws(RowError) -> RowSet {
        var level = PlanLevel(query)
        level.conditions.removeAll { $0.path.isEmpty }
        level.windows.removeAll { $0.path.isEmpty }
        return try rowSet(relation, level, bounded: false)
    }

    /// The rows that a PATCH or DELETE affects; nil for all.
    func filter(_ relation: Relation, _ query: ParsedQuery) throws(RowError) -> LogicTree? {
        try conjunction(query.conditions.filter { $0.path.isEmpty }.map(\.node), relation, embeds: [:], nil)
    }

    /// - Throws: `RowError` PGRST204.
    func checkPayload(_ columns: [String], of relation: Relation) throws(RowError) {
        for column in columns where relation.column(column) == nil {
            throw RowError(
                "PGRST204",
                "Could not find the '\(column)' column of '\(relation.name.name)' in the schema cache")
        }
    }

    // MARK: One level

    func rowSet(_ relation: Relation, _ level: PlanLevel, bounded: Bool) throws(RowError) -> RowSet {
        let embedded = try level.embedded()
        var embeds: [Int: Embed] = [:]
        for (position, node) in level.nodes.enumerated() {
            guard let embed = node.embed, let inner = embedded[position] else { continue }
            embeds[position] = try plan(embed, from: relation, inner, bounded: bounded)
        }
        for node in level.nodes {
            if case .aggregate = node { throw RowError("PGRST123", "Use of aggregate functions is not allowed") }
        }
        let (items, positions) = try items(level.nodes, of: relation, embeds)
        var rows = RowSet(relation: relation.name, items: items)
        rows.order = try order(level, relation, positions, items)
        rows.filter = try conjunction(level.ownConditions, relation, embeds: positions, level)
        let window = level.ownWindow
        rows.limit = [window?.limit, bounded ? rowsMax : nil].compactMap(\.self).min()
        rows.offset = window?.offset ?? 0
        if let limit = rows.limit, limit < 0 { throw PageRange.negativeLimit }
        return rows
    }

    private func plan(
        _ node: EmbedNode, from source: Relation, _ level: PlanLevel, bounded: Bool
    ) throws(RowError) -> Embed {
        if node.isSpread { throw .notImplemented("Spreading '...\(node.target)' in the 'select' parameter") }
        // Only the root can be unrelated: nothing is embedded in it then.
        let relationships = isRootUnrelated ? [] : schema.relationships(from: source.name)
        let relationship = try RelationshipResolver(relationships: relationships).resolve(
            from: source.name, target: node.target, hint: node.hint)
        guard let target = schema.exposedRelation(relationship.target) else {
            throw RowError("PGRSTX00", "The schema cache holds a relationship without its table")
        }
        let rows = try rowSet(target, level, bounded: bounded)
        let isHidden = rows.items.allSatisfy { item in
            if case .embed(let embed) = item { embed.isHidden } else { false }
        }
        return Embed(
            key: node.alias ?? node.target, relationship: relationship, isInner: node.isInner, isHidden: isHidden,
            rows: rows)
    }

    /// The items, and where in them each embed's node ended up (`*` becomes many items).
    private func items(
        _ nodes: [SelectNode], of relation: Relation, _ embeds: [Int: Embed]
    ) throws(RowError) -> ([SelectItem], [Int: Int]) {
        var items: [SelectItem] = []
        var positions: [Int: Int] = [:]
        for (position, node) in nodes.enumerated() {
            switch node {
            case .star:
                for column in relation.columns {
                    let field = FieldReference(column: column.name, type: column.type)
                    items.append(.column(SelectedColumn(key: column.name, field: field)))
                }
            case .field(let field, let alias, let cast):
                items.append(try item(field, alias: alias, cast: cast, of: relation))
            case .embed:
                guard let embed = embeds[position] else { continue }
                positions[position] = items.count
                items.append(.embed(embed))
            case .aggregate: break
            }
        }
        let counts = items.contains { if case .rowCount = $0 { true } else { false } }
        if counts, items.count > 1 {
            throw RowError(
                "42803",
                "column \"\(relation.name.name)\" must appear in the GROUP BY clause or be used in an "
                    + "aggregate function")
        }
        return (items, positions)
    }

    private func item(
        _ node: FieldNode, alias: String?, cast: String?, of relation: Relation
    ) throws(RowError) -> SelectItem {
        if node.name == "count", node.path.isEmpty, relation.column("count") == nil {
            return .rowCount(key: alias ?? "count")
        }
        let field = try reference(node, relation)
        return .column(SelectedColumn(key: alias ?? node.resultName, field: field, cast: cast))
    }

    private func order(
        _ level: PlanLevel, _ relation: Relation, _ positions: [Int: Int], _ items: [SelectItem]
    ) throws(RowError) -> [OrderTerm] {
        var terms: [OrderTerm] = []
        for node in level.ownOrder {
            let nullsFirst = node.nullsFirst ?? node.isDescending
            guard let name = node.embed else {
                let field = try reference(node.field, relation)
                terms.append(OrderTerm(field: field, isDescending: node.isDescending, nullsFirst: nullsFirst))
                continue
            }
            guard let position = level.embedPosition(name).flatMap({ positions[$0] }),
                case .embed(let embed) = items[position],
                let target = schema.exposedRelation(embed.relationship.target)
            else { throw PlanLevel.notEmbedded(name) }
            guard embed.relationship.isToOne else {
                throw RowError(
                    "PGRST118", "A related order on '\(name)' is not possible",
                    details: "'\(relation.name.name)' and '\(name)' do not form a many-to-one or one-to-one "
                        + "relationship")
            }
            terms.append(
                OrderTerm(
                    field: try reference(node.field, target), isDescending: node.isDescending, nullsFirst: nullsFirst,
                    embedItem: position))
        }
        return terms
    }

    private func reference(_ node: FieldNode, _ relation: Relation) throws(RowError) -> FieldReference {
        guard let column = relation.column(node.name) else {
            throw RowError("42703", "column \(relation.name.name).\(node.name) does not exist")
        }
        return FieldReference(column: column.name, type: column.type, path: node.path)
    }

    // MARK: Conditions

    /// - Parameter level: whose embeds null filters may name; nil where there are none.
    private func conjunction(
        _ nodes: [ConditionNode], _ relation: Relation, embeds: [Int: Int], _ level: PlanLevel?
    ) throws(RowError) -> LogicTree? {
        guard !nodes.isEmpty else { return nil }
        var trees: [LogicTree] = []
        for node in nodes { trees.append(try condition(node, relation, embeds, level)) }
        return trees.count == 1 ? trees[0] : .and(trees)
    }

    private func condition(
        _ node: ConditionNode, _ relation: Relation, _ embeds: [Int: Int], _ level: PlanLevel?
    ) throws(RowError) -> LogicTree {
        switch node {
        case .and(let nodes), .or(let nodes):
            var trees: [LogicTree] = []
            for node in nodes { trees.append(try condition(node, relation, embeds, level)) }
            if case .and = node { return .and(trees) }
            return .or(trees)
        case .not(let node):
            return .not(try condition(node, relation, embeds, level))
        case .filter(let field, let isNegated, let operation):
            if field.path.isEmpty, let item = level?.embedPosition(field.name).flatMap({ embeds[$0] }) {
                if operation == .isExactly(.null) {
                    return isNegated ? .hasEmbedded(item: item) : .not(.hasEmbedded(item: item))
                }
                if operation == .isExactly(.notNull) {
                    return isNegated ? .not(.hasEmbedded(item: item)) : .hasEmbedded(item: item)
                }
            }
            let reference = try reference(field, relation)
            try FilterRules.check(operation, on: reference)
            return .filter(Filter(field: reference, isNegated: isNegated, operation: operation))
        case .unsupported(let field, let operatorName):
            _ = try reference(field, relation)
            throw .notImplemented("The operator '\(operatorName)' on the column '\(field.name)'")
        }
    }
}

extension FieldNode {
    /// Key in the result without an alias: the last key of the path, else the column (rest contract 4).
    fileprivate var resultName: String {
        for step in path.reversed() {
            if case .key(let key) = step.operand { return key }
        }
        return name
    }
}
