// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletJSON
internal import MartletWire

/// The user who makes a request, with the session of their token.
struct Caller: Sendable {
    let user: User
    let session: Session
    let audiences: [String]
}

extension Authority {
    /// The user behind the bearer token (AU-142, rule 6). The edge checked signature and times; here the token must
    /// still mean somebody.
    func caller(_ request: AuthRequest) async throws(AuthError) -> Caller {
        try requireToken(request)
        let principal = request.principal
        guard !principal.subject.isEmpty else { throw AuthError(403, "bad_jwt", "invalid claim: missing sub claim") }
        guard let userID = UUIDText.normalized(principal.subject) else {
            throw AuthError(403, "bad_jwt", "invalid claim: sub claim must be a UUID")
        }
        let claims = try? JSONValue(parsing: principal.claims)
        // A token of another installation is refused even if a key of ours signed it (AU-510).
        guard claims?["iss"].map({ $0.stringValue == configuration.issuer }) ?? true else {
            throw AuthError(403, "bad_jwt", "invalid JWT: \(TokenFault.claims.explanation)")
        }
        let sessionID = UUIDText.normalized(principal.sessionID)
        let now = clock()
        let (user, session) = try await database.reading(deadline: request.deadline) { database in
            guard let user = try database.user(id: userID), user.state != .pending, user.deletedAt == nil else {
                throw AuthError(403, "user_not_found", "User from sub claim in JWT does not exist")
            }
            guard !user.isBanned(at: now) else { throw AuthError(403, "user_banned", "User is banned") }
            guard let session = try sessionID.flatMap({ try database.session(id: $0) }), session.userID == user.id
            else {
                throw AuthError.sessionNotFound
            }
            return (user, session)
        }
        return Caller(user: user, session: session, audiences: audiences(of: principal.claims))
    }

    /// Checks that an administrator asks (AU-142, rule 7), and returns the role for the audit log.
    func admin(_ request: AuthRequest) async throws(AuthError) -> String {
        try requireToken(request)
        guard configuration.adminRoles.contains(request.principal.role) else { throw .notAdmin }
        // An administrator who signed in loses the rights with the session.
        if !request.principal.sessionID.isEmpty { _ = try await caller(request) }
        return request.principal.role
    }

    /// The audience of new users and look-ups (AU-108).
    func audience(_ request: AuthRequest) -> String {
        let wanted = request.head["x-jwt-aud"].map { [$0] } ?? audiences(of: request.principal.claims)
        return wanted.first { configuration.audiences.contains($0) } ?? configuration.audiences.first ?? ""
    }

    private func requireToken(_ request: AuthRequest) throws(AuthError) {
        switch request.principal.tokenStatus {
        case .valid: break
        case .absent: throw .noAuthorization
        case .invalid:
            let fault = TokenFault(travelledAs: request.principal.tokenError)
            throw AuthError(403, "bad_jwt", "invalid JWT: unable to parse or verify signature, \(fault.explanation)")
        }
    }

    private func audiences(of claims: String) -> [String] {
        guard !claims.isEmpty, let audience = (try? JSONValue(parsing: claims))?["aud"] else { return [] }
        return audience.stringValue.map { [$0] } ?? audience.arrayValue?.compactMap(\.stringValue) ?? []
    }
}
