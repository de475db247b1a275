// SPDX-License-Identifier: Apache-2.0

package import MartletSQL

/// How the rows of `source` find the rows of `target`, from foreign keys (rest contract 6.1).
package struct Relationship: Sendable, Equatable {
    package enum Cardinality: String, Sendable, Equatable {
        case manyToOne = "many-to-one"
        case oneToMany = "one-to-many"
        case oneToOne = "one-to-one"
        case manyToMany = "many-to-many"
    }

    package enum Join: Sendable, Equatable {
        /// Pairs of columns of source and target that must be equal.
        case direct([ColumnPair])
        /// Pairs source–junction and junction–target.
        case through(QualifiedName, source: [ColumnPair], target: [ColumnPair])
    }

    package struct ColumnPair: Sendable, Equatable {
        /// Column on the side that is named first.
        package var left: String
        package var right: String

        package init(_ left: String, _ right: String) {
            self.left = left
            self.right = right
        }
    }

    package var source: QualifiedName
    package var target: QualifiedName
    package var cardinality: Cardinality
    package var join: Join
    /// Names of the foreign keys: one, or the two of a junction.
    package var constraints: [String]
    /// Whether the foreign key stands on `source` (many-to-one, and one of the two directions of one-to-one).
    package var isForward: Bool

    package init(
        source: QualifiedName, target: QualifiedName, cardinality: Cardinality, join: Join, constraints: [String],
        isForward: Bool
    ) {
        self.source = source
        self.target = target
        self.cardinality = cardinality
        self.join = join
        self.constraints = constraints
        self.isForward = isForward
    }

    /// An object or null, not an array.
    package var isToOne: Bool { cardinality == .manyToOne || cardinality == .oneToOne }
}
