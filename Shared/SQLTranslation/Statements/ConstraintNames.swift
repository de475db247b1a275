// SPDX-License-Identifier: Apache-2.0

/// The names that PostgreSQL gives to constraints and indexes without one: clients see them in errors.
enum ConstraintNames {
    /// Longest identifier, in bytes.
    private static let bytesMax = 63

    /// `table_column_suffix`, shortened as PostgreSQL does, with a number when `isTaken`.
    static func choose(_ table: String, _ columns: String, _ suffix: String, isTaken: (String) -> Bool) -> String {
        var number = 0
        while true {
            let name = joined(table, columns, number == 0 ? suffix : "\(suffix)\(number)")
            if !isTaken(name) { return name }
            number += 1
        }
    }

    private static func joined(_ first: String, _ second: String, _ suffix: String) -> String {
        var (left, right) = (Array(first.utf8), Array(second.utf8))
        let overhead = suffix.utf8.count + 1 + (right.isEmpty ? 0 : 1)
        while left.count + right.count + overhead > bytesMax, !(left.isEmpty && right.isEmpty) {
            if left.count > right.count { left.removeLast() } else { right.removeLast() }
        }
        // A cut may fall into a character.
        let parts = [left, right].filter { !$0.isEmpty }.map { bytes in
            String(String(decoding: bytes, as: UTF8.self).filter { $0 != "\u{FFFD}" })
        }
        return (parts + [suffix]).joined(separator: "_")
    }
}

extension Relation {
    /// Names of constraints of every kind on the relation.
    var constraintNames: Set<String> {
        var names = Set(checks.map(\.name) + foreignKeys.map(\.name) + uniques.map(\.name))
        if let primaryKey { names.insert(primaryKey.name) }
        return names
    }

    /// Whether the columns, in any order, are a key that rows can be found by.
    func hasKey(_ columns: [String]) -> Bool {
        let wanted = Set(columns)
        if let primaryKey, Set(primaryKey.columns) == wanted { return true }
        if uniques.contains(where: { Set($0.columns) == wanted }) { return true }
        return indexes.contains {
            $0.isUnique && $0.predicate == nil && Set($0.terms) == Set(columns.map(Deparser.quoted))
        }
    }
}
