// SPDX-License-Identifier: Apache-2.0

package import MartletDatabase
package import MartletJSON
package import MartletWire

/// A refused request: the error body of the rest contract (18.1), and what its answer needs besides.
package struct RowError: Error, Sendable, Equatable {
    /// A code of the API layer (`PGRST116`) or a SQLSTATE (`23505`).
    package var code: String
    package var message: String
    /// A string or null, and an array for `PGRST201` alone.
    package var details: JSONValue
    package var hint: String?
    /// Nil: the status follows from the code and the caller's role (18.2, 18.3).
    package var status: UInt16?
    /// Further fields of the answer, such as `content-range` of a 416.
    package var fields: [HTTPField]

    package init(
        _ code: String, _ message: String, details: String? = nil, hint: String? = nil, status: UInt16? = nil,
        fields: [HTTPField] = []
    ) {
        self.code = code
        self.message = message
        self.details = details.map { .string($0) } ?? .null
        self.hint = hint
        self.status = status
        self.fields = fields
    }

    /// What the database refused: SQLSTATE, message, detail and hint as it gave them.
    package init(_ error: DatabaseError) {
        self.init(error.sqlState, error.message, details: error.detail, hint: error.hint)
    }

    /// A part of the dialect, or of an engine, that this server does not have (`PGRST127`).
    package static func notImplemented(_ feature: String) -> RowError {
        RowError("PGRST127", "Feature not implemented", details: feature)
    }

    /// The key was used for another request (D27).
    package static let idempotencyMismatch = RowError(
        "idempotency_mismatch", "The idempotency key was already used for a different request",
        hint: "Use a new key for a new request.", status: 422)

    /// The key's request was executed, but its answer was too large to keep (D27).
    package static let replyTooLargeToReplay = RowError(
        "reply_too_large_to_replay", "The request was executed, but its reply was too large to be kept",
        hint: "Read the rows, or repeat such writes with return=minimal.", status: 409)
}
