// SPDX-License-Identifier: Apache-2.0

/// What a role may do with a relation.
package struct Privileges: Sendable, Equatable {
    package struct Set: OptionSet, Sendable, Hashable {
        package let rawValue: UInt16

        package init(rawValue: UInt16) { self.rawValue = rawValue }

        package static let select = Set(rawValue: 1)
        package static let insert = Set(rawValue: 2)
        package static let update = Set(rawValue: 4)
        package static let delete = Set(rawValue: 8)
        package static let truncate = Set(rawValue: 16)
        package static let references = Set(rawValue: 32)
        package static let trigger = Set(rawValue: 64)
        package static let all: Set = [.select, .insert, .update, .delete, .truncate, .references, .trigger]
    }

    package var table: Set
    /// Column grants: `grant select (a, b)`.
    package var columns: [String: Set]

    package init(table: Set = [], columns: [String: Set] = [:]) {
        self.table = table
        self.columns = columns
    }
}
