// SPDX-License-Identifier: Apache-2.0

package import MartletJSON
package import MartletSQL

/// A write, checked against the schema cache: one statement, all rows or none (rest contract 11).
package struct WritePlan: Sendable, Equatable {
    package var relation: QualifiedName
    package var action: WriteAction
    /// `return=representation`: the affected rows as `items` and `order` of this row set say. It has no filter,
    /// limit or offset: a row that no longer matches is still returned (11.5). Nil: nothing is read back, so that
    /// no SELECT privilege is needed.
    package var representation: RowSet?
    package var stripsNulls: Bool
    /// `return=headers-only` on an insert: the key of the row, when it is exactly one.
    package var wantsLocation: Bool
    /// Columns that a rule of the project gave values to: the caller needs no privilege for them, but the row passes
    /// the caller's policies as ever. Not empty only in plans that write one row.
    package var ruleColumns: Set<String> = []

    package init(
        relation: QualifiedName, action: WriteAction, representation: RowSet? = nil, stripsNulls: Bool = false,
        wantsLocation: Bool = false
    ) {
        self.relation = relation
        self.action = action
        self.representation = representation
        self.stripsNulls = stripsNulls
        self.wantsLocation = wantsLocation
    }
}

package enum WriteAction: Sendable, Equatable {
    case insert(InsertedRows, onConflict: ConflictRule?)
    /// Every column of `columns` gets the row's member, or null, or its default when it is missing and
    /// `missing` says so. `row` may lack members only with `columns=`.
    /// `adding` are columns besides, which grow by an amount.
    case update(
        columns: [String], row: JSONObject, missing: MissingMember, filter: LogicTree?, adding: [Addition] = [])
    case delete(filter: LogicTree?)
}

/// The rows of an insert.
package struct InsertedRows: Sendable, Equatable {
    /// Columns that the statement names, in this order; all others get their defaults. Empty: a row of defaults
    /// for each of `rows`.
    package var columns: [String]
    /// Members that are no column of `columns` are ignored; missing ones follow `missing`.
    package var rows: [JSONObject]
    package var missing: MissingMember

    package init(columns: [String], rows: [JSONObject], missing: MissingMember = .null) {
        self.columns = columns
        self.rows = rows
        self.missing = missing
    }
}

/// A number that an update adds to what a column holds, exactly for integers and decimals.
package struct Addition: Sendable, Equatable {
    package var column: String
    /// A JSON number's text.
    package var amount: String

    package init(column: String, amount: String) {
        self.column = column
        self.amount = amount
    }
}

/// `Prefer: missing=`: what a row without a member for a named column gets.
package enum MissingMember: Sendable, Equatable {
    case null
    case columnDefault
}

/// `Prefer: resolution=` (11.4).
package struct ConflictRule: Sendable, Equatable {
    /// Columns of `on_conflict`, or of the primary key. The engine answers 42P10 when no unique key has them.
    package var columns: [String]
    /// `merge-duplicates`: the sent columns are updated; else the row is skipped, and not returned.
    package var merges: Bool

    package init(columns: [String], merges: Bool) {
        self.columns = columns
        self.merges = merges
    }
}
