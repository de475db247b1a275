// SPDX-License-Identifier: Apache-2.0

/// What the verifier found.
package enum TokenVerdict: Sendable, Equatable {
    case valid(VerifiedToken)
    case invalid(TokenFault)
    /// The token names a key that we do not have: fetch the key set once and ask again, else refuse with `key`.
    case unknownKey(String)
}
