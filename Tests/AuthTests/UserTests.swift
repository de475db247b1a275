// SPDX-License-Identifier: Apache-2.0

import MartletAccessTokens
import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

@Suite struct UserTests {
    @Test(arguments: TestAuth.engines, [("", [0, 1]), ("?scope=local", [0]), ("?scope=others", [1])])
    func `Signing out ends the sessions of its scope, refresh and access`(
        engine: DatabaseEngine, scope: (query: String, ended: [Int])
    ) async throws {
        try await TestAuth.with(engine) { auth in
            let sessions = [try await auth.signUp(), try await auth.signIn()]
            let stranger = try await auth.signUp("eve@example.com")
            let answer = try await auth.send("POST", "/logout\(scope.query)", bearer: sessions[0].accessToken)
            #expect(answer.status == 204)
            for (number, session) in sessions.enumerated() {
                let isEnded = scope.ended.contains(number)
                let user = try await auth.send("GET", "/user", bearer: session.accessToken)
                #expect(user.code == (isEnded ? "session_not_found" : nil))
                #expect(try await auth.refresh(session.refreshToken).status == (isEnded ? 400 : 200))
            }
            #expect(try await auth.send("GET", "/user", bearer: stranger.accessToken).status == 200)
        }
    }

    @Test func `Another scope is refused, and nobody signs out without a token`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let token = try await auth.signUp().accessToken
            #expect(try await auth.send("POST", "/logout?scope=all", bearer: token).code == "validation_failed")
            #expect(try await auth.send("POST", "/logout").status == 401)
            #expect(try await auth.send("GET", "/user", bearer: token).status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Data merges one level deep, and null removes`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let token = try await auth.signUp(data: ["keep": 1, "drop": 2, "deep": ["a": 1]]).accessToken
            auth.clock.advance(by: .seconds(1))
            let answer = try await auth.send(
                "PUT", "/user", ["data": ["drop": nil, "deep": ["b": 2], "new": "x"]], bearer: token)
            #expect(answer.status == 200)
            #expect(answer.body["updated_at"] == .string(auth.clock.now.rfc3339))
            let metadata = try await auth.send("GET", "/user", bearer: token).body["user_metadata"]
            #expect(metadata?["keep"] == 1)
            #expect(metadata?["drop"] == nil)
            #expect(metadata?["deep"] == ["b": 2])
            #expect(metadata?["new"] == "x")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A new password ends the other sessions and replaces the old one`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let (mine, other) = (try await auth.signUp(), try await auth.signIn())
            let puts = auth.directory.putCount
            let answer = try await auth.send(
                "PUT", "/user", ["password": "another good password"], bearer: mine.accessToken)
            #expect(answer.status == 200)
            // The directory holds no passwords: it is not asked.
            #expect(auth.directory.putCount == puts)
            #expect(try await auth.send("GET", "/user", bearer: mine.accessToken).status == 200)
            #expect(try await auth.send("GET", "/user", bearer: other.accessToken).code == "session_not_found")
            #expect(try await auth.signIn().code == "invalid_credentials")
            #expect(try await auth.signIn("ada@example.com", "another good password").status == 200)
        }
    }

    @Test(arguments: [
        (#"{"password":"correct horse battery staple"}"#, 422, "same_password"),
        (#"{"password":"short"}"#, 422, "weak_password"),
        (#"{"app_metadata":{"admin":true}}"#, 403, "not_admin"),
        (#"{"email":"other@example.com"}"#, 404, "feature_disabled"),
        (#"{"email":"nonsense"}"#, 400, "validation_failed"),
        (#"{"data":"x"}"#, 400, "bad_json"),
        (#"{"data":{"x":"\u0000"}}"#, 400, "bad_json"),
    ])
    func `Changes that are not allowed change nothing`(body: String, status: UInt16, code: String) async throws {
        try await TestAuth.with(.sqlite) { auth in
            let session = try await auth.signUp()
            let answer = try await auth.send("PUT", "/user", bytes: Array(body.utf8), session.accessToken)
            #expect(answer.status == status)
            #expect(answer.code == code)
            let user = try await auth.send("GET", "/user", bearer: session.accessToken)
            #expect(user.body["user_metadata"] == session.user["user_metadata"])
            #expect(user.body["app_metadata"] == session.user["app_metadata"])
            #expect(try await auth.signIn().status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A token must mean somebody`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let (ada, eve) = (try await auth.signUp(), try await auth.signUp("eve@example.com"))
            func get(_ bearer: String?) async throws -> Answer { try await auth.send("GET", "/user", bearer: bearer) }

            let absent = try await get(nil)
            #expect(absent.status == 401)
            #expect(absent.code == "no_authorization")
            #expect(absent.text == "This endpoint requires a valid Bearer token")

            let forged = try await get(try SigningKey().sign(claims: ada.claims.objectValue ?? [:]))
            #expect(forged.status == 403)
            #expect(forged.code == "bad_jwt")
            #expect(forged.text?.hasPrefix("invalid JWT: ") == true)

            #expect(try await get("service_role").text == "invalid claim: missing sub claim")

            // A session of somebody else does not help (AU-510).
            try await auth.database.write { [id = eve.userID, mine = ada.userID] session in
                try session.execute("update sessions set user_id = $1 where user_id = $2", [.text(id), .text(mine)])
            }
            #expect(try await get(ada.accessToken).code == "session_not_found")

            _ = try await auth.send("DELETE", "/admin/users/\(ada.userID)", bearer: "service_role")
            let gone = try await get(ada.accessToken)
            #expect(gone.status == 403)
            #expect(gone.code == "user_not_found")

            auth.clock.advance(by: .seconds(3_631))
            #expect(try await get(eve.accessToken).text?.contains("expired") == true)
        }
    }
}
