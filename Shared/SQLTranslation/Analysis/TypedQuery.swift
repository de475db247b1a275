// SPDX-License-Identifier: Apache-2.0

/// A query with every name resolved.
struct TypedQuery {
    indirect enum Body {
        case select(TypedSelect)
        /// UNION, INTERSECT, EXCEPT; the columns of both sides have one type each.
        case compound(CompoundOperator, TypedQuery, TypedQuery)
    }

    enum CompoundOperator: String, Sendable {
        case union = "UNION"
        case unionAll = "UNION ALL"
        case intersect = "INTERSECT"
        case except = "EXCEPT"
    }

    struct OrderTerm {
        var key: TypedExpression
        /// Position of an output column, from 1, when the key is one.
        var output: Int?
        var isDescending: Bool
        var nullsFirst: Bool
    }

    var body: Body
    /// Output columns in their order.
    var columns: [(name: String, type: ColumnType)]
    var order: [OrderTerm] = []
    var limit: TypedExpression?
    var offset: TypedExpression?
}

struct TypedSelect {
    var isDistinct = false
    var targets: [TypedExpression] = []
    var from: [TypedFrom] = []
    var condition: TypedExpression?
    var grouping: [TypedExpression] = []
    var having: TypedExpression?
    /// Whether the query has aggregates, a GROUP BY or a HAVING.
    var isGrouped = false
}
