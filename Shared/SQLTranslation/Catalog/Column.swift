// SPDX-License-Identifier: Apache-2.0

package struct Column: Sendable, Equatable {
    package enum Identity: String, Sendable { case none, always, byDefault }

    package var name: String
    package var type: ColumnType
    package var notNull: Bool
    /// Default as PostgreSQL text; nil when there is none. Applied by the host on SQLite (data-semantics 4).
    package var defaultExpression: String?
    package var identity: Identity
    /// Expression of a stored generated column, as PostgreSQL text.
    package var generatedExpression: String?
    package var comment: String?

    package init(
        name: String, type: ColumnType, notNull: Bool = false, defaultExpression: String? = nil,
        identity: Identity = .none, generatedExpression: String? = nil, comment: String? = nil
    ) {
        self.name = name
        self.type = type
        self.notNull = notNull
        self.defaultExpression = defaultExpression
        self.identity = identity
        self.generatedExpression = generatedExpression
        self.comment = comment
    }
}
