// SPDX-License-Identifier: Apache-2.0

/// What the names of an analysed text turned out to mean, by byte offset; for renames and for `*`.
final class ReferenceLog {
    struct ColumnReference {
        var relation: QualifiedName?
        var column: String
        var isOwnRow: Bool
    }

    struct Mention: Hashable {
        var relation: QualifiedName
        var column: String
    }

    var columns: [Int: ColumnReference] = [:]
    /// Relations in FROM, and every column of a relation that is read, places or not.
    var relations: Set<QualifiedName> = []
    var mentions: Set<Mention> = []
    /// What `*` and `t.*` stand for: qualifier and name of each column.
    var stars: [Int: [(qualifier: String, column: String)]] = [:]
}
