// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    /// A view is kept as text and expanded when a plan is made, under the right role: SQLite never sees it
    /// (data-semantics 5).
    func createView(_ node: ParseNode) throws {
        try node.allow("view", "aliases", "query", "replace", "options", "withCheckOption")
        guard node.string("withCheckOption") ?? "NO_CHECK_OPTION" == "NO_CHECK_OPTION" else {
            throw TranslationFault("WITH CHECK OPTION is not translated", at: node.location)
        }
        guard let target = node.bare("view", as: "RangeVar"), let select = node.node("query") else {
            throw TranslationFault("a view without a query", at: node.location, sqlState: "42601")
        }
        let existing = try catalog.relations[names.relationName(target)]
        var view: Relation
        if node.flag("replace"), let existing {
            guard existing.kind == .view else {
                throw TranslationFault(
                    "\"\(existing.name.name)\" is not a view", at: target.location, sqlState: "42809")
            }
            if !isPlatform { try Self.requireOwn(existing, at: target.location) }
            view = existing
        } else {
            guard let name = try newRelationName(target, ifNotExists: false) else { return }
            view = Relation(name: name, kind: .view, grants: catalog.defaultPrivileges[name.schema] ?? [:])
        }
        view.securityInvoker = false
        for option in node.list("options") { try set(option, of: &view) }
        let reading = try texts.query(select)
        var columns = reading.query.columns
        for (index, alias) in node.strings("aliases").enumerated() where index < columns.count {
            columns[index].name = alias
        }
        guard Set(columns.map(\.name)).count == columns.count else {
            throw TranslationFault("a view's columns need different names", at: select.location, sqlState: "42701")
        }
        if let existing, existing.kind == .view {
            let kept = zip(existing.columns, columns).allSatisfy { $0.name == $1.name && $0.type == $1.type }
            guard kept, columns.count >= existing.columns.count else {
                throw TranslationFault(
                    "CREATE OR REPLACE VIEW cannot change names, types or number of the existing columns",
                    at: node.location, sqlState: "42P16")
            }
        }
        view.columns = columns.map { Column(name: $0.name, type: $0.type) }
        view.viewQuery = reading.text
        catalog.relations[view.name] = view
        // What cannot be written is refused now, not at the first read.
        _ = try AccessCompiler(catalog: catalog, role: Self.owner).rowSource(view, alias: "v")
    }

    /// One option of a view; `security_invoker` decides whose rights its tables are read with.
    func set(_ option: ParseNode, of view: inout Relation) throws {
        switch option.string("defname") {
        case "security_invoker":
            let argument = option.node("arg")
            let value: String
            if argument?.kind == "Integer" {
                value = String(argument?.integer("ival") ?? 0)
            } else {
                value = argument?.string("sval") ?? argument?.strings("names").last ?? "true"
            }
            view.securityInvoker = ["true", "on", "1", "yes"].contains(value.lowercased())
        // A barrier keeps a caller's function from seeing hidden rows early; ours cannot leak.
        case "security_barrier": return
        default:
            throw TranslationFault(
                "view option \"\(option.string("defname") ?? "")\" is not translated", at: option.location)
        }
    }

    // MARK: Types and schemas

    func createEnum(_ node: ParseNode) throws {
        try node.allow("typeName", "vals")
        let parts = node.strings("typeName")
        let schema = try parts.count == 2 ? parts[0] : names.creationSchema(at: node.location)
        let name = QualifiedName(schema, parts.last ?? "")
        guard catalog.schemas.contains(schema) else {
            throw TranslationFault("schema \"\(schema)\" does not exist", at: node.location, sqlState: "3F000")
        }
        guard catalog.enums[name] == nil, catalog.relations[name] == nil else {
            throw TranslationFault("type \"\(name.name)\" already exists", at: node.location, sqlState: "42710")
        }
        let labels = node.strings("vals")
        guard Set(labels).count == labels.count else {
            throw TranslationFault("an enum's labels must differ", at: node.location, sqlState: "22023")
        }
        catalog.enums[name] = EnumType(name: name, labels: labels)
    }

    func alterEnum(_ node: ParseNode) throws {
        try node.allow("typeName", "newVal", "newValNeighbor", "newValIsAfter", "skipIfNewValExists", "oldVal")
        let parts = node.strings("typeName")
        guard var type = names.enumeration(parts) else {
            throw TranslationFault(
                "type \"\(parts.joined(separator: "."))\" does not exist", at: node.location, sqlState: "42704")
        }
        let label = node.string("newVal") ?? ""
        guard !type.labels.contains(label) else {
            if node.flag("skipIfNewValExists") { return }
            throw TranslationFault("enum label \"\(label)\" already exists", at: node.location, sqlState: "42710")
        }
        if let old = node.string("oldVal") {
            guard let index = type.labels.firstIndex(of: old) else {
                throw TranslationFault("\"\(old)\" is not an existing enum label", at: node.location, sqlState: "22023")
            }
            guard !catalog.relations.values.contains(where: { $0.columns.contains { $0.type.enumName == type.name } })
            else {
                throw TranslationFault("renaming a label that a column may hold is not translated", at: node.location)
            }
            type.labels[index] = label
        } else if let neighbour = node.string("newValNeighbor") {
            guard let index = type.labels.firstIndex(of: neighbour) else {
                throw TranslationFault(
                    "\"\(neighbour)\" is not an existing enum label", at: node.location, sqlState: "22023")
            }
            type.labels.insert(label, at: node.flag("newValIsAfter") ? index + 1 : index)
        } else {
            type.labels.append(label)
        }
        catalog.enums[type.name] = type
    }

    func createSchema(_ node: ParseNode) throws {
        try node.allow("schemaname", "authrole", "if_not_exists")
        let name = node.string("schemaname") ?? ""
        guard !catalog.schemas.contains(name) else {
            if node.flag("if_not_exists") { return }
            throw TranslationFault("schema \"\(name)\" already exists", at: node.location, sqlState: "42P06")
        }
        guard !name.hasPrefix("pg_"), !name.hasPrefix("martlet") else {
            throw TranslationFault("schema name \"\(name)\" is reserved", at: node.location, sqlState: "42939")
        }
        catalog.schemas.append(name)
        catalog.schemaUsage[name] = []
    }

    func alterOwner(_ node: ParseNode) throws {
        try node.allow("objectType", "object", "newowner")
        // Of a schema's and the publication's owner nothing depends here: `postgres` makes everything.
        if ["OBJECT_SCHEMA", "OBJECT_PUBLICATION"].contains(node.string("objectType")) { return }
        guard let owner = node.bare("newowner", as: "RoleSpec"), try role(owner) == Self.owner else {
            throw TranslationFault("another owner than postgres is not translated", at: node.location)
        }
    }

    // MARK: Comments

    func comment(_ node: ParseNode) throws {
        try node.allow("objtype", "object", "comment")
        let text = node.string("comment").flatMap { $0.isEmpty ? nil : $0 }
        let parts = node.node("object")?.items.compactMap { $0.string("sval") } ?? []
        switch node.string("objtype") {
        case "OBJECT_TABLE", "OBJECT_VIEW":
            let name = try names.relationName(parts, at: node.location)
            try change(name, at: node.location) { $0.comment = text }
        case "OBJECT_COLUMN":
            let name = try names.relationName(Array(parts.dropLast()), at: node.location)
            let column = parts.last ?? ""
            try change(name, at: node.location) { relation throws(TranslationFault) in
                guard let index = relation.columns.firstIndex(where: { $0.name == column }) else {
                    throw TranslationFault(
                        "column \"\(column)\" of relation \"\(name.name)\" does not exist", at: node.location,
                        sqlState: "42703")
                }
                relation.columns[index].comment = text
            }
        // Shown nowhere here, and they change nothing.
        case "OBJECT_SCHEMA", "OBJECT_TYPE", "OBJECT_POLICY", "OBJECT_INDEX", "OBJECT_TABCONSTRAINT",
            "OBJECT_EXTENSION",
            "OBJECT_PUBLICATION":
            return
        default: throw TranslationFault("a comment on this kind of object is not translated", at: node.location)
        }
    }

    func change(
        _ name: QualifiedName, at location: Int?, _ body: (inout Relation) throws(TranslationFault) -> Void
    ) throws(TranslationFault) {
        guard var relation = catalog.relations[name] else {
            throw TranslationFault("relation \"\(name.name)\" does not exist", at: location, sqlState: "42P01")
        }
        if !isPlatform { try Self.requireOwn(relation, at: location) }
        try body(&relation)
        catalog.relations[name] = relation
    }
}
