// SPDX-License-Identifier: Apache-2.0

/// A query string, parsed: syntax only (rest contract 1.2).
package struct ParsedQuery: Sendable, Equatable {
    /// A condition, and the embed that it belongs to: names from the root down, empty at the root.
    package struct Condition: Sendable, Equatable {
        package var path: [String]
        package var node: ConditionNode
    }

    package struct Order: Sendable, Equatable {
        package var path: [String]
        package var terms: [OrderNode]
    }

    /// `limit` and `offset` of one level, as sent: negative values are the planner's to judge.
    package struct Window: Sendable, Equatable {
        package var path: [String]
        package var limit: Int64?
        package var offset: Int64?
    }

    /// An argument of a function, as sent.
    package struct Argument: Sendable, Equatable {
        package var name: String
        package var value: String
    }

    package var select: [SelectNode] = [.star]
    /// Whether the client sent a `select`.
    package var hasSelect = false
    package var columns: [String]?
    package var onConflict: [String]?
    package var conditions: [Condition] = []
    package var orders: [Order] = []
    package var windows: [Window] = []
    /// Parameters that are no filter, where arguments may stand in the query.
    package var arguments: [Argument] = []

    package init() {}

    package func window(at path: [String]) -> Window? { windows.first { $0.path == path } }
}
