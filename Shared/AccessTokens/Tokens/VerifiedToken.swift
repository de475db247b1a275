// SPDX-License-Identifier: Apache-2.0

/// A token whose signature and claims are right. Its times are checked anew at each use.
package struct VerifiedToken: Sendable, Equatable {
    /// The payload, as the JSON text that was signed.
    package let claims: String
    /// The `role` claim; `anon` when there is none.
    package let role: String
    /// The `sub` claim; empty when there is none.
    package let subject: String
    /// The `session_id` claim; empty when there is none.
    package let sessionID: String
    /// The `iss` claim; empty when there is none.
    package let issuer: String
    /// The `aud` claim as a list.
    package let audiences: [String]
    /// The `kid` of the key that verified it; empty for the HS256 secret.
    package let keyID: String
    /// A project key (AU-141): role `anon` or an admin role, and no session. Everything else is a user's token.
    package let isProjectKey: Bool

    // Unix seconds.
    package let expiresAt: Double?
    package let notBefore: Double?
    package let issuedAt: Double?

    /// The time rules of AU-142, in the order in which `/rest/v1` reports them.
    func timeFault(now: Int64) -> TokenFault? {
        let now = Double(now)
        let leeway = Double(TokenLimits.leewaySeconds)
        if let expiresAt, now > expiresAt + leeway { return .expired }
        if let notBefore, notBefore > now + leeway { return .notYetValid }
        if let issuedAt, issuedAt > now + leeway { return .issuedInFuture }
        return nil
    }
}
