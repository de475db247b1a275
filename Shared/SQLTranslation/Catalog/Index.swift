// SPDX-License-Identifier: Apache-2.0

package struct Index: Sendable, Equatable {
    package var name: String
    package var isUnique: Bool
    /// Each term as PostgreSQL text (a column name or an expression), with its direction.
    package var terms: [String]
    /// Condition of a partial index, as PostgreSQL text.
    package var predicate: String?
    /// `btree`; any other is kept here only, because an index changes no result and SQLite has trees alone.
    package var method: String

    package init(name: String, isUnique: Bool, terms: [String], predicate: String? = nil, method: String = "btree") {
        self.name = name
        self.isUnique = isUnique
        self.terms = terms
        self.predicate = predicate
        self.method = method
    }
}
