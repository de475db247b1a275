// SPDX-License-Identifier: Apache-2.0

extension SQLiteWriter {
    func sql(_ query: TypedQuery) throws -> String {
        var text: String
        switch query.body {
        case .select(let select): text = try self.select(select, columns: query.columns)
        case .compound(let symbol, let left, let right):
            // SQLite takes no parentheses around the sides of a compound: each becomes a subquery.
            text = "SELECT * FROM (\(try sql(left))) \(symbol.rawValue) SELECT * FROM (\(try sql(right)))"
        }
        if !query.order.isEmpty {
            text += " ORDER BY " + (try query.order.map { try term($0, in: query) }.joined(separator: ", "))
        }
        if let limit = query.limit { text += " LIMIT \(try sql(limit))" }
        if let offset = query.offset { text += "\(query.limit == nil ? " LIMIT -1" : "") OFFSET \(try sql(offset))" }
        return text
    }

    private func select(_ select: TypedSelect, columns: [(name: String, type: ColumnType)]) throws -> String {
        let targets = try zip(select.targets, columns).map { target, column in
            "\(try collated(target)) AS \(SQLiteName.quoted(column: column.name))"
        }
        var text = "SELECT \(select.isDistinct ? "DISTINCT " : "")"
        // EXISTS may select nothing at all.
        text += targets.isEmpty ? "1" : targets.joined(separator: ", ")
        if !select.from.isEmpty { text += " FROM " + (try select.from.map(from).joined(separator: " CROSS JOIN ")) }
        if let condition = select.condition { text += " WHERE \(try sql(condition))" }
        if !select.grouping.isEmpty {
            text += " GROUP BY " + (try select.grouping.map(collated).joined(separator: ", "))
        }
        if let having = select.having {
            guard !select.grouping.isEmpty || (select.targets + [having]).contains(where: \.hasAggregate) else {
                throw TranslationFault("HAVING without GROUP BY and aggregates is not translated", at: having.location)
            }
            text += " HAVING \(try sql(having))"
        }
        return text
    }

    private func from(_ item: TypedFrom) throws -> String {
        switch item {
        case .relation(let name, let alias, let use): return try relation(name, alias, use)
        case .subquery(let query, let alias): return "(\(try sql(query))) AS \(SQLiteName.quoted(raw: alias))"
        case .join(let kind, let left, let right, let on):
            // A nested join keeps its own parentheses only on the right, where its order matters.
            var side = try from(right)
            if case .join = right { side = "(\(side))" }
            return "\(try from(left)) \(kind.rawValue) \(side)" + (try on.map { " ON \(try sql($0))" } ?? "")
        }
    }

    private func collated(_ expression: TypedExpression) throws -> String {
        let text = try sql(expression)
        let isDecimal = expression.type.base == .numeric && expression.type.storedScale == nil
        return isDecimal && !expression.type.isArray ? text + " COLLATE martlet_numeric" : text
    }

    private func term(_ term: TypedQuery.OrderTerm, in query: TypedQuery) throws -> String {
        var key: String
        if let output = term.output, case .compound = query.body {
            key = String(output)
            if query.columns[output - 1].type.base == .numeric { key += " COLLATE martlet_numeric" }
        } else if term.key.type.base == .enumeration {
            key = try rank(term.key)
        } else {
            key = try collated(term.key)
        }
        return "\(key) \(term.isDescending ? "DESC" : "ASC") NULLS \(term.nullsFirst ? "FIRST" : "LAST")"
    }

    /// A subquery as a value: more than one row is an error, where SQLite would take the first.
    func scalar(_ query: TypedQuery) throws -> String {
        let text = try sql(query)
        if case .select(let select) = query.body, select.from.isEmpty || (select.isGrouped && select.grouping.isEmpty) {
            return "(\(text))"
        }
        if case .literal("1") = query.limit?.node { return "(\(text))" }
        let name = query.columns.first.map { SQLiteName.quoted(column: $0.name) } ?? "1"
        // Two rows are enough to know; a query with a LIMIT of its own takes no second one.
        let bound = query.limit == nil && query.offset == nil ? " LIMIT 2" : ""
        return "(SELECT CASE WHEN count(*) > 1 THEN martlet_fail('21000', "
            + "'more than one row returned by a subquery used as an expression') ELSE max(\(name)) END "
            + "FROM (\(text)\(bound)))"
    }
}
