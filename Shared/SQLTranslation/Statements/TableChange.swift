// SPDX-License-Identifier: Apache-2.0

/// What the commands of one ALTER TABLE come to.
struct TableChange {
    var table: Relation
    var needsRebuild = false
    /// Values of new or converted columns, over a row of the old table.
    var values: [String: String] = [:]
    /// Statements that do the change in place, when no rebuild is needed.
    var additions: [String] = []
}
