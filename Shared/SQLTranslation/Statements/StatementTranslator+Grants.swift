// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    func grant(_ node: ParseNode) throws {
        try node.allow(
            "is_grant", "targtype", "objtype", "objects", "privileges", "grantees", "behavior", "grant_option")
        let grantees = try node.list("grantees").map(role)
        let isGrant = node.flag("is_grant")
        guard isGrant || !node.flag("grant_option") else {
            throw TranslationFault("REVOKE GRANT OPTION is not translated", at: node.location)
        }
        let isWhole = node.string("targtype") == "ACL_TARGET_ALL_IN_SCHEMA"
        switch node.string("objtype") {
        case "OBJECT_TABLE":
            let relations =
                try isWhole
                ? all(in: node.strings("objects"), at: node.location)
                : node.list("objects").map {
                    try relation($0)
                }
            let privileges = try privileges(node)
            for target in relations {
                try Self.check(privileges, of: target, at: node.location)
                try change(target.name, at: node.location) { relation in
                    for grantee in grantees {
                        relation.grants[grantee, default: Privileges()].apply(
                            privileges, isGrant: isGrant, to: relation)
                    }
                }
            }
        case "OBJECT_SCHEMA": try schemaGrant(node, to: grantees, isGrant: isGrant)
        // No sequence and no function of the application exists, so that there is nothing to give or take.
        case "OBJECT_SEQUENCE" where isGrant && (isWhole || node.list("objects").allSatisfy(isIdentity)),
            "OBJECT_FUNCTION" where isWhole,
            "OBJECT_ROUTINE" where isWhole,
            "OBJECT_PROCEDURE" where isWhole:
            return
        case "OBJECT_TYPE" where isGrant: return
        default:
            throw TranslationFault("privileges on this kind of object are not translated", at: node.location)
        }
    }

    /// Whether a sequence's name is that of an identity column's own, which needs no privilege here.
    private func isIdentity(_ sequence: ParseNode) -> Bool {
        let schema = sequence.string("schemaname") ?? "public"
        return catalog.relations.values.contains { table in
            table.name.schema == schema
                && table.columns.contains { column in
                    column.identity != .none && "\(table.name.name)_\(column.name)_seq" == sequence.string("relname")
                }
        }
    }

    private func all(in schemas: [String], at location: Int?) throws(TranslationFault) -> [Relation] {
        for schema in schemas where !catalog.schemas.contains(schema) {
            throw TranslationFault("schema \"\(schema)\" does not exist", at: location, sqlState: "3F000")
        }
        return catalog.relations.values.filter {
            schemas.contains($0.name.schema) && (isPlatform || $0.owner == Self.owner)
        }
    }

    private func schemaGrant(_ node: ParseNode, to grantees: [String], isGrant: Bool) throws(TranslationFault) {
        let names = node.list("privileges").map { $0.string("priv_name") ?? "" }
        guard names.isEmpty || names.contains("usage") else {
            // Only `postgres` creates anything here.
            if names == ["create"], !isGrant { return }
            throw TranslationFault("only USAGE on a schema is translated", at: node.location)
        }
        for schema in node.strings("objects") {
            guard catalog.schemas.contains(schema) else {
                throw TranslationFault("schema \"\(schema)\" does not exist", at: node.location, sqlState: "3F000")
            }
            guard isPlatform || !Platform.schemas.contains(schema) else {
                throw TranslationFault("permission denied for schema \(schema)", at: node.location, sqlState: "42501")
            }
            for grantee in grantees {
                if isGrant {
                    catalog.schemaUsage[schema, default: []].insert(grantee)
                } else {
                    catalog.schemaUsage[schema, default: []].remove(grantee)
                }
            }
        }
    }

    /// The privileges that a statement names; no list means ALL.
    private func privileges(_ node: ParseNode) throws(TranslationFault) -> Privileges {
        let items = node.list("privileges")
        guard !items.isEmpty else { return Privileges(table: .all) }
        var result = Privileges()
        for item in items {
            try item.allow("priv_name", "cols")
            let set: Privileges.Set
            if let name = item.string("priv_name") {
                guard let known = Self.privilegeNames[name] else {
                    throw TranslationFault(
                        "unrecognized privilege type \"\(name)\"", at: node.location, sqlState: "42601")
                }
                set = known
            } else {
                set = .all
            }
            let columns = item.strings("cols")
            if columns.isEmpty { result.table.formUnion(set) }
            for column in columns { result.columns[column, default: []].formUnion(set) }
        }
        return result
    }

    private static let privilegeNames: [String: Privileges.Set] = [
        "select": .select, "insert": .insert, "update": .update, "delete": .delete, "truncate": .truncate,
        "references": .references, "trigger": .trigger,
    ]

    private static func check(
        _ privileges: Privileges, of relation: Relation, at location: Int?
    ) throws(TranslationFault) {
        for column in privileges.columns.keys.sorted() where relation.column(column) == nil {
            throw TranslationFault(
                "column \"\(column)\" of relation \"\(relation.name.name)\" does not exist", at: location,
                sqlState: "42703")
        }
    }

    func alterDefaultPrivileges(_ node: ParseNode) throws {
        try node.allow("options", "action")
        guard let action = node.bare("action", as: "GrantStmt") else { return }
        var schemas: [String] = []
        for option in node.list("options") {
            let items = option.node("arg")?.items ?? []
            switch option.string("defname") {
            case "schemas": schemas += items.compactMap { $0.string("sval") }
            case "roles":
                // What another role makes is another role's; only `postgres` makes tables here.
                guard try items.map(role).contains(Self.owner) || isPlatform else { return }
            default: throw TranslationFault("this default privilege is not translated", at: node.location)
            }
        }
        let grantees = try action.list("grantees").map(role)
        guard action.string("objtype") == "OBJECT_TABLE" else {
            guard ["OBJECT_SEQUENCE", "OBJECT_FUNCTION", "OBJECT_TYPE"].contains(action.string("objtype")) else {
                throw TranslationFault("default privileges on schemas are not translated", at: node.location)
            }
            return
        }
        guard !schemas.isEmpty else {
            throw TranslationFault("default privileges need IN SCHEMA on SQLite", at: node.location)
        }
        let privileges = try privileges(action)
        for schema in schemas {
            guard catalog.schemas.contains(schema) else {
                throw TranslationFault("schema \"\(schema)\" does not exist", at: node.location, sqlState: "3F000")
            }
            for grantee in grantees {
                catalog.defaultPrivileges[schema, default: [:]][grantee, default: Privileges()]
                    .apply(privileges, isGrant: action.flag("is_grant"), to: nil)
            }
        }
    }
}

extension Privileges {
    /// Gives or takes. Taking a privilege from the table takes it from every column too, as PostgreSQL does.
    fileprivate mutating func apply(_ change: Privileges, isGrant: Bool, to relation: Relation?) {
        if isGrant {
            table.formUnion(change.table)
            for (column, set) in change.columns { columns[column, default: []].formUnion(set) }
            return
        }
        table.subtract(change.table)
        for column in columns.keys { columns[column]?.subtract(change.table) }
        for (column, set) in change.columns { columns[column]?.subtract(set) }
        columns = columns.filter { !$0.value.isEmpty }
    }
}
