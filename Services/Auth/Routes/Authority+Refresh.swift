// SPDX-License-Identifier: Apache-2.0

internal import MartletAccessTokens
internal import MartletDatabase
internal import MartletJSON

/// What a refresh came to. A refusal is a value, not an error, because ending a session must be committed.
private enum RefreshOutcome: Sendable {
    case refreshed(SignedIn)
    case refused(AuthError)
    case reused(sessionID: String)
}

extension Authority {
    /// `POST /token?grant_type=refresh_token` (AU-152).
    func refreshGrant(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let body = try RequestBody(request.body)
        guard let token = try body.text("refresh_token").flatMap({ RefreshToken($0) }) else {
            if try isOldFormat(body) { throw .refreshTokenNotFound }
            throw .validation("Refresh token is not valid")
        }
        let origin = RequestOrigin(request)
        let deadline = min(request.deadline, .now + AuthLimits.refreshWait)
        let outcome: RefreshOutcome
        do throws(AuthError) {
            outcome = try await database.writing(deadline: deadline) { [self] session in
                try refresh(token, origin, session)
            }
        } catch {
            throw error.status == 504 && request.deadline > .now ? .conflict : error
        }
        switch outcome {
        case .refreshed(let signedIn): return AuthReply(.object(try sessionDocument(signedIn)))
        case .refused(let error): throw error
        case .reused(let sessionID):
            report(.refreshReuse(trace: request.trace, sessionID: sessionID))
            throw AuthError(400, "refresh_token_already_used", "Invalid Refresh Token: Already Used")
        }
    }

    /// The table of AU-152, with the session's row locked.
    private func refresh(
        _ token: RefreshToken, _ origin: RequestOrigin, _ database: DatabaseSession
    ) throws -> RefreshOutcome {
        let now = clock()
        guard var session = try database.session(id: token.sessionID, locked: true) else {
            return .refused(.refreshTokenNotFound)
        }
        let key = try encryption.open(session.sealedRefreshKey, context: Session.sealContext(session.id))
        guard token.isAuthentic(key: key), let user = try database.user(id: session.userID), user.state != .pending,
            user.deletedAt == nil
        else { return .refused(.refreshTokenNotFound) }
        let counter = UInt64(session.refreshCounter)
        guard token.counter <= counter else {
            return .refused(.validation("Invalid Refresh Token: Not Issued By This Server"))
        }
        guard !user.isBanned(at: now) else {
            return .refused(AuthError(400, "user_banned", "Invalid Refresh Token: User Banned"))
        }
        let entry = AuditEntry(
            action: .tokenRefreshed, actorID: user.id, actorName: user.email ?? "", origin: origin, at: now)
        if token.counter == counter {
            if configuration.refreshTokensRotate { session.refreshCounter += 1 }
            session.refreshedAt = now
            session.userAgent = origin.userAgent
            session.address = origin.address
            try database.update(session)
            try database.append(entry)
        } else if !isForgiven(token, session, now: now) {
            try database.endSessions(.one(session.id), of: user.id)
            try database.append(
                AuditEntry(
                    action: .refreshReuseDetected, actorID: user.id, actorName: user.email ?? "",
                    traits: ["session_id": .string(session.id)], origin: origin, at: now))
            return .reused(sessionID: session.id)
        }
        let current = RefreshToken.make(
            sessionID: session.id, counter: UInt64(session.refreshCounter), key: key)
        return .refreshed(
            SignedIn(
                user: user, identities: try database.identities(of: user.id), session: session, refreshToken: current))
    }

    /// One step behind: the client may never have seen our answer, however long ago that was. Further behind: only
    /// shortly after the last refresh, when several tabs of a browser wake up together.
    private func isForgiven(_ token: RefreshToken, _ session: Session, now: Timestamp) -> Bool {
        #if MUTANT_AUTH_REUSE_FORGIVEN
            return true
        #else
            if token.counter + 1 == UInt64(session.refreshCounter) { return true }
            guard let refreshedAt = session.refreshedAt else { return false }
            return now < refreshedAt.advanced(by: configuration.refreshReuseInterval)
        #endif
    }

    /// A token of older installations, `[a-z0-9]{12}`: well formed, and unknown here.
    private func isOldFormat(_ body: RequestBody) throws(AuthError) -> Bool {
        guard let text = try body.text("refresh_token") else { return false }
        return text.utf8.count == 12
            && text.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            }
    }
}
