// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    /// `INSERT INTO … VALUES`: the rows of a seed.
    func insert(_ node: ParseNode) throws {
        try node.allow("relation", "cols", "selectStmt", "onConflictClause", "override")
        let table = try writable(node.bare("relation", as: "RangeVar"), .insert)
        guard let select = node.node("selectStmt") else {
            throw TranslationFault("INSERT … DEFAULT VALUES is not translated", at: node.location)
        }
        guard !select.list("valuesLists").isEmpty else {
            throw TranslationFault("INSERT … SELECT in a migration is not translated to SQLite yet", at: node.location)
        }
        try select.allow("valuesLists", "limitOption", "op")
        var columns: [String] = []
        for target in node.list("cols") {
            try target.allow("name")
            let name = target.string("name") ?? ""
            guard table.column(name) != nil else {
                throw TranslationFault(
                    "column \"\(name)\" of relation \"\(table.name.name)\" does not exist", at: target.location,
                    sqlState: "42703")
            }
            guard !columns.contains(name) else {
                throw TranslationFault(
                    "column \"\(name)\" specified more than once", at: target.location, sqlState: "42701")
            }
            columns.append(name)
        }
        let isWhole = columns.isEmpty
        if isWhole { columns = table.columns.map(\.name) }
        let lists = select.list("valuesLists").map(\.items)
        let width = lists[0].count
        guard lists.allSatisfy({ $0.count == width }) else {
            throw TranslationFault("VALUES lists must all be the same length", at: node.location, sqlState: "42601")
        }
        guard width == columns.count || (isWhole && width < columns.count) else {
            let more =
                width > columns.count ? "more expressions than target columns" : "more target columns than expressions"
            throw TranslationFault("INSERT has \(more)", at: node.location, sqlState: "42601")
        }
        columns = Array(columns.prefix(width))
        var rows: [[TranslatedInsert.Value]] = []
        rows.reserveCapacity(lists.count)
        let analyzer = Analyzer(names: names)
        for list in lists { rows.append(try values(list, columns, of: table, analyzer)) }
        var insert = TranslatedInsert(relation: table.name, columns: columns, rows: rows)
        insert.overridesIdentity = node.string("override") == "OVERRIDING_SYSTEM_VALUE"
        guard node.string("override") != "OVERRIDING_USER_VALUE" else {
            throw TranslationFault("OVERRIDING USER VALUE is not translated", at: node.location)
        }
        if let clause = node.bare("onConflictClause", as: "OnConflictClause") {
            try conflict(clause, &insert, of: table)
        }
        pending.append(.insert(insert))
    }

    /// A table that migrations may write: their own, and those of the platform that grant it (`auth.users`).
    func writable(_ node: ParseNode?, _ privilege: Privileges.Set) throws(TranslationFault) -> Relation {
        guard let node else { throw TranslationFault("a relation's name is missing", sqlState: "42601") }
        let table = try names.relation(node)
        guard table.kind == .table else {
            throw TranslationFault("\"\(table.name.name)\" is not a table", at: node.location, sqlState: "42809")
        }
        guard AccessCompiler(catalog: catalog, role: Self.owner).allows(privilege, on: table, columns: nil) else {
            throw TranslationFault(
                "permission denied for table \(table.name.name)", at: node.location, sqlState: "42501")
        }
        return table
    }

    private func values(
        _ nodes: [ParseNode], _ columns: [String], of table: Relation, _ analyzer: Analyzer
    ) throws -> [TranslatedInsert.Value] {
        let writer = ownerWriter(.statement)
        var values: [TranslatedInsert.Value] = []
        for (node, name) in zip(nodes, columns) {
            guard let column = table.column(name) else { continue }
            if node.kind == "SetToDefault" {
                values.append(.columnDefault)
                continue
            }
            guard column.generatedExpression == nil else {
                throw TranslationFault(
                    "cannot insert a non-DEFAULT value into column \"\(name)\"", at: node.location, sqlState: "428C9")
            }
            let expression = try analyzer.coercion.coerce(
                try analyzer.expression(node, in: Scope()), to: column.type, .assignment)
            values.append(.expression(try writer.sql(expression)))
        }
        return values
    }

    private func conflict(_ clause: ParseNode, _ insert: inout TranslatedInsert, of table: Relation) throws {
        try clause.allow("action", "infer")
        guard clause.string("action") == "ONCONFLICT_NOTHING" else {
            throw TranslationFault("ON CONFLICT DO UPDATE in a migration is not translated", at: clause.location)
        }
        insert.ignoresConflicts = true
        guard let target = clause.bare("infer", as: "InferClause") else { return }
        try target.allow("indexElems", "conname")
        if let name = target.string("conname") {
            let keys = [table.primaryKey].compactMap(\.self) + table.uniques
            guard let key = keys.first(where: { $0.name == name }) else {
                throw TranslationFault(
                    "constraint \"\(name)\" for table \"\(table.name.name)\" does not exist", at: target.location,
                    sqlState: "42704")
            }
            insert.conflictColumns = key.columns
            return
        }
        for element in target.list("indexElems") {
            guard let name = element.string("name") else {
                throw TranslationFault("ON CONFLICT over an expression is not translated", at: target.location)
            }
            insert.conflictColumns.append(name)
        }
        guard table.hasKey(insert.conflictColumns) else {
            throw TranslationFault(
                "there is no unique or exclusion constraint matching the ON CONFLICT specification",
                at: target.location, sqlState: "42P10")
        }
    }
}
