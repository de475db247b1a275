// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

@Suite struct FrameTests {
    @Test(
        arguments: [
            (nil, false), ("2024-01-01", true), ("2025-12-31", true), ("2023-12-31", false), ("nonsense", false),
            ("2024-1-1", false),
        ] as [(String?, Bool)])
    func `The client's version chooses the envelope of errors`(version: String?, isNew: Bool) async throws {
        try await TestAuth.with(.sqlite) { auth in
            let headers = version.map { ["x-supabase-api-version": $0] } ?? [:]
            let answer = try await auth.send("GET", "/user", headers: headers)
            #expect(answer.status == 401)
            #expect(answer.code == "no_authorization")
            let text: JSONValue = "This endpoint requires a valid Bearer token"
            if isNew {
                #expect(answer.body == ["code": "no_authorization", "message": text])
                #expect(answer.header("x-supabase-api-version") == "2024-01-01")
            } else {
                #expect(answer.body == ["code": 401, "error_code": "no_authorization", "msg": text])
                #expect(answer.header("x-supabase-api-version") == nil)
            }
        }
    }

    @Test func `A weak password says why in both envelopes`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            for headers in [[:], ["x-supabase-api-version": "2024-01-01"]] {
                let answer = try await auth.send(
                    "POST", "/signup", ["email": "a@b.c", "password": "short"], headers: headers)
                #expect(answer.body["weak_password"] == ["reasons": ["length"]])
            }
        }
    }

    @Test func `Unknown paths are 404 and other methods 405`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            for path in ["/", "/users", "/user/x", "//user", "/token/x", "/factors"] {
                #expect(try await auth.send("GET", path).status == 404, "\(path)")
            }
            let answer = try await auth.send("GET", "/logout")
            #expect(answer.status == 405)
            #expect(answer.header("allow") == "POST")
            #expect(try await auth.send("DELETE", "/user").header("allow") == "GET, PUT")
            #expect(try await auth.send("GET", "/health/").status == 200)
            #expect(try await auth.send("GET", "/user?x=%zz").code == "validation_failed")
        }
    }

    @Test func `Health, settings and keys are open`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let health = try await auth.send("GET", "/health")
            for member in ["version", "name", "description"] { #expect(health.body[member]?.stringValue != nil) }
            let settings = try await auth.send("GET", "/settings")
            #expect(settings.body["external"]?["email"] == true)
            #expect(settings.body["external"]?["google"] == false)
            #expect(settings.body["mailer_autoconfirm"] == true)
            #expect(settings.body["disable_signup"] == false)
            let keys = try await auth.send("GET", "/.well-known/jwks.json")
            #expect(keys.header("cache-control") == "public, max-age=600")
            let key = keys.body["keys"]?.arrayValue?.first
            #expect(key?["alg"] == "ES256")
            #expect(key?["use"] == "sig")
            #expect(key?["key_ops"] == ["verify"])
            #expect(key?["d"] == nil)
        }
    }

    @Test func `Deep nesting is refused, not followed`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let body = String(repeating: #"{"a":"#, count: 100_000)
            let answer = try await auth.send("POST", "/signup", bytes: Array(body.utf8))
            #expect(answer.status == 400)
            #expect(answer.code == "bad_json")
        }
    }

    @Test func `A request that has no time left is a 504`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let session = try await auth.signUp()
            let answer = try await auth.send(
                "GET", "/user", bearer: session.accessToken, patience: .seconds(-1))
            #expect(answer.status == 504)
            #expect(answer.code == "request_timeout")
        }
    }
}
