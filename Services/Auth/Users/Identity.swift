// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

/// A row of `identities`: one way in which a user proves who they are (AU-131).
struct Identity: Sendable {
    let id: String
    let userID: String
    let provider: String
    /// The subject at the provider; for `email` and `phone` the user's own id.
    let providerID: String
    var data: JSONObject
    var email: String?
    var lastSignInAt: Timestamp?
    let createdAt: Timestamp
    var updatedAt: Timestamp

    static let columnNames =
        "id, user_id, provider, provider_id, identity_data, email, last_sign_in_at, created_at, updated_at"

    init(_ row: SQLRow) throws(AuthError) {
        guard let id = row["id"].textValue, let userID = row["user_id"].textValue,
            let provider = row["provider"].textValue, let providerID = row["provider_id"].textValue,
            let createdAt = Timestamp(row["created_at"]), let updatedAt = Timestamp(row["updated_at"])
        else { throw .failure("a row of identities cannot be read") }
        self.id = id
        self.userID = userID
        self.provider = provider
        self.providerID = providerID
        data = JSONObject(stored: row["identity_data"])
        email = row["email"].textValue
        lastSignInAt = Timestamp(row["last_sign_in_at"])
        self.createdAt = createdAt
        self.updatedAt = updatedAt
    }

    /// The identity that an e-mail address or a phone number is.
    init(provider: String, of user: User, data: JSONObject, now: Timestamp) {
        id = RandomBytes.makeUUID()
        userID = user.id
        self.provider = provider
        providerID = user.id
        self.data = data
        email = data["email"]?.stringValue
        lastSignInAt = now
        createdAt = now
        updatedAt = now
    }

    /// As AU-131 shows it.
    var document: JSONValue {
        var document: JSONObject = [
            "identity_id": .string(id), "id": .string(providerID), "user_id": .string(userID),
            "identity_data": .object(data), "provider": .string(provider),
        ]
        document["last_sign_in_at"] = lastSignInAt.map { .string($0.rfc3339) }
        document["created_at"] = .string(createdAt.rfc3339)
        document["updated_at"] = .string(updatedAt.rfc3339)
        document["email"] = email.map { .string($0) }
        return .object(document)
    }
}
