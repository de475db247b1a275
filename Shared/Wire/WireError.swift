// SPDX-License-Identifier: Apache-2.0

/// Why bytes are no frame of ours.
package enum WireError: String, Error, Sendable {
    case truncated
    case badMagic = "bad_magic"
    case unknownKind = "unknown_kind"
    /// A header field has the wrong wire type, or a text is no UTF-8.
    case badHeader = "bad_header"
    /// The encoded header does not fit its 16-bit length.
    case headerTooLarge = "header_too_large"
}
