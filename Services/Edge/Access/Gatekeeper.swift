// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletWire

/// Looks at the project's key and the bearer token of a request, and says who it acts for (AU-102 to AU-104, D14).
///
/// Never refuses a token: each dialect answers a bad one in its own words. Only a missing or wrong project key ends a
/// request here.
struct Gatekeeper: Sendable {
    /// What the headers of one request say.
    struct Credentials: Sendable {
        /// Of the header `apikey`, or of the query parameter on GET.
        var apiKey: String?
        var authorization: String?
    }

    enum Verdict: Sendable {
        case principal(Principal)
        /// The signature is by a key that is not known here yet.
        case unknownKey
    }

    let verifier: TokenVerifier
    let keys: ProjectKeys

    /// - Parameter now: Unix time in seconds.
    func judge(
        _ credentials: Credentials, route: Route, path: Substring, now: Int64
    ) throws(EdgeError) -> Verdict {
        let role: String?
        if let key = credentials.apiKey {
            role = keyRole(key, now: now)
        } else {
            role = nil
        }
        if role == nil, !route.gate.isOpen(path) {
            throw credentials.apiKey == nil ? .noKey : .badKey
        }
        var bearer = credentials.authorization.map(Self.bearer) ?? .none
        if case .token(let token) = bearer, let key = credentials.apiKey, token == key, Self.isOpaque(key) {
            bearer = .none
        }
        switch bearer {
        case .token(let token): return verdict(on: token, now: now)
        case .none:
            guard let role, let key = credentials.apiKey else { return .principal(Principal()) }
            if Self.isOpaque(key) {
                return .principal(
                    Principal(tokenStatus: .valid, role: role, claims: #"{"role":"\#(role)"}"#))
            }
            return route.keyIsBearer ? verdict(on: key, now: now) : .principal(Principal())
        }
    }

    /// Judges, and for a token by an unknown key once more after `learning` which keys there are now.
    ///
    /// Throws 503 when that cannot be had: a client whose good token were refused would sign its user out.
    func principal(
        of credentials: Credentials, route: Route, path: Substring, now: Int64, learning: () async -> Bool
    ) async throws(EdgeError) -> Principal {
        if case .principal(let principal) = try judge(credentials, route: route, path: path, now: now) {
            return principal
        }
        guard await learning() else { throw EdgeError(.unavailable, retryAfterMilliseconds: 0) }
        switch try judge(credentials, route: route, path: path, now: now) {
        case .principal(let principal): return principal
        case .unknownKey: return Self.refused(credentials)
        }
    }

    private enum Bearer {
        case none
        case token(String)
    }

    /// Another scheme counts as no token; the scheme's case does not matter.
    private static func bearer(_ header: String) -> Bearer {
        let scheme = header.prefix { $0 != " " }
        guard scheme.lowercased() == "bearer" else { return .none }
        return .token(String(header.dropFirst(scheme.count + 1)))
    }

    private static func isOpaque(_ key: String) -> Bool {
        key.hasPrefix("sb_publishable_") || key.hasPrefix("sb_secret_")
    }

    /// The role of a project key; nil if it is none of this project.
    private func keyRole(_ key: String, now: Int64) -> String? {
        #if MUTANT_EDGE_KEY_UNCHECKED
            return "anon"
        #else
            if Self.isOpaque(key) { return keys.role(ofOpaqueKey: key) }
            guard case .valid(let token) = verifier.verify(key, now: now), token.isProjectKey else { return nil }
            return token.role
        #endif
    }

    private func verdict(on token: String, now: Int64) -> Verdict {
        switch verifier.verify(token, now: now) {
        case .valid(let verified):
            return .principal(
                Principal(
                    tokenStatus: .valid, role: verified.role, subject: verified.subject, sessionID: verified.sessionID,
                    claims: verified.claims, token: token))
        case .invalid(let fault):
            return .principal(Principal(tokenStatus: .invalid, tokenError: fault.word, token: token))
        case .unknownKey: return .unknownKey
        }
    }

    /// The principal of a token whose key is unknown even after asking again.
    private static func refused(_ credentials: Credentials) -> Principal {
        var principal = Principal(tokenStatus: .invalid, tokenError: TokenFault.key.word)
        if case .token(let token)? = credentials.authorization.map(bearer) { principal.token = token }
        return principal
    }
}
