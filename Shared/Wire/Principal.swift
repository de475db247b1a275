// SPDX-License-Identifier: Apache-2.0

/// Who a request acts for, as the edge found it (AU-142, D14).
///
/// A service believes it only from the edge's authenticated key; from any other caller it verifies `token` itself.
package struct Principal: Sendable, Equatable {
    /// What the edge found in the `Authorization` header.
    package enum TokenStatus: UInt8, Sendable {
        /// No bearer token was sent.
        case absent = 0
        /// The token's signature, times and shape are right.
        case valid = 1
        /// The token was refused; `tokenError` says why.
        case invalid = 2
    }

    package var tokenStatus: TokenStatus
    /// A stable word for the reason of an invalid token: `empty`, `parts`, `key`, `crypto`, `algorithm`, `expired`,
    /// `not_yet_valid`, `issued_at_future`, `audience`, `claim_type:<claim>`, `claims`.
    package var tokenError: String
    /// Database role: `anon`, `authenticated`, `service_role`, or what a token's `role` claim says.
    package var role: String
    /// The `sub` claim: a lower-case UUID for users, empty when there is none.
    package var subject: String
    /// The `session_id` claim; empty for project keys.
    package var sessionID: String
    /// The token's payload, as the JSON text that was signed; empty without a valid token.
    package var claims: String
    /// The compact token as received, for services that verify it again; empty when absent.
    package var token: String
    /// Address of the client as the edge sees it (17.1 of the auth contract), without port.
    package var clientAddress: String

    package init(
        tokenStatus: TokenStatus = .absent, tokenError: String = "", role: String = "anon", subject: String = "",
        sessionID: String = "", claims: String = "", token: String = "", clientAddress: String = ""
    ) {
        self.tokenStatus = tokenStatus
        self.tokenError = tokenError
        self.role = role
        self.subject = subject
        self.sessionID = sessionID
        self.claims = claims
        self.token = token
        self.clientAddress = clientAddress
    }
}
