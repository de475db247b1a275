// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletWire

extension UserLedger {
    /// Takes over what SQL did to users of the application's database: a seed's users, metadata that a function sets, a
    /// ban, a deletion (D25). Returns when nothing is left that it could take.
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
        } while !taken.isEmpty
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
    fileprivate func takeOver(
        _ columns: [String: String?], version: Int64, of userID: String, now: Timestamp
    ) throws {
        if var user = try user(id: userID, locked: true) {
            // Auth's own change came after it.
            guard version > user.version else { return }
            user.takeOver(columns, at: now)
            user.version = version
            try apply(user, ending: nil, now: now) { _, _ in }
        } else {
            let created = (columns["created_at"] ?? nil).flatMap { Timestamp($0) } ?? now
            var user = User(id: userID, audience: "authenticated", role: "authenticated", createdAt: created)
            user.takeOver(columns, at: now)
            user.version = version
            user.state = .active
            try insert(user)
            try alignIdentities(of: user, now: now)
        }
    }
}
