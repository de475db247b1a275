// SPDX-License-Identifier: Apache-2.0

package import MartletSQL

/// A condition on the rows of one relation: what filters, `and` and `or` together say (rest contract 2, 3).
package indirect enum LogicTree: Sendable, Equatable {
    /// Both lists hold at least one item.
    case and([LogicTree])
    case or([LogicTree])
    case not(LogicTree)
    case filter(Filter)
    /// Whether the embed at `item` of the same level's `items` has a matching row (6.9).
    case hasEmbedded(item: Int)
}

/// `<field> [not] <operation>`. With `isNegated` the whole comparison is negated: rows where it is null stay out.
package struct Filter: Sendable, Equatable {
    package var field: FieldReference
    package var isNegated: Bool
    package var operation: FilterOperation
    /// Where the first text of `operation` stands among those of the whole read; nil where nobody has counted.
    var firstText: Int?

    package init(field: FieldReference, isNegated: Bool = false, operation: FilterOperation) {
        self.field = field
        self.isNegated = isNegated
        self.operation = operation
    }
}

/// What a filter compares. Values are texts as the client wrote them: the field's type decides what they mean, and
/// the engine refuses them with 22P02, 22007 or 22003 when they do not parse (2.3). The type of a field with a JSON
/// path is text when the last step is `->>`, else jsonb.
package enum FilterOperation: Sendable, Equatable {
    case compare(Comparison, String)
    /// `LIKE` or `ILIKE`; `*` is `%` already, `\` escapes.
    case like(pattern: String, ignoresCase: Bool)
    /// A regular expression, unanchored (`~`, `~*`).
    case match(pattern: String, ignoresCase: Bool)
    /// `= ANY(values)`; no value matches no row.
    case isIn([String])
    case isExactly(ExactValue)
    case isDistinct(String)
    /// `op ANY|ALL (values)` of `eq`, `gt`, …: the values of the array literal that the client wrote (2.2).
    case compareEach(Comparison, Quantifier, [String])
    case likeEach(patterns: [String], ignoresCase: Bool, Quantifier)
    case matchEach(patterns: [String], ignoresCase: Bool, Quantifier)

    package enum Comparison: String, Sendable, Equatable {
        case equal = "="
        case notEqual = "<>"
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
    }

    /// `is.…`; `unknown` is a boolean's null.
    package enum ExactValue: String, Sendable, Equatable {
        case null = "NULL"
        case notNull = "NOT NULL"
        case isTrue = "TRUE"
        case isFalse = "FALSE"
        case unknown = "UNKNOWN"
    }

    package enum Quantifier: String, Sendable, Equatable {
        case any = "ANY"
        case all = "ALL"
    }
}

/// A column, or a place inside its JSON.
package struct FieldReference: Sendable, Equatable {
    /// Name of a column that the relation has.
    package var column: String
    /// The column's own type, before `path`.
    package var type: ColumnType
    package var path: [JSONStep]

    package init(column: String, type: ColumnType, path: [JSONStep] = []) {
        self.column = column
        self.type = type
        self.path = path
    }
}

/// One `->` or `->>` of a JSON path (4).
package struct JSONStep: Sendable, Equatable {
    package enum Operand: Sendable, Equatable {
        case key(String)
        /// Negative from the end.
        case index(Int32)
    }

    package var operand: Operand
    /// `->>`: the result is text, else JSON.
    package var asText: Bool

    package init(_ operand: Operand, asText: Bool) {
        self.operand = operand
        self.asText = asText
    }
}
