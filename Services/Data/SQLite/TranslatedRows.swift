// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// Runs an INSERT of a migration or seed: as the owner, with defaults, identities and keys.
struct TranslatedRows {
    let session: DatabaseSession
    let insert: TranslatedInsert
    let file: TranslatedFile

    func run() throws {
        let known = file.after.relations[insert.relation] != nil ? file.after : file.before
        guard var relation = known.relations[insert.relation] else {
            throw DatabaseError(sqlState: "42P01", message: "relation \"\(insert.relation.name)\" does not exist")
        }
        // A later statement of the file may add or drop columns: those that stand now count.
        let present = try columns(of: relation)
        relation.columns.removeAll { !present.contains(SQLiteName.encoded(column: $0.name)) }
        var catalog = known
        catalog.relations[relation.name] = relation
        let schema = SQLiteSchema(SchemaCache(catalog: catalog))
        let session = RequestSession(role: relation.owner)
        let access = RowAccess(schema: schema, session: session, isUnrestricted: true)
        try insertRows(into: relation, access)
    }

    private func columns(of relation: Relation) throws -> Set<String> {
        let rows = try session.query(
            "SELECT name FROM pragma_table_xinfo(?1)", [.text(SQLiteName.encoded(relation.name))])
        return Set(rows.compactMap { $0[0].textValue })
    }

    private func insertRows(into relation: Relation, _ access: RowAccess) throws {
        let positions = try insert.columns.map { name in
            guard let position = relation.columns.firstIndex(where: { $0.name == name }) else {
                throw DatabaseError(
                    sqlState: "42703",
                    message: "column \"\(name)\" of relation \"\(relation.name.name)\" does not exist")
            }
            return position
        }
        let defaults = RowDefaults(session: session, access: access, relation: relation)
        let changes = RowChanges(session: session, access: access)
        for row in insert.rows {
            var image = [SQLValue](repeating: .null, count: relation.columns.count)
            var open = Set(relation.columns.indices).subtracting(positions)
            var given: [(position: Int, sql: String)] = []
            for (value, position) in zip(row, positions) {
                switch value {
                case .columnDefault: open.insert(position)
                case .expression(let sql): given.append((position, sql))
                }
            }
            if !given.isEmpty {
                let values = try session.query(
                    "SELECT \(given.map(\.sql).joined(separator: ", "))", access.context
                ).first
                for (index, item) in given.enumerated() { image[item.position] = values?[index] ?? .null }
            }
            try defaults.fill(&image, at: open.sorted())
            try defaults.generate(&image)
            do {
                try changes.insert(image, into: relation)
            } catch let error as DatabaseError where insert.ignoresConflicts && error.sqlState == "23505" {
                continue
            }
        }
        try changes.finish()
    }
}
