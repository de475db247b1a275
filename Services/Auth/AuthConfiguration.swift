// SPDX-License-Identifier: Apache-2.0

/// What the auth API is told about its installation; checked before it gets here (section 20 of the auth contract).
package struct AuthConfiguration: Sendable {
    /// External URL of the auth API, which includes `/auth/v1`: the issuer of its tokens.
    package var issuer: String
    /// Life of an access token.
    package var accessTokenLife: Duration
    /// Whether a refresh makes a new refresh token.
    package var refreshTokensRotate: Bool
    /// How long after a refresh older refresh tokens still answer.
    package var refreshReuseInterval: Duration
    package var allowsSignUp: Bool
    package var allowsEmail: Bool
    package var passwords: PasswordPolicy
    package var mail: MailPolicy
    package var redirects: RedirectPolicy
    /// The first is that of new users; `X-JWT-AUD` may name another one of the list (AU-108).
    package var audiences: [String]
    /// Values of the `role` claim that may use the admin routes.
    package var adminRoles: Set<String>
    package var version: String

    package init(
        issuer: String, accessTokenLife: Duration = .seconds(3_600), refreshTokensRotate: Bool = true,
        refreshReuseInterval: Duration = .seconds(10), allowsSignUp: Bool = true, allowsEmail: Bool = true,
        passwords: PasswordPolicy = PasswordPolicy(), mail: MailPolicy = MailPolicy(),
        redirects: RedirectPolicy = RedirectPolicy(siteURL: "http://127.0.0.1:8000"),
        audiences: [String] = ["authenticated"],
        adminRoles: Set<String> = ["service_role", "supabase_admin"], version: String = ""
    ) {
        self.issuer = issuer
        self.accessTokenLife = accessTokenLife
        self.refreshTokensRotate = refreshTokensRotate
        self.refreshReuseInterval = refreshReuseInterval
        self.allowsSignUp = allowsSignUp
        self.allowsEmail = allowsEmail
        self.passwords = passwords
        self.mail = mail
        self.redirects = redirects
        self.audiences = audiences
        self.adminRoles = adminRoles
        self.version = version
    }
}

/// Bounds that the contract fixes.
enum AuthLimits {
    /// Serialised `user_metadata`, and `app_metadata`, in bytes (AU-519).
    static let metadataBytesMax = 16 * 1024
    /// Users on one page of the administrators' list.
    static let pageMax = 1_000
    static let pageDefault = 50
    /// How long a refresh waits for the lock of its session (AU-152).
    static let refreshWait: Duration = .seconds(5)
    /// How long a request waits for what SQL did to users, and how old auth's knowledge of that may get before it gives
    /// no tokens any more (D25).
    static let newsWait: Duration = .milliseconds(500)
    static let newsAgeMax: Duration = .seconds(60)
    /// How long the key set may be cached (AU-143), in seconds.
    static let keySetAgeSeconds = 600
}
