// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// Derives relationships from foreign keys (rest contract 6.1). Views take part in none.
struct RelationshipFinder {
    let catalog: Catalog
    let exposedSchemas: [String]

    func find() -> [QualifiedName: [Relationship]] {
        var found: [QualifiedName: [Relationship]] = [:]
        let tables = catalog.relations.values.filter { $0.kind == .table && exposedSchemas.contains($0.name.schema) }
            .sorted { $0.name < $1.name }
        for table in tables {
            for key in table.foreignKeys.sorted(by: { $0.name < $1.name }) where isExposed(key.target) {
                let pairs = zip(key.columns, key.targetColumns).map(Relationship.ColumnPair.init)
                let isUnique = hasUniqueKey(table, on: key.columns)
                found[table.name, default: []].append(
                    Relationship(
                        source: table.name, target: key.target, cardinality: isUnique ? .oneToOne : .manyToOne,
                        join: .direct(pairs), constraints: [key.name], isForward: true))
                found[key.target, default: []].append(
                    Relationship(
                        source: key.target, target: table.name, cardinality: isUnique ? .oneToOne : .oneToMany,
                        join: .direct(pairs.map { .init($0.right, $0.left) }), constraints: [key.name],
                        isForward: false))
            }
            for relationship in junctions(of: table) { found[relationship.source, default: []].append(relationship) }
        }
        return found
    }

    /// Many-to-many: two foreign keys whose columns all belong to the junction's primary key.
    private func junctions(of table: Relation) -> [Relationship] {
        guard let primaryKey = table.primaryKey else { return [] }
        let keyColumns = Set(primaryKey.columns)
        let keys = table.foreignKeys.sorted { $0.name < $1.name }
            .filter { isExposed($0.target) && keyColumns.isSuperset(of: $0.columns) }
        var found: [Relationship] = []
        for first in keys {
            for second in keys where first.name != second.name && first.target != second.target {
                found.append(
                    Relationship(
                        source: first.target, target: second.target, cardinality: .manyToMany,
                        join: .through(
                            table.name,
                            source: zip(first.targetColumns, first.columns).map(Relationship.ColumnPair.init),
                            target: zip(second.columns, second.targetColumns).map(Relationship.ColumnPair.init)),
                        constraints: [first.name, second.name], isForward: false))
            }
        }
        return found
    }

    private func isExposed(_ name: QualifiedName) -> Bool {
        exposedSchemas.contains(name.schema) && catalog.relations[name] != nil
    }

    private func hasUniqueKey(_ table: Relation, on columns: [String]) -> Bool {
        let keys = (table.primaryKey.map { [$0] } ?? []) + table.uniques
        return keys.contains { Set($0.columns) == Set(columns) }
    }
}
