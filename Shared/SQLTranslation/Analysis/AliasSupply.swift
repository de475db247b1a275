// SPDX-License-Identifier: Apache-2.0

/// Aliases for FROM items that occur nowhere else in a statement.
final class AliasSupply {
    private var count = 0

    func next() -> String {
        count += 1
        return "_m\(count)"
    }
}
