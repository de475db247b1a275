// SPDX-License-Identifier: Apache-2.0

/// One term of `order` as written (rest contract 8).
package struct OrderNode: Sendable, Equatable {
    package var field: FieldNode
    /// The embed of `embed(column)`.
    package var embed: String?
    package var isDescending: Bool
    /// Nil: the default of the direction.
    package var nullsFirst: Bool?

    package init(_ field: FieldNode, embed: String? = nil, isDescending: Bool = false, nullsFirst: Bool? = nil) {
        self.field = field
        self.embed = embed
        self.isDescending = isDescending
        self.nullsFirst = nullsFirst
    }
}
