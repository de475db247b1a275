// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

/// Sign-in with a password: AU-182.
@Suite struct SignInTests {
    @Test(arguments: TestAuth.engines)
    func `The right password opens a new session`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp()
            auth.clock.advance(by: .seconds(5))
            let second = try await auth.signIn("ADA@example.com")
            #expect(second.status == 200)
            #expect(second.claims["session_id"] != first.claims["session_id"])
            #expect(second.user["last_sign_in_at"] == .string(auth.clock.now.rfc3339))
            #expect(try await auth.count("sessions") == 2)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Whatever is wrong with the credentials, the answer is the same`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            _ = try await auth.signUp()
            let answers = [
                try await auth.signIn("ada@example.com", "another password"),
                try await auth.signIn("nobody@example.com"),
                try await auth.signIn("no address at all"),
                try await auth.signIn("ada@example.com", String(repeating: "x", count: 5_000)),
                try await auth.signIn("ada@example.com", ""),
            ]
            for answer in answers {
                #expect(answer.status == 400)
                #expect(answer.body == answers[0].body)
                #expect(answer.code == "invalid_credentials")
                #expect(answer.text == "Invalid login credentials")
            }
        }
    }

    @Test func `An unknown address takes as long as a wrong password`() async throws {
        try await TestAuth.with(.sqlite, parameters: .floor) { auth in
            _ = try await auth.signUp()
            func time(_ email: String) async throws -> [Duration] {
                var times: [Duration] = []
                for _ in 0..<5 {
                    let start = ContinuousClock.now
                    _ = try await auth.signIn(email, "another password")
                    times.append(ContinuousClock.now - start)
                }
                return times.sorted()
            }
            // Without the work for nobody it would be a hundredth; other load on the machine only adds.
            #expect(try await time("nobody@example.com")[2] * 2 > time("ada@example.com")[0])
        }
    }

    @Test func `A password is the same in every normal form`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let answer = try await auth.send(
                "POST", "/signup", ["email": "zoe@example.com", "password": "Zo\u{EB} and company"])
            #expect(answer.status == 200)
            #expect(try await auth.signIn("zoe@example.com", "Zoe\u{308} and company").status == 200)
        }
    }

    @Test func `A letter that only looks like an ASCII one is another address`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            _ = try await auth.signUp("mike@example.com")
            // The Kelvin sign becomes k when all of Unicode is lower-cased.
            #expect(try await auth.signIn("mi\u{212A}e@example.com").code == "invalid_credentials")
            #expect(try await auth.signUp("mi\u{212A}e@example.com").status == 200)
        }
    }

    @Test(arguments: [
        ("/token?grant_type=password", #"{"password":"x"}"#, 400, "validation_failed"),
        ("/token?grant_type=password", #"{"email":"a@b.c","phone":"1","password":"x"}"#, 400, "validation_failed"),
        ("/token?grant_type=password", #"{"phone":"+441234","password":"x"}"#, 422, "phone_provider_disabled"),
        ("/token?grant_type=password", "not json", 400, "bad_json"),
        ("/token?grant_type=magic", "{}", 400, "invalid_credentials"),
        ("/token", #"{"grant_type":"password"}"#, 400, "invalid_credentials"),
    ])
    func `Malformed sign-ins get their code`(path: String, body: String, status: UInt16, code: String) async throws {
        try await TestAuth.with(.sqlite) { auth in
            let answer = try await auth.send("POST", path, bytes: Array(body.utf8))
            #expect(answer.status == status)
            #expect(answer.code == code)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A ban is told only to whoever knows the password, and bites at once`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let session = try await auth.signUp()
            let ban = try await auth.send(
                "PUT", "/admin/users/\(session.userID)", ["ban_duration": "1h30m"], bearer: "service_role")
            #expect(ban.body["banned_until"] == .string(auth.clock.now.advanced(by: .seconds(5_400)).rfc3339))
            #expect(try await auth.signIn("ada@example.com", "wrong password").code == "invalid_credentials")
            let signIn = try await auth.signIn()
            #expect(signIn.status == 400)
            #expect(signIn.code == "user_banned")
            let refresh = try await auth.refresh(session.refreshToken)
            #expect(refresh.status == 400)
            #expect(refresh.text == "Invalid Refresh Token: User Banned")
            let user = try await auth.send("GET", "/user", bearer: session.accessToken)
            #expect(user.status == 403)
            #expect(user.code == "user_banned")
            let lift = try await auth.send(
                "PUT", "/admin/users/\(session.userID)", ["ban_duration": "none"], bearer: "service_role")
            #expect(lift.body["banned_until"] == nil)
            #expect(try await auth.signIn().status == 200)
        }
    }

    @Test func `A hash with other parameters is made anew at the next sign-in`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let old = try #require(
                Argon2id(memoryKibibytes: 128, iterations: 2, lanes: 1).hash(Array(TestAuth.password.utf8)))
            let created = try await auth.send(
                "POST", "/admin/users",
                ["email": "ada@example.com", "password_hash": .string(old), "email_confirm": true],
                bearer: "service_role")
            #expect(created.status == 200)
            #expect(try await auth.signIn().status == 200)
            let stored = try await auth.database.read {
                try $0.query("select password_hash from users")[0][0].textValue
            }
            #expect(stored?.contains("m=64,t=1,p=1") == true)
            #expect(try await auth.signIn().status == 200)
        }
    }

    @Test func `A password that the policy would refuse today still signs in, and says so`() async throws {
        try await TestAuth.with(.sqlite, { $0.passwords.lengthMin = 40 }) { auth in
            let hash = try #require(
                Argon2id(memoryKibibytes: 64, iterations: 1, lanes: 1).hash(Array(TestAuth.password.utf8)))
            _ = try await auth.send(
                "POST", "/admin/users",
                ["email": "ada@example.com", "password_hash": .string(hash), "email_confirm": true],
                bearer: "service_role")
            let answer = try await auth.signIn()
            #expect(answer.status == 200)
            #expect(answer.body["weak_password"]?["reasons"] == ["length"])
        }
    }

    @Test func `An unconfirmed address is told only after the right password`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            _ = try await auth.send(
                "POST", "/admin/users", ["email": "ada@example.com", "password": .string(TestAuth.password)],
                bearer: "service_role")
            #expect(try await auth.signIn("ada@example.com", "wrong password").code == "invalid_credentials")
            #expect(try await auth.signIn().code == "email_not_confirmed")
        }
    }
}
