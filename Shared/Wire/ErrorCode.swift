// SPDX-License-Identifier: Apache-2.0

/// Outcome of a bus request. Numbers are for ever; `docs/errors.md` lists them.
package struct ErrorCode: RawRepresentable, Sendable, Hashable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    package static let ok = ErrorCode(rawValue: 0)
    /// The frame, header or payload cannot be read.
    package static let badMessage = ErrorCode(rawValue: 1)
    package static let unknownMethod = ErrorCode(rawValue: 2)
    /// The authenticated caller may not call this method.
    package static let notAuthorized = ErrorCode(rawValue: 3)
    /// No capacity now; nothing was executed.
    package static let busy = ErrorCode(rawValue: 4)
    package static let draining = ErrorCode(rawValue: 5)
    package static let deadlineExceeded = ErrorCode(rawValue: 6)
    package static let cancelled = ErrorCode(rawValue: 7)
    /// The connection died while the request was on its way.
    package static let linkLost = ErrorCode(rawValue: 8)
    /// No replica of the target is ready.
    package static let unavailable = ErrorCode(rawValue: 9)
    package static let payloadTooLarge = ErrorCode(rawValue: 10)
    /// The handler failed by a fault of ours.
    package static let internalError = ErrorCode(rawValue: 11)
    /// The handler's database cannot answer now.
    package static let storageUnavailable = ErrorCode(rawValue: 12)
    /// The same idempotency key came with another request.
    package static let idempotencyMismatch = ErrorCode(rawValue: 13)

    /// Stable name, as logs and metrics carry it.
    package var name: String {
        switch rawValue {
        case 0: "ok"
        case 1: "bad_message"
        case 2: "unknown_method"
        case 3: "not_authorized"
        case 4: "busy"
        case 5: "draining"
        case 6: "deadline_exceeded"
        case 7: "cancelled"
        case 8: "link_lost"
        case 9: "unavailable"
        case 10: "payload_too_large"
        case 11: "internal_error"
        case 12: "storage_unavailable"
        case 13: "idempotency_mismatch"
        default: "unknown"
        }
    }
}
