// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletWire

/// A row of `user_changes`: a change that auth has written down and the directory may not have yet (D25).
struct UserChange: Sendable {
    enum Kind: String, Sendable {
        case create
        case update
        case delete
    }

    let kind: Kind
    let baseVersion: Int64
    let version: Int64
    /// The user's row as it will be.
    let target: User
    let endedSessions: SessionScope?
    /// The request that asked for it.
    let trace: TraceContext

    init(
        kind: Kind, baseVersion: Int64, target: User, endedSessions: SessionScope? = nil, trace: TraceContext
    ) {
        self.kind = kind
        self.baseVersion = baseVersion
        version = baseVersion + 1
        self.target = target
        self.endedSessions = endedSessions
        self.trace = trace
    }

    init(_ row: SQLRow) throws(AuthError) {
        guard let kind = Kind(rawValue: row["kind"].textValue ?? ""),
            let baseVersion = row["base_version"].integerValue, let version = row["version"].integerValue,
            let target = row["target"].textValue
        else { throw .failure("a row of user_changes cannot be read") }
        self.kind = kind
        self.baseVersion = baseVersion
        self.version = version
        self.target = try User(snapshot: target)
        endedSessions = row["ended_sessions"].textValue.flatMap { SessionScope($0) }
        trace = TraceContext(line: row["trace"].textValue ?? "")
    }

    /// What the directory is asked to do, seen from the row as it is.
    func request(on current: User) -> DirectoryChange {
        var columns = target.directoryColumns
        if kind == .update {
            let known = current.directoryColumns
            columns = columns.filter { known[$0.key] != $0.value }
        }
        return DirectoryChange(
            userID: target.id, isCreation: kind == .create, baseVersion: baseVersion, version: version,
            columns: columns, trace: trace)
    }
}

extension DatabaseSession {
    func change(of userID: String) throws -> UserChange? {
        try query(
            "select kind, base_version, version, target, ended_sessions, trace from user_changes where user_id = $1",
            [.text(userID)]
        ).first.map(UserChange.init)
    }

    func insert(_ change: UserChange, now: Timestamp) throws(DatabaseError) {
        try execute(
            """
            insert into user_changes (user_id, kind, base_version, version, target, ended_sessions, created_at, \
            trace) values ($1, $2, $3, $4, $5, $6, $7, $8)
            """,
            [
                .text(change.target.id), .text(change.kind.rawValue), .integer(change.baseVersion),
                .integer(change.version), .text(change.target.snapshot), (change.endedSessions?.text).sqlValue,
                now.sqlValue, .text(change.trace.line),
            ])
    }

    /// Forgets a change. False when somebody else did.
    func removeChange(_ change: UserChange) throws(DatabaseError) -> Bool {
        try execute(
            "delete from user_changes where user_id = $1 and version = $2",
            [.text(change.target.id), .integer(change.version)]) == 1
    }
}
