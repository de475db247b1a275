// SPDX-License-Identifier: Apache-2.0

/// `INSERT INTO … VALUES`, for the host to run with defaults, identities and keys (data-semantics 1).
package struct TranslatedInsert: Sendable, Equatable {
    package enum Value: Sendable, Equatable {
        /// A scalar expression of SQLite in the column's form on disk; may hold the parameters ?1 to ?5.
        case expression(String)
        case columnDefault
    }

    package var relation: QualifiedName
    /// The columns that are named; the others take their defaults.
    package var columns: [String]
    /// One value for each of `columns`.
    package var rows: [[Value]]
    /// `ON CONFLICT … DO NOTHING`: rows that break a unique key are left out.
    package var ignoresConflicts: Bool
    /// The key that ON CONFLICT names; empty for any.
    package var conflictColumns: [String]
    /// `OVERRIDING SYSTEM VALUE`: values for identity columns that are always generated are taken.
    package var overridesIdentity: Bool

    package init(
        relation: QualifiedName, columns: [String], rows: [[Value]], ignoresConflicts: Bool = false,
        conflictColumns: [String] = [], overridesIdentity: Bool = false
    ) {
        self.relation = relation
        self.columns = columns
        self.rows = rows
        self.ignoresConflicts = ignoresConflicts
        self.conflictColumns = conflictColumns
        self.overridesIdentity = overridesIdentity
    }
}
