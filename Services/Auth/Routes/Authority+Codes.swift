// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

/// Requests for a mail with a code and a link.
extension Authority {
    /// `POST /otp` (AU-183) and `POST /magiclink` (AU-184).
    func requestCode(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let body = try RequestBody(request.body)
        let (email, phone) = (try body.text("email"), try body.text("phone"))
        guard email == nil || phone == nil else {
            throw .validation("Only an email address or phone number should be provided")
        }
        let wish = try mailWish(request, body)
        guard let email else {
            guard phone != nil else { throw .validation("One of email or phone must be set") }
            throw AuthError(422, "phone_provider_disabled", "Unsupported phone provider")
        }
        guard try body.text("channel") == nil else {
            throw .validation("Channel should only be specified with Phone OTP")
        }
        guard configuration.allowsEmail else {
            throw AuthError(422, "email_provider_disabled", "Email logins are disabled")
        }
        let address = try ContactAddress.email(email)
        let mayCreate = try body.bool("create_user") ?? true
        let data = try body.object("data") ?? JSONObject()
        if let user = try await person(address, request) {
            let isConfirmed = user.emailConfirmedAt != nil || !configuration.mail.needsConfirmation
            let kind = isConfirmed ? MailKind.magicLink : .confirmation
            let action: AuditEntry.Action = isConfirmed ? .userRecoveryRequested : .userConfirmationRequested
            try await send(kind, to: user, wish, mailEntry(action, user, request), request)
            return AuthReply([:])
        }
        guard mayCreate else { throw AuthError(422, "otp_disabled", "Signups not allowed for otp") }
        guard configuration.allowsSignUp else {
            throw AuthError(422, "signup_disabled", "Signups not allowed for this instance")
        }
        var user = try newUser(address, data: data, request)
        let kind: MailKind = configuration.mail.needsConfirmation ? .confirmation : .magicLink
        let mail = try prepareMail(kind, to: user, wish)
        try await checkLimits(mail.send, request)
        user.note(mail)
        let entry = mailEntry(.userSignedUp, user, request)
        do throws(AuthError) {
            try await ledger.create(user, trace: request.trace, deadline: request.deadline) { session, _ in
                try session.post(mail)
                try session.append(entry)
            }
            mailsWait()
        } catch {
            // Somebody else signed this address up meanwhile, and a mail is on its way.
            guard error == .emailExists else { throw error }
        }
        return AuthReply([:])
    }

    /// `POST /recover` (AU-188). The same answer for everybody; asking changes nothing.
    func recover(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let body = try RequestBody(request.body)
        guard let email = try body.text("email") else { throw .validation("Password recovery requires an email") }
        let wish = try mailWish(request, body)
        let address = try ContactAddress.email(email)
        if let user = try await person(address, request) {
            try await send(.recovery, to: user, wish, mailEntry(.userRecoveryRequested, user, request), request)
        } else {
            try await sendNothing(to: address, .recovery, request)
        }
        return AuthReply([:])
    }

    /// `POST /resend` (AU-187).
    func resend(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let body = try RequestBody(request.body)
        let type = try body.text("type") ?? ""
        guard ["signup", "email_change", "sms", "phone_change"].contains(type) else {
            throw .validation("Missing one of these types: signup, email_change, sms, phone_change")
        }
        let (email, phone) = (try body.text("email"), try body.text("phone"))
        guard (email == nil) != (phone == nil) else {
            throw .validation("Only an email address or phone number should be provided")
        }
        guard (email != nil) == (type == "signup" || type == "email_change") else {
            throw .validation("Type provided requires \(email == nil ? "an email address" : "a phone number")")
        }
        let wish = try mailWish(request, body)
        guard let email else {
            throw AuthError(400, "phone_provider_disabled", "Phone signups are disabled")
        }
        guard configuration.allowsEmail else {
            throw AuthError(400, "email_provider_disabled", "Email signups are disabled")
        }
        let address = try ContactAddress.email(email)
        // No change of address can be pending.
        guard type == "signup" else { return AuthReply([:]) }
        if let user = try await person(address, request), user.emailConfirmedAt == nil {
            try await send(
                .confirmation, to: user, wish, mailEntry(.userConfirmationRequested, user, request), request)
        } else {
            try await sendNothing(to: address, .confirmation, request)
        }
        return AuthReply([:])
    }

    /// A user of an address whom nobody knows yet; unconfirmed where addresses must be.
    func newUser(_ address: String, data: JSONObject, _ request: AuthRequest) throws(AuthError) -> User {
        let now = clock()
        var user = User(
            id: RandomBytes.makeUUID(), audience: audience(request), role: "authenticated", createdAt: now)
        user.email = address
        if !configuration.mail.needsConfirmation { user.emailConfirmedAt = now }
        user.appMetadata = ["provider": "email", "providers": ["email"]]
        user.userMetadata = data
        user.userMetadata["sub"] = .string(user.id)
        user.userMetadata["email"] = .string(address)
        user.userMetadata["email_verified"] = .bool(user.emailConfirmedAt != nil)
        user.userMetadata["phone_verified"] = false
        try user.checkMetadataSize()
        return user
    }

    /// Before a user is made for whom there may be no mail.
    func checkLimits(_ send: MailSend, _ request: AuthRequest) async throws(AuthError) {
        let policy = configuration.mail
        try await database.reading(deadline: request.deadline) { try $0.checkLimits(send, policy) }
    }
}

extension User {
    /// Remembers when the mail was sent, as the document shows it.
    mutating func note(_ mail: PreparedMail) {
        switch mail.kind.purpose {
        case .confirmation: confirmationSentAt = mail.send.at
        case .recovery: recoverySentAt = mail.send.at
        }
    }
}
