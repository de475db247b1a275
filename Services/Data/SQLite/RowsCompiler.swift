// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// Compiles row sets to statements of SQLite with the caller's policies in them, and asks for the privileges.
struct RowsCompiler {
    let access: RowAccess

    /// Where the rows of a set come from.
    enum Source {
        case relation
        /// The target of a relationship; the parent's key columns are given per run.
        case joined(Relationship)
        /// One row that a write is about to make or has in hand, given per run, in the order of the columns.
        case image
    }

    func compile(_ rows: RowSet, from source: Source = .relation) throws -> CompiledRows {
        let relation = try relation(rows.relation)
        try access.require(.select, on: relation, columns: Self.columns(of: rows, source))
        var expressions = RowExpressions(access: access)
        let alias = expressions.makeAlias()
        var slots: [Int] = []
        let (from, join) = try item(source, relation, alias, &expressions, &slots)
        var conditions = join
        if case .image = source {
        } else {
            conditions += try policies(of: relation, alias)
        }
        if let own = try condition(of: rows, alias, &expressions) { conditions.append(own) }
        let (list, members, sortColumns) = try selection(rows, alias, sorts: source.isImage, &expressions)
        var sql = "SELECT \(list.isEmpty ? "1" : list.joined(separator: ", ")) FROM \(from)"
        if !conditions.isEmpty { sql += " WHERE \(conditions.joined(separator: " AND "))" }
        if !source.isImage { sql += try orderAndWindow(rows, isRoot: source.isRoot, alias, &expressions) }
        return CompiledRows(
            sql: sql, bound: expressions.parameters, slots: slots, members: members, sortColumns: sortColumns)
    }

    /// How many rows match, without limit and offset.
    func total(_ rows: RowSet) throws -> (sql: String, parameters: Parameters) {
        var expressions = RowExpressions(access: access)
        let relation = try relation(rows.relation)
        let alias = expressions.makeAlias()
        var conditions = try policies(of: relation, alias)
        if let own = try condition(of: rows, alias, &expressions) { conditions.append(own) }
        var sql = "SELECT count(*) FROM \(try access.schema.source(relation, alias: alias, role: access.role))"
        if !conditions.isEmpty { sql += " WHERE \(conditions.joined(separator: " AND "))" }
        return (sql, expressions.parameters)
    }

    func relation(_ name: QualifiedName) throws(DatabaseError) -> Relation {
        guard let relation = access.catalog.relations[name] else {
            throw DatabaseError(sqlState: "42P01", message: "relation \"\(name.name)\" does not exist")
        }
        return relation
    }

    // MARK: Sources

    private func item(
        _ source: Source, _ relation: Relation, _ alias: String, _ expressions: inout RowExpressions,
        _ slots: inout [Int]
    ) throws -> (from: String, conditions: [String]) {
        switch source {
        case .relation: return (try access.schema.source(relation, alias: alias, role: access.role), [])
        case .image: return (Self.image(of: relation, alias, &expressions, &slots), [])
        case .joined(let relationship):
            let target = try access.schema.source(relation, alias: alias, role: access.role)
            switch relationship.join {
            case .direct(let pairs):
                return (target, pairs.map { Self.given($0.right, alias, &expressions, &slots) })
            case .through(let name, let sourcePairs, let targetPairs):
                let junction = try self.relation(name)
                try access.require(
                    .select, on: junction, columns: sourcePairs.map(\.right) + targetPairs.map(\.left))
                let middle = expressions.makeAlias()
                let conditions =
                    sourcePairs.map { Self.given($0.right, middle, &expressions, &slots) }
                    + Self.equal(targetPairs, middle, alias)
                return (
                    "\(target), \(try access.schema.source(junction, alias: middle, role: access.role))",
                    conditions + (try policies(of: junction, middle))
                )
            }
        }
    }

    private static func given(
        _ column: String, _ alias: String, _ expressions: inout RowExpressions, _ slots: inout [Int]
    ) -> String {
        slots.append(expressions.parameters.count)
        return "\(SQLiteName.quoted(column: column, of: alias)) = \(expressions.bind(.null))"
    }

    /// A FROM item with one row: the values that the caller gives, under the names of the columns.
    static func image(
        of relation: Relation, _ alias: String, _ expressions: inout RowExpressions, _ slots: inout [Int]
    ) -> String {
        var list: [String] = []
        for column in relation.columns {
            slots.append(expressions.parameters.count)
            // Columns of decimal texts compare by value wherever they stand.
            let isDecimal = column.type.base == .numeric && !column.type.isArray && column.type.storedScale == nil
            list.append(
                "\(expressions.bind(.null))\(isDecimal ? " COLLATE martlet_numeric" : "") AS "
                    + SQLiteName.quoted(column: column.name))
        }
        return "(SELECT \(list.joined(separator: ", "))) AS \(SQLiteName.quoted(raw: alias))"
    }

    private static func equal(_ pairs: [Relationship.ColumnPair], _ left: String, _ right: String) -> [String] {
        pairs.map {
            "\(SQLiteName.quoted(column: $0.left, of: left)) = \(SQLiteName.quoted(column: $0.right, of: right))"
        }
    }

    private func policies(of relation: Relation, _ alias: String) throws -> [String] {
        switch try access.using(.select, on: relation, alias: alias) {
        case .always: []
        case .never: ["0"]
        case .expression(let sql): [sql]
        }
    }

    // MARK: Members

    private func selection(
        _ rows: RowSet, _ alias: String, sorts: Bool, _ expressions: inout RowExpressions
    ) throws -> (list: [String], members: [CompiledRows.Member], sortColumns: [Int]) {
        var list: [String] = []
        var members: [CompiledRows.Member] = []
        func add(_ key: String, _ cell: CompiledRows.Cell) {
            var prefix: [UInt8] = []
            JSONText.appendString(key, to: &prefix)
            prefix.append(UInt8(ascii: ":"))
            members.append(CompiledRows.Member(prefix: prefix, cell: cell))
        }
        for item in rows.items {
            switch item {
            case .column(let column):
                let (sql, type) = try shown(column, of: rows.relation, alias, &expressions)
                add(column.key, .value(column: list.count, type))
                list.append(sql)
            case .rowCount(let key):
                add(key, .value(column: list.count, ColumnType(base: .int8, display: "bigint")))
                list.append("count(*)")
            case .embed(let embed):
                let inner = try compile(embed.rows, from: .joined(embed.relationship))
                guard !embed.isHidden else {
                    // It is made for its refusals alone, which are not made again with other values.
                    expressions.forbidReuse()
                    continue
                }
                let columns = embed.relationship.parentColumns
                let positions = columns.indices.map { list.count + $0 }
                list += columns.map { SQLiteName.quoted(column: $0, of: alias) }
                add(
                    embed.key,
                    .embed(inner, isToOne: embed.relationship.isToOne, parentColumns: positions))
            }
        }
        var sortColumns: [Int] = []
        if sorts {
            for term in rows.order {
                sortColumns.append(list.count)
                list.append(try sortKey(term, rows, alias, &expressions))
            }
        }
        return (list, members, sortColumns)
    }

    private func shown(
        _ column: SelectedColumn, of name: QualifiedName, _ alias: String, _ expressions: inout RowExpressions
    ) throws -> (sql: String, type: ColumnType) {
        guard let cast = column.cast else {
            return (expressions.field(column.field, alias), column.field.comparedType)
        }
        guard let type = CastTarget.type(named: cast, in: access.catalog) else {
            throw RowError("42704", "type \"\(cast)\" does not exist")
        }
        let text = "CAST(\(PostgresStatement().expression(column.field, nil)) AS \(cast))"
        return (try access.schema.expression(text, on: try relation(name), alias: alias), type)
    }

    // MARK: Order and conditions

    private func orderAndWindow(
        _ rows: RowSet, isRoot: Bool, _ alias: String, _ expressions: inout RowExpressions
    ) throws -> String {
        var terms: [String] = []
        for term in rows.order {
            terms.append(
                try sortKey(term, rows, alias, &expressions)
                    + "\(term.isDescending ? " DESC" : "") NULLS \(term.nullsFirst ? "FIRST" : "LAST")")
        }
        var sql = terms.isEmpty ? "" : " ORDER BY \(terms.joined(separator: ", "))"
        if rows.limit != nil || rows.offset > 0 {
            sql += " LIMIT \(expressions.bind(.integer(rows.limit ?? -1), from: isRoot ? .limit : .fixed))"
        }
        if rows.offset > 0 {
            sql += " OFFSET \(expressions.bind(.integer(rows.offset), from: isRoot ? .offset : .fixed))"
        }
        return sql
    }

    private func sortKey(
        _ term: OrderTerm, _ rows: RowSet, _ alias: String, _ expressions: inout RowExpressions
    ) throws -> String {
        guard let position = term.embedItem, case .embed(let embed) = rows.items[position] else {
            return try expressions.sortKey(term.field, alias)
        }
        let inner = expressions.makeAlias()
        let (from, conditions) = try target(embed, parent: alias, inner, &expressions)
        let key = try expressions.sortKey(term.field, inner)
        return "(SELECT \(key) FROM \(from) WHERE \(conditions.joined(separator: " AND ")) LIMIT 1)"
    }

    /// What an embed's rows are, for EXISTS and for orders by its columns.
    private func target(
        _ embed: Embed, parent: String, _ alias: String, _ expressions: inout RowExpressions
    ) throws -> (from: String, conditions: [String]) {
        let relation = try relation(embed.relationship.target)
        let source = try access.schema.source(relation, alias: alias, role: access.role)
        var from = source
        var conditions: [String]
        switch embed.relationship.join {
        case .direct(let pairs): conditions = Self.equal(pairs, parent, alias)
        case .through(let name, let sourcePairs, let targetPairs):
            let junction = try self.relation(name)
            let middle = expressions.makeAlias()
            from += ", \(try access.schema.source(junction, alias: middle, role: access.role))"
            conditions =
                Self.equal(sourcePairs, parent, middle) + Self.equal(targetPairs, middle, alias)
                + (try policies(of: junction, middle))
        }
        conditions += try policies(of: relation, alias)
        if let own = try condition(of: embed.rows, alias, &expressions) { conditions.append(own) }
        return (from, conditions)
    }

    private func condition(
        of rows: RowSet, _ alias: String, _ expressions: inout RowExpressions
    ) throws -> String? {
        var conditions: [String] = []
        if let filter = rows.filter { conditions.append(try condition(filter, rows.items, alias, &expressions)) }
        for case .embed(let embed) in rows.items where embed.isInner {
            conditions.append(try exists(embed, alias, &expressions))
        }
        return conditions.isEmpty ? nil : RowExpressions.joined(conditions, "AND")
    }

    private func exists(_ embed: Embed, _ parent: String, _ expressions: inout RowExpressions) throws -> String {
        let alias = expressions.makeAlias()
        let (from, conditions) = try target(embed, parent: parent, alias, &expressions)
        return "EXISTS (SELECT 1 FROM \(from) WHERE \(conditions.joined(separator: " AND ")))"
    }

    func condition(
        _ tree: LogicTree, _ items: [SelectItem], _ alias: String, _ expressions: inout RowExpressions
    ) throws -> String {
        switch tree {
        case .and(let trees), .or(let trees):
            var parts: [String] = []
            for tree in trees { parts.append(try condition(tree, items, alias, &expressions)) }
            if case .and = tree { return RowExpressions.joined(parts, "AND") }
            return RowExpressions.joined(parts, "OR")
        case .not(let tree): return "(NOT \(try condition(tree, items, alias, &expressions)))"
        case .filter(let filter):
            let comparison = try expressions.comparison(filter, alias)
            return filter.isNegated ? "(NOT \(comparison))" : comparison
        case .hasEmbedded(let item):
            guard items.indices.contains(item), case .embed(let embed) = items[item] else { return "0" }
            return try exists(embed, alias, &expressions)
        }
    }

    // MARK: Privileges

    /// Columns of the relation that a row set reads.
    private static func columns(of rows: RowSet, _ source: Source) -> [String] {
        var names: Set<String> = []
        for item in rows.items {
            switch item {
            case .column(let column): names.insert(column.field.column)
            case .embed(let embed): names.formUnion(embed.relationship.parentColumns)
            case .rowCount: break
            }
        }
        if let filter = rows.filter { names.formUnion(filter.columns) }
        for term in rows.order where term.embedItem == nil { names.insert(term.field.column) }
        if case .joined(let relationship) = source {
            switch relationship.join {
            case .direct(let pairs), .through(_, _, let pairs): names.formUnion(pairs.map(\.right))
            }
        }
        return names.sorted()
    }
}

extension RowsCompiler.Source {
    fileprivate var isImage: Bool { if case .image = self { true } else { false } }
    fileprivate var isRoot: Bool { if case .relation = self { true } else { false } }
}

extension Relationship {
    /// Columns of the source that find the target.
    var parentColumns: [String] {
        switch join {
        case .direct(let pairs), .through(_, let pairs, _): pairs.map(\.left)
        }
    }
}

extension LogicTree {
    /// Columns that the tree compares.
    var columns: Set<String> {
        switch self {
        case .and(let trees), .or(let trees): trees.reduce(into: []) { $0.formUnion($1.columns) }
        case .not(let tree): tree.columns
        case .filter(let filter): [filter.field.column]
        case .hasEmbedded: []
        }
    }
}
