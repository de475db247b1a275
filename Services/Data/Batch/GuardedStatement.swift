// SPDX-License-Identifier: Apache-2.0

import MartletJSON

/// A statement with what it must have found or changed (D28): of a rule's answer, or of `data.batch`.
struct GuardedStatement: Sendable {
    var action: RowTransaction.Step.Action
    /// Nil: whatever happens is right.
    var expectation: Expectation?
    /// What the caller is told when the expectation fails; nil: the world has changed, and nobody is to blame.
    var refusal: RowError?
    /// Whether the answer shows the rows.
    var showsRows: Bool

    /// Rows that the statement found, for a check, or affected.
    func count(_ result: RowsResult) -> Int { result.total.map { Int(clamping: $0) } ?? result.rowCount }

    /// Whether the statement did what it was to do.
    func holds(_ result: RowsResult) -> Bool { expectation?.range.contains(count(result)) ?? true }
}

/// How many rows a statement is to find or affect.
struct Expectation: Sendable, Equatable {
    var range: ClosedRange<Int>

    /// A number, or an object with `min`, `max` or both. Nil for anything else.
    init?(_ value: JSONValue) {
        if let exact = value.int64Value {
            guard exact >= 0 else { return nil }
            range = Int(exact)...Int(exact)
            return
        }
        guard let object = value.objectValue, !object.isEmpty, object.keys.allSatisfy({ $0 == "min" || $0 == "max" })
        else { return nil }
        let least = object["min"] ?? 0
        let most = object["max"] ?? .integer(Int.max)
        guard let least = least.int64Value, let most = most.int64Value, 0 <= least, least <= most else { return nil }
        range = Int(least)...Int(most)
    }

    init(_ range: ClosedRange<Int>) { self.range = range }

    var text: String {
        if range.lowerBound == range.upperBound { return "\(range.lowerBound)" }
        return range.upperBound == .max ? "at least \(range.lowerBound)" : "\(range.lowerBound) to \(range.upperBound)"
    }
}

/// Bounds of what a rule's answer or a batch may do, so that its transaction stays short.
enum StatementLimits {
    static let statementsMax = 100
    /// Rows that all statements together insert, and rows that they affect or show.
    static let rowsMax = 1_000
    /// Length of a code, in bytes.
    static let codeBytesMax = 64
    /// Length of a message, a detail and a hint, in bytes.
    static let textBytesMax = 2_048
}
