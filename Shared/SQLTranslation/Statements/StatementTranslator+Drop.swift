// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    func drop(_ node: ParseNode) throws {
        try node.allow("objects", "removeType", "behavior", "missing_ok", "concurrent")
        let cascades = node.string("behavior") == "DROP_CASCADE"
        let isOptional = node.flag("missing_ok")
        for object in node.list("objects") {
            var parts = object.items.compactMap { $0.string("sval") }
            if object.kind == "String" { parts = [object.string("sval") ?? ""] }
            if object.kind == "TypeName" { parts = object.strings("names") }
            let drop = Drop(parts: parts, cascades: cascades, isOptional: isOptional, location: node.location)
            switch node.string("removeType") {
            case "OBJECT_TABLE": try dropRelation(drop, kind: .table)
            case "OBJECT_VIEW": try dropRelation(drop, kind: .view)
            case "OBJECT_TYPE": try dropType(drop)
            case "OBJECT_INDEX": try dropIndex(drop)
            case "OBJECT_POLICY": try dropPolicy(drop)
            case "OBJECT_SCHEMA": try dropSchema(drop)
            case "OBJECT_PUBLICATION":
                guard parts == [Platform.publication] || isOptional else {
                    throw TranslationFault("publication \"\(parts.last ?? "")\" does not exist", sqlState: "42704")
                }
                if parts == [Platform.publication] { catalog.publication = [] }
            // Nothing of the kind can exist here.
            case "OBJECT_FUNCTION" where isOptional, "OBJECT_TRIGGER" where isOptional,
                "OBJECT_SEQUENCE" where isOptional,
                "OBJECT_MATVIEW" where isOptional, "OBJECT_EXTENSION":
                continue
            default: throw TranslationFault("dropping this kind of object is not translated", at: node.location)
            }
        }
    }

    struct Drop {
        var parts: [String]
        var cascades: Bool
        var isOptional: Bool
        var location: Int?

        func missing(_ kind: String) -> TranslationFault {
            TranslationFault(
                "\(kind) \"\(parts.last ?? "")\" does not exist", at: location,
                sqlState: kind == "table" || kind == "view" ? "42P01" : "42704")
        }
    }

    private func dropRelation(_ drop: Drop, kind: Relation.Kind) throws {
        let name = try names.relationName(drop.parts, at: drop.location)
        guard let relation = catalog.relations[name] else {
            if drop.isOptional { return }
            throw drop.missing(kind.rawValue)
        }
        guard relation.kind == kind else {
            throw TranslationFault(
                "\"\(name.name)\" is not a \(kind.rawValue)", at: drop.location, sqlState: "42809")
        }
        if !isPlatform { try Self.requireOwn(relation, at: drop.location) }
        try remove(relation, cascades: drop.cascades, at: drop.location)
    }

    private static func dependency(of user: String, on object: String, at location: Int?) -> TranslationFault {
        TranslationFault("cannot drop \(object) because \(user) depends on it", at: location, sqlState: "2BP01")
    }

    /// Removes a relation, and with `cascades` what depends on it.
    private func remove(_ relation: Relation, cascades: Bool, at location: Int?) throws {
        for user in try dependents(on: nil, of: relation) {
            guard cascades else {
                throw Self.dependency(
                    of: user.description, on: "\(relation.kind.rawValue) \(relation.name.name)", at: location)
            }
            try removeDependent(user, at: location)
        }
        for other in catalog.relations.values.sorted(by: { $0.name < $1.name }) where other.name != relation.name {
            guard let key = other.foreignKeys.first(where: { $0.target == relation.name }) else { continue }
            guard cascades else {
                throw Self.dependency(
                    of: "constraint \(key.name) on table \(other.name.name)", on: "table \(relation.name.name)",
                    at: location)
            }
            var changed = other
            changed.foreignKeys.removeAll { $0.target == relation.name }
            catalog.relations[other.name] = changed
            try rebuild(from: other, TableChange(table: changed))
        }
        catalog.relations[relation.name] = nil
        catalog.publication.remove(relation.name)
        if relation.kind == .table { emit("DROP TABLE \(SQLiteName.quoted(relation.name))") }
    }

    private func removeDependent(_ user: Dependent, at location: Int?) throws {
        switch user {
        case .view(let name):
            if let view = catalog.relations[name] { try remove(view, cascades: true, at: location) }
        case .policy(let policy, let table):
            try change(table, at: location) { $0.policies.removeAll { $0.name == policy } }
        }
    }

    private func dropType(_ drop: Drop) throws(TranslationFault) {
        guard let type = names.enumeration(drop.parts) else {
            if drop.isOptional { return }
            throw drop.missing("type")
        }
        let user = catalog.relations.values.first { $0.columns.contains { $0.type.enumName == type.name } }
        if let user {
            throw TranslationFault(
                "cannot drop type \(type.name.name) because table \(user.name.name) depends on it", at: drop.location,
                sqlState: "2BP01")
        }
        catalog.enums[type.name] = nil
    }

    private func dropIndex(_ drop: Drop) throws {
        let schemas = drop.parts.count == 2 ? [drop.parts[0]] : searchPath
        let name = drop.parts.last ?? ""
        let found = catalog.relations.values.first { table in
            schemas.contains(table.name.schema) && table.indexes.contains { $0.name == name }
        }
        guard let table = found else {
            if drop.isOptional { return }
            throw drop.missing("index")
        }
        try change(table.name, at: drop.location) { $0.indexes.removeAll { $0.name == name } }
        emit("DROP INDEX IF EXISTS \(SQLiteName.quoted(QualifiedName(table.name.schema, name)))")
    }

    private func dropPolicy(_ drop: Drop) throws {
        let name = try names.relationName(Array(drop.parts.dropLast()), at: drop.location)
        let policy = drop.parts.last ?? ""
        guard let table = catalog.relations[name] else {
            if drop.isOptional { return }
            throw TranslationFault("relation \"\(name.name)\" does not exist", at: drop.location, sqlState: "42P01")
        }
        guard table.policies.contains(where: { $0.name == policy }) else {
            if drop.isOptional { return }
            throw Self.missingPolicy(policy, table, at: drop.location)
        }
        try change(name, at: drop.location) { $0.policies.removeAll { $0.name == policy } }
    }

    private func dropSchema(_ drop: Drop) throws {
        let schema = drop.parts.last ?? ""
        guard catalog.schemas.contains(schema) else {
            if drop.isOptional { return }
            throw drop.missing("schema")
        }
        guard schema != "public", !Platform.schemas.contains(schema) else {
            throw TranslationFault("schema \"\(schema)\" cannot be dropped", at: drop.location, sqlState: "42501")
        }
        for relation in catalog.relations.values.sorted(by: { $0.name < $1.name }) where relation.name.schema == schema
        {
            guard drop.cascades else {
                throw TranslationFault(
                    "cannot drop schema \(schema) because other objects depend on it", at: drop.location,
                    sqlState: "2BP01")
            }
            // An earlier removal may have taken it along.
            if let present = catalog.relations[relation.name] { try remove(present, cascades: true, at: drop.location) }
        }
        for name in catalog.enums.keys.filter({ $0.schema == schema }) {
            try dropType(Drop(parts: [schema, name.name], cascades: false, isOptional: false, location: drop.location))
        }
        catalog.schemas.removeAll { $0 == schema }
        catalog.schemaUsage[schema] = nil
        catalog.defaultPrivileges[schema] = nil
    }

    func dropColumn(_ change: inout TableChange, _ command: ParseNode) throws {
        let name = command.string("name") ?? ""
        let location = command.location
        guard change.table.column(name) != nil else {
            if command.flag("missing_ok") { return }
            throw TranslationFault(
                "column \"\(name)\" of relation \"\(change.table.name.name)\" does not exist", at: location,
                sqlState: "42703")
        }
        let cascades = command.string("behavior") == "DROP_CASCADE"
        for user in try dependents(on: name, of: change.table) {
            guard cascades else {
                throw Self.dependency(
                    of: user.description, on: "column \(name) of table \(change.table.name.name)", at: location)
            }
            if case .policy(let policy, change.table.name) = user {
                change.table.policies.removeAll { $0.name == policy }
            } else {
                try removeDependent(user, at: location)
            }
        }
        let before = change.table
        var table = before
        // Keys, checks and indexes over the column go with it.
        if table.primaryKey?.columns.contains(name) == true { table.primaryKey = nil }
        table.uniques.removeAll { $0.columns.contains(name) }
        table.foreignKeys.removeAll { $0.columns.contains(name) }
        table.checks = try table.checks.filter { try !mentions($0.expression, name, of: before) }
        table.indexes = try table.indexes.filter { index in
            let terms =
                index.terms.map { TableDefinition.direction(of: $0).text } + [index.predicate].compactMap(\.self)
            return try !terms.contains { try mentions($0, name, of: before) }
        }
        for column in table.columns where column.name != name {
            if let text = column.generatedExpression, try mentions(text, name, of: before) {
                throw TranslationFault(
                    "cannot drop column \(name) because column \(column.name) depends on it", at: location,
                    sqlState: "2BP01")
            }
        }
        table.columns.removeAll { $0.name == name }
        for role in table.grants.keys { table.grants[role]?.columns[name] = nil }
        change.values[name] = nil
        change.table = table
        change.needsRebuild = true
        guard !table.columns.isEmpty else {
            throw TranslationFault("a table without columns is not translated", at: location)
        }
        try dropBrokenReferences(to: table, cascades: cascades, at: location) { change.table = $0 }
    }
}
