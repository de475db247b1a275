// SPDX-License-Identifier: Apache-2.0

import MartletAccessTokens
import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

/// The table of AU-152.
@Suite struct RefreshTests {
    @Test(arguments: TestAuth.engines)
    func `A refresh makes the next token and keeps the session`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp()
            auth.clock.advance(by: .seconds(60))
            let second = try await auth.refresh(first.refreshToken)
            #expect(second.status == 200)
            #expect(second.refreshToken != first.refreshToken)
            #expect(second.claims["session_id"] == first.claims["session_id"])
            #expect(second.claims["amr"] == first.claims["amr"])
            #expect(second.claims["iat"] == .integer(auth.clock.now.seconds))
            #expect(second.userID == first.userID)
            #expect(try await auth.send("GET", "/user", bearer: second.accessToken).status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Ten parallel refreshes converge on one successor`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let token = try await auth.signUp().refreshToken
            let answers = try await withThrowingTaskGroup(of: Answer.self) { group in
                for _ in 0..<10 { group.addTask { try await auth.refresh(token) } }
                return try await group.reduce(into: [Answer]()) { $0.append($1) }
            }
            #expect(answers.allSatisfy { $0.status == 200 })
            #expect(Set(answers.map(\.refreshToken)).count == 1)
            #expect(try await auth.refresh(answers[0].refreshToken).status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `The token before the current one is answered with the current one, however late`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp().refreshToken
            let second = try await auth.refresh(first).refreshToken
            auth.clock.advance(by: .seconds(86_400))
            let again = try await auth.refresh(first)
            #expect(again.status == 200)
            #expect(again.refreshToken == second)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `An older token is forgiven within the reuse interval and ends the session after it`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp()
            let other = try await auth.signIn()
            let second = try await auth.refresh(first.refreshToken)
            let third = try await auth.refresh(second.refreshToken)
            auth.clock.advance(by: .seconds(9))
            #expect(try await auth.refresh(first.refreshToken).refreshToken == third.refreshToken)

            auth.clock.advance(by: .seconds(2))
            let reused = try await auth.refresh(first.refreshToken)
            #expect(reused.status == 400)
            #expect(reused.code == "refresh_token_already_used")
            #expect(reused.text == "Invalid Refresh Token: Already Used")
            // The whole session is over, its access tokens too; the other one lives (AU-511).
            #expect(try await auth.refresh(third.refreshToken).code == "refresh_token_not_found")
            let user = try await auth.send("GET", "/user", bearer: third.accessToken)
            #expect(user.status == 403)
            #expect(user.code == "session_not_found")
            #expect(try await auth.refresh(other.refreshToken).status == 200)
            #expect(auth.observations.all.contains { if case .refreshReuse = $0 { true } else { false } })
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Tokens that nobody issued are refused without ending anything`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let session = try await auth.signUp()
            let sessionID = session.claims["session_id"]?.stringValue ?? ""
            let forged = RefreshToken.make(sessionID: sessionID, counter: 0, key: [UInt8](repeating: 7, count: 32))
            let unknown = RefreshToken.make(
                sessionID: "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11", counter: 0, key: [UInt8](repeating: 7, count: 32))
            let expected = [
                (forged, "refresh_token_not_found"), (unknown, "refresh_token_not_found"),
                ("abcdefghij12", "refresh_token_not_found"), ("short", "validation_failed"),
                ("", "validation_failed"), ("not base64url, not at all", "validation_failed"),
                (String(session.refreshToken.dropLast()), "validation_failed"),
                (session.refreshToken + "A", "validation_failed"),
            ]
            for (token, code) in expected {
                let answer = try await auth.refresh(token)
                #expect(answer.status == 400, "\(token)")
                #expect(answer.code == code, "\(token)")
            }
            #expect(try await auth.refresh(session.refreshToken).status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A counter that was never issued is refused`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp().refreshToken
            let second = try await auth.refresh(first).refreshToken
            // As after restoring a backup: the row is behind what a client holds.
            try await auth.database.write { try $0.execute("update sessions set refresh_counter = 0") }
            let answer = try await auth.refresh(second)
            #expect(answer.code == "validation_failed")
            #expect(answer.text == "Invalid Refresh Token: Not Issued By This Server")
        }
    }

    @Test func `Without rotation the refresh token stays`() async throws {
        try await TestAuth.with(.sqlite, { $0.refreshTokensRotate = false }) { auth in
            let first = try await auth.signUp().refreshToken
            auth.clock.advance(by: .seconds(60))
            #expect(try await auth.refresh(first).refreshToken == first)
        }
    }

    @Test func `The expired access token that clients send along does not matter`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let session = try await auth.signUp()
            auth.clock.advance(by: .seconds(7_200))
            let answer = try await auth.send(
                "POST", "/token?grant_type=refresh_token", ["refresh_token": .string(session.refreshToken)],
                bearer: session.accessToken)
            #expect(answer.status == 200)
        }
    }

    @Test func `A refresh reads the user anew`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let session = try await auth.signUp()
            _ = try await auth.send(
                "PUT", "/admin/users/\(session.userID)", ["app_metadata": ["plan": "gold"], "role": "editor"],
                bearer: "service_role")
            let claims = try await auth.refresh(session.refreshToken).claims
            #expect(claims["app_metadata"]?["plan"] == "gold")
            #expect(claims["role"] == "editor")
        }
    }

    @Test(arguments: [0, 1, 127, 128, 300, 1 << 40] as [UInt64])
    func `A refresh token comes back as it was made, and no changed one does`(counter: UInt64) throws {
        let (key, id) = ([UInt8](repeating: 1, count: 32), "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11")
        let text = RefreshToken.make(sessionID: id, counter: counter, key: key)
        let token = try #require(RefreshToken(text))
        #expect(token.counter == counter)
        #expect(token.sessionID == id)
        #expect(token.isAuthentic(key: key))
        #expect(!token.isAuthentic(key: [UInt8](repeating: 2, count: 32)))
        for position in text.indices {
            var changed = text
            changed.replaceSubrange(position...position, with: text[position] == "A" ? "B" : "A")
            #expect(RefreshToken(changed)?.isAuthentic(key: key) != true)
        }
    }
}
