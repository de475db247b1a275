// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

extension Authority {
    /// `POST /signup` (AU-180).
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
        let wish = try mailWish(request, body)
        guard let email else {
            throw AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
        }
        guard configuration.allowsEmail else {
            throw AuthError(400, "email_provider_disabled", "Email signups are disabled")
        }
        let address = try ContactAddress.email(email)
        let data = try body.object("data") ?? JSONObject()
        return try await signUp(address, password, data: data, wish, request)
    }

    private func signUp(
        _ address: String, _ password: Password, data: JSONObject, _ wish: MailWish, _ request: AuthRequest
    ) async throws(AuthError) -> AuthReply {
        guard !configuration.mail.needsConfirmation else {
            return try await signUpUnconfirmed(address, password, data: data, wish, request)
        }
        let origin = RequestOrigin(request)
        let now = clock()
        var user = try newUser(address, data: data, request)
        user.passwordHash = try await hasher.hash(password)
        let new = try makeSession(of: user.id, method: "password", origin: origin)
        let entry = mailEntry(.userSignedUp, user, request)
        do throws(AuthError) {
            let signedIn = try await ledger.create(user, trace: request.trace, deadline: request.deadline) { session, user in
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

    /// Where addresses must be confirmed. A taken address is not told from a new one, but by what the dialect itself
    /// shows: no identities.
    private func signUpUnconfirmed(
        _ address: String, _ password: Password, data: JSONObject, _ wish: MailWish, _ request: AuthRequest
    ) async throws(AuthError) -> AuthReply {
        var user = try newUser(address, data: data, request)
        let mail = try prepareMail(.confirmation, to: user, wish)
        try await checkLimits(mail.send, request)
        user.note(mail)
        // Hashed for everybody: it takes as long for a taken address (AU-505).
        user.passwordHash = try await hasher.hash(password)
        let entry = mailEntry(.userSignedUp, user, request)
        do throws(AuthError) {
            let document = try await ledger.create(user, trace: request.trace, deadline: request.deadline) { session, user in
                try session.post(mail)
                try session.append(entry)
                return user.document(identities: try session.identities(of: user.id))
            }
            mailsWait()
            return AuthReply(.object(document))
        } catch {
            guard error == .emailExists else { throw error }
        }
        guard let known = try await person(address, request), known.emailConfirmedAt == nil else {
            try await sendNothing(to: address, .confirmation, request)
            return AuthReply(.object(Self.disguised(user, data: data)))
        }
        // Password and data stay those of the first sign-up.
        try await send(.confirmation, to: known, wish, mailEntry(.userRepeatedSignUp, known, request), request)
        return AuthReply(.object(try await document(of: try await person(address, request) ?? known, request)))
    }

    /// A user who is not there.
    private static func disguised(_ user: User, data: JSONObject) -> JSONObject {
        var user = user
        user.role = ""
        user.userMetadata = data
        return user.document(identities: [])
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
