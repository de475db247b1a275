// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletWire

extension UserLedger {
    /// Takes over what SQL did to users of the application's database: a seed's users, metadata that a function sets, a
    /// ban, a deletion (D25). Returns when nothing is left that it could take, or time is up between two rounds.
    ///
    /// - Returns: users that cannot be taken over, and why.
    func takeOver(trace: TraceContext, deadline: ContinuousClock.Instant) async throws(AuthError) -> [String] {
        var problems: [String] = []
        var taken: [UInt64] = []
        repeat {
            let changes: [ForeignChange]
            do throws(DirectoryFailure) {
                changes = try await directory.changes(acknowledged: taken, trace: trace, deadline: deadline)
            } catch { throw .unavailable("data: \(error.message)") }
            taken = []
            for change in changes {
                switch try await take(change, deadline: deadline) {
                case .taken: taken.append(change.number)
                case .later: break
                case .impossible(let problem):
                    problems.append(problem)
                    taken.append(change.number)
                }
            }
            // What waits for a change of auth's own comes again with the next call.
        } while !taken.isEmpty && .now < deadline
        // What time is up for comes again, and is known then.
        return problems
    }

    private enum Taking: Sendable {
        case taken
        /// A change of auth's own is under way.
        case later
        case impossible(String)
    }

    private func take(
        _ change: ForeignChange, deadline: ContinuousClock.Instant
    ) async throws(AuthError) -> Taking {
        let now = clock()
        do throws(AuthError) {
            return try await gate.with(change.userID) { () async throws(AuthError) in
                try await database.writing(deadline: deadline) { session in
                    if try session.change(of: change.userID) != nil { return .later }
                    guard let columns = change.columns else {
                        try session.execute("delete from users where id = $1", [.text(change.userID)])
                        return .taken
                    }
                    try session.takeOver(columns, version: change.version, of: change.userID, now: now)
                    return .taken
                }
            }
        } catch {
            guard error == .taken else { throw error }
            return .impossible("user \(change.userID): another user has the same address")
        }
    }
}

extension DatabaseSession {
    /// Data is the arbiter of addresses (data-semantics 14): who else has one here has lost it there, and that is among
    /// the changes that are still to come.
    private func giveUp(_ column: String, _ address: String?, for user: User) throws {
        guard let address else { return }
        try execute(
            "update users set \(column) = null where \(column) = $1 and aud = $2 and id <> $3 and state = 'active'",
            [.text(address), .text(user.audience), .text(user.id)])
    }

    fileprivate func takeOver(
        _ columns: [String: String?], version: Int64, of userID: String, now: Timestamp
    ) throws {
        if var user = try user(id: userID, locked: true) {
            // Auth's own change came after it.
            guard version > user.version else { return }
            user.takeOver(columns, at: now)
            user.version = version
            try giveUp("email", user.email, for: user)
            try giveUp("phone", user.phone, for: user)
            try apply(user, ending: nil, now: now) { _, _ in }
        } else {
            let created = (columns["created_at"] ?? nil).flatMap { Timestamp($0) } ?? now
            var user = User(id: userID, audience: "authenticated", role: "authenticated", createdAt: created)
            user.takeOver(columns, at: now)
            user.version = version
            user.state = .active
            try giveUp("email", user.email, for: user)
            try giveUp("phone", user.phone, for: user)
            try insert(user)
            try alignIdentities(of: user, now: now)
        }
    }
}
