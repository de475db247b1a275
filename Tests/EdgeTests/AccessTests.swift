// SPDX-License-Identifier: Apache-2.0

import MartletAccessTokens
import MartletWire
import Testing

@testable import MartletEdge

/// Project keys, bearer tokens, addresses.
@Suite("Edge: access")
struct AccessTests {
    private let keys: ProjectKeys
    private let gatekeeper: Gatekeeper
    private static let now: Int64 = 1_800_000_000

    init() throws {
        keys = try ProjectKeys(production: false, now: Self.now)
        gatekeeper = Gatekeeper(
            verifier: try TokenVerifier(legacySecret: keys.jwtSecret, fixedKeys: keys.jwks), keys: keys)
    }

    private func principal(
        _ apiKey: String?, _ authorization: String? = nil, _ route: Route = RouteTable.rest, _ path: Substring = "/t"
    ) throws -> Principal? {
        let verdict = try gatekeeper.judge(
            .init(apiKey: apiKey, authorization: authorization), route: route, path: path, now: Self.now)
        guard case .principal(let principal) = verdict else { return nil }
        return principal
    }

    @Test("Without the project's key nobody gets in, and the two reasons differ")
    func gate() throws {
        #expect(throws: EdgeError.self) { try principal(nil) }
        for wrong in ["", "abc", "sb_publishable_guess", "sb_secret_", keys.anon + "x", String(keys.anon.dropLast())] {
            let error = #expect(throws: EdgeError.self) { try principal(wrong) }
            #expect(error?.code == "invalid_api_key" && error?.status == 401)
        }
        let stranger = try ProjectKeys(production: false, now: Self.now)
        #expect(throws: EdgeError.self) { try principal(stranger.anon) }
        #expect(throws: EdgeError.self) { try principal(nil, "Bearer \(keys.serviceRole)") }
    }

    @Test("The key stands in for the bearer at the data API, and never at auth (AU-103)")
    func keyAsBearer() throws {
        #expect(try principal(keys.anon)?.role == "anon")
        #expect(try principal(keys.serviceRole)?.role == "service_role")
        #expect(try principal(keys.serviceRole, nil, RouteTable.auth)?.tokenStatus == .absent)
        #expect(try principal(keys.serviceRole, "Bearer \(keys.anon)")?.role == "anon")
        #expect(try principal(keys.anon, "bearer \(keys.serviceRole)", RouteTable.auth)?.role == "service_role")
        #expect(try principal(keys.anon, "Basic abc")?.role == "anon")
    }

    @Test("Opaque keys are roles, alone or repeated as bearer (AU-104)")
    func opaque() throws {
        for authorization in [nil, "Bearer \(keys.secret)"] {
            let found = try principal(keys.secret, authorization, RouteTable.auth)
            #expect(found?.role == "service_role" && found?.tokenStatus == .valid)
        }
        #expect(try principal(keys.publishable)?.role == "anon")
        // Somebody else's opaque key as bearer is a broken token, not a role.
        #expect(try principal(keys.publishable, "Bearer \(keys.secret)")?.tokenStatus == .invalid)
    }

    @Test("A bad token goes on, marked with its reason", arguments: [("Bearer ", "empty"), ("Bearer a.b", "parts:2")])
    func badTokens(_ authorization: String, _ word: String) throws {
        let found = try principal(keys.anon, authorization)
        #expect(found?.tokenStatus == .invalid && found?.tokenError == word && found?.role == "anon")
    }

    @Test("An open path needs no key, and a wrong one does no harm there")
    func openPath() throws {
        #expect(try principal(nil, nil, RouteTable.auth, "/health")?.tokenStatus == .absent)
        #expect(try principal("wrong", nil, RouteTable.auth, "/health")?.role == "anon")
    }

    @Test("A WebSocket's key says for whom and until when, or is refused in the words of RT-07")
    func socketKeys() throws {
        let jwt = try gatekeeper.socketPrincipal(ofKey: keys.anon, now: Self.now)
        #expect(jwt.role == "anon" && jwt.token == keys.anon && jwt.claims.contains(#""role":"anon""#))
        #expect(jwt.expiresAt > Self.now)
        let secret = try gatekeeper.socketPrincipal(ofKey: keys.secret, now: Self.now)
        #expect(secret == .init(role: "service_role", claims: #"{"role":"service_role"}"#, token: "", expiresAt: 0))
        func words(_ key: String?, now: Int64 = Self.now) -> String {
            do throws(EdgeError) { _ = try gatekeeper.socketPrincipal(ofKey: key, now: now) } catch {
                #expect(error.status == 401)
                return ErrorDialect.realtime.render(error, requestID: "r", apiVersion: nil).body
            }
            return "let in"
        }
        #expect(words(nil) == #"{"error":"API key is missing"}"#)
        #expect(words("") == #"{"error":"API key is missing"}"#)
        #expect(words("sb_publishable_guess") == #"{"error":"The token provided is not a valid JWT"}"#)
        #expect(words("a.b") == #"{"error":"The token provided is not a valid JWT"}"#)
        #expect(words(keys.anon.dropLast(4) + "AAAA") == #"{"error":"Failed to validate JWT signature"}"#)
        #expect(words(keys.anon, now: jwt.expiresAt + 1_000) == #"{"error":"Token has expired"}"#)
        let stranger = try ProjectKeys(production: false, now: Self.now)
        #expect(words(stranger.anon) == #"{"error":"Failed to validate JWT signature"}"#)
    }

    @Test("The client is the last hop that is no trusted proxy",
        arguments: [
            ("203.0.113.9", ["1.2.3.4"], "203.0.113.9"), ("10.0.0.1", ["1.2.3.4"], "1.2.3.4"),
            ("10.0.0.1", ["6.6.6.6, 1.2.3.4", "10.9.9.9"], "1.2.3.4"), ("10.0.0.1", [], "10.0.0.1"),
            ("10.0.0.1", ["nonsense"], "10.0.0.1"), ("10.0.0.1", ["10.2.3.4"], "10.0.0.1"),
            ("::1", ["2001:db8::5"], "2001:db8::5"), ("11.0.0.1", ["1.2.3.4"], "11.0.0.1"),
        ])
    func addresses(_ peer: String, _ forwarded: [String], _ expected: String) {
        let addresses = ClientAddress(trustedProxies: ["10.0.0.0/8", "::1", "rubbish"])
        #expect(addresses.resolve(peer: peer, forwardedFor: forwarded) == expected)
    }

    @Test("The fuse blows for the address that floods, for this second")
    func fuse() {
        let fuse = ClientFuse(requestsPerSecond: 3)
        #expect((0..<5).map { _ in fuse.admit("a", second: 1) } == [true, true, true, false, false])
        #expect(fuse.admit("b", second: 1))
        #expect(fuse.admit("a", second: 2))
    }
}
