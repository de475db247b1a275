// SPDX-License-Identifier: Apache-2.0

/// Finds relations, types and functions by name, as PostgreSQL's `search_path` does.
struct NameResolver: Sendable {
    var catalog: Catalog
    /// Schemas in the order of the search; `pg_catalog` always comes first.
    var searchPath: [String]

    /// What Supabase's databases have for everybody.
    static let searchPathDefault = ["public", "extensions"]

    /// The relation, which must exist.
    func relation(_ node: ParseNode) throws(TranslationFault) -> Relation {
        let name = try relationName(node)
        guard let relation = catalog.relations[name] else { throw Self.missingRelation(node) }
        return relation
    }

    /// The name of an existing relation, or the name that a new one would get.
    func relationName(_ node: ParseNode) throws(TranslationFault) -> QualifiedName {
        try node.allow("schemaname", "relname", "inh", "relpersistence", "alias", "catalogname")
        let name = node.string("relname") ?? ""
        guard !node.has("catalogname") else {
            throw TranslationFault("cross-database references are not implemented", at: node.location)
        }
        if let persistence = node.string("relpersistence"), persistence != "p" {
            throw TranslationFault("temporary and unlogged tables are not translated", at: node.location)
        }
        if let schema = node.string("schemaname") { return QualifiedName(schema, name) }
        for schema in searchPath where catalog.relations[QualifiedName(schema, name)] != nil {
            return QualifiedName(schema, name)
        }
        return QualifiedName(try creationSchema(at: node.location), name)
    }

    /// The relation named by a dotted list, as DROP and COMMENT have it.
    func relationName(_ parts: [String], at location: Int?) throws(TranslationFault) -> QualifiedName {
        switch parts.count {
        case 1:
            for schema in searchPath where catalog.relations[QualifiedName(schema, parts[0])] != nil {
                return QualifiedName(schema, parts[0])
            }
            return QualifiedName(try creationSchema(at: location), parts[0])
        case 2: return QualifiedName(parts[0], parts[1])
        default: throw TranslationFault("improper qualified name", at: location, sqlState: "42601")
        }
    }

    /// The schema a new object without a schema goes to.
    func creationSchema(at location: Int?) throws(TranslationFault) -> String {
        guard let schema = searchPath.first(where: catalog.schemas.contains) else {
            throw TranslationFault("no schema has been selected to create in", at: location, sqlState: "3F000")
        }
        return schema
    }

    /// The enum that a dotted name means; nil when there is none.
    func enumeration(_ parts: [String]) -> EnumType? {
        switch parts.count {
        case 1:
            for schema in searchPath {
                if let type = catalog.enums[QualifiedName(schema, parts[0])] { return type }
            }
            return nil
        case 2: return catalog.enums[QualifiedName(parts[0], parts[1])]
        default: return nil
        }
    }

    static func missingRelation(_ node: ParseNode) -> TranslationFault {
        let name = [node.string("schemaname"), node.string("relname")].compactMap(\.self).joined(separator: ".")
        return TranslationFault("relation \"\(name)\" does not exist", at: node.location, sqlState: "42P01")
    }
}
