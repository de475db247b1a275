// SPDX-License-Identifier: Apache-2.0

import Testing

@testable import MartletAccessTokens

@Suite struct SignatureCacheTests {
    private func token(session: String) -> VerifiedToken {
        VerifiedToken(
            claims: "{}", role: "authenticated", subject: "", sessionID: session, issuer: "", audiences: [],
            keyID: "", isProjectKey: false, expiresAt: nil, notBefore: nil, issuedAt: nil)
    }

    @Test func `The cache never holds more than two generations, in entries and in bytes`() {
        var byCount = SignatureCache(countMax: 10, bytesMax: .max)
        var byBytes = SignatureCache(countMax: .max, bytesMax: 100)
        for number in 0..<1_000 {
            byCount.insert(token(session: ""), for: TokenText(text: "\(number)"))
            byBytes.insert(token(session: ""), for: TokenText(text: "token \(1_000 + number)"))
            #expect(byCount.count <= 20)
            #expect(byBytes.count <= 2 * 100 / 12)
        }
        #expect(byCount.token(for: TokenText(text: "999")) != nil)
        #expect(byCount.token(for: TokenText(text: "1")) == nil)
    }

    @Test func `What is used stays`() {
        var cache = SignatureCache(countMax: 10, bytesMax: .max)
        cache.insert(token(session: "used"), for: TokenText(text: "used"))
        for number in 0..<1_000 {
            cache.insert(token(session: ""), for: TokenText(text: "\(number)"))
            #expect(cache.token(for: TokenText(text: "used"))?.sessionID == "used")
        }
    }

    @Test func `A revoked session is forgotten in both generations`() {
        var cache = SignatureCache(countMax: 2, bytesMax: .max)
        for number in 0..<4 { cache.insert(token(session: "\(number % 2)"), for: TokenText(text: "\(number)")) }
        cache.removeAll { $0.sessionID == "1" }
        #expect(cache.token(for: TokenText(text: "1")) == nil)
        #expect(cache.token(for: TokenText(text: "3")) == nil)
        #expect(cache.token(for: TokenText(text: "2")) != nil)
    }

    @Test func `Texts that look alike are different tokens`() {
        var cache = SignatureCache()
        cache.insert(token(session: "k"), for: TokenText(text: "\u{212A}"))
        #expect(cache.token(for: TokenText(text: "K")) == nil)
        cache.insert(token(session: "e"), for: TokenText(text: "\u{E9}"))
        #expect(cache.token(for: TokenText(text: "e\u{301}")) == nil)
    }
}
