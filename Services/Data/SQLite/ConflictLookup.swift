// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// Finds the stored row that a proposed one would collide with, for ON CONFLICT.
struct ConflictLookup {
    let merges: Bool
    private let positions: [Int]
    private let sql: String

    /// - Throws: `DatabaseError` 42P10 when no unique key has the columns.
    init(_ rule: ConflictRule, _ relation: Relation, _ access: RowAccess) throws(DatabaseError) {
        let columns = Set(rule.columns)
        let keys =
            ([relation.primaryKey].compactMap(\.self) + relation.uniques).map(\.columns)
            + relation.indexes.filter { $0.isUnique && $0.predicate == nil }.map(\.terms)
        guard keys.contains(where: { Set($0) == columns }) else {
            throw DatabaseError(
                sqlState: "42P10",
                message: "there is no unique or exclusion constraint matching the ON CONFLICT specification")
        }
        merges = rule.merges
        positions = rule.columns.compactMap { name in relation.columns.firstIndex { $0.name == name } }
        let list = relation.columns.map { SQLiteName.quoted(column: $0.name) }
        let conditions = rule.columns.enumerated().map { "\(SQLiteName.quoted(column: $1)) = ?\($0 + 1)" }
        sql =
            "SELECT rowid, \(list.joined(separator: ", ")) FROM \(SQLiteName.quoted(relation.name)) "
            + "WHERE \(conditions.joined(separator: " AND "))"
    }

    /// The key's values; nil when one is null, which collides with nothing.
    func key(of image: [SQLValue]) -> [SQLValue]? {
        let values = positions.map { image[$0] }
        return values.contains(where: \.isNull) ? nil : values
    }

    func find(_ key: [SQLValue], _ session: DatabaseSession) throws -> StoredRow? {
        try session.query(sql, key).first.map { row in
            StoredRow(rowID: row[0].integerValue ?? 0, image: Array(row.values.dropFirst()))
        }
    }
}
