// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

/// Sign-up, confirmed at once or by mail: AU-180.
@Suite struct SignUpTests {
    @Test(arguments: TestAuth.engines)
    func `A sign-up answers with a session, a user and a token that says the same`(engine: DatabaseEngine) async throws
    {
        try await TestAuth.with(engine) { auth in
            let answer = try await auth.signUp("Ada@Example.com", data: ["full_name": "Ada", "sub": "forged"])
            #expect(answer.status == 200)
            #expect(answer.header("cache-control") == "no-store")
            #expect(answer.header("x-content-type-options") == "nosniff")
            #expect(answer.body["token_type"] == "bearer")
            #expect(answer.body["expires_in"] == 3_600)
            #expect(answer.body["expires_at"] == .integer(auth.clock.now.seconds + 3_600))
            let user = answer.user
            #expect(user["email"] == "ada@example.com")
            #expect(user["aud"] == "authenticated")
            #expect(user["role"] == "authenticated")
            #expect(user["phone"] == "")
            #expect(user["is_anonymous"] == false)
            #expect(user["email_confirmed_at"] == .string(auth.clock.now.rfc3339))
            #expect(user["app_metadata"] == ["provider": "email", "providers": ["email"]])
            #expect(
                user["user_metadata"] == [
                    "full_name": "Ada", "sub": .string(answer.userID), "email": "ada@example.com",
                    "email_verified": true, "phone_verified": false,
                ])
            let identity = user["identities"]?.arrayValue?.first
            #expect(user["identities"]?.arrayValue?.count == 1)
            #expect(identity?["provider"] == "email")
            #expect(identity?["id"] == .string(answer.userID))
            #expect(identity?["identity_data"]?["email_verified"] == true)
            #expect(!answer.body.text.contains("argon2"))

            let claims = answer.claims
            #expect(claims["iss"] == .string(TestAuth.issuer))
            #expect(claims["sub"] == user["id"])
            #expect(claims["role"] == "authenticated")
            #expect(claims["aal"] == "aal1")
            #expect(claims["amr"]?.arrayValue?.first?["method"] == "password")
            #expect(claims["user_metadata"] == user["user_metadata"])
            #expect(try await auth.send("GET", "/user", bearer: answer.accessToken).userID == answer.userID)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `The directory gets the row, and auth adopts what its triggers made of it`(engine: DatabaseEngine) async throws
    {
        try await TestAuth.with(engine) { auth in
            auth.directory.onWrite { $0["raw_app_meta_data"] = #"{"provider":"email","plan":"gold"}"# }
            let answer = try await auth.signUp()
            let row = auth.directory.rows[answer.userID]
            #expect(row?.version == 1)
            #expect(row?.columns["email"] == "ada@example.com")
            #expect(row?.columns["role"] == "authenticated")
            #expect(row?.columns["email_confirmed_at"] == auth.clock.now.postgresText)
            #expect(answer.claims["app_metadata"]?["plan"] == "gold")
            #expect(try await auth.count("user_changes") == 0)
        }
    }

    /// Bodies that are refused, with status, code and, where clients rely on it, the text.
    static let refused: [(body: String, status: UInt16, code: String, text: String?)] = [
        ("", 400, "bad_json", nil),
        ("[]", 400, "bad_json", nil),
        ("{\"email\":", 400, "bad_json", nil),
        (#"{"email":7,"password":"long enough"}"#, 400, "bad_json", nil),
        (#"{"email":"a@b.c","password":"long enough\u0000"}"#, 400, "bad_json", nil),
        (#"{"email":"a@b.c","password":"\ud800 long enough"}"#, 400, "bad_json", nil),
        ("{}", 422, "anonymous_provider_disabled", "Anonymous sign-ins are disabled"),
        (#"{"email":"a@b.c"}"#, 400, "validation_failed", "Signup requires a valid password"),
        (#"{"email":"a@b.c","password":null}"#, 400, "validation_failed", "Signup requires a valid password"),
        (#"{"email":"a@b.c","password":"short"}"#, 422, "weak_password", "Password should be at least 8 characters."),
        (#"{"phone":"+441234","password":"long enough"}"#, 400, "phone_provider_disabled", nil),
        (
            #"{"email":"a@b.c","phone":"+441234","password":"long enough"}"#, 400, "validation_failed",
            "Only an email address or phone number should be provided on signup."
        ),
        (#"{"email":"nonsense","password":"long enough"}"#, 400, "validation_failed", nil),
        (#"{"email":"a@x,b@y","password":"long enough"}"#, 400, "validation_failed", nil),
        (#"{"email":"a b@example.com","password":"long enough"}"#, 400, "validation_failed", nil),
        (#"{"email":"a@exämple.com","password":"long enough"}"#, 400, "validation_failed", nil),
        (#"{"email":"a@b.c","password":"long enough","code_challenge":"x"}"#, 400, "validation_failed", nil),
        (#"{"email":"a@b.c","password":"long enough","data":[]}"#, 400, "bad_json", nil),
    ]

    @Test(arguments: refused.indices)
    func `A malformed sign-up is refused and leaves nothing behind`(index: Int) async throws {
        let row = Self.refused[index]
        try await TestAuth.with(.sqlite) { auth in
            let answer = try await auth.send("POST", "/signup", bytes: Array(row.body.utf8))
            #expect(answer.status == row.status, "\(row.body)")
            #expect(answer.code == row.code)
            if let text = row.text { #expect(answer.text == text) }
            #expect(try await auth.count("users") == 0)
            #expect(auth.directory.rows.isEmpty)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `An address signs up once, also when many try at once`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let statuses = try await withThrowingTaskGroup(of: (UInt16, String?).self) { group in
                for number in 0..<10 {
                    group.addTask {
                        let answer = try await auth.signUp(number % 2 == 0 ? "ada@example.com" : "ADA@example.com")
                        return (answer.status, answer.code)
                    }
                }
                return try await group.reduce(into: [(UInt16, String?)]()) { $0.append($1) }
            }
            #expect(statuses.count { $0.0 == 200 } == 1)
            #expect(statuses.count { $0.0 == 422 && $0.1 == "user_already_exists" } == 9)
            #expect(try await auth.count("users") == 1)
            #expect(auth.directory.rows.count == 1)
        }
    }

    @Test func `What only administrators may set is ignored`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let answer = try await auth.send(
                "POST", "/signup",
                [
                    "email": "ada@example.com", "password": .string(TestAuth.password), "role": "service_role",
                    "app_metadata": ["admin": true], "id": "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11", "aud": "other",
                ])
            #expect(answer.user["role"] == "authenticated")
            #expect(answer.user["aud"] == "authenticated")
            #expect(answer.user["app_metadata"]?["admin"] == nil)
            #expect(answer.userID != "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11")
        }
    }

    @Test func `Metadata over 16 KiB is refused`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let answer = try await auth.signUp(data: ["x": .string(String(repeating: "x", count: 16_400))])
            #expect(answer.status == 400)
            #expect(answer.code == "validation_failed")
        }
    }

    @Test func `Sign-up can be off, and so can e-mail`() async throws {
        try await TestAuth.with(.sqlite, { $0.allowsSignUp = false }) { auth async throws in
            #expect(try await auth.signUp().code == "signup_disabled")
        }
        try await TestAuth.with(.sqlite, { $0.allowsEmail = false }) { auth in
            let signUp = try await auth.signUp()
            #expect(signUp.status == 400)
            #expect(signUp.code == "email_provider_disabled")
            let signIn = try await auth.signIn()
            #expect(signIn.status == 422)
            #expect(signIn.code == "email_provider_disabled")
        }
    }
}
