// SPDX-License-Identifier: Apache-2.0

package struct CheckConstraint: Sendable, Equatable {
    package var name: String
    /// PostgreSQL text of the condition.
    package var expression: String

    package init(name: String, expression: String) {
        self.name = name
        self.expression = expression
    }
}
