// SPDX-License-Identifier: Apache-2.0

import Logging
import MartletAccessTokens
import MartletJSON
import MartletWire
import Synchronization
import Testing

@testable import MartletEdge

/// Tokens of keys that the edge does not know yet, and of an issuer that is not ours.
@Suite("Edge: keys of the auth service")
struct KeyRefresherTests {
    private static let now: Int64 = 1_800_000_000
    private static let issuer = "http://localhost:8000/auth/v1"

    /// An auth service that answers as it is told to, and counts.
    private final class Authority: Sendable {
        struct Away: Error {}

        let key = SigningKey()
        let isAway = Mutex(false)
        let count = Mutex(0)
        let clock = Mutex(ContinuousClock.now)
        /// Answers wait until it is opened.
        let gate = AsyncStream<Never>.makeStream()
        let isSlow: Bool

        init(isSlow: Bool = false) { self.isSlow = isSlow }

        func ask() async throws -> PublishedKeys {
            count.withLock { $0 += 1 }
            if isSlow { for await _ in gate.stream {} }
            if isAway.withLock({ $0 }) { throw Away() }
            return PublishedKeys(jwks: ["keys": [.object(key.publicJWK)]], issuer: KeyRefresherTests.issuer)
        }

        var asked: Int { count.withLock { $0 } }
        func pass(_ duration: Duration) { clock.withLock { $0 += duration } }
    }

    private let keys: ProjectKeys
    private let gatekeeper: Gatekeeper

    init() throws {
        keys = try ProjectKeys(production: false, now: Self.now)
        gatekeeper = Gatekeeper(
            verifier: try TokenVerifier(legacySecret: keys.jwtSecret, fixedKeys: keys.jwks), keys: keys)
    }

    private func refresher(_ authority: Authority) -> KeyRefresher {
        KeyRefresher(
            verifier: gatekeeper.verifier, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            now: { authority.clock.withLock { $0 } }, ask: { try await authority.ask() })
    }

    /// What `refresher` lets `token` be: the status and fault, or the code of an edge's own refusal.
    private func outcome(_ token: String, _ refresher: KeyRefresher) async -> String {
        do throws(EdgeError) {
            let principal = try await gatekeeper.principal(
                of: .init(apiKey: keys.anon, authorization: "Bearer \(token)"), route: RouteTable.rest, path: "/t",
                now: Self.now, learning: { await refresher.refreshForUnknownKey() })
            return principal.tokenStatus == .valid ? "valid \(principal.role)" : "invalid \(principal.tokenError)"
        } catch { return "\(error.status) \(error.code)" }
    }

    private static func claims(_ issuer: String? = issuer) -> JSONObject {
        var claims: JSONObject = [
            "sub": "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11", "aud": "authenticated", "role": "authenticated",
            "iat": .integer(now), "exp": .integer(now + 3_600), "session_id": "4f8d4bb5-0f0c-4a3a-8a77-54f4b1a0b0f3",
        ]
        if let issuer { claims["iss"] = .string(issuer) }
        return claims
    }

    @Test("A token by a key that is not known yet waits for the keys, and one by a stranger's is refused")
    func unknownKey() async throws {
        let authority = Authority()
        let refresher = refresher(authority)
        let token = try authority.key.sign(claims: Self.claims())
        #expect(await outcome(token, refresher) == "valid authenticated")
        #expect(await outcome(token, refresher) == "valid authenticated")
        #expect(authority.asked == 1)
        let forged = try SigningKey().sign(claims: Self.claims())
        for _ in 0..<5 { #expect(await outcome(forged, refresher) == "invalid key") }
        #expect(authority.asked == 1)
        authority.pass(.milliseconds(1_001))
        for _ in 0..<5 { #expect(await outcome(forged, refresher) == "invalid key") }
        #expect(authority.asked == 2)
    }

    @Test("After an attempt that failed whoever comes next asks again, and a good token is never called bad")
    func askedAgain() async throws {
        let authority = Authority()
        let refresher = refresher(authority)
        let token = try authority.key.sign(claims: Self.claims())
        authority.isAway.withLock { $0 = true }
        for _ in 0..<3 { #expect(await outcome(token, refresher) == "503 service_unavailable") }
        #expect(authority.asked == 3)
        authority.isAway.withLock { $0 = false }
        #expect(await outcome(token, refresher) == "valid authenticated")
        // Its keys stay good while the auth service is away.
        authority.isAway.withLock { $0 = true }
        authority.pass(.seconds(5))
        #expect(await outcome(token, refresher) == "valid authenticated")
        #expect(authority.asked == 4)
    }

    @Test("Many tokens by an unknown key ask once")
    func askedOnce() async throws {
        let authority = Authority(isSlow: true)
        let refresher = refresher(authority)
        let token = try authority.key.sign(claims: Self.claims())
        await withTaskGroup(of: String.self) { group in
            for _ in 0..<20 { group.addTask { await outcome(token, refresher) } }
            group.addTask {
                while authority.asked == 0 { await Task.yield() }
                authority.gate.continuation.finish()
                return "valid authenticated"
            }
            for await outcome in group { #expect(outcome == "valid authenticated") }
        }
        #expect(authority.asked == 1)
    }

    @Test("It asks until it has the keys")
    func run() async throws {
        let authority = Authority()
        let refresher = refresher(authority)
        authority.isAway.withLock { $0 = true }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await refresher.run() }
            while authority.asked < 2 { try? await Task.sleep(for: .milliseconds(5)) }
            authority.isAway.withLock { $0 = false }
            while !gatekeeper.verifier.keyIDs.contains(authority.key.id) {
                try? await Task.sleep(for: .milliseconds(5))
            }
            group.cancelAll()
        }
    }

    @Test("A user's token must be of our issuer, whoever signed it; a project key need not")
    func issuer() async throws {
        let authority = Authority()
        let refresher = refresher(authority)
        #expect(await refresher.refreshForUnknownKey())
        let elsewhere = "https://elsewhere.example/auth/v1"
        #expect(await outcome(try authority.key.sign(claims: Self.claims(elsewhere)), refresher) == "invalid claims")
        #expect(await outcome(try authority.key.sign(claims: Self.claims(nil)), refresher) == "invalid claims")
        #expect(await outcome(try authority.key.sign(claims: Self.claims()), refresher) == "valid authenticated")
        #expect(await outcome(keys.serviceRole, refresher) == "valid service_role")
        #expect(await outcome(keys.anon, refresher) == "valid anon")
    }
}
