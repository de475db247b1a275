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

/// What the request supplies: SQLite parameters ?1 to ?5.
enum ContextValue: Int, Sendable {
    case userID = 1
    case role = 2
    case email = 3
    /// The claims as JSON text.
    case claims = 4
    /// Start of the request, µs since 1970 UTC.
    case now = 5
}

enum Comparison: String, Sendable {
    case equal = "="
    case notEqual = "<>"
    case less = "<"
    case greater = ">"
    case lessOrEqual = "<="
    case greaterOrEqual = ">="

    /// The comparison with its sides exchanged.
    var mirrored: Comparison {
        switch self {
        case .equal, .notEqual: self
        case .less: .greater
        case .greater: .less
        case .lessOrEqual: .greaterOrEqual
        case .greaterOrEqual: .lessOrEqual
        }
    }

    var isEquality: Bool { self == .equal || self == .notEqual }
}

struct Aggregate {
    enum Kind: String, Sendable {
        case count, sum, avg, min, max, boolAnd, boolOr, stringAgg, arrayAgg, jsonAgg, jsonbAgg
    }

    var kind: Kind
    /// Nil is `count(*)`.
    var argument: TypedExpression?
    /// What `string_agg` puts between the texts.
    var separator: TypedExpression?
    var isDistinct: Bool
    var filter: TypedExpression?
}

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
