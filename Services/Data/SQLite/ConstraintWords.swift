// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// Broken constraints in PostgreSQL's words. Values are shown only to callers who may see the row anyway.
struct ConstraintWords {
    let relation: Relation
    /// Policies hide rows of the relation from the caller.
    let hidesValues: Bool

    func notNull(_ column: Column, _ image: [SQLValue]) -> DatabaseError {
        DatabaseError(
            sqlState: "23502",
            message: "null value in column \"\(column.name)\" of relation \"\(relation.name.name)\" violates not-null "
                + "constraint",
            detail: failingRow(image), schema: relation.name.schema, table: relation.name.name, column: column.name)
    }

    func missingParent(_ key: ForeignKey, _ image: [SQLValue], hidesParent: Bool) -> DatabaseError {
        let values = pairs(key.columns, image)
        let shown = hidesParent ? "Key is" : "Key \(values) is"
        return DatabaseError(
            sqlState: "23503",
            message: "insert or update on table \"\(relation.name.name)\" violates foreign key constraint "
                + "\"\(key.name)\"",
            detail: "\(shown) not present in table \"\(key.target.name)\".", schema: relation.name.schema,
            table: relation.name.name, constraint: key.name)
    }

    /// - Parameter image: the row of this relation that `child` still refers to.
    func stillReferenced(by child: Relation, _ key: ForeignKey, _ image: [SQLValue]) -> DatabaseError {
        let shown = hidesValues ? "Key is" : "Key \(pairs(key.targetColumns, image)) is"
        return DatabaseError(
            sqlState: "23503",
            message: "update or delete on table \"\(relation.name.name)\" violates foreign key constraint "
                + "\"\(key.name)\" on table \"\(child.name.name)\"",
            detail: "\(shown) still referenced from table \"\(child.name.name)\".", schema: child.name.schema,
            table: child.name.name, constraint: key.name)
    }

    /// SQLite's own error about a write of `image`.
    func words(_ error: DatabaseError, _ image: [SQLValue]) -> DatabaseError {
        switch error.sqlState {
        case "23505": return duplicate(error, image)
        case "23514":
            var words = error
            let name = error.constraint ?? ""
            words.message = "new row for relation \"\(relation.name.name)\" violates check constraint \"\(name)\""
            words.detail = failingRow(image)
            words.table = relation.name.name
            return words
        default: return error
        }
    }

    private func duplicate(_ error: DatabaseError, _ image: [SQLValue]) -> DatabaseError {
        var words = error
        let columns = (error.column ?? "").split(separator: ",").map {
            SQLiteName.decoded(column: String($0.drop { $0 == " " }))
        }
        let keys = [relation.primaryKey].compactMap(\.self) + relation.uniques
        var name = keys.first { $0.columns == columns }?.name ?? keys.first { Set($0.columns) == Set(columns) }?.name
        if name == nil {
            name =
                relation.indexes.first { index in
                    guard index.isUnique else { return false }
                    let encoded = SQLiteName.encoded(QualifiedName(relation.name.schema, index.name))
                    return encoded == error.constraint || (!columns.isEmpty && index.terms == columns)
                }?.name
        }
        words.constraint = name
        words.table = relation.name.name
        words.message = "duplicate key value violates unique constraint \"\(name ?? "")\""
        words.detail = hidesValues || columns.isEmpty ? nil : "Key \(pairs(columns, image)) already exists."
        return words
    }

    /// `(a, b)=(1, x)`.
    private func pairs(_ columns: [String], _ image: [SQLValue]) -> String {
        let values = columns.map { name in
            relation.columns.firstIndex { $0.name == name }.flatMap { position in
                ValueForm.text(image[position], type: relation.columns[position].type)
            } ?? "null"
        }
        return "(\(columns.joined(separator: ", ")))=(\(values.joined(separator: ", ")))"
    }

    /// Longest part of a value that a message shows, in bytes (PostgreSQL's `ExecBuildSlotValueDescription`).
    private static let shownBytesMax = 64

    private func failingRow(_ image: [SQLValue]) -> String? {
        guard !hidesValues else { return nil }
        let values = zip(relation.columns, image).map { column, value in
            let text = ValueForm.text(value, type: column.type) ?? "null"
            guard text.utf8.count > Self.shownBytesMax else { return text }
            var end = text.startIndex
            while let next = text.index(end, offsetBy: 1, limitedBy: text.endIndex),
                text[..<next].utf8.count <= Self.shownBytesMax
            { end = next }
            return text[..<end] + "..."
        }
        return "Failing row contains (\(values.joined(separator: ", ")))."
    }
}
