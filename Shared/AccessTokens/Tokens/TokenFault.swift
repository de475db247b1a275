// SPDX-License-Identifier: Apache-2.0

/// Why a token is refused, as a stable word that every dialect puts into its own words (D14).
package struct TokenFault: Error, Sendable, Hashable {
    /// The word that travels in `Principal.tokenError`.
    package let word: String

    private init(_ word: String) { self.word = word }

    /// The header said `Bearer` and nothing else.
    package static let empty = TokenFault("empty")
    /// Not three parts.
    package static func parts(_ count: Int) -> TokenFault { TokenFault("parts:\(count)") }
    /// No key fits, or the one that should fit did not sign this.
    package static let key = TokenFault("key")
    /// The header or the payload cannot be read, is too large, or asks for an extension (`crit`).
    package static let crypto = TokenFault("crypto")
    /// An algorithm that none of the keys has, `none` among them.
    package static let algorithm = TokenFault("algorithm")
    package static let expired = TokenFault("expired")
    package static let notYetValid = TokenFault("not_yet_valid")
    package static let issuedInFuture = TokenFault("issued_at_future")
    package static let audience = TokenFault("audience")
    /// A claim is missing where it must be there, or has another type.
    package static func claimType(_ claim: String) -> TokenFault { TokenFault("claim_type:\(claim)") }
    /// The claims are no object, or another installation issued them.
    package static let claims = TokenFault("claims")

    /// What stands after `invalid JWT: ` in the auth dialect (4.3 of the auth contract).
    package var explanation: String {
        switch word {
        case "empty": "token is malformed: token is empty"
        case "key": "signature is invalid"
        case "crypto": "token is malformed: could not decode its header or payload"
        case "algorithm": "signing method is invalid"
        case "expired": "token has invalid claims: token is expired"
        case "not_yet_valid": "token has invalid claims: token is not valid yet"
        case "issued_at_future": "token has invalid claims: token used before issued"
        case "audience": "token has invalid claims: token has invalid audience"
        case "claims": "token has invalid claims"
        default:
            if word.hasPrefix("parts:") {
                "token is malformed: token contains an invalid number of segments"
            } else {
                "token has invalid claims: wrong type of claim \(word.drop { $0 != ":" }.dropFirst())"
            }
        }
    }

    /// The fault that travelled as `word` in a principal.
    package init(travelledAs word: String) { self.word = word }
}
