// SPDX-License-Identifier: Apache-2.0

/// One statement of a script, with its place in it.
struct ParsedStatement: Sendable {
    let node: ParseNode
    /// Byte offset of the statement's first word.
    let start: Int
    /// Byte offset behind its last.
    let end: Int
}
