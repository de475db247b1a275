// SPDX-License-Identifier: Apache-2.0

package struct EnumType: Sendable, Equatable {
    package var name: QualifiedName
    /// Labels in their order, which is also the order of values.
    package var labels: [String]

    package init(name: QualifiedName, labels: [String]) {
        self.name = name
        self.labels = labels
    }
}
