// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// A stored row: its rowid, and its values in the order of the relation's columns.
struct StoredRow {
    var rowID: Int64
    var image: [SQLValue]
}

/// The changes of one statement, row by row, with the foreign keys that SQLite's own DDL leaves to us
/// (data-semantics 1–3): actions run after the rows, then every key that changed is checked.
final class RowChanges {
    private let session: DatabaseSession
    private let access: RowAccess
    /// Rows that are gone or whose key has changed: others may refer to them.
    private var departures: [Departure] = []
    /// Rows that are new or refer to something new.
    private var arrivals: [(relation: Relation, key: ForeignKey, image: [SQLValue])] = []

    /// Rows that foreign-key actions of one statement may touch; more are refused with 54001.
    private static let actionsMax = 1_000_000

    private struct Departure {
        var relation: Relation
        var old: [SQLValue]
        /// Nil for a deletion.
        var new: [SQLValue]?
    }

    init(session: DatabaseSession, access: RowAccess) {
        self.session = session
        self.access = access
    }

    private func words(_ relation: Relation) -> ConstraintWords {
        ConstraintWords(relation: relation, hidesValues: access.isGuarded(relation))
    }

    // MARK: Rows

    func insert(_ image: [SQLValue], into relation: Relation) throws {
        try checkNotNull(image, relation)
        var columns: [String] = []
        var values: [SQLValue] = []
        for (column, value) in zip(relation.columns, image) where column.generatedExpression == nil {
            columns.append(SQLiteName.quoted(column: column.name))
            values.append(value)
        }
        let places = (1...max(1, values.count)).map { "?\($0)" }.joined(separator: ", ")
        let sql =
            columns.isEmpty
            ? "INSERT INTO \(SQLiteName.quoted(relation.name)) DEFAULT VALUES"
            : "INSERT INTO \(SQLiteName.quoted(relation.name)) (\(columns.joined(separator: ", "))) VALUES (\(places))"
        try run(sql, values, relation, image)
        for key in relation.foreignKeys where !key.isInitiallyDeferred { arrivals.append((relation, key, image)) }
    }

    func update(_ row: StoredRow, to image: [SQLValue], in relation: Relation) throws {
        try checkNotNull(image, relation)
        var assignments: [String] = []
        var values: [SQLValue] = []
        var changed: Set<String> = []
        for (position, column) in relation.columns.enumerated() where column.generatedExpression == nil {
            guard image[position] != row.image[position] else { continue }
            values.append(image[position])
            changed.insert(column.name)
            assignments.append("\(SQLiteName.quoted(column: column.name)) = ?\(values.count)")
        }
        guard !assignments.isEmpty else { return }
        values.append(.integer(row.rowID))
        let sql =
            "UPDATE \(SQLiteName.quoted(relation.name)) SET \(assignments.joined(separator: ", ")) "
            + "WHERE rowid = ?\(values.count)"
        try run(sql, values, relation, image)
        for key in relation.foreignKeys where !key.isInitiallyDeferred && !changed.isDisjoint(with: key.columns) {
            arrivals.append((relation, key, image))
        }
        departures.append(Departure(relation: relation, old: row.image, new: image))
    }

    func delete(_ row: StoredRow, from relation: Relation) throws {
        try session.execute(
            "DELETE FROM \(SQLiteName.quoted(relation.name)) WHERE rowid = ?1", [.integer(row.rowID)])
        departures.append(Departure(relation: relation, old: row.image))
    }

    private func run(_ sql: String, _ values: [SQLValue], _ relation: Relation, _ image: [SQLValue]) throws {
        do {
            try session.execute(sql, values)
        } catch let error {
            throw words(relation).words(error, image)
        }
    }

    private func checkNotNull(_ image: [SQLValue], _ relation: Relation) throws {
        for (column, value) in zip(relation.columns, image)
        where value.isNull && column.notNull && column.generatedExpression == nil {
            throw words(relation).notNull(column, image)
        }
    }

    // MARK: Foreign keys

    /// Runs the actions of the statement, and theirs, then checks every key.
    func finish() throws {
        var checks: [(departure: Departure, child: Relation, key: ForeignKey)] = []
        var done = 0
        while done < departures.count {
            let departure = departures[done]
            done += 1
            guard done <= Self.actionsMax else {
                throw DatabaseError(sqlState: "54001", message: "foreign keys lead to too many rows")
            }
            for (child, key) in access.schema.referencing(departure.relation.name) {
                guard let values = lost(departure, key) else { continue }
                let action = departure.new == nil ? key.onDelete : key.onUpdate
                switch action {
                case .noAction:
                    if !key.isInitiallyDeferred { checks.append((departure, child, key)) }
                case .restrict:
                    if try refers(child, key, values) {
                        throw words(departure.relation).stillReferenced(by: child, key, departure.old)
                    }
                case .cascade, .setNull, .setDefault: try act(action, departure, child, key, values)
                }
            }
        }
        for (departure, child, key) in checks { try checkDeparture(departure, child, key) }
        for (relation, key, image) in arrivals { try checkArrival(relation, key, image) }
        departures = []
        arrivals = []
    }

    /// The values that `key` referred to and that are gone; nil when nothing changed for it.
    private func lost(_ departure: Departure, _ key: ForeignKey) -> [SQLValue]? {
        let old = values(key.targetColumns, of: departure.old, departure.relation)
        guard !old.contains(where: \.isNull) else { return nil }
        if let new = departure.new, values(key.targetColumns, of: new, departure.relation) == old { return nil }
        return old
    }

    private func values(_ columns: [String], of image: [SQLValue], _ relation: Relation) -> [SQLValue] {
        columns.map { name in relation.columns.firstIndex { $0.name == name }.map { image[$0] } ?? .null }
    }

    private func act(
        _ action: ForeignKey.Action, _ departure: Departure, _ child: Relation, _ key: ForeignKey, _ old: [SQLValue]
    ) throws {
        for row in try rows(of: child, where: key.columns, are: old) {
            if action == .cascade, departure.new == nil {
                try delete(row, from: child)
                continue
            }
            var image = row.image
            for (column, target) in zip(key.columns, key.targetColumns) {
                guard let position = child.columns.firstIndex(where: { $0.name == column }) else { continue }
                switch action {
                case .cascade:
                    image[position] = values([target], of: departure.new ?? departure.old, departure.relation)[0]
                case .setDefault: image[position] = try standard(child.columns[position], of: child)
                default: image[position] = .null
                }
            }
            try update(row, to: image, in: child)
        }
    }

    private func standard(_ column: Column, of relation: Relation) throws -> SQLValue {
        let sql = try access.schema.standard(column, of: relation, role: relation.owner)
        return try session.query("SELECT \(sql)", access.context).first?[0] ?? .null
    }

    private func checkDeparture(_ departure: Departure, _ child: Relation, _ key: ForeignKey) throws {
        guard let old = lost(departure, key), try refers(child, key, old) else { return }
        // Another row may have taken the key meanwhile.
        guard try !exists(key.target, key.targetColumns, old) else { return }
        throw words(departure.relation).stillReferenced(by: child, key, departure.old)
    }

    private func checkArrival(_ relation: Relation, _ key: ForeignKey, _ image: [SQLValue]) throws {
        let values = values(key.columns, of: image, relation)
        guard !values.contains(where: \.isNull), try !exists(key.target, key.targetColumns, values) else { return }
        // An action may have taken the referring row away again.
        guard try exists(relation.name, key.columns, values) else { return }
        let hidesParent = access.catalog.relations[key.target].map { target in
            guard !access.isGuarded(target), !access.isUnrestricted else { return !access.isUnrestricted }
            let compiler = AccessCompiler(catalog: access.catalog, role: access.role)
            return !compiler.allows(.select, on: target, columns: key.targetColumns)
        }
        throw words(relation).missingParent(key, image, hidesParent: hidesParent ?? true)
    }

    private func refers(_ child: Relation, _ key: ForeignKey, _ values: [SQLValue]) throws -> Bool {
        try exists(child.name, key.columns, values)
    }

    private func exists(_ relation: QualifiedName, _ columns: [String], _ values: [SQLValue]) throws -> Bool {
        let conditions = columns.enumerated().map { "\(SQLiteName.quoted(column: $1)) = ?\($0 + 1)" }
        let sql = "SELECT 1 FROM \(SQLiteName.quoted(relation)) WHERE \(conditions.joined(separator: " AND ")) LIMIT 1"
        return try !session.query(sql, values).isEmpty
    }

    private func rows(of relation: Relation, where columns: [String], are values: [SQLValue]) throws -> [StoredRow] {
        let conditions = columns.enumerated().map { "\(SQLiteName.quoted(column: $1)) = ?\($0 + 1)" }
        let sql =
            "SELECT rowid, \(relation.columns.map { SQLiteName.quoted(column: $0.name) }.joined(separator: ", ")) "
            + "FROM \(SQLiteName.quoted(relation.name)) WHERE \(conditions.joined(separator: " AND ")) ORDER BY rowid"
        return try session.query(sql, values).map { row in
            StoredRow(rowID: row[0].integerValue ?? 0, image: Array(row.values.dropFirst()))
        }
    }
}
