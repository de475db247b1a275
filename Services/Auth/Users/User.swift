// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

/// A row of `users`.
struct User: Sendable {
    /// Where the row stands towards the directory (D25).
    enum State: String, Sendable {
        /// Not yet known to be in the directory; nobody sees it.
        case pending
        case active
        /// Its deletion was asked for and is not settled; it lives until it is.
        case deleting
    }

    let id: String
    var audience: String
    var role: String
    var email: String?
    var phone: String?
    var passwordHash: String?
    var emailConfirmedAt: Timestamp?
    var phoneConfirmedAt: Timestamp?
    var invitedAt: Timestamp?
    var lastSignInAt: Timestamp?
    var bannedUntil: Timestamp?
    var deletedAt: Timestamp?
    var appMetadata: JSONObject
    var userMetadata: JSONObject
    var isAnonymous: Bool
    var createdAt: Timestamp
    var updatedAt: Timestamp
    /// Version of the row in the directory.
    var version: Int64
    var state: State
    var confirmationSentAt: Timestamp?
    var recoverySentAt: Timestamp?

    func isBanned(at now: Timestamp) -> Bool { bannedUntil.map { $0 > now } ?? false }

    static let columnNames = """
        id, aud, role, email, phone, password_hash, email_confirmed_at, phone_confirmed_at, invited_at, \
        last_sign_in_at, banned_until, deleted_at, app_metadata, user_metadata, is_anonymous, created_at, updated_at, \
        version, state, confirmation_sent_at, recovery_sent_at
        """

    init(_ row: SQLRow) throws(AuthError) {
        guard let id = row["id"].textValue, let audience = row["aud"].textValue, let role = row["role"].textValue,
            let createdAt = Timestamp(row["created_at"]), let updatedAt = Timestamp(row["updated_at"]),
            let version = row["version"].integerValue, let state = State(rawValue: row["state"].textValue ?? "")
        else { throw .failure("a row of users cannot be read") }
        self.id = id
        self.audience = audience
        self.role = role
        email = row["email"].textValue
        phone = row["phone"].textValue
        passwordHash = row["password_hash"].textValue
        emailConfirmedAt = Timestamp(row["email_confirmed_at"])
        phoneConfirmedAt = Timestamp(row["phone_confirmed_at"])
        invitedAt = Timestamp(row["invited_at"])
        lastSignInAt = Timestamp(row["last_sign_in_at"])
        bannedUntil = Timestamp(row["banned_until"])
        deletedAt = Timestamp(row["deleted_at"])
        appMetadata = JSONObject(stored: row["app_metadata"])
        userMetadata = JSONObject(stored: row["user_metadata"])
        isAnonymous = row["is_anonymous"].integerValue == 1
        self.createdAt = createdAt
        self.updatedAt = updatedAt
        self.version = version
        self.state = state
        confirmationSentAt = Timestamp(row["confirmation_sent_at"])
        recoverySentAt = Timestamp(row["recovery_sent_at"])
    }

    /// A new user, pending.
    init(id: String, audience: String, role: String, createdAt: Timestamp) {
        self.id = id
        self.audience = audience
        self.role = role
        appMetadata = JSONObject()
        userMetadata = JSONObject()
        isAnonymous = false
        self.createdAt = createdAt
        updatedAt = createdAt
        version = 1
        state = .pending
    }
}

extension Timestamp {
    /// The time in a column; nil for null.
    init?(_ value: SQLValue) {
        guard let microseconds = value.integerValue else { return nil }
        self.init(microseconds: microseconds)
    }

    var sqlValue: SQLValue { .integer(microseconds) }
}

extension JSONObject {
    /// The object in a column; empty when there is none.
    init(stored value: SQLValue) {
        let document = value.textValue.flatMap { try? JSONValue(parsing: $0) }
        self = document?.objectValue ?? JSONObject()
    }
}

extension Optional where Wrapped == Timestamp {
    var sqlValue: SQLValue { map(\.sqlValue) ?? .null }
}

extension Optional where Wrapped == String {
    var sqlValue: SQLValue { map { .text($0) } ?? .null }
}
