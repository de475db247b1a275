// SPDX-License-Identifier: Apache-2.0

/// UPDATE and DELETE of rows that a migration mends. They run as the tables' owner, without policies.
///
/// What the host would have to do beside the statement is refused: actions of foreign keys.
extension StatementTranslator {
    /// The row's alias in SQLite's statement: bare names inside a subquery could mean its own tables' columns.
    private static let row = "_row"

    func update(_ node: ParseNode) throws {
        try node.allow("relation", "targetList", "whereClause")
        let target = node.bare("relation", as: "RangeVar")
        let table = try writable(target, .update)
        let scope = Self.scope(of: table, target)
        let analyzer = Analyzer(names: names)
        var assignments: [String] = []
        for item in node.list("targetList") {
            try item.allow("name", "val")
            let name = item.string("name") ?? ""
            guard let column = table.column(name) else {
                throw TranslationFault(
                    "column \"\(name)\" of relation \"\(table.name.name)\" does not exist", at: item.location,
                    sqlState: "42703")
            }
            guard column.generatedExpression == nil, column.identity != .always else {
                throw TranslationFault(
                    "column \"\(name)\" can only be updated to DEFAULT", at: item.location, sqlState: "428C9")
            }
            let isFollowed = references(to: table).contains { key in
                key.targetColumns.contains(name) && key.onUpdate != .noAction && key.onUpdate != .restrict
            }
            guard !isFollowed else {
                throw TranslationFault(
                    "an UPDATE of \"\(name)\", which foreign keys follow, is not translated", at: item.location)
            }
            let value: TypedExpression
            if item.node("val")?.kind == "SetToDefault" {
                value =
                    try column.defaultExpression.map {
                        try analyzer.expression(try SQLParser.expression($0), in: Scope())
                    } ?? TypedExpression(.literal(nil), type: column.type, at: item.location)
            } else {
                value = try analyzer.expression(item.node("val"), in: scope)
            }
            let converted = try analyzer.coercion.coerce(value, to: column.type, .assignment)
            assignments.append("\(SQLiteName.quoted(column: name)) = \(try writer.sql(converted))")
        }
        emit(
            "UPDATE \(SQLiteName.quoted(table.name)) AS \(Self.row) SET \(assignments.joined(separator: ", "))"
                + (try condition(node, analyzer, scope)))
    }

    func delete(_ node: ParseNode) throws {
        try node.allow("relation", "whereClause")
        let target = node.bare("relation", as: "RangeVar")
        let table = try writable(target, .delete)
        guard references(to: table).allSatisfy({ $0.onDelete == .noAction || $0.onDelete == .restrict }) else {
            throw TranslationFault(
                "a DELETE that foreign keys follow is not translated in a migration", at: node.location)
        }
        let analyzer = Analyzer(names: names)
        emit(
            "DELETE FROM \(SQLiteName.quoted(table.name)) AS \(Self.row)"
                + (try condition(node, analyzer, Self.scope(of: table, target))))
    }

    private var writer: SQLiteWriter { ownerWriter(.migration) }

    /// Writes for the owner: tables without policies, once it is known that the owner may read them.
    func ownerWriter(_ place: SQLiteWriter.Place) -> SQLiteWriter {
        SQLiteWriter(enums: catalog.enums, role: Self.owner, place: place) { name, alias, use in
            guard let relation = self.catalog.relations[name] else {
                throw TranslationFault("relation \"\(name.name)\" does not exist", sqlState: "42P01")
            }
            guard relation.kind == .table else {
                throw TranslationFault("a view inside a change of rows is not translated in a migration")
            }
            guard
                AccessCompiler(catalog: self.catalog, role: Self.owner).allows(
                    .select, on: relation, columns: use.columns.sorted())
            else { throw TranslationFault("permission denied for table \(name.name)", sqlState: "42501") }
            return "\(SQLiteName.quoted(name)) AS \(SQLiteName.quoted(raw: alias))"
        }
    }

    private static func scope(of table: Relation, _ target: ParseNode?) -> Scope {
        let scope = Scope.row(of: table, alias: row)
        if let alias = target?.bare("alias", as: "Alias")?.string("aliasname") { scope.sources[0].name = alias }
        return scope
    }

    private func condition(_ node: ParseNode, _ analyzer: Analyzer, _ scope: Scope) throws -> String {
        guard let test = node.node("whereClause") else { return "" }
        return " WHERE \(try writer.sql(try analyzer.condition(test, in: scope)))"
    }

    private func references(to table: Relation) -> [ForeignKey] {
        catalog.relations.values.flatMap { $0.foreignKeys.filter { $0.target == table.name } }
    }
}
