// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

/// What a request that sends mails says about where its link leads, and the request itself.
struct MailWish: Sendable {
    let redirect: String
    let challenge: CodeChallenge?
    let trace: TraceContext
}

extension Authority {
    /// Reads redirect and challenge of a request.
    func mailWish(_ request: AuthRequest, _ body: RequestBody) throws(AuthError) -> MailWish {
        MailWish(redirect: redirectTarget(request), challenge: try CodeChallenge(body), trace: request.trace)
    }

    /// AU-160: header, query, then the page that asked.
    func redirectTarget(_ request: AuthRequest) -> String {
        configuration.redirects.target([
            request.head["redirect_to"], request.query["redirect_to"], request.head["referer"],
        ])
    }

    /// A mail to a user, with a new code and a new link.
    func prepareMail(_ kind: MailKind, to user: User, _ wish: MailWish) throws(AuthError) -> PreparedMail {
        guard let address = user.email else { throw .failure("a mail to a user without an address") }
        let now = clock()
        let code = OneTimeSecrets.makeCode(length: configuration.mail.codeLength)
        let link = OneTimeSecrets.makeLink(isPKCE: wish.challenge != nil)
        let id = RandomBytes.makeUUID()
        let parameters = [("token", link), ("type", kind.linkType), ("redirect_to", wish.redirect)]
        let variables: JSONObject = [
            "ConfirmationURL": .string("\(configuration.issuer)/verify?\(PercentText.form(parameters))"),
            "Token": .string(code), "TokenHash": .string(link), "SiteURL": .string(configuration.redirects.siteURL),
            "RedirectTo": .string(wish.redirect), "Email": .string(address), "SendingTo": .string(address),
            "Data": .object(user.userMetadata),
        ]
        do throws(KeyError) {
            return PreparedMail(
                kind: kind, id: id, address: address,
                sealed: try encryption.seal(Array(variables.text.utf8), context: Self.sealContext(id)),
                token: OneTimeToken(
                    id: id, userID: user.id, purpose: kind.purpose, address: address,
                    codeHash: secrets.hash(code, "code"), linkHash: secrets.hash(link, "link"),
                    challenge: wish.challenge, sentAt: now),
                send: MailSend(to: address, kind.purpose, secrets, at: now), trace: wish.trace)
        } catch { throw .failure(error.message) }
    }

    /// Sends a mail to a user who is there, within the limits.
    func send(
        _ kind: MailKind, to user: User, _ wish: MailWish, _ entry: AuditEntry, _ request: AuthRequest
    ) async throws(AuthError) {
        let mail = try prepareMail(kind, to: user, wish)
        let policy = configuration.mail
        try await database.writing(deadline: request.deadline) { session in
            // The user may have gone, or have another address by now.
            guard let user = try session.user(id: user.id, locked: true), user.email == mail.address else { return }
            try session.checkLimits(mail.send, policy)
            try session.post(mail)
            try session.append(entry)
        }
        mailsWait()
    }

    /// The limits for an address that gets no mail, which must not be told from one that does (AU-505).
    func sendNothing(to address: String, _ purpose: TokenPurpose, _ request: AuthRequest) async throws(AuthError) {
        let send = MailSend(to: address, purpose, secrets, at: clock())
        let policy = configuration.mail
        try await database.writing(deadline: request.deadline) { session in
            try session.checkLimits(send, policy)
            try session.note(send, isReal: false)
        }
    }

    /// Whoever has this address; nobody who is not settled yet.
    func person(_ address: String, _ request: AuthRequest) async throws(AuthError) -> User? {
        let audience = audience(request)
        let user = try await database.reading(deadline: request.deadline) { session in
            try session.user(email: address, audience: audience)
        }
        return user.flatMap { $0.state == .active ? $0 : nil }
    }

    func mailEntry(_ action: AuditEntry.Action, _ user: User, _ request: AuthRequest) -> AuditEntry {
        AuditEntry(
            action: action, actorID: user.id, actorName: user.email ?? "", traits: ["provider": "email"],
            origin: RequestOrigin(request), at: clock())
    }
}
