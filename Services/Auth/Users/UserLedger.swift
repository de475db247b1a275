// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletWire

/// Keeps auth's users and the directory's rows in step (D25).
///
/// Every change is written down first, then asked of the directory, then applied; a crash or a silence in between leaves
/// the note, and `settleAll` repeats the call. One task at a time works on one user.
struct UserLedger: Sendable {
    let database: Database
    let directory: any UserDirectory
    let clock: @Sendable () -> Timestamp
    let gate = KeyedGate()

    /// Attempts to sign a user up where unsettled sign-ups of the same address stand in the way.
    private static let attemptsMax = 3
    /// Changes that one settlement round takes.
    private static let roundMax = 256

    init(database: Database, directory: any UserDirectory, clock: @escaping @Sendable () -> Timestamp) {
        self.database = database
        self.directory = directory
        self.clock = clock
    }

    /// Creates a user. `complete` runs in the transaction that activates it.
    ///
    /// - Throws: `email_exists`, `phone_exists`, `conflict` (the id is taken); 500 when the directory refuses, after
    ///   which nothing is left; 503 when it does not answer.
    func create<Result: Sendable>(
        _ user: User, trace: TraceContext, deadline: ContinuousClock.Instant,
        completing complete: @escaping @Sendable (DatabaseSession, User) throws -> Result
    ) async throws(AuthError) -> Result {
        let now = clock()
        let change = UserChange(kind: .create, baseVersion: 0, target: user, trace: trace)
        for _ in 0..<Self.attemptsMax {
            do throws(AuthError) {
                return try await gate.with(user.id) { () async throws(AuthError) in
                    try await database.writing(deadline: deadline) { session in
                        try session.insert(user)
                        try session.insert(change, now: now)
                    }
                    return try await perform(change, isFirst: true, deadline: deadline, completing: complete)
                }
            } catch {
                guard error == .taken else { throw error }
                guard let rival = try await rival(of: user), rival.id != user.id else { continue }
                guard rival.state == .pending else {
                    throw rival.email == user.email && user.email != nil ? .emailExists : .phoneExists
                }
                // Whatever becomes of the other sign-up, the next attempt sees its end.
                try await settle(rival.id, deadline: deadline)
            }
        }
        throw .unavailable("unsettled sign-ups of the same address stand in the way")
    }

    /// Changes a user's row. `edit` sees the row under its lock and says which sessions end; `complete` runs in the
    /// transaction that applies the change. A change that the directory has no part in is applied at once.
    ///
    /// - Throws: what `edit` throws; `user_not_found`; 500 when the directory refuses, 503 when it does not answer.
    func update<Result: Sendable>(
        _ userID: String, trace: TraceContext, deadline: ContinuousClock.Instant,
        _ edit: @escaping @Sendable (DatabaseSession, inout User) throws -> SessionScope?,
        completing complete: @escaping @Sendable (DatabaseSession, User) throws -> Result
    ) async throws(AuthError) -> Result {
        let now = clock()
        return try await gate.with(userID) { () async throws(AuthError) in
            try await settleInside(userID, deadline: deadline)
            let step = try await database.writing(deadline: deadline) { session -> Step<Result> in
                guard let current = try session.user(id: userID, locked: true) else { throw AuthError.userNotFound }
                var target = current
                let endedSessions = try edit(session, &target)
                if target.directoryColumns == current.directoryColumns {
                    return .done(try session.apply(target, ending: endedSessions, now: now, complete))
                }
                target.updatedAt = now
                target.version = current.version + 1
                let change = UserChange(
                    kind: .update, baseVersion: current.version, target: target, endedSessions: endedSessions,
                    trace: trace)
                try session.insert(change, now: now)
                return .asked(change)
            }
            switch step {
            case .done(let result): return result
            case .asked(let change):
                return try await perform(change, isFirst: true, deadline: deadline, completing: complete)
            }
        }
    }

    /// Deletes a user and everything of theirs.
    ///
    /// - Throws: `user_not_found`; 409 when a row of the application refers to the user; 503.
    func delete(
        _ userID: String, trace: TraceContext, deadline: ContinuousClock.Instant,
        completing complete: @escaping @Sendable (DatabaseSession, User) throws -> Void
    ) async throws(AuthError) {
        let now = clock()
        try await gate.with(userID) { () async throws(AuthError) in
            try await settleInside(userID, deadline: deadline)
            let change = try await database.writing(deadline: deadline) { session in
                guard var user = try session.user(id: userID, locked: true) else { throw AuthError.userNotFound }
                let change = UserChange(kind: .delete, baseVersion: user.version, target: user, trace: trace)
                user.state = .deleting
                try session.replace(user)
                try session.insert(change, now: now)
                return change
            }
            try await perform(change, isFirst: true, deadline: deadline, completing: complete)
        }
    }

    /// Repeats the unsettled changes, oldest first, up to the first that finds the directory silent: the others would
    /// only wait as well. Returns whether all of them are settled.
    ///
    /// - Parameter budget: how long one of them may take.
    func settleAll(budget: Duration) async throws(AuthError) -> Bool {
        let userIDs = try await database.reading { session in
            try session.query("select user_id from user_changes order by created_at limit \(Self.roundMax)")
                .compactMap { $0[0].textValue }
        }
        for userID in userIDs {
            do throws(AuthError) {
                try await settle(userID, deadline: .now + budget)
            } catch {
                guard error.status == 503 else { throw error }
                return false
            }
        }
        return userIDs.count < Self.roundMax
    }

    private func settle(_ userID: String, deadline: ContinuousClock.Instant) async throws(AuthError) {
        try await gate.with(userID) { () async throws(AuthError) in
            try await settleInside(userID, deadline: deadline)
        }
    }

    /// Throws only when the change is still open: a refusal settles it too.
    private func settleInside(_ userID: String, deadline: ContinuousClock.Instant) async throws(AuthError) {
        guard let change = try await database.reading({ try $0.change(of: userID) }) else { return }
        do throws(AuthError) {
            try await perform(change, isFirst: false, deadline: deadline) { _, _ in }
        } catch {
            if try await database.reading({ try $0.change(of: userID) }) != nil { throw error }
        }
    }

    private func rival(of user: User) async throws(AuthError) -> User? {
        try await database.reading { session in
            if let email = user.email, let rival = try session.user(email: email, audience: user.audience) {
                return rival
            }
            if let phone = user.phone, let rival = try session.user(phone: phone, audience: user.audience) {
                return rival
            }
            if try session.user(id: user.id) != nil {
                throw AuthError(422, "conflict", "A user with this id has already been registered")
            }
            return nil
        }
    }
}

/// How far an update came in its first transaction.
private enum Step<Result: Sendable>: Sendable {
    case done(Result)
    case asked(UserChange)
}
