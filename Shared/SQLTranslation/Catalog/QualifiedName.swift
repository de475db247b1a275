// SPDX-License-Identifier: Apache-2.0

/// Name of a relation, type or function: schema and name, as PostgreSQL folds them.
package struct QualifiedName: Sendable, Hashable, Comparable {
    package var schema: String
    package var name: String

    package init(_ schema: String, _ name: String) {
        self.schema = schema
        self.name = name
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.schema, left.name) < (right.schema, right.name)
    }
}
