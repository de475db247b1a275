// SPDX-License-Identifier: Apache-2.0

/// One item of `select` as written (rest contract 5.1).
package indirect enum SelectNode: Sendable, Equatable {
    case star
    case field(FieldNode, alias: String?, cast: String?)
    /// `amount.sum()`, `count()`: understood, so that it can be refused by name.
    case aggregate(function: String)
    case embed(EmbedNode)
}

/// `alias:target!hint!inner(select)`.
package struct EmbedNode: Sendable, Equatable {
    package var target: String
    package var alias: String?
    package var hint: String?
    package var isInner: Bool
    /// `...target(…)`.
    package var isSpread: Bool
    /// Empty for `target()`.
    package var items: [SelectNode]

    package init(
        target: String, alias: String? = nil, hint: String? = nil, isInner: Bool = false, isSpread: Bool = false,
        items: [SelectNode]
    ) {
        self.target = target
        self.alias = alias
        self.hint = hint
        self.isInner = isInner
        self.isSpread = isSpread
        self.items = items
    }
}
