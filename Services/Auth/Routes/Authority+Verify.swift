// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

extension Authority {
    /// `POST /verify` (AU-185): a code with its address, or what a link holds.
    func verify(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let body = try RequestBody(request.body)
        guard let type = try body.text("type") else { throw .validation("Verify requires a verification type") }
        let (token, tokenHash) = (try body.text("token"), try body.text("token_hash"))
        let (email, phone) = (try body.text("email"), try body.text("phone"))
        guard (token == nil) != (tokenHash == nil) else {
            throw .validation("Verify requires either a token or a token hash")
        }
        let purposes = try Self.purposes(of: type)
        if let tokenHash {
            guard email == nil, phone == nil, try body.text("redirect_to") == nil else {
                throw .validation("Only the token_hash and type should be provided")
            }
            guard let token = try await self.token(ofLink: tokenHash, purposes, request) else { throw .linkExpired }
            return AuthReply(.object(try sessionDocument(try await redeem(token, .linkExpired, request))))
        }
        guard (email == nil) != (phone == nil) else {
            throw .validation("Only an email address or phone number should be provided on verify")
        }
        guard let email, let code = token else { throw .codeExpired }
        let address: String
        do { address = try ContactAddress.email(email) } catch {
            throw AuthError(422, "validation_failed", "Invalid email format")
        }
        guard let token = try await self.token(ofCode: code, address, purposes, request) else { throw .codeExpired }
        return AuthReply(.object(try sessionDocument(try await redeem(token, .codeExpired, request))))
    }

    /// `GET /verify` (AU-186): the link of a mail, in somebody's browser.
    func followLink(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        // Scanners of mails look at links with HEAD: nothing is used up by it (AU-509).
        guard request.method != "HEAD" else {
            var reply = AuthReply.noContent
            reply.head.status = 200
            return reply
        }
        guard let link = request.query["token"], !link.isEmpty else { throw .validation("Verify requires a token") }
        guard let type = request.query["type"], !type.isEmpty else {
            throw .validation("Verify requires a verification type")
        }
        let target = redirectTarget(request)
        let isPKCE = link.hasPrefix("pkce_")
        do throws(AuthError) {
            let purposes = try Self.purposes(of: type)
            guard let token = try await token(ofLink: link, purposes, request) else { throw .linkExpired }
            if let challenge = token.challenge {
                let code = try await issueCode(for: token, challenge, request)
                return .redirect(to: target, query: [("code", code)])
            }
            let document = try sessionDocument(try await redeem(token, .linkExpired, request))
            func field(_ name: String) -> (String, String) {
                (name, document[name]?.stringValue ?? document[name]?.text ?? "")
            }
            return .redirect(
                to: target,
                fragment: [
                    field("access_token"), field("expires_at"), field("expires_in"), field("refresh_token"),
                    field("token_type"), ("type", type), ("sb", ""),
                ])
        } catch {
            // A fault of ours is no answer for a browser to keep.
            if error.status >= 500 { throw error }
            return .redirect(to: target, error: error, isPKCE: isPKCE)
        }
    }

    /// `POST /token?grant_type=pkce` (AU-162). Of many exchanges one wins.
    func pkceGrant(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let body = try RequestBody(request.body)
        guard let code = try body.text("auth_code"), let verifier = try body.text("code_verifier") else {
            throw .validation("invalid request: both auth code and code verifier should be non-empty")
        }
        let now = clock()
        let hash = secrets.hash(code, "flow")
        let userID = try await database.reading(deadline: request.deadline) { try $0.flow(codeHash: hash)?.userID }
        let new = try makeSession(of: userID ?? "", method: "otp", origin: RequestOrigin(request))
        let origin = RequestOrigin(request)
        let outcome = try await database.writing(deadline: request.deadline) { session -> Result<SignedIn, AuthError> in
            guard let flow = try session.flow(codeHash: hash, locked: true), flow.userID == userID,
                let user = try session.user(id: flow.userID, locked: true)
            else {
                return .failure(AuthError(404, "flow_state_not_found", "invalid flow state, no valid flow state found"))
            }
            guard flow.issuedAt.advanced(by: FlowState.life) > now else {
                return .failure(AuthError(422, "flow_state_expired", "invalid flow state, flow state has expired"))
            }
            guard flow.challenge.isAnswered(by: verifier) else {
                try session.noteFailure(of: flow)
                return .failure(
                    AuthError(
                        400, "bad_code_verifier", "code challenge does not match previously saved code verifier"))
            }
            guard !user.isBanned(at: now) else { return .failure(AuthError(403, "user_banned", "User is banned")) }
            try session.remove(flow)
            return .success(
                try session.begin(
                    new, of: user,
                    AuditEntry(
                        action: .login, actorID: user.id, actorName: user.email ?? "",
                        traits: ["provider": "email"], origin: origin, at: now)))
        }
        switch outcome {
        case .success(let signedIn): return AuthReply(.object(try sessionDocument(signedIn)))
        case .failure(let error): throw error
        }
    }

    // MARK: Grants

    /// Which mails' secrets a type may use. Types are not interchangeable.
    private static func purposes(of type: String) throws(AuthError) -> [TokenPurpose] {
        switch type {
        case "signup", "invite": [.confirmation]
        case "magiclink", "recovery": [.recovery]
        case "email": [.confirmation, .recovery]
        // Known, and nothing of theirs can be outstanding.
        case "email_change", "sms", "phone_change": []
        default: throw .validation("Unsupported verification type")
        }
    }

    /// The grant behind a code. A wrong guess counts, whatever becomes of the request.
    private func token(
        ofCode code: String, _ address: String, _ purposes: [TokenPurpose], _ request: AuthRequest
    ) async throws(AuthError) -> OneTimeToken? {
        let audience = audience(request)
        let hash = Array(secrets.hash(code, "code").utf8)
        let oldest = clock().advanced(by: .zero - configuration.mail.codeLife)
        let entry = AuditEntry(
            action: .codeFailed, actorID: "", actorName: address, origin: RequestOrigin(request), at: clock())
        return try await database.writing(deadline: request.deadline) { session in
            guard let user = try session.user(email: address, audience: audience), user.state == .active else {
                return nil
            }
            let tokens = try session.tokens(of: user.id, purposes)
            let match = tokens.first { token in
                OneTimeSecrets.areEqual(Array(token.codeHash.utf8), hash) && token.sentAt > oldest
                    && token.address == address
            }
            if match == nil {
                for token in tokens { try session.noteGuess(of: token) }
                try session.append(entry)
            }
            return match
        }
    }

    /// The grant behind a link.
    private func token(
        ofLink link: String, _ purposes: [TokenPurpose], _ request: AuthRequest
    ) async throws(AuthError) -> OneTimeToken? {
        let hash = secrets.hash(link, "link")
        let oldest = clock().advanced(by: .zero - configuration.mail.linkLife)
        return try await database.reading(deadline: request.deadline) { session in
            guard let token = try session.token(linkHash: hash), purposes.contains(token.purpose),
                token.sentAt > oldest
            else { return nil }
            return token
        }
    }

    /// Signs the grant's owner in, and confirms the address that it was sent to. Burns the grant in the transaction
    /// that makes the session: of many that use it at once one wins.
    private func redeem(
        _ token: OneTimeToken, _ refusal: AuthError, _ request: AuthRequest
    ) async throws(AuthError) -> SignedIn {
        let new = try makeSession(of: token.userID, method: "otp", origin: RequestOrigin(request))
        let origin = RequestOrigin(request)
        let now = clock()
        return try await confirm(token, refusal, request) { session, user in
            try session.begin(
                new, of: user,
                AuditEntry(
                    action: .login, actorID: user.id, actorName: user.email ?? "", traits: ["provider": "email"],
                    origin: origin, at: now))
        }
    }

    /// As `redeem`, but what comes of it is a code for whoever began the flow.
    private func issueCode(
        for token: OneTimeToken, _ challenge: CodeChallenge, _ request: AuthRequest
    ) async throws(AuthError) -> String {
        let code = OneTimeSecrets.makeLink(isPKCE: false)
        let hash = secrets.hash(code, "flow")
        let flow = FlowState(
            id: RandomBytes.makeUUID(), userID: token.userID, challenge: challenge, issuedAt: clock())
        try await confirm(token, .linkExpired, request) { session, _ in try session.insert(flow, codeHash: hash) }
        return code
    }

    @discardableResult
    private func confirm<Result: Sendable>(
        _ token: OneTimeToken, _ refusal: AuthError, _ request: AuthRequest,
        completing complete: @escaping @Sendable (DatabaseSession, User) throws -> Result
    ) async throws(AuthError) -> Result {
        let now = clock()
        do throws(AuthError) {
            return try await ledger.update(token.userID, trace: request.trace, deadline: request.deadline) { session, user in
                guard try session.holds(token), user.email == token.address else { throw refusal }
                guard !user.isBanned(at: now) else { throw AuthError(403, "user_banned", "User is banned") }
                if user.emailConfirmedAt == nil {
                    user.emailConfirmedAt = now
                    user.userMetadata["email_verified"] = true
                }
                return nil
            } completing: { session, user in
                #if MUTANT_AUTH_CODE_KEPT
                    _ = try session.holds(token)
                #else
                    guard try session.burn(token) else { throw refusal }
                #endif
                return try complete(session, user)
            }
        } catch {
            throw error == .userNotFound ? refusal : error
        }
    }
}
