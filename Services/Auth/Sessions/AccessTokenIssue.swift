// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletDatabase
internal import MartletJSON

/// A session that is not stored yet, with its first refresh token.
struct NewSession: Sendable {
    let session: Session
    let refreshToken: String
}

/// A user and a session, as they were stored.
struct SignedIn: Sendable {
    let user: User
    let identities: [Identity]
    let session: Session
    let refreshToken: String
}

extension Authority {
    /// Prepares a session of a user by one authentication method (AU-140).
    func makeSession(of userID: String, method: String, origin: RequestOrigin) throws(AuthError) -> NewSession {
        let id = RandomBytes.makeUUID()
        let key = RandomBytes.make(RefreshToken.keyBytes)
        do throws(KeyError) {
            let sealed = try encryption.seal(key, context: Session.sealContext(id))
            return NewSession(
                session: Session(
                    userID: userID, id: id, method: method, origin: origin, sealedRefreshKey: sealed, now: clock()),
                refreshToken: RefreshToken.make(sessionID: id, counter: 0, key: key))
        } catch { throw .failure(error.message) }
    }

    /// The session answer (AU-133).
    func sessionDocument(_ signedIn: SignedIn) throws(AuthError) -> JSONObject {
        let issuedAt = clock().seconds
        let life = configuration.accessTokenLife.components.seconds
        let user = signedIn.user
        let claims: JSONObject = [
            "iss": .string(configuration.issuer), "sub": .string(user.id), "aud": .string(user.audience),
            "exp": .integer(issuedAt + life), "iat": .integer(issuedAt), "email": .string(user.email ?? ""),
            "phone": .string(user.phone ?? ""), "app_metadata": .object(user.appMetadata),
            "user_metadata": .object(user.userMetadata), "role": .string(user.role),
            "aal": .string(signedIn.session.aal), "amr": .array(signedIn.session.methods),
            "session_id": .string(signedIn.session.id), "is_anonymous": .bool(user.isAnonymous),
        ]
        let token: String
        do throws(KeyError) { token = try keys.signing.sign(claims: claims) } catch { throw .failure(error.message) }
        return [
            "access_token": .string(token), "token_type": "bearer", "expires_in": .integer(life),
            "expires_at": .integer(issuedAt + life), "refresh_token": .string(signedIn.refreshToken),
            "user": .object(user.document(identities: signedIn.identities)),
        ]
    }
}

extension DatabaseSession {
    /// Stores a new session and what a sign-in leaves on the user.
    func begin(_ new: NewSession, of user: User, _ entry: AuditEntry) throws -> SignedIn {
        var user = user
        user.lastSignInAt = entry.at
        try execute(
            "update users set last_sign_in_at = $2 where id = $1", [.text(user.id), entry.at.sqlValue])
        try execute(
            "update identities set last_sign_in_at = $2 where user_id = $1 and provider = $3",
            [.text(user.id), entry.at.sqlValue, .text(user.email == nil ? "phone" : "email")])
        try insert(new.session)
        try append(entry)
        return SignedIn(
            user: user, identities: try identities(of: user.id), session: new.session, refreshToken: new.refreshToken)
    }
}
