// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    func rename(_ node: ParseNode) throws {
        try node.allow(
            "renameType", "relationType", "relation", "object", "subname", "newname", "behavior", "missing_ok")
        let location = node.location
        let newName = node.string("newname") ?? ""
        guard let target = node.bare("relation", as: "RangeVar") else {
            throw TranslationFault("renaming this kind of object is not translated", at: location)
        }
        if node.string("renameType") == "OBJECT_INDEX" {
            try renameIndex(target, to: newName)
            return
        }
        if node.flag("missing_ok"), try catalog.relations[names.relationName(target)] == nil { return }
        let relation = try relation(target)
        switch node.string("renameType") {
        case "OBJECT_TABLE", "OBJECT_VIEW": try rename(relation, to: newName, at: location)
        case "OBJECT_COLUMN": try renameColumn(node.string("subname") ?? "", to: newName, of: relation, at: location)
        case "OBJECT_TABCONSTRAINT":
            try renameConstraint(node.string("subname") ?? "", to: newName, of: relation, at: location)
        case "OBJECT_POLICY":
            let name = node.string("subname") ?? ""
            guard let index = relation.policies.firstIndex(where: { $0.name == name }) else {
                throw Self.missingPolicy(name, relation, at: location)
            }
            try change(relation.name, at: location) { $0.policies[index].name = newName }
        default: throw TranslationFault("renaming this kind of object is not translated", at: location)
        }
    }

    private func renameIndex(_ target: ParseNode, to newName: String) throws {
        let name = target.string("relname") ?? ""
        let schemas = target.string("schemaname").map { [$0] } ?? searchPath
        let found = catalog.relations.values.first { table in
            schemas.contains(table.name.schema) && table.indexes.contains { $0.name == name }
        }
        guard var table = found, let position = table.indexes.firstIndex(where: { $0.name == name }) else {
            throw NameResolver.missingRelation(target)
        }
        if !isPlatform { try Self.requireOwn(table, at: target.location) }
        guard !isRelationName(QualifiedName(table.name.schema, newName)) else {
            throw TranslationFault("relation \"\(newName)\" already exists", at: target.location, sqlState: "42P07")
        }
        table.indexes[position].name = newName
        catalog.relations[table.name] = table
        emit("DROP INDEX IF EXISTS \(SQLiteName.quoted(QualifiedName(table.name.schema, name)))")
        if let sql = try TableDefinition(relation: table, texts: texts).create(table.indexes[position]) { emit(sql) }
    }

    private func rename(_ relation: Relation, to newName: String, at location: Int?) throws {
        let name = QualifiedName(relation.name.schema, newName)
        guard !isRelationName(name) else {
            throw TranslationFault("relation \"\(newName)\" already exists", at: location, sqlState: "42P07")
        }
        let rewriter = TextRewriter(names: names, relation: relation.name, newRelation: name)
        var renamed: [QualifiedName: Relation] = [:]
        for other in catalog.relations.values {
            var copy = try rewriter.rewrite(other)
            for index in copy.foreignKeys.indices where copy.foreignKeys[index].target == relation.name {
                copy.foreignKeys[index].target = name
            }
            if other.name == relation.name { copy.name = name }
            renamed[copy.name] = copy
        }
        catalog.relations = renamed
        if catalog.publication.remove(relation.name) != nil { catalog.publication.insert(name) }
        if relation.kind == .table {
            emit("ALTER TABLE \(SQLiteName.quoted(relation.name)) RENAME TO \(SQLiteName.quoted(name))")
        }
    }

    private func renameColumn(_ old: String, to new: String, of relation: Relation, at location: Int?) throws {
        guard relation.column(old) != nil else {
            throw TranslationFault("column \"\(old)\" does not exist", at: location, sqlState: "42703")
        }
        guard relation.column(new) == nil else {
            throw TranslationFault(
                "column \"\(new)\" of relation \"\(relation.name.name)\" already exists", at: location,
                sqlState: "42701")
        }
        guard relation.kind == .table else {
            throw TranslationFault("renaming a view's column is not translated", at: location)
        }
        let rewriter = TextRewriter(names: names, relation: relation.name, column: old, newColumn: new)
        for other in catalog.relations.values {
            var copy = try rewriter.rewrite(other)
            if other.name == relation.name { copy.renameColumn(old, to: new) }
            for index in copy.foreignKeys.indices where copy.foreignKeys[index].target == relation.name {
                copy.foreignKeys[index].targetColumns = copy.foreignKeys[index].targetColumns.map {
                    $0 == old ? new : $0
                }
            }
            catalog.relations[other.name] = copy
        }
        // JOIN … USING names a column without a place to rewrite: what no longer reads is refused.
        for other in catalog.relations.values { try verify(other, at: location) }
        emit(
            "ALTER TABLE \(SQLiteName.quoted(relation.name)) RENAME COLUMN \(SQLiteName.quoted(column: old)) TO "
                + SQLiteName.quoted(column: new))
    }

    private func verify(_ relation: Relation, at location: Int?) throws {
        do {
            if let text = relation.viewQuery { _ = try texts.query(try SQLParser.query(text)) }
            for policy in relation.policies {
                for text in [policy.using, policy.withCheck].compactMap(\.self) { _ = try log(of: text, on: relation) }
            }
        } catch {
            throw TranslationFault(
                "\(relation.name.name) reads the column by JOIN … USING: rewrite it first", at: location)
        }
    }

    private func renameConstraint(_ old: String, to new: String, of relation: Relation, at location: Int?) throws {
        guard relation.constraintNames.contains(old) else {
            throw TranslationFault(
                "constraint \"\(old)\" for table \"\(relation.name.name)\" does not exist", at: location,
                sqlState: "42704")
        }
        guard !relation.constraintNames.contains(new) else {
            throw TranslationFault("constraint \"\(new)\" already exists", at: location, sqlState: "42710")
        }
        var table = relation
        if table.primaryKey?.name == old { table.primaryKey?.name = new }
        for index in table.uniques.indices where table.uniques[index].name == old { table.uniques[index].name = new }
        for index in table.checks.indices where table.checks[index].name == old { table.checks[index].name = new }
        for index in table.foreignKeys.indices where table.foreignKeys[index].name == old {
            table.foreignKeys[index].name = new
        }
        catalog.relations[table.name] = table
        try rebuild(from: relation, TableChange(table: table))
    }
}

extension Relation {
    fileprivate mutating func renameColumn(_ old: String, to new: String) {
        let renamed = { (name: String) in name == old ? new : name }
        for index in columns.indices where columns[index].name == old { columns[index].name = new }
        if let key = primaryKey { primaryKey?.columns = key.columns.map(renamed) }
        for index in uniques.indices { uniques[index].columns = uniques[index].columns.map(renamed) }
        for index in foreignKeys.indices { foreignKeys[index].columns = foreignKeys[index].columns.map(renamed) }
        for role in grants.keys {
            if let set = grants[role]?.columns.removeValue(forKey: old) { grants[role]?.columns[new] = set }
        }
    }
}

/// Rewrites stored texts after a rename, by what the names in them mean and not by how they look.
private struct TextRewriter {
    /// Resolves against the catalogue before the rename.
    let names: NameResolver
    let relation: QualifiedName
    var newRelation: QualifiedName?
    var column: String?
    var newColumn: String?

    func rewrite(_ owner: Relation) throws -> Relation {
        var result = owner
        for index in result.policies.indices {
            result.policies[index].using = try result.policies[index].using.map { try expression($0, of: owner) }
            result.policies[index].withCheck = try result.policies[index].withCheck.map {
                try expression($0, of: owner)
            }
        }
        if let text = owner.viewQuery { result.viewQuery = try query(text) }
        guard owner.name == relation else { return result }
        for index in result.checks.indices {
            result.checks[index].expression = try expression(result.checks[index].expression, of: owner)
        }
        for index in result.columns.indices {
            result.columns[index].generatedExpression = try result.columns[index].generatedExpression.map {
                try expression($0, of: owner)
            }
        }
        for index in result.indexes.indices {
            result.indexes[index].predicate = try result.indexes[index].predicate.map { try expression($0, of: owner) }
            result.indexes[index].terms = try result.indexes[index].terms.map { term in
                var core = Substring(term)
                for suffix in [" NULLS FIRST", " NULLS LAST", " DESC"] where core.hasSuffix(suffix) {
                    core = core.dropLast(suffix.count)
                }
                return try expression(String(core), of: owner) + term.dropFirst(core.count)
            }
        }
        return result
    }

    private func expression(_ text: String, of owner: Relation) throws -> String {
        let node = try SQLParser.expression(text)
        let log = try StoredText(names: names).read(node, on: owner).log
        return try deparser(log, ownRowName: owner.name == relation ? newRelation?.name : nil).expression(node)
    }

    private func query(_ text: String) throws -> String {
        let node = try SQLParser.query(text)
        return try deparser(try StoredText(names: names).query(node).log, ownRowName: nil).query(node)
    }

    private func deparser(_ log: ReferenceLog, ownRowName: String?) -> Deparser {
        var columnNames: [Int: String] = [:]
        if let column, let newColumn {
            for (location, reference) in log.columns where reference.relation == relation && reference.column == column
            {
                columnNames[location] = newColumn
            }
        }
        return Deparser(
            names: names, log: log, columnNames: columnNames,
            relationNames: newRelation.map { [relation: $0] } ?? [:], ownRowName: ownRowName)
    }
}
