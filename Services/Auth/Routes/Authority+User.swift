// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON

extension Authority {
    /// `POST /logout?scope=global|local|others` (AU-153).
    func logout(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let caller = try await caller(request)
        let scope: SessionScope
        switch request.query["scope"] ?? "" {
        case "", "global": scope = .all
        case "local": scope = .one(caller.session.id)
        case "others": scope = .others(than: caller.session.id)
        case let other: throw .validation("Unsupported logout scope \"\(other)\"")
        }
        let entry = AuditEntry(
            action: .logout, actorID: caller.user.id, actorName: caller.user.email ?? "",
            origin: RequestOrigin(request), at: clock())
        try await database.writing(deadline: request.deadline) { session in
            try session.endSessions(scope, of: caller.user.id)
            try session.append(entry)
        }
        return .noContent
    }

    /// `GET /user` (AU-200).
    func showUser(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let caller = try await caller(request)
        guard caller.audiences.isEmpty || caller.audiences.contains(audience(request)) else {
            throw .validation("Token audience doesn't match request audience")
        }
        return AuthReply(.object(try await document(of: caller.user, request)))
    }

    /// `PUT /user` (AU-201). Addresses stay: a change of one needs a mail that proves it, which is not built.
    func changeUser(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let caller = try await caller(request)
        let body = try RequestBody(request.body)
        let email = try body.text("email").map { text throws(AuthError) in try ContactAddress.email(text) }
        let phone = try body.text("phone").map { text throws(AuthError) in try ContactAddress.phone(text) }
        let data = try body.object("data")
        let password = try body.text("password").map { text throws(AuthError) in
            try configuration.passwords.check(text)
        }
        guard !body.has("app_metadata") else { throw .notAdmin }
        for (address, current, name) in [(email, caller.user.email, "email"), (phone, caller.user.phone, "phone")]
        where address != nil && address != current {
            throw AuthError(404, "feature_disabled", "Changing the \(name) is not available")
        }
        var hash: String?
        if let password {
            guard try await !hasher.matches(password, caller.user.passwordHash) else {
                throw AuthError(422, "same_password", "New password should be different from the old password.")
            }
            hash = try await hasher.hash(password)
        }
        let newHash = hash
        let entry = AuditEntry(
            action: newHash == nil ? .userModified : .userUpdatedPassword, actorID: caller.user.id,
            actorName: caller.user.email ?? "", origin: RequestOrigin(request), at: clock())
        let document = try await ledger.update(caller.user.id, trace: request.trace, deadline: request.deadline) { session, user in
            guard try session.session(id: caller.session.id) != nil else { throw AuthError.sessionNotFound }
            if let data { user.userMetadata.merge(data) }
            try user.checkMetadataSize()
            guard let newHash else { return nil }
            user.passwordHash = newHash
            return .others(than: caller.session.id)
        } completing: { session, user in
            if newHash != nil { try session.voidTokens(of: user.id) }
            try session.append(entry)
            return user.document(identities: try session.identities(of: user.id))
        }
        return AuthReply(.object(document))
    }

    /// The user with identities.
    func document(of user: User, _ request: AuthRequest) async throws(AuthError) -> JSONObject {
        let identities = try await database.reading(deadline: request.deadline) { try $0.identities(of: user.id) }
        return user.document(identities: identities)
    }
}

extension JSONObject {
    /// Merges one level deep: `null` removes a member, members that are not named stay.
    mutating func merge(_ changes: JSONObject) {
        for (name, value) in changes.members { self[name] = value.isNull ? JSONValue?.none : value }
    }
}
