// SPDX-License-Identifier: Apache-2.0

package struct KeyConstraint: Sendable, Equatable {
    package var name: String
    package var columns: [String]
    package var nullsNotDistinct: Bool

    package init(name: String, columns: [String], nullsNotDistinct: Bool = false) {
        self.name = name
        self.columns = columns
        self.nullsNotDistinct = nullsNotDistinct
    }
}
