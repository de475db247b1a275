// SPDX-License-Identifier: Apache-2.0

/// A row as owned values.
package struct SQLRow: Sendable {
    package let values: [SQLValue]
    private let names: [String]

    package init(values: [SQLValue], names: [String]) {
        self.values = values
        self.names = names
    }

    package var columnNames: [String] { names }

    package subscript(_ position: Int) -> SQLValue { values.indices.contains(position) ? values[position] : .null }

    /// The first column of this name; null when there is none.
    package subscript(_ name: String) -> SQLValue { names.firstIndex(of: name).map { values[$0] } ?? .null }
}
