// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

/// A row of `sessions`: one sign-in of a user (5.1 of the auth contract).
struct Session: Sendable {
    let id: String
    let userID: String
    let createdAt: Timestamp
    var refreshedAt: Timestamp?
    var aal: String
    /// Authentication methods with their times, newest first (AU-140).
    var methods: [JSONValue]
    var userAgent: String
    var address: String
    /// Key of the session's refresh tokens, encrypted.
    let sealedRefreshKey: String
    var refreshCounter: Int64

    static let columnNames =
        "id, user_id, created_at, refreshed_at, aal, amr, user_agent, ip, refresh_key, refresh_counter"

    /// A new session by one method.
    init(userID: String, id: String, method: String, origin: RequestOrigin, sealedRefreshKey: String, now: Timestamp) {
        self.id = id
        self.userID = userID
        createdAt = now
        aal = "aal1"
        methods = [["method": .string(method), "timestamp": .integer(now.seconds)]]
        userAgent = origin.userAgent
        address = origin.address
        self.sealedRefreshKey = sealedRefreshKey
        refreshCounter = 0
    }

    init(_ row: SQLRow) throws(AuthError) {
        guard let id = row["id"].textValue, let userID = row["user_id"].textValue,
            let createdAt = Timestamp(row["created_at"]), let aal = row["aal"].textValue,
            let amr = row["amr"].textValue.flatMap({ try? JSONValue(parsing: $0) })?.arrayValue,
            let userAgent = row["user_agent"].textValue, let address = row["ip"].textValue,
            let sealedRefreshKey = row["refresh_key"].textValue,
            let refreshCounter = row["refresh_counter"].integerValue
        else { throw .failure("a row of sessions cannot be read") }
        self.id = id
        self.userID = userID
        self.createdAt = createdAt
        refreshedAt = Timestamp(row["refreshed_at"])
        self.aal = aal
        methods = amr
        self.userAgent = userAgent
        self.address = address
        self.sealedRefreshKey = sealedRefreshKey
        self.refreshCounter = refreshCounter
    }

    /// Where its refresh key is sealed: a ciphertext copied to another row does not open.
    static func sealContext(_ id: String) -> String { "sessions/\(id)" }
}

extension DatabaseSession {
    func session(id: String, locked: Bool = false) throws -> Session? {
        let lock = locked && engine == .postgres ? " for update" : ""
        return try query("select \(Session.columnNames) from sessions where id = $1\(lock)", [.text(id)]).first
            .map(Session.init)
    }

    func insert(_ session: Session) throws(DatabaseError) {
        try execute(
            "insert into sessions (\(Session.columnNames)) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
            [
                .text(session.id), .text(session.userID), session.createdAt.sqlValue, session.refreshedAt.sqlValue,
                .text(session.aal), .text(JSONValue.array(session.methods).text), .text(session.userAgent),
                .text(session.address), .text(session.sealedRefreshKey), .integer(session.refreshCounter),
            ])
    }

    /// Writes what a refresh changes.
    func update(_ session: Session) throws(DatabaseError) {
        try execute(
            "update sessions set refreshed_at = $2, refresh_counter = $3, user_agent = $4, ip = $5 where id = $1",
            [
                .text(session.id), session.refreshedAt.sqlValue, .integer(session.refreshCounter),
                .text(session.userAgent), .text(session.address),
            ])
    }

    func endSessions(_ scope: SessionScope, of userID: String) throws(DatabaseError) {
        switch scope {
        case .all: try execute("delete from sessions where user_id = $1", [.text(userID)])
        case .one(let id):
            try execute("delete from sessions where user_id = $1 and id = $2", [.text(userID), .text(id)])
        case .others(let id):
            try execute("delete from sessions where user_id = $1 and id <> $2", [.text(userID), .text(id)])
        }
    }
}

/// Which sessions of a user end.
enum SessionScope: Sendable, Equatable {
    case all
    case one(String)
    case others(than: String)

    /// For a change that is not settled yet.
    var text: String {
        switch self {
        case .all: "all"
        case .one(let id): "one:\(id)"
        case .others(let id): "others:\(id)"
        }
    }

    init?(_ text: String) {
        switch text.split(separator: ":", maxSplits: 1).map(String.init) {
        case ["all"]: self = .all
        case let parts where parts.count == 2 && parts[0] == "one": self = .one(parts[1])
        case let parts where parts.count == 2 && parts[0] == "others": self = .others(than: parts[1])
        default: return nil
        }
    }
}
