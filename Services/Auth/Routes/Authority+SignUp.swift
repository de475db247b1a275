// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

extension Authority {
    /// `POST /signup` (AU-180). E-mail addresses count as confirmed: codes and links are not built.
    func signUp(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        guard configuration.allowsSignUp else {
            throw AuthError(422, "signup_disabled", "Signups not allowed for this instance")
        }
        let body = try RequestBody(request.body)
        let (email, phone) = (try body.text("email"), try body.text("phone"))
        if email == nil, phone == nil {
            throw AuthError(422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled")
        }
        guard let text = try body.text("password") else { throw .validation("Signup requires a valid password") }
        let password = try configuration.passwords.check(text)
        guard email == nil || phone == nil else {
            throw .validation("Only an email address or phone number should be provided on signup.")
        }
        try checkChallenge(body)
        guard let email else {
            throw AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
        }
        guard configuration.allowsEmail else {
            throw AuthError(400, "email_provider_disabled", "Email signups are disabled")
        }
        let address = try ContactAddress.email(email)
        let data = try body.object("data") ?? JSONObject()
        return try await signUp(address, password, data: data, request)
    }

    private func signUp(
        _ address: String, _ password: Password, data: JSONObject, _ request: AuthRequest
    ) async throws(AuthError) -> AuthReply {
        let origin = RequestOrigin(request)
        let now = clock()
        var user = User(
            id: RandomBytes.makeUUID(), audience: audience(request), role: "authenticated", createdAt: now)
        user.email = address
        user.emailConfirmedAt = now
        user.appMetadata = ["provider": "email", "providers": ["email"]]
        user.userMetadata = data
        user.userMetadata["sub"] = .string(user.id)
        user.userMetadata["email"] = .string(address)
        user.userMetadata["email_verified"] = true
        user.userMetadata["phone_verified"] = false
        try user.checkMetadataSize()
        user.passwordHash = try await hasher.hash(password)
        let new = try makeSession(of: user.id, method: "password", origin: origin)
        let entry = AuditEntry(
            action: .userSignedUp, actorID: user.id, actorName: address, traits: ["provider": "email"],
            origin: origin, at: now)
        do throws(AuthError) {
            let signedIn = try await ledger.create(user, deadline: request.deadline) { session, user in
                try session.begin(new, of: user, entry)
            }
            return AuthReply(.object(try sessionDocument(signedIn)))
        } catch {
            guard error == .emailExists else { throw error }
            try await database.writing { session in
                try session.append(
                    AuditEntry(
                        action: .userRepeatedSignUp, actorID: "", actorName: address, origin: origin, at: now))
            }
            throw .userAlreadyExists
        }
    }

    /// A PKCE challenge and its method come together or not at all (AU-162).
    private func checkChallenge(_ body: RequestBody) throws(AuthError) {
        guard (try body.text("code_challenge") == nil) == (try body.text("code_challenge_method") == nil) else {
            throw .validation("PKCE flow requires code_challenge_method and code_challenge")
        }
    }
}

extension User {
    /// Both kinds of metadata have a bound (AU-519), because they travel in every token.
    func checkMetadataSize() throws(AuthError) {
        for (name, metadata) in [("user_metadata", userMetadata), ("app_metadata", appMetadata)]
        where metadata.text.utf8.count > AuthLimits.metadataBytesMax {
            throw .validation("\(name) must not exceed \(AuthLimits.metadataBytesMax) bytes")
        }
    }
}
