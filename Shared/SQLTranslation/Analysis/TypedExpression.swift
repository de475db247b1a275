// SPDX-License-Identifier: Apache-2.0

/// An expression with names resolved and a PostgreSQL type: the only thing SQLite's SQL is written from.
///
/// The form of its value on SQLite follows from the type alone: numeric with precision up to 18 is a scaled integer,
/// any other numeric is decimal text, and so on (D23).
struct TypedExpression {
    indirect enum Node {
        /// Text in the input form of the expression's type; nil is NULL.
        case literal(String?)
        /// Column `name` of the FROM item that has `alias` on SQLite.
        case column(name: String, alias: String)
        case context(ContextValue)
        case call(Signature, [TypedExpression])
        /// Conversion at run time; the target is the expression's type.
        case cast(TypedExpression, isExplicit: Bool)
        case all([TypedExpression])
        case any([TypedExpression])
        case not(TypedExpression)
        case isNull(TypedExpression, negated: Bool)
        case isTruth(TypedExpression, Bool, negated: Bool)
        /// Both sides have one type, or two numeric ones, or two moments.
        case comparison(Comparison, TypedExpression, TypedExpression)
        case isDistinct(TypedExpression, TypedExpression, negated: Bool)
        case isIn(TypedExpression, [TypedExpression], negated: Bool)
        /// `x = any (array)`, `x <> all (array)`: equality only.
        case isElement(TypedExpression, of: TypedExpression, negated: Bool)
        case conditional([(condition: TypedExpression, result: TypedExpression)], otherwise: TypedExpression?)
        case coalesce([TypedExpression])
        case extreme([TypedExpression], isGreatest: Bool)
        case like(TypedExpression, pattern: TypedExpression, ignoresCase: Bool, negated: Bool)
        case exists(TypedQuery)
        case scalar(TypedQuery)
        case isInQuery(TypedExpression, TypedQuery, negated: Bool)
        case array([TypedExpression])
        case aggregate(Aggregate)
        /// `current_user`: the role that the expression is compiled for.
        case currentRole
    }

    var type: ColumnType
    var node: Node
    /// Byte offset in the text it came from, for refusals.
    var location: Int?

    init(_ node: Node, type: ColumnType, at location: Int?) {
        self.node = node
        self.type = type
        self.location = location
    }

    /// The literal's text; nil for anything but a literal.
    var literal: String?? {
        if case .literal(let text) = node { .some(text) } else { nil }
    }

    var isNullLiteral: Bool {
        if case .literal(nil) = node { true } else { false }
    }
}
