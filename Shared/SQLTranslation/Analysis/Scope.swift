// SPDX-License-Identifier: Apache-2.0

/// What a name may mean at one place of a query: the FROM items of its SELECT, then those of the queries around it.
final class Scope {
    struct Source {
        /// Name by which SQL refers to the item.
        var name: String
        /// The item's alias in SQLite's statement; unique there.
        var alias: String
        var columns: [(name: String, type: ColumnType)]
        /// The table or view behind it; nil for a subquery.
        var relation: QualifiedName?
        var use: RelationUse?
        /// Whether it is the row that a policy, check or default speaks about, which has no FROM.
        var isOwnRow = false
        /// Columns that a JOIN … USING merged into the other side's: hidden from bare names and from `*`.
        var merged: Set<String> = []
    }

    let parent: Scope?
    var sources: [Source]
    /// Queries of WITH, by name, with the scope they were written in.
    var commonTables: [String: ParseNode]
    /// Whether aggregates may stand here, and whether one does.
    var allowsAggregates = false
    var hasAggregates = false

    init(parent: Scope? = nil, sources: [Source] = [], commonTables: [String: ParseNode] = [:]) {
        self.parent = parent
        self.sources = sources
        self.commonTables = commonTables
    }

    /// The scope in which a policy, check, default or index term of `relation` is read.
    static func row(of relation: Relation, alias: String) -> Scope {
        Scope(sources: [
            Source(
                name: relation.name.name, alias: alias, columns: relation.columns.map { ($0.name, $0.type) },
                relation: relation.name, use: nil, isOwnRow: true)
        ])
    }

    func commonTable(_ name: String) -> ParseNode? { commonTables[name] ?? parent?.commonTable(name) }

    struct Match {
        var source: Source
        var column: String
        var type: ColumnType
    }

    /// What a bare or qualified column name means.
    ///
    /// Throws `42703` unknown column, `42P01` unknown item, `42702` ambiguous.
    func column(_ parts: [String], at location: Int?) throws(TranslationFault) -> Match {
        switch parts.count {
        case 1: return try bareColumn(parts[0], at: location)
        case 2:
            guard let source = source(named: parts[0], schema: nil) else { throw Self.missingItem(parts[0], location) }
            return try Self.column(parts[1], of: source, at: location)
        case 3:
            guard let source = source(named: parts[1], schema: parts[0]) else {
                throw Self.missingItem(parts[1], location)
            }
            return try Self.column(parts[2], of: source, at: location)
        default:
            throw TranslationFault("improper qualified name", at: location, sqlState: "42601")
        }
    }

    /// The FROM item `name`, in this SELECT or one around it.
    func source(named name: String, schema: String?) -> Source? {
        let found = sources.first { source in
            source.name == name
                && (schema == nil || (source.relation?.schema == schema && source.relation?.name == name))
        }
        return found ?? parent?.source(named: name, schema: schema)
    }

    private func bareColumn(_ name: String, at location: Int?) throws(TranslationFault) -> Match {
        var matches: [Match] = []
        for source in sources where !source.merged.contains(name) {
            if let column = source.columns.first(where: { $0.name == name }) {
                matches.append(Match(source: source, column: name, type: column.type))
            }
        }
        if matches.count > 1 {
            throw TranslationFault("column reference \"\(name)\" is ambiguous", at: location, sqlState: "42702")
        }
        if let match = matches.first { return match }
        guard let parent else {
            throw TranslationFault("column \"\(name)\" does not exist", at: location, sqlState: "42703")
        }
        return try parent.bareColumn(name, at: location)
    }

    private static func column(
        _ name: String, of source: Source, at location: Int?
    ) throws(TranslationFault) -> Match {
        guard let column = source.columns.first(where: { $0.name == name }) else {
            throw TranslationFault("column \(source.name).\(name) does not exist", at: location, sqlState: "42703")
        }
        return Match(source: source, column: name, type: column.type)
    }

    private static func missingItem(_ name: String, _ location: Int?) -> TranslationFault {
        TranslationFault("missing FROM-clause entry for table \"\(name)\"", at: location, sqlState: "42P01")
    }
}
