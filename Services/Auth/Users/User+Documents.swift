// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

extension User {
    /// As AU-130 shows it to the user and to administrators.
    ///
    /// - Parameter identities: nil writes `null`, as the administrators' list has it.
    func document(identities: [Identity]?) -> JSONObject {
        var document: JSONObject = [
            "id": .string(id), "aud": .string(audience), "role": .string(role), "email": .string(email ?? ""),
        ]
        func put(_ name: String, _ time: Timestamp?) { document[name] = time.map { .string($0.rfc3339) } }
        put("email_confirmed_at", emailConfirmedAt)
        document["phone"] = .string(phone ?? "")
        put("phone_confirmed_at", phoneConfirmedAt)
        put("confirmed_at", confirmedAt)
        put("invited_at", invitedAt)
        put("confirmation_sent_at", confirmationSentAt)
        put("recovery_sent_at", recoverySentAt)
        put("last_sign_in_at", lastSignInAt)
        document["app_metadata"] = .object(appMetadata)
        document["user_metadata"] = .object(userMetadata)
        document["identities"] = identities.map { .array($0.map(\.document)) } ?? .null
        document["created_at"] = .string(createdAt.rfc3339)
        document["updated_at"] = .string(updatedAt.rfc3339)
        put("banned_until", bannedUntil)
        put("deleted_at", deletedAt)
        document["is_anonymous"] = .bool(isAnonymous)
        return document
    }

    /// The earlier of the two confirmations.
    var confirmedAt: Timestamp? { [emailConfirmedAt, phoneConfirmedAt].compactMap(\.self).min() }

    /// The columns that the directory holds, in PostgreSQL's text form.
    var directoryColumns: [String: String?] {
        [
            "aud": audience, "role": role, "email": email, "phone": phone,
            "email_confirmed_at": emailConfirmedAt?.postgresText,
            "phone_confirmed_at": phoneConfirmedAt?.postgresText, "invited_at": invitedAt?.postgresText,
            "last_sign_in_at": lastSignInAt?.postgresText, "banned_until": bannedUntil?.postgresText,
            "deleted_at": deletedAt?.postgresText, "raw_app_meta_data": appMetadata.text,
            "raw_user_meta_data": userMetadata.text, "is_anonymous": isAnonymous ? "true" : "false",
            "created_at": createdAt.postgresText, "updated_at": updatedAt.postgresText,
        ]
    }

    /// Takes over what the application's triggers made of the row. Columns that the answer does not name stay; one that
    /// cannot be read stays too.
    mutating func adopt(_ columns: [String: String?]) {
        func time(_ name: String, _ current: Timestamp?) -> Timestamp? {
            guard let value = columns[name] else { return current }
            return value.map { Timestamp($0) ?? current } ?? nil
        }
        func object(_ name: String, _ current: JSONObject) -> JSONObject {
            guard let value = columns[name] else { return current }
            guard let value else { return JSONObject() }
            return (try? JSONValue(parsing: value))?.objectValue ?? current
        }
        if let role = columns["role"] ?? nil { self.role = role }
        if let audience = columns["aud"] ?? nil { self.audience = audience }
        emailConfirmedAt = time("email_confirmed_at", emailConfirmedAt)
        phoneConfirmedAt = time("phone_confirmed_at", phoneConfirmedAt)
        bannedUntil = time("banned_until", bannedUntil)
        appMetadata = object("raw_app_meta_data", appMetadata)
        userMetadata = object("raw_user_meta_data", userMetadata)
    }

    /// Takes over a row that SQL has written: also addresses and the hash of the password, which triggers on auth's own
    /// changes have no say in.
    mutating func takeOver(_ columns: [String: String?], at now: Timestamp) {
        adopt(columns)
        if let email = columns["email"] {
            self.email = email.flatMap { $0.isEmpty ? nil : (try? ContactAddress.email($0)) ?? $0 }
        }
        if let phone = columns["phone"] { self.phone = phone.flatMap { $0.isEmpty ? nil : $0 } }
        if let hash = columns["encrypted_password"] ?? nil, !hash.isEmpty { passwordHash = hash }
        if let deleted = columns["deleted_at"] { deletedAt = deleted.flatMap { Timestamp($0) } }
        if let anonymous = columns["is_anonymous"] ?? nil { isAnonymous = anonymous == "t" || anonymous == "true" }
        updatedAt = now
    }
}
