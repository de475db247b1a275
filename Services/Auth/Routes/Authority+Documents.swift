// SPDX-License-Identifier: Apache-2.0

internal import MartletJSON

extension Authority {
    /// `GET /health` (AU-204).
    var health: AuthReply {
        AuthReply([
            "version": .string(configuration.version), "name": "Martlet Auth",
            "description": "Users, sessions and access tokens",
        ])
    }

    /// `GET /settings` (AU-203): what a sign-in page may offer. Everything that is not built is off.
    var settings: AuthReply {
        var external = JSONObject()
        for provider in Self.providers { external[provider] = false }
        external["email"] = .bool(configuration.allowsEmail)
        return AuthReply([
            "external": .object(external), "disable_signup": .bool(!configuration.allowsSignUp),
            "mailer_autoconfirm": .bool(!configuration.mail.needsConfirmation), "phone_autoconfirm": false,
            "sms_provider": "", "saml_enabled": false,
            "passkeys_enabled": false,
        ])
    }

    /// `GET /.well-known/jwks.json` (AU-143).
    var publishedKeys: AuthReply {
        AuthReply(keySet, cacheControl: "public, max-age=\(AuthLimits.keySetAgeSeconds)")
    }

    private static let providers = [
        "anonymous_users", "apple", "azure", "bitbucket", "discord", "facebook", "figma", "fly", "github", "gitlab",
        "google", "kakao", "keycloak", "linkedin", "linkedin_oidc", "notion", "slack", "slack_oidc", "snapchat",
        "spotify", "twitch", "twitter", "workos", "zoom", "email", "phone",
    ]
}
