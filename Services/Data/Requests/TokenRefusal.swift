// SPDX-License-Identifier: Apache-2.0

package import MartletWire

extension RowError {
    /// The answer to a token that the edge found invalid (rest contract 17.1); nil when there is nothing to refuse.
    package static func tokenRefusal(_ principal: Principal) -> RowError? {
        guard principal.tokenStatus == .invalid else { return nil }
        let (code, message, details) = words(principal)
        let challenge = "Bearer error=\"invalid_token\", error_description=\"\(message)\""
        return RowError(code, message, details: details, fields: [HTTPField("www-authenticate", challenge)])
    }

    private static func words(_ principal: Principal) -> (code: String, message: String, details: String?) {
        switch principal.tokenError {
        case "empty": return ("PGRST301", "Empty JWT is sent in Authorization header", nil)
        case let word where word.hasPrefix("parts:"):
            return ("PGRST301", "Expected 3 parts in JWT; got \(word.dropFirst("parts:".count))", nil)
        case "key":
            return (
                "PGRST301", "No suitable key or wrong key type", "None of the keys was able to decode the JWT"
            )
        case "algorithm": return ("PGRST301", "Wrong or unsupported encoding algorithm", nil)
        case "expired": return ("PGRST303", "JWT expired", nil)
        case "not_yet_valid": return ("PGRST303", "JWT not yet valid", nil)
        case "issued_at_future": return ("PGRST303", "JWT issued at future", nil)
        case "audience": return ("PGRST303", "JWT not in audience", nil)
        case "claim_type:aud":
            return ("PGRST303", "The JWT 'aud' claim must be a string or an array of strings", nil)
        case let word where word.hasPrefix("claim_type:"):
            let claim = word.dropFirst("claim_type:".count)
            let kind = ["exp", "nbf", "iat"].contains(claim) ? "a number" : "a string"
            return ("PGRST303", "The JWT '\(claim)' claim must be \(kind)", nil)
        case "claims": return ("PGRST303", "Parsing claims failed", nil)
        default: return ("PGRST301", "JWT cryptographic operation failed", nil)
        }
    }
}
