// SPDX-License-Identifier: Apache-2.0

import MartletJSON
import Synchronization

/// What a session takes from the claims of a valid token.
struct TokenClaims: Sendable {
    let email: String?
    /// As JSON text that always holds `role`.
    let text: String

    /// The same few tokens come again and again, and reading one costs more than the rest of a session. What is kept
    /// follows from the text alone, so it never becomes wrong.
    private static let known = Mutex(GenerationCache<Key, TokenClaims?>(countMax: 512))
    /// Longer ones are read each time, so that what is kept is bounded in bytes too.
    private static let keptBytesMax = 2_048

    private struct Key: Hashable {
        let claims: String
        let role: String
    }

    /// Nil when they are no JSON object.
    static func read(_ claims: String, role: String) -> TokenClaims? {
        guard claims.utf8.count <= keptBytesMax else { return parse(claims, role: role) }
        let key = Key(claims: claims, role: role)
        if let known = known.withLock({ $0.value(for: key) }) { return known }
        let made = parse(claims, role: role)
        known.withLock { $0.keep(made, for: key) }
        return made
    }

    private static func parse(_ claims: String, role: String) -> TokenClaims? {
        guard var object = (try? JSONValue(parsing: claims))?.objectValue else { return nil }
        let email = object["email"]?.stringValue
        guard object["role"] == nil else { return TokenClaims(email: email, text: claims) }
        object["role"] = .string(role)
        return TokenClaims(email: email, text: object.text)
    }
}
