// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

extension SQLiteEngine {
    private static let users = QualifiedName("auth", "users")

    package func putUser(_ change: UserChange, session: RequestSession) async throws -> UserOutcome {
        let access = RowAccess(schema: snapshot, session: session, isUnrestricted: true)
        do {
            return try await write(session.trace, deadline: session.deadline) { try Self.put(change, access, $0) }
        } catch let error as DatabaseError where !UserRefusal.isEnvironment(error) {
            return .refused(RowError(error))
        }
    }

    /// None: the SQL that SQLite runs cannot write to `auth.users`.
    package func userNews(acknowledged: [Int64], max: Int, session: RequestSession) async throws -> [UserNews] { [] }

    package func deleteUser(id: String, session: RequestSession) async throws -> UserDeletion {
        let access = RowAccess(schema: snapshot, session: session, isUnrestricted: true)
        do {
            return try await write(session.trace, deadline: session.deadline) { database in
                let relation = try RowsCompiler(access: access).relation(Self.users)
                let row = try Self.current(id, relation, database)
                if let row {
                    let changes = RowChanges(session: database, access: access)
                    try changes.delete(row, from: relation)
                    try changes.finish()
                }
                try database.execute("DELETE FROM martlet_user_version WHERE id = ?1", [.text(id)])
                try database.execute(
                    "INSERT OR IGNORE INTO martlet_user_tombstone (id, deleted_at) VALUES (?1, ?2)",
                    [.text(id), access.context[4]])
                return row == nil ? .absent : .deleted
            }
        } catch let error as DatabaseError where !UserRefusal.isEnvironment(error) {
            return .refused(RowError(error))
        }
    }

    private static func put(
        _ change: UserChange, _ access: RowAccess, _ database: DatabaseSession
    ) throws -> UserOutcome {
        let id: [SQLValue] = [.text(change.id)]
        guard try database.query("SELECT 1 FROM martlet_user_tombstone WHERE id = ?1", id).isEmpty else { return .gone }
        let relation = try RowsCompiler(access: access).relation(users)
        let row = try current(change.id, relation, database)
        let stored =
            try database.query("SELECT version FROM martlet_user_version WHERE id = ?1", id)
            .first?[0].integerValue ?? 0
        if let row {
            let shown = columns(of: row.image, relation)
            if change.version <= stored { return .unchanged(row: shown, version: stored) }
            if change.baseVersion != stored || change.isCreation { return .stale(row: shown, version: stored) }
        } else if !change.isCreation {
            return .gone
        }
        try write(change, row, relation, access, database)
        try database.execute(
            "INSERT INTO martlet_user_version (id, version) VALUES (?1, ?2) "
                + "ON CONFLICT (id) DO UPDATE SET version = excluded.version", id + [.integer(change.version)])
        guard let after = try current(change.id, relation, database) else { return .gone }
        return .applied(row: columns(of: after.image, relation), version: change.version)
    }

    private static func write(
        _ change: UserChange, _ row: StoredRow?, _ relation: Relation, _ access: RowAccess, _ database: DatabaseSession
    ) throws {
        let defaults = RowDefaults(session: database, access: access, relation: relation)
        var image = row?.image ?? [SQLValue](repeating: .null, count: relation.columns.count)
        var given: Set<Int> = []
        for column in [UserColumn("id", change.id)] + change.columns.filter({ $0.name != "id" }) {
            guard let position = relation.columns.firstIndex(where: { $0.name == column.name }) else {
                throw DatabaseError(
                    sqlState: "42703", message: "column \"\(column.name)\" of relation \"users\" does not exist")
            }
            given.insert(position)
            image[position] = .null
            guard let text = column.value else { continue }
            let parsed = try ValueForm.parse(text, as: relation.columns[position].type, enums: access.catalog.enums)
            if case .boolean(let truth) = parsed {
                image[position] = .integer(truth ? 1 : 0)
            } else {
                image[position] = parsed
            }
        }
        if row == nil { try defaults.fill(&image, at: Set(relation.columns.indices).subtracting(given).sorted()) }
        try defaults.generate(&image)
        let changes = RowChanges(session: database, access: access)
        if let row {
            try changes.update(row, to: image, in: relation)
        } else {
            try changes.insert(image, into: relation)
        }
        try changes.finish()
    }

    private static func current(
        _ id: String, _ relation: Relation, _ database: DatabaseSession
    ) throws -> StoredRow? {
        let list = relation.columns.map { SQLiteName.quoted(column: $0.name) }.joined(separator: ", ")
        return try database.query(
            "SELECT rowid, \(list) FROM \(SQLiteName.quoted(relation.name)) WHERE id = ?1", [.text(id)]
        ).first.map { row in
            StoredRow(rowID: row[0].integerValue ?? 0, image: Array(row.values.dropFirst()))
        }
    }

    private static func columns(of image: [SQLValue], _ relation: Relation) -> [UserColumn] {
        zip(relation.columns, image).map { UserColumn($0.name, ValueForm.text($1, type: $0.type)) }
    }
}
