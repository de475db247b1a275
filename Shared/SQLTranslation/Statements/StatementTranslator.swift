// SPDX-License-Identifier: Apache-2.0

/// Translates the statements of one migration, one after the other, against a catalogue that each of them changes.
///
/// A statement that throws has changed neither the catalogue nor the steps.
final class StatementTranslator {
    private(set) var steps: [TranslatedStep] = []
    var catalog: Catalog
    var searchPath = NameResolver.searchPathDefault
    /// Steps of the statement being translated.
    var pending: [TranslatedStep] = []

    /// Who runs migrations and owns what they make.
    static let owner = "postgres"

    /// Whether the statements are the platform's own, which may touch its schemas.
    let isPlatform: Bool

    init(catalog: Catalog, isPlatform: Bool = false) {
        self.catalog = catalog
        self.isPlatform = isPlatform
    }

    var names: NameResolver { NameResolver(catalog: catalog, searchPath: searchPath) }
    var texts: StoredText { StoredText(names: names) }

    func translate(_ node: ParseNode) throws {
        let before = (catalog, searchPath)
        pending = []
        do {
            try dispatch(node)
            steps += pending
        } catch {
            (catalog, searchPath) = before
            throw error
        }
    }

    func emit(_ sql: String) { pending.append(.sql(sql)) }

    private func dispatch(_ node: ParseNode) throws {
        switch node.kind {
        case "CreateStmt": try createTable(node)
        case "AlterTableStmt": try alterTable(node)
        case "RenameStmt": try rename(node)
        case "IndexStmt": try createIndex(node)
        case "ViewStmt": try createView(node)
        case "CreateEnumStmt": try createEnum(node)
        case "AlterEnumStmt": try alterEnum(node)
        case "CreateSchemaStmt": try createSchema(node)
        case "CommentStmt": try comment(node)
        case "GrantStmt": try grant(node)
        case "AlterDefaultPrivilegesStmt": try alterDefaultPrivileges(node)
        case "CreatePolicyStmt": try createPolicy(node)
        case "AlterPolicyStmt": try alterPolicy(node)
        case "DropStmt": try drop(node)
        case "CreatePublicationStmt", "AlterPublicationStmt": try publication(node)
        case "InsertStmt": try insert(node)
        case "UpdateStmt": try update(node)
        case "DeleteStmt": try delete(node)
        case "VariableSetStmt": try set(node)
        case "CreateExtensionStmt": try node.allow("extname", "if_not_exists", "options")
        case "AlterOwnerStmt": try alterOwner(node)
        case "TransactionStmt": try transaction(node)
        case "SelectStmt": try setConfig(node)
        default: throw TranslationFault(Self.reasons[node.kind] ?? "\(ParseNode.words(node.kind)) is not translated")
        }
    }

    /// What people look for in a refusal, by statement.
    private static let reasons: [String: String] = [
        "CreateFunctionStmt": "functions are not translated to SQLite yet",
        "CreateTrigStmt": "triggers are not translated to SQLite yet",
        "DoStmt": "DO blocks are not translated to SQLite yet",
        "CreateTableAsStmt": "CREATE TABLE AS and materialized views are not translated",
        "CreateSeqStmt": "sequences of their own are not translated; use an identity column",
        "AlterSeqStmt": "sequences of their own are not translated; use an identity column",
        "CreateDomainStmt": "domains are not translated; use a CHECK constraint",
        "CompositeTypeStmt": "composite types are not translated; use jsonb or a table",
        "RuleStmt": "rules are not translated",
        "CreateRoleStmt": "roles cannot be created on SQLite: anon, authenticated and service_role exist",
        "TruncateStmt": "TRUNCATE in a migration is not translated to SQLite yet",
        "CallStmt": "procedures are not translated",
    ]

    // MARK: Session

    /// Settings that change no result of ours.
    private static let harmlessSettings: Set<String> = [
        "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "client_encoding",
        "standard_conforming_strings", "check_function_bodies", "xmloption", "client_min_messages", "row_security",
        "default_tablespace", "default_table_access_method", "timezone", "transaction_timeout",
    ]

    private func set(_ node: ParseNode) throws {
        try node.allow("kind", "name", "args", "is_local")
        let name = node.string("name") ?? ""
        if node.string("kind") == "VAR_RESET_ALL" || (name == "search_path" && node.string("kind") != "VAR_SET_VALUE") {
            searchPath = NameResolver.searchPathDefault
            return
        }
        let values = node.list("args").compactMap { $0.bare("sval", as: "String")?.string("sval") }
        if name == "search_path" {
            searchPath = values.filter { $0 != "$user" && $0 != "\"$user\"" && !$0.isEmpty && $0 != "pg_catalog" }
            return
        }
        guard Self.harmlessSettings.contains(name.lowercased()) else {
            throw TranslationFault("setting \"\(name)\" is not translated", at: node.location)
        }
        if name.lowercased() == "timezone", !values.allSatisfy({ $0.uppercased() == "UTC" }) {
            throw TranslationFault("the time zone on SQLite is UTC", at: node.location)
        }
        if name == "standard_conforming_strings" || name == "row_security", values.first == "off" {
            // pg_dump writes row_security = off for its own reading; it changes no definition.
            guard name == "row_security" else {
                throw TranslationFault("standard_conforming_strings must stay on", at: node.location)
            }
        }
    }

    /// `SELECT pg_catalog.set_config('search_path', '', false)`, which pg_dump writes.
    private func setConfig(_ node: ParseNode) throws {
        guard let call = node.list("targetList").first?.node("val"), node.list("targetList").count == 1,
            call.kind == "FuncCall", call.strings("funcname").last == "set_config", !node.has("fromClause")
        else { throw TranslationFault("queries in a migration are not translated") }
        let values = call.list("args").prefix(2).compactMap {
            $0.bare("sval", as: "String").map { $0.string("sval") ?? "" }
        }
        guard values.count == 2, values[0] == "search_path" else {
            throw TranslationFault("only set_config('search_path', …) is translated", at: call.location)
        }
        searchPath = values[1].split(separator: ",").map { part in
            String(part.drop { $0 == " " }).split(separator: " ").joined()
        }
    }

    /// A migration is one transaction whatever it says about it (data-semantics 11).
    private func transaction(_ node: ParseNode) throws {
        switch node.string("kind") {
        case "TRANS_STMT_BEGIN", "TRANS_STMT_START", "TRANS_STMT_COMMIT", nil: return
        default: throw TranslationFault("only BEGIN and COMMIT may stand in a migration", at: node.location)
        }
    }

    // MARK: Names

    /// A relation that exists, of the kind that the statement speaks about.
    func relation(_ node: ParseNode?, kind: Relation.Kind? = nil) throws(TranslationFault) -> Relation {
        guard let node else { throw TranslationFault("a relation's name is missing", sqlState: "42601") }
        let relation = try names.relation(node)
        guard kind == nil || relation.kind == kind else {
            throw TranslationFault(
                "\"\(relation.name.name)\" is not a \(kind == .view ? "view" : "table")", at: node.location,
                sqlState: "42809")
        }
        if !isPlatform { try Self.requireOwn(relation, at: node.location) }
        return relation
    }

    /// The platform's own tables can be referred to, not changed.
    static func requireOwn(_ relation: Relation, at location: Int?) throws(TranslationFault) {
        guard relation.owner != owner else { return }
        throw TranslationFault(
            "must be owner of table \(relation.name.name)", at: location, sqlState: "42501")
    }

    /// Name of a role as SQL writes it; PUBLIC is `public`.
    func role(_ node: ParseNode) throws(TranslationFault) -> String {
        switch node.string("roletype") {
        case "ROLESPEC_PUBLIC": return "public"
        case "ROLESPEC_CURRENT_USER", "ROLESPEC_SESSION_USER", "ROLESPEC_CURRENT_ROLE": return Self.owner
        default:
            let name = node.string("rolename") ?? ""
            guard catalog.roles[name] != nil else {
                throw TranslationFault("role \"\(name)\" does not exist", at: node.location, sqlState: "42704")
            }
            return name
        }
    }

    /// The name of a new relation. It must be free; with `IF NOT EXISTS` a taken one gives nil: nothing to do.
    func newRelationName(_ node: ParseNode?, ifNotExists: Bool) throws(TranslationFault) -> QualifiedName? {
        guard let node else { throw TranslationFault("a relation's name is missing", sqlState: "42601") }
        let written = node.string("relname") ?? ""
        _ = try names.relationName(node)
        let schema: String
        if let given = node.string("schemaname") {
            schema = given
        } else {
            schema = try names.creationSchema(at: node.location)
        }
        let name = QualifiedName(schema, written)
        guard catalog.schemas.contains(schema) else {
            throw TranslationFault("schema \"\(schema)\" does not exist", at: node.location, sqlState: "3F000")
        }
        guard isPlatform || !Platform.schemas.contains(schema) else {
            throw TranslationFault("permission denied for schema \(schema)", at: node.location, sqlState: "42501")
        }
        guard catalog.relations[name] != nil || isIndex(name) else { return name }
        if ifNotExists { return nil }
        throw TranslationFault("relation \"\(written)\" already exists", at: node.location, sqlState: "42P07")
    }

    func isIndex(_ name: QualifiedName) -> Bool {
        catalog.relations.values.contains { relation in
            relation.name.schema == name.schema
                && (relation.indexes.contains { $0.name == name.name } || relation.primaryKey?.name == name.name
                    || relation.uniques.contains { $0.name == name.name })
        }
    }
}
