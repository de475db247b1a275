// SPDX-License-Identifier: Apache-2.0

extension TypedExpression {
    /// Every expression directly inside this one; those of a subquery included.
    var children: [TypedExpression] {
        switch node {
        case .literal, .column, .context, .currentRole: []
        case .call(_, let arguments), .all(let arguments), .any(let arguments), .coalesce(let arguments),
            .array(let arguments), .extreme(let arguments, _):
            arguments
        case .cast(let argument, _), .not(let argument), .isNull(let argument, _), .isTruth(let argument, _, _):
            [argument]
        case .comparison(_, let left, let right), .isDistinct(let left, let right, _),
            .isElement(let left, let right, _), .like(let left, let right, _, _):
            [left, right]
        case .isIn(let subject, let items, _): [subject] + items
        case .conditional(let branches, let otherwise):
            branches.flatMap { [$0.condition, $0.result] } + (otherwise.map { [$0] } ?? [])
        case .exists(let query), .scalar(let query): query.expressions
        case .isInQuery(let subject, let query, _): [subject] + query.expressions
        case .aggregate(let aggregate): [aggregate.argument, aggregate.separator, aggregate.filter].compactMap(\.self)
        }
    }

    /// Whether `test` holds for this expression or anything inside it.
    func contains(_ test: (TypedExpression) -> Bool) -> Bool {
        test(self) || children.contains { $0.contains(test) }
    }

    /// Whether an aggregate stands in it.
    var hasAggregate: Bool {
        contains { expression in
            if case .aggregate = expression.node { true } else { false }
        }
    }

    /// Whether a subquery stands in it.
    var hasSubquery: Bool {
        contains { expression in
            switch expression.node {
            case .exists, .scalar, .isInQuery: true
            default: false
            }
        }
    }
}

extension TypedQuery {
    /// Every expression directly inside the query, its FROM included.
    var expressions: [TypedExpression] {
        let own = order.map(\.key) + [limit, offset].compactMap(\.self)
        switch body {
        case .select(let select):
            return own + select.targets + select.grouping + [select.condition, select.having].compactMap(\.self)
                + select.from.flatMap(\.expressions)
        case .compound(_, let left, let right): return own + left.expressions + right.expressions
        }
    }
}

extension TypedFrom {
    var expressions: [TypedExpression] {
        switch self {
        case .relation: []
        case .subquery(let query, _): query.expressions
        case .join(_, let left, let right, let on): left.expressions + right.expressions + (on.map { [$0] } ?? [])
        }
    }
}
