// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL
import Synchronization

/// The schema cache on SQLite, with what was compiled from it: replaced as a whole when migrations change it.
final class SQLiteSchema: Sendable {
    let cache: SchemaCache
    private let fragments = Mutex<[FragmentKey: Fragment]>([:])

    /// Fragments that are kept; beyond it all are dropped, which costs a translation each.
    private static let fragmentsMax = 4_096

    private struct FragmentKey: Hashable {
        enum Kind: Hashable {
            case using(Policy.Command)
            case check(Policy.Command)
            case source
            case standard(column: String)
            case expression(String)
        }
        var role: String
        var relation: QualifiedName
        var alias: String
        var kind: Kind
    }

    private enum Fragment {
        case condition(AccessCompiler.Condition)
        case text(String)
    }

    /// An application asks some dozens of things; the rest is for what nobody foresaw.
    private let reads = Mutex(GenerationCache<ReadShape, CompiledRead>(countMax: 256))

    /// Foreign keys by the relation that they refer to, in the order in which their actions run.
    private let references: [QualifiedName: [(child: Relation, key: ForeignKey)]]

    init(_ cache: SchemaCache) {
        self.cache = cache
        var references: [QualifiedName: [(child: Relation, key: ForeignKey)]] = [:]
        for relation in cache.catalog.relations.values.sorted(by: { $0.name < $1.name }) {
            for key in relation.foreignKeys { references[key.target, default: []].append((relation, key)) }
        }
        self.references = references
    }

    var catalog: Catalog { cache.catalog }

    /// A read as statements, from an earlier one of the same shape where there is one.
    ///
    /// - Throws: as `CompiledRead` does.
    func read(_ plan: ReadPlan, _ access: RowAccess) throws -> CompiledRead {
        // A plan that was made of another state of the schema may mean something else by the same names.
        guard plan.schema === cache, !access.isUnrestricted else { return try CompiledRead(plan, access) }
        let shape = ReadShape(plan, role: access.role)
        if let known = reads.withLock({ $0.value(for: shape) }) {
            let values = ReadValues(
                context: access.context, texts: shape.texts, limit: plan.rows.limit, offset: plan.rows.offset,
                enums: catalog.enums)
            if let taken = try known.taken(from: values) { return taken }
        }
        let made = try CompiledRead(plan.numbered, access)
        if made.isReusable, shape.isSmall {
            reads.withLock { $0.keep(made.withoutValues, for: shape.withoutTexts) }
        }
        return made
    }

    func referencing(_ name: QualifiedName) -> [(child: Relation, key: ForeignKey)] { references[name] ?? [] }

    func condition(
        _ command: Policy.Command, isCheck: Bool, on relation: Relation, alias: String, role: String
    ) throws -> AccessCompiler.Condition {
        let key = FragmentKey(
            role: role, relation: relation.name, alias: alias, kind: isCheck ? .check(command) : .using(command))
        if case .condition(let known) = fragments.withLock({ $0[key] }) { return known }
        let compiler = AccessCompiler(catalog: catalog, role: role)
        let made =
            isCheck
            ? try compiler.withCheck(command, on: relation, alias: alias)
            : try compiler.using(command, on: relation, alias: alias)
        keep(.condition(made), key)
        return made
    }

    func source(_ relation: Relation, alias: String, role: String) throws -> String {
        try text(FragmentKey(role: role, relation: relation.name, alias: alias, kind: .source)) {
            try $0.rowSource(relation, alias: alias)
        }
    }

    /// A column's default as a scalar expression.
    func standard(_ column: Column, of relation: Relation, role: String) throws -> String {
        try text(FragmentKey(role: role, relation: relation.name, alias: "", kind: .standard(column: column.name))) {
            try $0.defaultExpression(of: column)
        }
    }

    /// PostgreSQL text about a row, translated.
    func expression(_ sql: String, on relation: Relation, alias: String, as type: ColumnType? = nil) throws -> String {
        let kind = FragmentKey.Kind.expression("\(type?.display ?? "") \(sql)")
        return try text(FragmentKey(role: "", relation: relation.name, alias: alias, kind: kind)) {
            try $0.expression(sql, on: relation, alias: alias, as: type)
        }
    }

    private func text(_ key: FragmentKey, _ make: (AccessCompiler) throws -> String) throws -> String {
        if case .text(let known) = fragments.withLock({ $0[key] }) { return known }
        let made = try make(AccessCompiler(catalog: catalog, role: key.role))
        keep(.text(made), key)
        return made
    }

    private func keep(_ fragment: Fragment, _ key: FragmentKey) {
        fragments.withLock { fragments in
            if fragments.count >= Self.fragmentsMax { fragments.removeAll() }
            fragments[key] = fragment
        }
    }
}
