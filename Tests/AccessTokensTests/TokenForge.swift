// SPDX-License-Identifier: Apache-2.0

import Crypto
import MartletAccessTokens
import MartletJSON

/// Makes tokens, right ones and wrong ones.
struct TokenForge {
    static let secret = "a-legacy-secret-of-the-project-with-32+-bytes"
    static let issuer = "http://localhost:8000/auth/v1"
    static let now: Int64 = 1_800_000_000

    let key = SigningKey()

    /// Claims of an ordinary user token; `changes` replace or, with nil, remove members.
    static func claims(_ changes: [String: JSONValue?] = [:]) -> JSONObject {
        var claims: JSONObject = [
            "iss": .string(issuer), "sub": "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11", "aud": "authenticated",
            "role": "authenticated", "email": "ada@example.com", "iat": .integer(now), "exp": .integer(now + 3_600),
            "session_id": "4f8d4bb5-0f0c-4a3a-8a77-54f4b1a0b0f3", "aal": "aal1",
        ]
        for (name, value) in changes { claims[name] = value }
        return claims
    }

    func verifier(rules: TokenRules = TokenRules(issuer: TokenForge.issuer)) throws -> TokenVerifier {
        let verifier = try TokenVerifier(legacySecret: Self.secret, rules: rules)
        try verifier.replaceKeys(jwks: ["keys": [.object(key.publicJWK)]])
        return verifier
    }

    func token(_ changes: [String: JSONValue?] = [:]) throws -> String { try key.sign(claims: Self.claims(changes)) }

    /// A token with any header, signed with HMAC under any bytes.
    static func hmac(_ header: JSONObject, _ claims: JSONObject, key: [UInt8]) -> String {
        let signed = unsigned(header, claims)
        let code = HMAC<SHA256>.authenticationCode(for: Array(signed.utf8), using: SymmetricKey(data: key))
        return signed + "." + Base64.encodeURL(Array(code))
    }

    static func hmac(_ changes: [String: JSONValue?] = [:], key: String = secret) -> String {
        hmac(["alg": "HS256", "typ": "JWT"], claims(changes), key: Array(key.utf8))
    }

    /// The first two parts.
    static func unsigned(_ header: JSONObject, _ claims: JSONObject) -> String {
        Base64.encodeURL(header.text.utf8) + "." + Base64.encodeURL(claims.text.utf8)
    }

    /// The public key's 64 bytes, as an attacker reads them from the key set.
    var publicBytes: [UInt8] {
        ["x", "y"].flatMap { key.publicJWK[$0]?.stringValue.flatMap { Base64.decodeURL($0.utf8) } ?? [] }
    }
}
