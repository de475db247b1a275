// SPDX-License-Identifier: Apache-2.0

/// A column by name with a JSON path, as the client wrote it; nothing is looked up yet.
package struct FieldNode: Sendable, Equatable {
    package var name: String
    package var path: [JSONStep]

    package init(_ name: String, path: [JSONStep] = []) {
        self.name = name
        self.path = path
    }
}
