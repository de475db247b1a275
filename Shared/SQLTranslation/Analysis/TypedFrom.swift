// SPDX-License-Identifier: Apache-2.0

indirect enum TypedFrom {
    /// A table or view; `columns` are those the query reads, for column grants.
    case relation(QualifiedName, alias: String, use: RelationUse)
    case subquery(TypedQuery, alias: String)
    case join(JoinKind, TypedFrom, TypedFrom, on: TypedExpression?)

    enum JoinKind: String, Sendable {
        case inner = "JOIN"
        case left = "LEFT JOIN"
        case cross = "CROSS JOIN"
    }
}

/// The columns that a query reads from one FROM item; filled while the query is analysed.
final class RelationUse {
    var columns: Set<String> = []
}
