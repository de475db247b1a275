// SPDX-License-Identifier: Apache-2.0

internal import MartletWire

/// People: sign-up, tokens, passwords (section 20 of the auth contract; its names are aliases).
package struct AuthSettings: Sendable {
    package let siteURL = Setting<String?>(
        "auth.site_url", nil, readers: [.auth],
        "The application's address, where mails lead to. Required outside development."
    ) { $0.flatMap(NetworkText.urlFault) }
    package let externalURL = Setting<String?>(
        "auth.external_url", nil, range: "with `/auth/v1`", readers: [.auth],
        "Address of the auth API as clients reach it, issuer of its tokens. Required outside development."
    ) { $0.flatMap(NetworkText.urlFault) }
    package let additionalRedirectURLs = Setting<[String]>(
        "auth.additional_redirect_urls", [], aliases: ["AUTH_REDIRECT_URLS"], readers: [.auth],
        "Further addresses that a sign-in may return to.")
    package let jwtExpirySeconds = Setting<Int>(
        "auth.jwt_expiry", 3_600, in: 30...604_800, aliases: ["AUTH_JWT_EXPIRY_SECONDS"], readers: [.auth],
        "Life of an access token, in seconds.")
    package let jwtSecret = Setting<String?>(
        "auth.jwt_secret", nil, range: "32 bytes or more", isSecret: true, readers: [.auth, .edge, .notification],
        "Secret of HS256 tokens, where a project still has them."
    ) { $0.map { $0.utf8.count >= 32 } == false ? "expected 32 bytes or more" : nil }
    package let signUpIsEnabled = Setting<Bool>(
        "auth.enable_signup", true, aliases: ["AUTH_SIGNUP_ENABLED"], readers: [.auth], "Whether people may sign up.")
    package let refreshTokensRotate = Setting<Bool>(
        "auth.enable_refresh_token_rotation", true, aliases: ["AUTH_REFRESH_ROTATION"], readers: [.auth],
        "Whether each refresh makes a new refresh token.")
    package let refreshReuseIntervalSeconds = Setting<Int>(
        "auth.refresh_token_reuse_interval", 10, in: 0...3_600, aliases: ["AUTH_REFRESH_REUSE_INTERVAL_SECONDS"],
        readers: [.auth], "How long a rotated refresh token still answers, in seconds.")
    package let passwordLengthMin = Setting<Int>(
        "auth.minimum_password_length", 8, in: 6...128, aliases: ["AUTH_PASSWORD_LENGTH_MIN"], readers: [.auth],
        "Shortest password, in characters.")
    package let emailSignUpIsEnabled = Setting<Bool>(
        "auth.email.enable_signup", true, aliases: ["AUTH_EMAIL_ENABLED"], readers: [.auth],
        "Whether e-mail and password may be used.")
    package let emailNeedsConfirmation = Setting<Bool>(
        "auth.email.enable_confirmations", false, readers: [.auth, .notification],
        "Whether an address must be confirmed by a mail. In production it needs `martlet.notification.smtp_host`.")
    package let emailGap = Setting<Duration>(
        "auth.email.max_frequency", .seconds(60), in: .zero...(.seconds(86_400)), aliases: ["AUTH_EMAIL_GAP"],
        readers: [.auth], "Shortest time between two mails of one purpose to one address.")
    package let emailCodeLength = Setting<Int>(
        "auth.email.otp_length", 6, in: 6...10, readers: [.auth], "Digits of a code in a mail.")
    package let emailLinkLifeSeconds = Setting<Int>(
        "auth.email.otp_expiry", 3_600, in: 60...86_400, readers: [.auth], "Life of a mail's link, in seconds.")
    package let emailCodeLifeSeconds = Setting<Int>(
        "martlet.auth.email_code_expiry", 600, in: 60...3_600, readers: [.auth],
        "Life of a mail's code, in seconds; never longer than the link's.")
    package let emailsPerHour = Setting<Int>(
        "auth.rate_limit.email_sent", 30, in: 1...1_000_000, aliases: ["AUTH_RATE_EMAIL_PER_HOUR"], readers: [.auth],
        "Mails of the whole installation in an hour.")
    package let passwordBytesMax = Setting<Int>(
        "martlet.auth.password_bytes_max", 256, in: 72...1_024, readers: [.auth],
        "Longest password, in bytes; longer ones are refused, never cut.")
    package let hashMemoryKibibytes = Setting<Int>(
        "martlet.auth.hash_memory_kibibytes", 19_456, in: 19_456...1_048_576, readers: [.auth],
        "Memory of one Argon2id hash (m), in KiB. With memory to spare: 65536, with 3 iterations and 4 lanes (RFC 9106)."
    )
    package let hashIterations = Setting<Int>(
        "martlet.auth.hash_iterations", 2, in: 2...16, readers: [.auth], "Passes of one Argon2id hash (t).")
    package let hashLanes = Setting<Int>(
        "martlet.auth.hash_lanes", 1, in: 1...16, readers: [.auth], "Lanes of one Argon2id hash (p).")
    package let hashThreads = Setting<Int>(
        "martlet.auth.hash_threads", 2, in: 1...64, readers: [.auth],
        "Hashes at once; each holds its memory while it runs.")
    package let engine = Setting<String>(
        "martlet.auth.engine", "sqlite", range: "`sqlite` or `postgres://…`", isSecret: true, readers: [.auth],
        "Database of auth itself.", fault: DataSettings.engineFault)
}
