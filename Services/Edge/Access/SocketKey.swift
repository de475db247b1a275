// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens

extension Gatekeeper {
    /// Whom a WebSocket acts for until a channel says otherwise: the project key's role.
    struct SocketPrincipal: Sendable, Equatable {
        let role: String
        let claims: String
        /// The key, when it is a JWT.
        let token: String
        /// Unix seconds; 0 for a key without end.
        let expiresAt: Int64
    }

    /// Judges the key of a handshake, and says in RT-07's words what is wrong with it.
    ///
    /// - Parameter now: Unix time in seconds.
    func socketPrincipal(ofKey key: String?, now: Int64) throws(EdgeError) -> SocketPrincipal {
        guard let key, !key.isEmpty else { throw .noKey }
        if let role = keys.role(ofOpaqueKey: key) {
            return SocketPrincipal(role: role, claims: #"{"role":"\#(role)"}"#, token: "", expiresAt: 0)
        }
        guard case .valid(let token) = verifier.verify(key, now: now), token.isProjectKey,
            let expiresAt = token.expiresAt
        else { throw badKey(key, now: now) }
        return SocketPrincipal(
            role: token.role, claims: token.claims, token: key,
            expiresAt: Int64(exactly: expiresAt.rounded(.down)) ?? .max)
    }

    /// The refusal of a project key, with its reason in the words of RT-07.
    func badKey(_ key: String, now: Int64) -> EdgeError {
        var error = EdgeError.badKey
        switch verifier.verify(key, now: now) {
        case .valid(let token):
            if token.expiresAt == nil { error.keyFault = "Fields `role` and `exp` are required in JWT" }
        case .unknownKey: error.keyFault = "Failed to validate JWT signature"
        case .invalid(let fault):
            switch fault {
            case .expired: error.keyFault = "Token has expired"
            case .key, .algorithm: error.keyFault = "Failed to validate JWT signature"
            case .empty, .crypto: error.keyFault = "The token provided is not a valid JWT"
            default: if fault.word.hasPrefix("parts:") { error.keyFault = "The token provided is not a valid JWT" }
            }
        }
        return error
    }
}
