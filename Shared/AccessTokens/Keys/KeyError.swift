// SPDX-License-Identifier: Apache-2.0

/// A key, or a file of keys, that cannot be used.
package struct KeyError: Error, Sendable, Equatable, CustomStringConvertible {
    /// What is wrong, for operators. Holds no part of a secret.
    package let message: String

    package init(_ message: String) { self.message = message }

    package var description: String { message }
}
