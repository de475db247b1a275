// SPDX-License-Identifier: Apache-2.0

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
