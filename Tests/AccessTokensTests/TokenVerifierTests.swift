// SPDX-License-Identifier: Apache-2.0

import MartletAccessTokens
import MartletJSON
import Testing

@Suite struct TokenVerifierTests {
    let forge = TokenForge()

    @Test func `A token of ours is valid and carries its claims as they were signed`() throws {
        let token = try forge.token()
        guard case .valid(let verified) = try forge.verifier().verify(token, now: TokenForge.now) else {
            Issue.record("refused")
            return
        }
        #expect(verified.claims == TokenForge.claims().text)
        #expect(verified.role == "authenticated")
        #expect(verified.subject == "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11")
        #expect(verified.sessionID == "4f8d4bb5-0f0c-4a3a-8a77-54f4b1a0b0f3")
        #expect(verified.keyID == forge.key.id)
        #expect(!verified.isProjectKey)
    }

    /// Tokens that are refused, each with the word that says why.
    static let refused: [(name: String, fault: TokenFault, make: @Sendable (TokenForge) throws -> String)] = [
        ("empty", .empty, { _ in "" }),
        ("one part", .parts(1), { _ in "garbage" }),
        ("two parts", .parts(2), { _ in TokenForge.unsigned(["alg": "ES256"], TokenForge.claims()) }),
        ("four parts", .parts(4), { try $0.token() + ".x" }),
        ("an empty part", .crypto, { _ in "a..b" }),
        ("no base64url", .crypto, { _ in "a+b/.a.a" }),
        ("padded", .crypto, { try $0.token() + "=" }),
        ("a header that is no JSON", .crypto, { _ in Base64.encodeURL("hello".utf8) + ".e30.AAAA" }),
        ("over 16 KiB", .crypto, { try $0.token(["pad": .string(String(repeating: "x", count: 16_384))]) }),
        (
            "crit", .crypto,
            { _ in
                TokenForge.hmac(
                    ["alg": "HS256", "crit": ["exp"]], TokenForge.claims(), key: Array(TokenForge.secret.utf8))
            }
        ),
        (
            "alg none", .algorithm,
            { _ in TokenForge.unsigned(["alg": "none", "typ": "JWT"], TokenForge.claims()) + ".AAAA" }
        ),
        ("alg None", .algorithm, { _ in TokenForge.unsigned(["alg": "None"], TokenForge.claims()) + ".AAAA" }),
        ("no alg", .algorithm, { _ in TokenForge.unsigned(["typ": "JWT"], TokenForge.claims()) + ".AAAA" }),
        (
            "alg none under our key", .key,
            { TokenForge.unsigned(["alg": "none", "kid": .string($0.key.id)], TokenForge.claims()) + ".AAAA" }
        ),
        (
            "alg swapped: HS256 under our kid with the public key as secret", .key,
            {
                TokenForge.hmac(
                    ["alg": "HS256", "kid": .string($0.key.id)], TokenForge.claims(), key: $0.publicBytes)
            }
        ),
        (
            "alg swapped: HS256 without kid, public key as secret", .key,
            { TokenForge.hmac(["alg": "HS256"], TokenForge.claims(), key: $0.publicBytes) }
        ),
        (
            "the legacy secret under our kid", .key,
            {
                TokenForge.hmac(
                    ["alg": "HS256", "kid": .string($0.key.id)], TokenForge.claims(), key: Array(TokenForge.secret.utf8)
                )
            }
        ),
        ("another secret", .key, { _ in TokenForge.hmac(key: "another secret that has more than 32 bytes") }),
        (
            "another key under our kid", .key,
            { try SigningKey(id: $0.key.id).sign(claims: TokenForge.claims()) }
        ),
        (
            "a key that the token brings along", .key,
            { forge in
                let own = SigningKey()
                let header: JSONObject = [
                    "alg": "ES256", "jwk": .object(own.publicJWK), "kid": .string(forge.key.id),
                ]
                let theirs = try own.sign(claims: TokenForge.claims())
                return TokenForge.unsigned(header, TokenForge.claims()) + "."
                    + (theirs.split(separator: ".").last ?? "")
            }
        ),
        (
            "a changed payload", .key,
            { forge in
                let parts = try forge.token().split(separator: ".")
                let payload = Base64.encodeURL(TokenForge.claims(["role": "service_role"]).text.utf8)
                return "\(parts[0]).\(payload).\(parts[2])"
            }
        ),
        ("expired", .expired, { try $0.token(["exp": .integer(TokenForge.now - 31)]) }),
        ("not yet valid", .notYetValid, { try $0.token(["nbf": .integer(TokenForge.now + 31)]) }),
        ("issued in the future", .issuedInFuture, { try $0.token(["iat": .integer(TokenForge.now + 31)]) }),
        ("exp as text", .claimType("exp"), { try $0.token(["exp": "soon"]) }),
        ("no exp", .claimType("exp"), { try $0.token(["exp": .none]) }),
        ("sub as number", .claimType("sub"), { try $0.token(["sub": 1]) }),
        ("role as list", .claimType("role"), { try $0.token(["role": ["service_role"]]) }),
        ("aud as number", .claimType("aud"), { try $0.token(["aud": 7]) }),
        ("session_id as number", .claimType("session_id"), { try $0.token(["session_id": 7]) }),
        ("another issuer", .claims, { try $0.token(["iss": "https://elsewhere.example/auth/v1"]) }),
        ("no issuer under ES256", .claims, { try $0.token(["iss": .none]) }),
        (
            "admin role with a session, without exp", .claimType("exp"),
            {
                try $0.token(["role": "service_role", "exp": .none])
            }
        ),
    ]

    @Test(arguments: refused.indices)
    func `What is not ours is refused with its reason`(index: Int) throws {
        let row = Self.refused[index]
        let verifier = try forge.verifier()
        let token = try row.make(forge)
        #expect(verifier.verify(token, now: TokenForge.now) == .invalid(row.fault), "\(row.name)")
        // The second time it may come from the cache: the answer is the same.
        #expect(verifier.verify(token, now: TokenForge.now) == .invalid(row.fault), "\(row.name), again")
    }

    @Test func `Another audience is refused where audiences are named`() throws {
        let verifier = try forge.verifier(rules: TokenRules(issuer: TokenForge.issuer, audiences: ["authenticated"]))
        #expect(verifier.verify(try forge.token(["aud": "other"]), now: TokenForge.now) == .invalid(.audience))
        for audience: JSONValue in ["authenticated", ["x", "authenticated"]] {
            guard case .valid = verifier.verify(try forge.token(["aud": audience]), now: TokenForge.now) else {
                Issue.record("\(audience) was refused")
                continue
            }
        }
    }

    @Test func `A cached signature does not outlive the token`() throws {
        let verifier = try forge.verifier()
        let token = try forge.token()
        guard case .valid = verifier.verify(token, now: TokenForge.now) else {
            Issue.record("refused at first")
            return
        }
        #expect(verifier.verify(token, now: TokenForge.now + 3_600 + 31) == .invalid(.expired))
    }

    @Test func `A replaced key set forgets the tokens of the old one`() throws {
        let verifier = try forge.verifier()
        let token = try forge.token()
        guard case .valid = verifier.verify(token, now: TokenForge.now) else {
            Issue.record("refused at first")
            return
        }
        let next = SigningKey()
        try verifier.replaceKeys(jwks: ["keys": [.object(next.publicJWK)]])
        #expect(verifier.verify(token, now: TokenForge.now) == .unknownKey(forge.key.id))
        guard case .valid = verifier.verify(try next.sign(claims: TokenForge.claims()), now: TokenForge.now) else {
            Issue.record("the new key is not accepted")
            return
        }
    }

    @Test func `A key set with a broken key changes nothing`() throws {
        let verifier = try forge.verifier()
        var broken = forge.key.publicJWK
        broken["x"] = "AAAA"
        #expect(throws: KeyError.self) { try verifier.replaceKeys(jwks: ["keys": [.object(broken)]]) }
        #expect(verifier.keyIDs == [forge.key.id])
    }

    @Test func `Tokens that an application mints under the legacy secret may leave the issuer out`() throws {
        let token = TokenForge.hmac(["iss": .none])
        guard case .valid(let verified) = try forge.verifier().verify(token, now: TokenForge.now) else {
            Issue.record("refused")
            return
        }
        #expect(verified.keyID == "")
        #expect(verified.role == "authenticated")
    }

    @Test(arguments: ["anon", "service_role", "supabase_admin"])
    func `Project keys need neither exp nor our issuer`(role: String) throws {
        let token = TokenForge.hmac([
            "role": .string(role), "iss": "supabase", "exp": .none, "session_id": .none, "sub": .none,
        ])
        guard case .valid(let verified) = try forge.verifier().verify(token, now: TokenForge.now) else {
            Issue.record("refused")
            return
        }
        #expect(verified.isProjectKey)
        #expect(verified.role == role)
    }

    @Test func `With its keys an issuer's name becomes the rule, also for tokens that were accepted before`() throws {
        let verifier = try forge.verifier(rules: TokenRules())
        let foreign = try forge.token(["iss": "https://elsewhere.example/auth/v1"])
        let minted = TokenForge.hmac(["iss": "https://elsewhere.example/auth/v1"])
        for token in [foreign, minted] {
            guard case .valid = verifier.verify(token, now: TokenForge.now) else {
                Issue.record("refused without a rule")
                return
            }
        }
        try verifier.replaceKeys(jwks: ["keys": [.object(forge.key.publicJWK)]], issuer: TokenForge.issuer)
        #expect(verifier.rules.issuer == TokenForge.issuer)
        #expect(verifier.verify(foreign, now: TokenForge.now) == .invalid(.claims))
        #expect(verifier.verify(minted, now: TokenForge.now) == .invalid(.claims))
        guard case .valid = verifier.verify(try forge.token(), now: TokenForge.now) else {
            Issue.record("our own token was refused")
            return
        }
    }

    @Test func `Without a legacy secret HS256 is no algorithm of ours`() throws {
        let verifier = try TokenVerifier(rules: TokenRules())
        try verifier.replaceKeys(jwks: ["keys": [.object(forge.key.publicJWK)]])
        #expect(verifier.verify(TokenForge.hmac(), now: TokenForge.now) == .invalid(.algorithm))
        #expect(throws: KeyError.self) { try TokenVerifier(legacySecret: "short") }
    }

    @Test func `Every change of one character is refused`() throws {
        let verifier = try forge.verifier()
        let token = Array(try forge.token().utf8)
        for position in token.indices {
            var changed = token
            changed[position] = changed[position] == UInt8(ascii: "A") ? UInt8(ascii: "B") : UInt8(ascii: "A")
            if case .valid = verifier.verify(String(decoding: changed, as: UTF8.self), now: TokenForge.now) {
                Issue.record("accepted with a change at \(position)")
            }
        }
    }
}
