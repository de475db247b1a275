// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase
internal import MartletJSON
internal import MartletWire

extension Authority {
    /// `POST /admin/users` (AU-241).
    func createUser(_ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let role = try await admin(request)
        let body = try AdminUserBody(request.body, configuration.passwords)
        guard body.email != nil || body.phone != nil else {
            throw .validation("Cannot create a user without either an email or phone")
        }
        let now = clock()
        var user = User(
            id: body.id ?? RandomBytes.makeUUID(), audience: audience(request), role: "authenticated", createdAt: now)
        let providers = [body.email.map { _ in "email" }, body.phone.map { _ in "phone" }].compactMap(\.self)
        user.appMetadata = [
            "provider": providers.first.map { .string($0) } ?? .null,
            "providers": .array(providers.map { .string($0) }),
        ]
        _ = try body.apply(to: &user, hash: try await hash(of: body), now: now)
        if user.email != nil { user.userMetadata["email_verified"] = .bool(user.emailConfirmedAt != nil) }
        let entry = adminEntry(.userSignedUp, role, user, request)
        let document = try await ledger.create(user, trace: request.trace, deadline: request.deadline) { session, user in
            try session.append(entry)
            return user.document(identities: try session.identities(of: user.id))
        }
        return AuthReply(.object(document))
    }

    /// `GET /admin/users/{id}` (AU-242).
    func showUser(_ id: String?, _ request: AuthRequest) async throws(AuthError) -> AuthReply {
        _ = try await admin(request)
        let user = try await user(id, request)
        return AuthReply(.object(try await document(of: user, request)))
    }

    /// `PUT /admin/users/{id}` (AU-242).
    func changeUser(_ id: String?, _ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let role = try await admin(request)
        let user = try await user(id, request)
        let body = try AdminUserBody(request.body, configuration.passwords)
        let hash = try await hash(of: body)
        let now = clock()
        let entry = adminEntry(body.ban == nil ? .userModified : .userBanned, role, user, request)
        let document = try await ledger.update(user.id, trace: request.trace, deadline: request.deadline) { session, user in
            let ended = try body.apply(to: &user, hash: hash, now: now)
            for rival in [
                try user.email.flatMap { try session.user(email: $0, audience: user.audience) },
                try user.phone.flatMap { try session.user(phone: $0, audience: user.audience) },
            ] {
                guard let rival, rival.id != user.id else { continue }
                throw rival.email == user.email && user.email != nil ? AuthError.emailExists : .phoneExists
            }
            return ended
        } completing: { session, user in
            // Nothing that was sent before opens what the administrator closed.
            if hash != nil || body.ban != nil || body.email != nil { try session.voidTokens(of: user.id) }
            try session.append(entry)
            return user.document(identities: try session.identities(of: user.id))
        }
        return AuthReply(.object(document))
    }

    /// `DELETE /admin/users/{id}` (AU-242). Keeping a husk of the user (`should_soft_delete`) is not built.
    func deleteUser(_ id: String?, _ request: AuthRequest) async throws(AuthError) -> AuthReply {
        let role = try await admin(request)
        let body = try RequestBody(request.body, allowsEmpty: true)
        guard try body.bool("should_soft_delete") != true else {
            throw AuthError(404, "feature_disabled", "Soft deletion is not available")
        }
        let user = try await user(id, request)
        let entry = adminEntry(.userDeleted, role, user, request)
        try await ledger.delete(user.id, trace: request.trace, deadline: request.deadline) { session, _ in try session.append(entry) }
        return AuthReply(.object([:]))
    }

    private func user(_ id: String?, _ request: AuthRequest) async throws(AuthError) -> User {
        guard let id = id.flatMap(UUIDText.normalized) else {
            throw AuthError(404, "validation_failed", "user_id must be an UUID")
        }
        let user = try await database.reading(deadline: request.deadline) { try $0.user(id: id) }
        guard let user, user.state != .pending else { throw .userNotFound }
        return user
    }

    private func hash(of body: AdminUserBody) async throws(AuthError) -> String? {
        guard let password = body.password else { return body.passwordHash }
        return try await hasher.hash(password)
    }

    private func adminEntry(
        _ action: AuditEntry.Action, _ role: String, _ user: User, _ request: AuthRequest
    ) -> AuditEntry {
        AuditEntry(
            action: action, actorID: request.principal.subject, actorName: role,
            traits: ["user_id": .string(user.id), "user_email": .string(user.email ?? "")],
            origin: RequestOrigin(request), at: clock())
    }
}
