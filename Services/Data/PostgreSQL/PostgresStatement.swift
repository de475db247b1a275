// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// Builds one statement of a plan for PostgreSQL. Values of clients are always parameters, names are always quoted.
struct PostgresStatement {
    private(set) var parameters: [SQLValue] = []
    private var aliases = 0

    /// A placeholder for a value whose type the server infers from where it stands.
    mutating func bind(_ text: String) -> String {
        parameters.append(.text(text))
        return "$\(parameters.count)"
    }

    mutating func bind(_ value: SQLValue) -> String {
        parameters.append(value)
        return "$\(parameters.count)"
    }

    mutating func makeAlias() -> String {
        defer { aliases += 1 }
        return "t\(aliases)"
    }

    static func quote(_ name: String) -> String { "\"\(name.replacing("\"", with: "\"\""))\"" }

    static func quote(_ name: QualifiedName) -> String { "\(quote(name.schema)).\(quote(name.name))" }

    static func literal(_ text: String) -> String { "'\(text.replacing("'", with: "''"))'" }

    // MARK: Row sets

    // `row_to_json(r.*)`, not `row_to_json(r)`: a client may call a member `r`, and a column comes before the row.

    /// A query with one row a row of the set: a JSON object in its first column.
    mutating func rows(_ rows: RowSet) -> String {
        let alias = makeAlias()
        let inner = select(rows, alias: alias, from: "\(Self.quote(rows.relation)) as \(alias)", joining: nil)
        return "select row_to_json(r.*)::text from (\(inner)) as r"
    }

    /// How many rows match the root filter, without limit and offset.
    mutating func total(_ rows: RowSet) -> String {
        let alias = makeAlias()
        let condition = condition(of: rows, alias: alias)
        return "select count(*) from \(Self.quote(rows.relation)) as \(alias)"
            + (condition.map { " where \($0)" } ?? "")
    }

    /// - Parameter joining: the condition that ties an embed's rows to its parent's.
    mutating func select(_ rows: RowSet, alias: String, from source: String, joining: String?) -> String {
        let list = selectList(rows, alias: alias)
        var sql = "select \(list) from \(source)"
        let conditions = [joining, condition(of: rows, alias: alias)].compactMap(\.self)
        if !conditions.isEmpty { sql += " where \(conditions.joined(separator: " and "))" }
        return sql + orderAndWindow(rows, alias: alias)
    }

    mutating func orderAndWindow(_ rows: RowSet, alias: String) -> String {
        var sql = ""
        if !rows.order.isEmpty {
            var terms: [String] = []
            for term in rows.order { terms.append(orderTerm(term, rows, alias: alias)) }
            sql += " order by \(terms.joined(separator: ", "))"
        }
        if let limit = rows.limit { sql += " limit \(bind(String(limit)))" }
        if rows.offset > 0 { sql += " offset \(bind(String(rows.offset)))" }
        return sql
    }

    /// The members of one row's object.
    mutating func selectList(_ rows: RowSet, alias: String) -> String {
        var list: [String] = []
        for item in rows.items {
            switch item {
            case .column(let column):
                let value = expression(column.field, alias)
                let shown = column.cast.map { "cast(\(value) as \($0))" } ?? value
                list.append("\(shown) as \(Self.quote(column.key))")
            case .embed(let embed) where embed.isHidden: break
            case .embed(let embed):
                list.append("\(embedded(embed, parent: alias)) as \(Self.quote(embed.key))")
            case .rowCount(let key): list.append("count(*) as \(Self.quote(key))")
            }
        }
        return list.joined(separator: ", ")
    }

    private mutating func embedded(_ embed: Embed, parent: String) -> String {
        let alias = makeAlias()
        let (source, join) = joined(embed.relationship, parent: parent, alias: alias)
        let inner = select(embed.rows, alias: alias, from: source, joining: join)
        if embed.relationship.isToOne { return "(select row_to_json(r.*) from (\(inner)) as r limit 1)" }
        // Not json_agg: it puts white space between the elements.
        return "(select '['||coalesce(string_agg(row_to_json(r.*)::text, ','), '')||']' from (\(inner)) as r)::json"
    }

    /// The FROM items of a relationship's target, and the condition that ties them to the parent.
    private mutating func joined(
        _ relationship: Relationship, parent: String, alias: String
    ) -> (source: String, condition: String) {
        let target = "\(Self.quote(relationship.target)) as \(alias)"
        switch relationship.join {
        case .direct(let pairs): return (target, Self.equal(pairs, parent, alias))
        case .through(let junction, let sourcePairs, let targetPairs):
            let middle = makeAlias()
            return (
                "\(target), \(Self.quote(junction)) as \(middle)",
                "\(Self.equal(sourcePairs, parent, middle)) and \(Self.equal(targetPairs, middle, alias))"
            )
        }
    }

    private static func equal(_ pairs: [Relationship.ColumnPair], _ left: String, _ right: String) -> String {
        pairs.map { "\(left).\(quote($0.left)) = \(right).\(quote($0.right))" }.joined(separator: " and ")
    }

    private mutating func orderTerm(_ term: OrderTerm, _ rows: RowSet, alias: String) -> String {
        var value = expression(term.field, alias)
        if let position = term.embedItem, case .embed(let embed) = rows.items[position] {
            let inner = makeAlias()
            let (source, join) = joined(embed.relationship, parent: alias, alias: inner)
            var conditions = [join]
            if let own = condition(of: embed.rows, alias: inner) { conditions.append(own) }
            value =
                "(select \(expression(term.field, inner)) from \(source) where "
                + "\(conditions.joined(separator: " and ")) limit 1)"
        }
        return "\(value) \(term.isDescending ? "desc" : "asc") nulls \(term.nullsFirst ? "first" : "last")"
    }

    // MARK: Conditions

    /// The filter of a row set and what its inner embeds demand; nil for every row.
    mutating func condition(of rows: RowSet, alias: String) -> String? {
        var conditions: [String] = []
        if let filter = rows.filter { conditions.append(condition(filter, rows.items, alias)) }
        for case .embed(let embed) in rows.items where embed.isInner { conditions.append(exists(embed, alias)) }
        return conditions.isEmpty ? nil : conditions.joined(separator: " and ")
    }

    private mutating func exists(_ embed: Embed, _ parent: String) -> String {
        let alias = makeAlias()
        let (source, join) = joined(embed.relationship, parent: parent, alias: alias)
        let own = condition(of: embed.rows, alias: alias)
        return
            "exists (select 1 from \(source) where \(([join] + (own.map { [$0] } ?? [])).joined(separator: " and ")))"
    }

    mutating func condition(_ tree: LogicTree, _ items: [SelectItem], _ alias: String) -> String {
        switch tree {
        case .and(let trees), .or(let trees):
            var parts: [String] = []
            for tree in trees { parts.append(condition(tree, items, alias)) }
            if case .and = tree { return "(\(parts.joined(separator: " and ")))" }
            return "(\(parts.joined(separator: " or ")))"
        case .not(let tree): return "(not \(condition(tree, items, alias)))"
        case .filter(let filter):
            let comparison = comparison(filter, alias)
            return filter.isNegated ? "(not \(comparison))" : comparison
        case .hasEmbedded(let item):
            guard items.indices.contains(item), case .embed(let embed) = items[item] else { return "false" }
            return exists(embed, alias)
        }
    }

    private mutating func comparison(_ filter: Filter, _ alias: String) -> String {
        let value = expression(filter.field, alias)
        switch filter.operation {
        case .compare(let comparison, let text): return "(\(value) \(comparison.rawValue) \(bind(text)))"
        case .like(let pattern, let ignoresCase):
            return "(\(value) \(ignoresCase ? "ilike" : "like") \(bind(pattern)))"
        case .match(let pattern, let ignoresCase): return "(\(value) \(ignoresCase ? "~*" : "~") \(bind(pattern)))"
        case .isIn(let texts):
            guard filter.field.comparedType.isArray else {
                return "(\(value) = any (\(bind(ArrayLiteral.text(of: texts)))))"
            }
            if texts.isEmpty { return "false" }
            var parts: [String] = []
            for text in texts { parts.append("\(value) = \(bind(text))") }
            return "(\(parts.joined(separator: " or ")))"
        case .isExactly(let exact): return "(\(value) is \(exact.rawValue))"
        case .isDistinct(let text): return "(\(value) is distinct from \(bind(text)))"
        case .compareEach(let comparison, let quantifier, let texts):
            return each("\(value) \(comparison.rawValue)", quantifier, texts)
        case .likeEach(let patterns, let ignoresCase, let quantifier):
            return each("\(value) \(ignoresCase ? "ilike" : "like")", quantifier, patterns)
        case .matchEach(let patterns, let ignoresCase, let quantifier):
            return each("\(value) \(ignoresCase ? "~*" : "~")", quantifier, patterns)
        }
    }

    private mutating func each(
        _ start: String, _ quantifier: FilterOperation.Quantifier, _ texts: [String]
    ) -> String {
        "(\(start) \(quantifier.rawValue) (\(bind(ArrayLiteral.text(of: texts)))))"
    }

    /// - Parameter alias: whose column it is; nil for a bare name.
    func expression(_ field: FieldReference, _ alias: String?) -> String {
        var sql = (alias.map { "\($0)." } ?? "") + Self.quote(field.column)
        guard !field.path.isEmpty else { return sql }
        let isDocument = (field.type.base == .json || field.type.base == .jsonb) && !field.type.isArray
        if !isDocument { sql = "to_jsonb(\(sql))" }
        for step in field.path {
            let operand =
                switch step.operand {
                case .key(let key): Self.literal(key)
                case .index(let index): "(\(index))"
                }
            sql += "\(step.asText ? "->>" : "->")\(operand)"
        }
        return "(\(sql))"
    }
}
