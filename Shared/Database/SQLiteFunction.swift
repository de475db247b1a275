// SPDX-License-Identifier: Apache-2.0

/// A scalar function of ours inside SQLite.
///
/// It runs on the connection's thread and must not use the database. A thrown `DatabaseError` reaches the caller of
/// the statement as it is.
package struct SQLiteFunction: Sendable {
    package let name: String
    /// Number of arguments; -1 takes any number.
    package let argumentCount: Int32
    /// The same arguments give the same result, so that indexes and CHECK may use it.
    package let isDeterministic: Bool
    package let body: @Sendable ([SQLValue]) throws -> SQLValue

    package init(
        _ name: String, arguments argumentCount: Int32, isDeterministic: Bool = true,
        _ body: @escaping @Sendable ([SQLValue]) throws -> SQLValue
    ) {
        self.name = name
        self.argumentCount = argumentCount
        self.isDeterministic = isDeterministic
        self.body = body
    }
}

/// An order of texts.
package struct SQLiteCollation: Sendable {
    package let name: String
    /// Negative, zero or positive, as `strcmp` answers; must be a total order.
    package let compare: @Sendable (String, String) -> Int32

    package init(_ name: String, _ compare: @escaping @Sendable (String, String) -> Int32) {
        self.name = name
        self.compare = compare
    }
}

/// An aggregate: makes a state, feeds it rows, and asks for the result.
package struct SQLiteAggregate: Sendable {
    package let name: String
    package let argumentCount: Int32
    package let make: @Sendable () -> any SQLiteAggregateState

    package init(
        _ name: String, arguments argumentCount: Int32, _ make: @escaping @Sendable () -> any SQLiteAggregateState
    ) {
        self.name = name
        self.argumentCount = argumentCount
        self.make = make
    }
}

/// The state of one aggregate over one group.
package protocol SQLiteAggregateState: AnyObject {
    func step(_ arguments: [SQLValue]) throws
    func result() throws -> SQLValue
}
