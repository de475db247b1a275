// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

/// What the claims of a token must say to be believed here.
package struct TokenRules: Sendable {
    /// The external URL of the auth API; nil accepts any issuer.
    package var issuer: String?
    /// Audiences that are accepted; nil leaves the question to the service that owns the dialect.
    package var audiences: Set<String>?
    /// Roles whose tokens without a session are project keys, besides `anon`.
    package var adminRoles: Set<String>

    package static let defaultAdminRoles: Set<String> = ["service_role", "supabase_admin"]

    package init(
        issuer: String? = nil, audiences: Set<String>? = nil, adminRoles: Set<String> = Self.defaultAdminRoles
    ) {
        self.issuer = issuer
        self.audiences = audiences
        self.adminRoles = adminRoles
    }

    /// Reads claims whose signature is right, and checks everything but the audience list.
    ///
    /// Per claim first the type, then the value, in the order of rest.md 17.1: `exp`, `nbf`, `iat`, `aud`, the rest.
    func read(
        payload: [UInt8], keyID: String, isLegacySecret: Bool, now: Int64
    ) throws(TokenFault) -> VerifiedToken {
        let document: JSONValue
        do {
            document = try JSONValue(parsing: payload, depthMax: TokenLimits.nestingMax)
        } catch { throw .crypto }
        guard let claims = document.objectValue else { throw .claims }
        let expiresAt = try Self.date("exp", in: claims)
        let notBefore = try Self.date("nbf", in: claims)
        let issuedAt = try Self.date("iat", in: claims)
        let audiences = try Self.audiences(in: claims)
        let role = try Self.text("role", in: claims)
        let sessionID = try Self.text("session_id", in: claims) ?? ""
        let issuer = try Self.text("iss", in: claims)
        let subject = try Self.text("sub", in: claims) ?? ""
        _ = try Self.text("aal", in: claims)
        let isProjectKey = sessionID.isEmpty && role.map { $0 == "anon" || adminRoles.contains($0) } == true
        let token = VerifiedToken(
            claims: String(decoding: payload, as: UTF8.self), role: role ?? "anon", subject: subject,
            sessionID: sessionID, issuer: issuer ?? "", audiences: audiences, keyID: keyID,
            isProjectKey: isProjectKey, expiresAt: expiresAt, notBefore: notBefore, issuedAt: issuedAt)
        if let fault = token.timeFault(now: now) { throw fault }
        if !isProjectKey {
            guard expiresAt != nil else { throw .claimType("exp") }
            if let expected = self.issuer {
                // Applications that mint tokens under the legacy secret may leave the issuer out (AU-142, rule 4).
                guard issuer == expected || (issuer == nil && isLegacySecret) else { throw .claims }
            }
        }
        return token
    }

    /// Whether `token` is for one of the accepted audiences. A token that names none passes (rest.md 17.1).
    func acceptsAudience(of token: VerifiedToken) -> Bool {
        guard let audiences, !token.audiences.isEmpty else { return true }
        return token.audiences.contains { audiences.contains($0) }
    }

    private static func date(_ claim: String, in claims: JSONObject) throws(TokenFault) -> Double? {
        guard let value = claims[claim] else { return nil }
        guard let seconds = value.doubleValue, seconds.isFinite else { throw .claimType(claim) }
        return seconds
    }

    private static func text(_ claim: String, in claims: JSONObject) throws(TokenFault) -> String? {
        guard let value = claims[claim] else { return nil }
        guard let text = value.stringValue else { throw .claimType(claim) }
        return text
    }

    private static func audiences(in claims: JSONObject) throws(TokenFault) -> [String] {
        switch claims["aud"] {
        case nil, .null?: return []
        case .string(let audience)?: return [audience]
        case .array(let elements)?:
            let audiences = elements.compactMap(\.stringValue)
            guard audiences.count == elements.count else { throw .claimType("aud") }
            return audiences
        default: throw .claimType("aud")
        }
    }
}
