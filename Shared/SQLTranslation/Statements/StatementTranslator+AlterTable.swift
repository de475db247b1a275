// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    /// ALTER TABLE: what SQLite can do in place is done so, the rest by one rebuild for all its commands.
    func alterTable(_ node: ParseNode) throws {
        try node.allow("relation", "cmds", "objtype", "missing_ok")
        guard let target = node.bare("relation", as: "RangeVar") else { return }
        if node.flag("missing_ok"), try catalog.relations[names.relationName(target)] == nil { return }
        let old = try relation(target, kind: node.string("objtype") == "OBJECT_VIEW" ? .view : nil)
        var change = TableChange(table: old)
        for command in node.list("cmds") { try alter(&change, command) }
        catalog.relations[old.name] = change.table
        if change.needsRebuild { try rebuild(from: old, change) } else { change.additions.forEach(emit) }
    }

    private func alter(_ change: inout TableChange, _ command: ParseNode) throws {
        try command.allow("subtype", "name", "def", "behavior", "missing_ok", "newowner")
        let location = command.location
        switch command.string("subtype") {
        case "AT_EnableRowSecurity": change.table.rowSecurity = true
        case "AT_DisableRowSecurity": change.table.rowSecurity = false
        case "AT_ForceRowSecurity": change.table.forcesRowSecurity = true
        case "AT_NoForceRowSecurity": change.table.forcesRowSecurity = false
        case "AT_ReplicaIdentity":
            let kind = command.node("def")?.string("identity_type") ?? "d"
            guard kind == "f" || kind == "d" else {
                throw TranslationFault("only REPLICA IDENTITY FULL and DEFAULT are translated", at: location)
            }
            change.table.replicatesOldRow = kind == "f"
        case "AT_ChangeOwner":
            guard let owner = command.bare("newowner", as: "RoleSpec"), try role(owner) == Self.owner else {
                throw TranslationFault("another owner than postgres is not translated", at: location)
            }
        case "AT_SetRelOptions" where change.table.kind == .view:
            for option in command.node("def")?.items ?? [] { try set(option, of: &change.table) }
        case "AT_SetRelOptions", "AT_ResetRelOptions", "AT_SetStatistics", "AT_SetStorage", "AT_ClusterOn": return
        case _ where change.table.kind == .view:
            throw TranslationFault("this change of a view is not translated", at: location)
        case "AT_AddColumn": try addColumn(&change, command)
        case "AT_DropColumn": try dropColumn(&change, command)
        case "AT_AlterColumnType": try changeType(&change, command)
        case "AT_ColumnDefault":
            let index = try columnIndex(command, in: change.table)
            guard let value = command.node("def") else {
                change.table.columns[index].defaultExpression = nil
                return
            }
            try setDefault(value, of: index, in: &change.table)
        case "AT_SetNotNull":
            let index = try columnIndex(command, in: change.table)
            guard !change.table.columns[index].notNull else { return }
            change.table.columns[index].notNull = true
            change.needsRebuild = true
        case "AT_DropNotNull":
            let index = try columnIndex(command, in: change.table)
            let name = change.table.columns[index].name
            guard change.table.primaryKey?.columns.contains(name) != true else {
                throw TranslationFault("column \"\(name)\" is in a primary key", at: location, sqlState: "42P16")
            }
            change.table.columns[index].notNull = false
            change.needsRebuild = true
        case "AT_AddIdentity":
            let index = try columnIndex(command, in: change.table)
            guard let identity = command.node("def") else { return }
            guard change.table.columns[index].notNull else {
                throw TranslationFault(
                    "column \"\(change.table.columns[index].name)\" must be declared NOT NULL before it gets an identity",
                    at: location, sqlState: "55000")
            }
            try add(identity, column: change.table.columns[index].name, to: &change.table)
        case "AT_DropIdentity": change.table.columns[try columnIndex(command, in: change.table)].identity = .none
        case "AT_AddConstraint": try addConstraint(&change, command)
        case "AT_DropConstraint": try dropConstraint(&change, command)
        // Constraints are always checked when they are added.
        case "AT_ValidateConstraint": return
        default:
            let name = ParseNode.words(String(command.string("subtype")?.dropFirst(3) ?? "this command"))
            throw TranslationFault("ALTER TABLE: \(name) is not translated", at: location)
        }
    }

    private func columnIndex(_ command: ParseNode, in table: Relation) throws(TranslationFault) -> Int {
        let name = command.string("name") ?? ""
        guard let index = table.columns.firstIndex(where: { $0.name == name }) else {
            throw TranslationFault(
                "column \"\(name)\" of relation \"\(table.name.name)\" does not exist", at: command.location,
                sqlState: "42703")
        }
        return index
    }

    private func addColumn(_ change: inout TableChange, _ command: ParseNode) throws {
        guard let definition = command.node("def") else { return }
        let name = definition.string("colname") ?? ""
        if command.flag("missing_ok"), change.table.column(name) != nil { return }
        let before = change.table
        change.table.columns.append(try column(definition, of: change.table))
        try columnConstraints(definition, &change.table)
        guard let added = change.table.column(name) else { return }
        change.values[name] =
            added.identity == .none ? try initialValue(of: added) : "row_number() OVER (ORDER BY rowid)"
        var bare = change.table
        bare.columns = before.columns
        let isPlain =
            bare == before && !added.notNull && added.defaultExpression == nil
            && added.generatedExpression == nil
        guard isPlain else {
            // A default must be in every old row, where change capture sees it (data-semantics 17).
            change.needsRebuild = true
            return
        }
        let definitionText = try TableDefinition(relation: change.table, texts: texts).column(added)
        change.additions.append("ALTER TABLE \(SQLiteName.quoted(before.name)) ADD COLUMN \(definitionText)")
    }

    /// The default as old rows get it: one moment for all of them, nobody as the caller.
    private func initialValue(of column: Column) throws -> String {
        guard let text = column.defaultExpression else { return "NULL" }
        let analyzer = Analyzer(names: names)
        let value = try analyzer.coercion.coerce(
            try analyzer.expression(try SQLParser.expression(text), in: Scope()), to: column.type, .assignment)
        return try SQLiteWriter(enums: catalog.enums, role: Self.owner, place: .migration).sql(value)
    }

    private func changeType(_ change: inout TableChange, _ command: ParseNode) throws {
        let index = try columnIndex(command, in: change.table)
        let old = change.table.columns[index]
        guard let definition = command.node("def"), let typeName = definition.bare("typeName", as: "TypeName") else {
            return
        }
        let type = try TypeResolver(names: names).type(typeName)
        if let user = try dependents(on: old.name, of: change.table).first {
            throw TranslationFault(
                "cannot alter type of a column used by \(user.description)", at: command.location, sqlState: "0A000")
        }
        guard change.values[old.name] == nil else {
            throw TranslationFault("one change of a column's type in a statement", at: command.location)
        }
        let analyzer = Analyzer(names: names)
        let scope = Scope.row(of: change.table, alias: "")
        var value = TypedExpression(.column(name: old.name, alias: ""), type: old.type, at: command.location)
        if let using = definition.node("raw_default") {
            value = try analyzer.expression(using, in: scope)
            guard !value.hasSubquery else {
                throw TranslationFault(
                    "cannot use subquery in transform expression", at: using.location, sqlState: "0A000")
            }
        }
        value = try analyzer.coercion.coerce(value, to: type, .assignment)
        change.values[old.name] = try SQLiteWriter(enums: catalog.enums, role: Self.owner, place: .migration).sql(value)
        change.table.columns[index].type = type
        if let text = old.defaultExpression {
            // A default that the new type does not take is an error, as in PostgreSQL.
            _ = try StoredText.withoutPlace { try texts.read(try SQLParser.expression(text), on: nil, as: type) }
        }
        change.needsRebuild = true
    }

    private func addConstraint(_ change: inout TableChange, _ command: ParseNode) throws {
        guard let definition = command.node("def") else { return }
        guard !definition.has("indexname") else {
            throw TranslationFault("a constraint USING INDEX is not translated", at: command.location)
        }
        try add(definition, column: nil, to: &change.table)
        change.needsRebuild = true
    }

    private func dropConstraint(_ change: inout TableChange, _ command: ParseNode) throws {
        let name = command.string("name") ?? ""
        guard change.table.constraintNames.contains(name) else {
            if command.flag("missing_ok") { return }
            throw TranslationFault(
                "constraint \"\(name)\" of relation \"\(change.table.name.name)\" does not exist", at: command.location,
                sqlState: "42704")
        }
        var table = change.table
        if table.primaryKey?.name == name { table.primaryKey = nil }
        table.uniques.removeAll { $0.name == name }
        table.checks.removeAll { $0.name == name }
        table.foreignKeys.removeAll { $0.name == name }
        change.table = table
        change.needsRebuild = true
        try dropBrokenReferences(
            to: table, cascades: command.string("behavior") == "DROP_CASCADE", at: command.location
        ) {
            change.table = $0
        }
    }

    /// Foreign keys whose target is no longer a key: dropped with CASCADE, else the statement is refused.
    func dropBrokenReferences(
        to table: Relation, cascades: Bool, at location: Int?, own: (Relation) -> Void
    ) throws(TranslationFault) {
        for var other in catalog.relations.values.sorted(by: { $0.name < $1.name }) {
            if other.name == table.name { other = table }
            let broken = other.foreignKeys.filter { $0.target == table.name && !table.hasKey($0.targetColumns) }
            guard let first = broken.first else { continue }
            guard cascades else {
                throw TranslationFault(
                    "constraint \(first.name) on table \(other.name.name) depends on it", at: location,
                    sqlState: "2BP01")
            }
            var changed = other
            changed.foreignKeys.removeAll { key in broken.contains { $0.name == key.name } }
            if other.name == table.name {
                own(changed)
            } else {
                catalog.relations[other.name] = changed
                do { try rebuild(from: other, TableChange(table: changed)) } catch let fault as TranslationFault {
                    throw fault
                } catch { throw TranslationFault("\(error)") }
            }
        }
    }

    /// Copies the rows into a table of the new shape, which takes the old one's place.
    ///
    /// A table that others refer to is copied twice: dropping it counts each reference as broken until COMMIT, and only
    /// rows that are inserted under its own name mend them (sqlite.org/foreignkeys.html, section 5). So it works with
    /// foreign keys on, which cannot be switched off inside a transaction.
    func rebuild(from old: Relation, _ change: TableChange) throws {
        let table = change.table
        let definition = TableDefinition(relation: table, texts: texts)
        let copy = "martlet_rebuild"
        var targets: [String] = []
        var values: [String] = []
        for column in table.columns where column.generatedExpression == nil {
            guard
                let value = change.values[column.name]
                    ?? (old.column(column.name) != nil
                        ? SQLiteName.quoted(column: column.name) : nil)
            else { continue }
            targets.append(SQLiteName.quoted(column: column.name))
            values.append(value)
        }
        let list = targets.joined(separator: ", ")
        let quoted = SQLiteName.quoted(old.name)
        let isReferenced = catalog.relations.values.contains { other in
            other.foreignKeys.contains { $0.target == old.name }
        }
        if isReferenced {
            emit("CREATE TABLE \(copy) AS SELECT * FROM \(quoted)")
            emit("DROP TABLE \(quoted)")
            emit(try definition.create())
            emit(
                "INSERT INTO \(SQLiteName.quoted(table.name)) (\(list)) SELECT \(values.joined(separator: ", ")) FROM \(copy)"
            )
            emit("DROP TABLE \(copy)")
        } else {
            emit(try definition.create(as: copy))
            emit("INSERT INTO \(copy) (\(list)) SELECT \(values.joined(separator: ", ")) FROM \(quoted)")
            emit("DROP TABLE \(quoted)")
            emit("ALTER TABLE \(copy) RENAME TO \(SQLiteName.quoted(table.name))")
        }
        for index in table.indexes {
            if let sql = try definition.create(index) { emit(sql) }
        }
    }
}
