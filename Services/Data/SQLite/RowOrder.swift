// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// Sorts the few rows that a write returns: there is no statement that could.
enum RowOrder {
    static func precedes(_ left: [SQLValue], _ right: [SQLValue], _ terms: [OrderTerm]) -> Bool {
        for (position, term) in terms.enumerated() {
            let (one, other) = (left[position], right[position])
            if one.isNull != other.isNull { return one.isNull == term.nullsFirst }
            let result = compare(one, other, term.field.comparedType)
            if result != 0 { return term.isDescending ? result > 0 : result < 0 }
        }
        return false
    }

    private static func compare(_ left: SQLValue, _ right: SQLValue, _ type: ColumnType) -> Int32 {
        switch (left, right) {
        case (.integer(let one), .integer(let other)): return one == other ? 0 : one < other ? -1 : 1
        case (.real(let one), .real(let other)): return one == other ? 0 : one < other ? -1 : 1
        case (.text(let one), .text(let other)):
            if type.base == .jsonb, !type.isArray { return DocumentOrder.sqlite.compare(one, other) }
            if type.base == .numeric, !type.isArray {
                return MartletFunctions.collations.first { $0.name == "martlet_numeric" }?.compare(one, other) ?? 0
            }
            return one == other ? 0 : one.utf8.lexicographicallyPrecedes(other.utf8) ? -1 : 1
        case (.blob(let one), .blob(let other)): return one == other ? 0 : one.lexicographicallyPrecedes(other) ? -1 : 1
        default: return 0
        }
    }
}
