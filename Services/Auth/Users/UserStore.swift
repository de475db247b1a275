// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

extension User {
    /// Every column of the row, in the order of `columnNames`.
    var storedColumns: [SQLValue] {
        [
            .text(id), .text(audience), .text(role), email.sqlValue, phone.sqlValue, passwordHash.sqlValue,
            emailConfirmedAt.sqlValue, phoneConfirmedAt.sqlValue, invitedAt.sqlValue, lastSignInAt.sqlValue,
            bannedUntil.sqlValue, deletedAt.sqlValue, .text(appMetadata.text), .text(userMetadata.text),
            .integer(isAnonymous ? 1 : 0), createdAt.sqlValue, updatedAt.sqlValue, .integer(version),
            .text(state.rawValue), confirmationSentAt.sqlValue, recoverySentAt.sqlValue,
        ]
    }

    private static let columns = columnNames.split(separator: ", ").map(String.init)
    static let insertion =
        "insert into users (\(columnNames)) values (\(columns.indices.map { "$\($0 + 1)" }.joined(separator: ", ")))"
    static let replacement =
        "update users set "
        + columns.indices.dropFirst().map { "\(columns[$0]) = $\($0 + 1)" }.joined(separator: ", ") + " where id = $1"

    /// The row as text, for a change that is not settled yet.
    var snapshot: String {
        var object = JSONObject()
        for (name, value) in zip(Self.columns, storedColumns) {
            switch value {
            case .integer(let number): object[name] = .integer(number)
            case .text(let text): object[name] = .string(text)
            default: object[name] = .null
            }
        }
        return object.text
    }

    /// Reads what `snapshot` wrote.
    init(snapshot: String) throws(AuthError) {
        let object = JSONObject(stored: .text(snapshot))
        let values = Self.columns.map { name -> SQLValue in
            switch object[name] {
            case .string(let text)?: .text(text)
            case .number(let text)?: Int64(text).map { .integer($0) } ?? .null
            default: .null
            }
        }
        try self.init(SQLRow(values: values, names: Self.columns))
    }
}

extension DatabaseSession {
    /// Locks the row for the rest of the transaction where the engine has several writers.
    private var rowLock: String { engine == .postgres ? " for update" : "" }

    func user(id: String, locked: Bool = false) throws -> User? {
        let lock = locked ? rowLock : ""
        return try query("select \(User.columnNames) from users where id = $1\(lock)", [.text(id)]).first.map(User.init)
    }

    func user(email: String, audience: String) throws -> User? {
        try query(
            "select \(User.columnNames) from users where email = $1 and aud = $2 and deleted_at is null",
            [.text(email), .text(audience)]
        ).first.map(User.init)
    }

    func user(phone: String, audience: String) throws -> User? {
        try query(
            "select \(User.columnNames) from users where phone = $1 and aud = $2 and deleted_at is null",
            [.text(phone), .text(audience)]
        ).first.map(User.init)
    }

    func insert(_ user: User) throws(DatabaseError) { try execute(User.insertion, user.storedColumns) }

    func replace(_ user: User) throws(DatabaseError) { try execute(User.replacement, user.storedColumns) }

    func identities(of userID: String) throws -> [Identity] {
        try query(
            "select \(Identity.columnNames) from identities where user_id = $1 order by created_at, id", [.text(userID)]
        ).map(Identity.init)
    }

    /// Makes the identities `email` and `phone` say what the user's row says: one for each address that the user has.
    func alignIdentities(of user: User, now: Timestamp) throws {
        let identities = try identities(of: user.id)
        try align("email", user.email, user.emailConfirmedAt != nil, identities, of: user, now: now)
        try align("phone", user.phone, user.phoneConfirmedAt != nil, identities, of: user, now: now)
    }

    private func align(
        _ provider: String, _ address: String?, _ isVerified: Bool, _ identities: [Identity], of user: User,
        now: Timestamp
    ) throws {
        guard let address else {
            try execute(
                "delete from identities where user_id = $1 and provider = $2", [.text(user.id), .text(provider)])
            return
        }
        let known = identities.first { $0.provider == provider }
        var data = known?.data ?? user.userMetadata
        data["sub"] = .string(user.id)
        data[provider] = .string(address)
        data["\(provider)_verified"] = .bool(isVerified)
        for name in ["email_verified", "phone_verified"] where data[name] == nil { data[name] = false }
        if let known {
            guard known.data != data else { return }
            try execute(
                "update identities set identity_data = $2, email = $3, updated_at = $4 where id = $1",
                [.text(known.id), .text(data.text), (data["email"]?.stringValue).sqlValue, now.sqlValue])
        } else {
            let made = Identity(provider: provider, of: user, data: data, now: now)
            try execute(
                """
                insert into identities (\(Identity.columnNames)) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                """,
                [
                    .text(made.id), .text(made.userID), .text(made.provider), .text(made.providerID),
                    .text(made.data.text), made.email.sqlValue, made.lastSignInAt.sqlValue, made.createdAt.sqlValue,
                    made.updatedAt.sqlValue,
                ])
        }
    }
}
