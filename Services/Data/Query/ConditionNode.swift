// SPDX-License-Identifier: Apache-2.0

/// A filter, or a tree of them, as written (rest contract 2, 3).
package indirect enum ConditionNode: Sendable, Equatable {
    case and([ConditionNode])
    case or([ConditionNode])
    case not(ConditionNode)
    case filter(FieldNode, isNegated: Bool, FilterOperation)
    /// An operator of the dialect that no engine offers yet; refused by name.
    case unsupported(FieldNode, operatorName: String)
}
