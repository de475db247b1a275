// SPDX-License-Identifier: Apache-2.0

/// Every refusal of one file, in the order of the text. Never empty.
package struct SQLRefusals: Error, Sendable, Equatable, CustomStringConvertible {
    package var refusals: [SQLRefusal]

    package init(_ refusals: [SQLRefusal]) { self.refusals = refusals }

    package var description: String { refusals.map(\.description).joined(separator: "\n") }
}
