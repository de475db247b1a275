// SPDX-License-Identifier: Apache-2.0

extension StatementTranslator {
    func createPolicy(_ node: ParseNode) throws {
        try node.allow("policy_name", "table", "cmd_name", "permissive", "roles", "qual", "with_check")
        let table = try relation(node.bare("table", as: "RangeVar"), kind: .table)
        let name = node.string("policy_name") ?? ""
        guard !table.policies.contains(where: { $0.name == name }) else {
            throw TranslationFault(
                "policy \"\(name)\" for table \"\(table.name.name)\" already exists", at: node.location,
                sqlState: "42710")
        }
        guard let command = Policy.Command(rawValue: node.string("cmd_name") ?? "all") else {
            throw TranslationFault("unrecognized policy command", at: node.location, sqlState: "42601")
        }
        var policy = Policy(
            name: name, isPermissive: node.flag("permissive"), command: command,
            roles: try node.list("roles").map(role))
        try setConditions(of: &policy, node, on: table)
        try change(table.name, at: node.location) { $0.policies.append(policy) }
    }

    func alterPolicy(_ node: ParseNode) throws {
        try node.allow("policy_name", "table", "roles", "qual", "with_check")
        let table = try relation(node.bare("table", as: "RangeVar"), kind: .table)
        let name = node.string("policy_name") ?? ""
        guard let index = table.policies.firstIndex(where: { $0.name == name }) else {
            throw Self.missingPolicy(name, table, at: node.location)
        }
        var policy = table.policies[index]
        if node.has("roles") { policy.roles = try node.list("roles").map(role) }
        try setConditions(of: &policy, node, on: table)
        try change(table.name, at: node.location) { $0.policies[index] = policy }
    }

    static func missingPolicy(_ name: String, _ table: Relation, at location: Int?) -> TranslationFault {
        TranslationFault(
            "policy \"\(name)\" for table \"\(table.name.name)\" does not exist", at: location, sqlState: "42704")
    }

    private func setConditions(of policy: inout Policy, _ node: ParseNode, on table: Relation) throws {
        if let condition = node.node("qual") {
            guard policy.command != .insert else {
                throw TranslationFault(
                    "only WITH CHECK expression allowed for INSERT", at: condition.location, sqlState: "42601")
            }
            policy.using = try policyText(condition, on: table)
        }
        if let condition = node.node("with_check") {
            guard policy.command != .select, policy.command != .delete else {
                throw TranslationFault(
                    "WITH CHECK cannot be applied to SELECT or DELETE", at: condition.location, sqlState: "42601")
            }
            policy.withCheck = try policyText(condition, on: table)
        }
    }

    /// The condition's text, once it is known that SQLite can compute it.
    private func policyText(_ node: ParseNode, on table: Relation) throws -> String {
        let reading = try texts.condition(node, on: table, takesSubqueries: true)
        _ = try SQLiteWriter(enums: catalog.enums, role: "").sql(reading.expression)
        return reading.text
    }

    // MARK: Publication

    /// `supabase_realtime` exists from the start, as it does at Supabase; no other publication has a reader.
    func publication(_ node: ParseNode) throws {
        try node.allow("pubname", "pubobjects", "action", "options", "for_all_tables")
        guard node.string("pubname") == Platform.publication else {
            throw TranslationFault("only the publication supabase_realtime is translated", at: node.location)
        }
        guard !node.flag("for_all_tables"), !node.has("options") else {
            throw TranslationFault("name the tables of the publication", at: node.location)
        }
        var tables: [QualifiedName] = []
        for object in node.list("pubobjects") {
            guard object.string("pubobjtype") == "PUBLICATIONOBJ_TABLE",
                let table = object.bare("pubtable", as: "PublicationTable")
            else { throw TranslationFault("only tables can be published", at: node.location) }
            // Row filters and column lists decide what subscribers see: dropping them would show more.
            try table.allow("relation")
            let name = try relation(table.bare("relation", as: "RangeVar"), kind: .table).name
            // Their changes are the platform's own, and hold what no subscriber may see.
            guard !Platform.schemas.contains(name.schema) else {
                throw TranslationFault(
                    "a table of the schema \(name.schema) cannot be published", at: node.location, sqlState: "42501")
            }
            tables.append(name)
        }
        switch node.string("action") {
        case "AP_DropObjects":
            for table in tables {
                guard catalog.publication.remove(table) != nil else {
                    throw TranslationFault(
                        "relation \"\(table.name)\" is not part of the publication", at: node.location,
                        sqlState: "42704")
                }
            }
        case "AP_SetObjects": catalog.publication = Set(tables)
        default:
            for table in tables {
                guard catalog.publication.insert(table).inserted else {
                    throw TranslationFault(
                        "relation \"\(table.name)\" is already member of publication \"\(Platform.publication)\"",
                        at: node.location, sqlState: "42710")
                }
            }
        }
    }
}
