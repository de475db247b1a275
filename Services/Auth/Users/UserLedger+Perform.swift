// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

extension UserLedger {
    /// Asks the directory for a change that is written down, and applies or drops it by the answer.
    ///
    /// Silence leaves it written down: only a refusal, or the certainty that nothing was done, takes it back.
    ///
    /// - Parameter isFirst: nobody asked before. A repeat that is certain to have done nothing says nothing about the
    ///   attempts before it.
    func perform<Result: Sendable>(
        _ change: UserChange, isFirst: Bool, deadline: ContinuousClock.Instant,
        completing complete: @escaping @Sendable (DatabaseSession, User) throws -> Result
    ) async throws(AuthError) -> Result {
        let outcome: DirectoryOutcome
        do throws(DirectoryFailure) {
            outcome = try await ask(change, deadline: deadline)
        } catch {
            #if MUTANT_AUTH_REPEAT_UNDOES
                if error.isCertain { try await drop(change) }
            #else
                if error.isCertain, isFirst { try await drop(change) }
            #endif
            throw .unavailable("data: \(error.message)")
        }
        let now = clock()
        switch outcome {
        case .done(let version, let columns):
            return try await database.writing { session in
                guard var user = try session.user(id: change.target.id, locked: true) else {
                    throw AuthError.userNotFound
                }
                guard try session.removeChange(change) else { return try complete(session, user) }
                if change.kind == .delete {
                    let result = try complete(session, user)
                    try session.execute("delete from users where id = $1", [.text(user.id)])
                    return result
                }
                let (lastSignInAt, confirmationSentAt, recoverySentAt) =
                    (user.lastSignInAt, user.confirmationSentAt, user.recoverySentAt)
                user = change.target
                user.adopt(columns)
                // Sign-ins and mails went on while the change was under way.
                user.lastSignInAt = [user.lastSignInAt, lastSignInAt].compactMap(\.self).max()
                user.confirmationSentAt = [user.confirmationSentAt, confirmationSentAt].compactMap(\.self).max()
                user.recoverySentAt = [user.recoverySentAt, recoverySentAt].compactMap(\.self).max()
                user.version = max(version, change.version)
                user.state = .active
                return try session.apply(user, ending: change.endedSessions, now: now, complete)
            }
        case .refused(let sqlState, let message):
            try await drop(change)
            throw refusal(of: change, cause: "data refused with \(sqlState): \(message)")
        case .lost:
            try await drop(change)
            throw refusal(of: change, cause: "data has another version of the row, or a tombstone")
        }
    }

    private func ask(
        _ change: UserChange, deadline: ContinuousClock.Instant
    ) async throws(DirectoryFailure) -> DirectoryOutcome {
        if change.kind == .delete {
            return try await directory.delete(
                userID: change.target.id, version: change.version, trace: change.trace, deadline: deadline)
        }
        let current: User
        do {
            current = try await database.reading { try $0.user(id: change.target.id) } ?? change.target
        } catch { throw DirectoryFailure(isCertain: false, message: "auth's own database: \(error)") }
        return try await directory.put(change.request(on: current), deadline: deadline)
    }

    /// Takes a change back: nothing of it stays.
    private func drop(_ change: UserChange) async throws(AuthError) {
        try await database.writing { session in
            guard try session.removeChange(change) else { return }
            switch change.kind {
            case .create:
                try session.execute(
                    "delete from users where id = $1 and state = 'pending'", [.text(change.target.id)])
            case .update: break
            case .delete:
                try session.execute("update users set state = 'active' where id = $1", [.text(change.target.id)])
            }
        }
    }

    private func refusal(of change: UserChange, cause: String) -> AuthError {
        switch change.kind {
        case .create: return .failure(cause, "Database error saving new user")
        case .update: return .failure(cause, "Database error updating user")
        case .delete:
            var error = AuthError(409, "conflict", "User cannot be deleted while other data refers to it")
            error.cause = cause
            return error
        }
    }
}

extension DatabaseSession {
    /// Writes a user's row with its identities and ends sessions, then completes.
    func apply<Result>(
        _ user: User, ending sessions: SessionScope?, now: Timestamp,
        _ complete: (DatabaseSession, User) throws -> Result
    ) throws -> Result {
        try replace(user)
        try alignIdentities(of: user, now: now)
        if let sessions { try endSessions(sessions, of: user.id) }
        return try complete(self, user)
    }
}
