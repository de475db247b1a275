// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON
internal import MartletServiceKit

/// What an administrator says about a user (13.2, 13.3 of the auth contract), checked. Nil members change nothing.
struct AdminUserBody: Sendable {
    enum Ban: Sendable {
        case none
        case lasting(Duration)
    }

    let id: String?
    let audience: String?
    let role: String?
    let email: String?
    let phone: String?
    let confirmsEmail: Bool?
    let confirmsPhone: Bool?
    let password: Password?
    /// A hash that is stored as it is, until the next sign-in makes it anew.
    let passwordHash: String?
    let userMetadata: JSONObject?
    let appMetadata: JSONObject?
    let ban: Ban?

    init(_ bytes: [UInt8], _ policy: PasswordPolicy) throws(AuthError) {
        let body = try RequestBody(bytes)
        email = try body.text("email").map { text throws(AuthError) in try ContactAddress.email(text) }
        phone = try body.text("phone").map { text throws(AuthError) in try ContactAddress.phone(text) }
        audience = try body.text("aud")
        role = try body.text("role")
        confirmsEmail = try body.bool("email_confirm")
        confirmsPhone = try body.bool("phone_confirm")
        userMetadata = try body.object("user_metadata")
        appMetadata = try body.object("app_metadata")
        id = try body.text("id").map { text throws(AuthError) in try Self.identifier(text) }
        ban = try body.text("ban_duration").map { text throws(AuthError) in try Self.ban(text) }
        password = try body.text("password").map { text throws(AuthError) in try policy.check(text) }
        passwordHash = try body.text("password_hash")
        guard password == nil || passwordHash == nil else {
            throw .validation("Only a password or a password hash should be provided")
        }
        if let passwordHash, Argon2id.parameters(of: passwordHash) == nil {
            throw .validation("The password hash is not an Argon2 hash within the accepted limits")
        }
    }

    /// Writes what was said over a user's row. Tells whether the sessions end, because the password is another one.
    func apply(to user: inout User, hash: String?, now: Timestamp) throws(AuthError) -> SessionScope? {
        if let role { user.role = role }
        if let audience { user.audience = audience }
        if let email, email != user.email {
            user.email = email
            user.emailConfirmedAt = nil
            user.userMetadata["email"] = .string(email)
        }
        if let phone, phone != user.phone {
            user.phone = phone
            user.phoneConfirmedAt = nil
        }
        if confirmsEmail == true, user.email != nil, user.emailConfirmedAt == nil { user.emailConfirmedAt = now }
        if confirmsPhone == true, user.phone != nil, user.phoneConfirmedAt == nil { user.phoneConfirmedAt = now }
        if let userMetadata { user.userMetadata.merge(userMetadata) }
        if let appMetadata { user.appMetadata.merge(appMetadata) }
        switch ban {
        case .none?: user.bannedUntil = nil
        case .lasting(let duration)?: user.bannedUntil = now.advanced(by: duration)
        case nil: break
        }
        try user.checkMetadataSize()
        guard let hash else { return nil }
        user.passwordHash = hash
        return .all
    }

    private static func identifier(_ text: String) throws(AuthError) -> String {
        guard let id = UUIDText.normalized(text), id != "00000000-0000-0000-0000-000000000000" else {
            throw .validation("ID must conform to the uuid format and must not be nil")
        }
        return id
    }

    private static func ban(_ text: String) throws(AuthError) -> Ban {
        if text == "none" { return .none }
        guard let duration = DurationText.parse(text) else {
            throw .validation("invalid format for ban duration: \(text)")
        }
        return .lasting(duration)
    }
}
