// SPDX-License-Identifier: Apache-2.0

/// Names whose values never reach a log, whoever passes them.
enum SecretNames {
    private static let words: Set<String> = [
        "password", "secret", "token", "access_token", "refresh_token", "authorization", "apikey", "api_key", "cookie",
        "private_key", "code", "otp",
    ]

    /// Whether the last part of a dotted key names a secret.
    static func contain(_ key: String) -> Bool {
        guard let word = key.split(separator: ".").last?.lowercased() else { return false }
        // `error.code` and its like are stable words, not one-time codes.
        if word == "code" { return key.hasPrefix("auth.") }
        return words.contains(word)
    }
}
