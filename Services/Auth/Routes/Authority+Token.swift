// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

extension Authority {
    /// `POST /token?grant_type=…`. The grant comes from the query only, the credentials from the body only.
    func token(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        switch request.query["grant_type"] {
        case "password": try await passwordGrant(request)
        case "pkce": try await pkceGrant(request)
        case "refresh_token": try await refreshGrant(request)
        default: throw AuthError(400, "invalid_credentials", "unsupported_grant_type")
        }
    }

    /// AU-182. Whatever is wrong with the credentials, the answer and its cost are the same.
    private func passwordGrant(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let body = try RequestBody(request.body)
        let (email, phone) = (try body.text("email"), try body.text("phone"))
        let text = try body.string("password") ?? ""
        guard email == nil || phone == nil else {
            throw .validation("Only an email address or phone number should be provided on login.")
        }
        guard email != nil || phone != nil else { throw .validation("missing email or phone") }
        guard let email else { throw AuthError(422, "phone_provider_disabled", "Phone logins are disabled") }
        guard configuration.allowsEmail else {
            throw AuthError(422, "email_provider_disabled", "Email logins are disabled")
        }
        let address = try? ContactAddress.email(email)
        let audience = audience(request)
        let found = try await database.reading(deadline: request.deadline) { session in
            try address.flatMap { try session.user(email: $0, audience: audience) }
        }
        let user = found.flatMap { $0.state == .pending ? nil : $0 }
        let password = Password(text, bytesMax: configuration.passwords.bytesMax)
        let isRight = try await hasher.matches(password, user?.passwordHash)
        guard isRight, let user, let password else {
            try await noteFailedLogin(of: user, request)
            throw .invalidCredentials
        }
        // Told only to whoever knows the password (AU-504).
        guard !user.isBanned(at: clock()) else { throw AuthError(400, "user_banned", "User is banned") }
        guard user.emailConfirmedAt != nil else { throw AuthError(400, "email_not_confirmed", "Email not confirmed") }
        return try await signIn(user, password, request)
    }

    private func signIn(
        _ user: User, _ password: Password, _ request: AuthRequest
    ) async throws(AuthError) -> AuthReply {
        let origin = RequestOrigin(request)
        let new = try makeSession(of: user.id, method: "password", origin: origin)
        let entry = AuditEntry(
            action: .login, actorID: user.id, actorName: user.email ?? "", traits: ["provider": "email"],
            origin: origin, at: clock())
        let known = user.passwordHash
        let renewed = known.map(hasher.isOutdated) == true ? try await hasher.hash(password) : nil
        let signedIn = try await database.writing(deadline: request.deadline) { session in
            // The password may have been changed, or the user removed, since it was checked.
            guard let user = try session.user(id: user.id, locked: true), user.passwordHash == known else {
                throw AuthError.invalidCredentials
            }
            if let renewed {
                try session.execute(
                    "update users set password_hash = $2 where id = $1", [.text(user.id), .text(renewed)])
            }
            return try session.begin(new, of: user, entry)
        }
        var document = try sessionDocument(signedIn)
        if let weakness = configuration.passwords.weakness(of: password) {
            document["weak_password"] = [
                "message": .string(weakness.message), "reasons": .array(weakness.reasons.map { .string($0) }),
            ]
        }
        return AuthReply(.object(document))
    }

    private func noteFailedLogin(of user: User?, _ request: AuthRequest) async throws(AuthError) {
        let entry = AuditEntry(
            action: .loginFailed, actorID: user?.id ?? "", actorName: user?.email ?? "",
            origin: RequestOrigin(request), at: clock())
        try await database.writing(deadline: request.deadline) { try $0.append(entry) }
    }
}
