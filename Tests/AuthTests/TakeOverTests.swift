// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

/// Users whom SQL has made, changed or deleted in the application's database (D25, the way back).
@Suite struct TakeOverTests {
    private static let id = "8c7e2b1a-0000-4000-8000-000000000001"
    /// Of `password123`, by `crypt('password123', gen_salt('bf', 4))`.
    private static let hash = "$2a$04$abcdefghijklmnopqrstuuK7Sjs7rFYArh/ytIZsOeM/z4RV2Fw2i"

    private static func change(
        _ number: UInt64, version: Int64, id: String = id, _ columns: [String: String?]?
    ) -> ForeignChange {
        ForeignChange(number: number, userID: id, version: version, columns: columns)
    }

    private static let seeded: [String: String?] = [
        "aud": "authenticated", "role": "authenticated", "email": "Seed@Example.com", "encrypted_password": hash,
        "email_confirmed_at": "2026-01-02 03:04:05+00", "created_at": "2026-01-02 03:04:05+00",
        "raw_app_meta_data": #"{"provider": "email", "providers": ["email"]}"#,
        "raw_user_meta_data": #"{"name": "Seed"}"#, "phone": nil,
    ]

    @Test(arguments: TestAuth.engines)
    func `A seed's user signs in with the password that SQL has hashed, and it is hashed anew`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth in
            auth.directory.note(Self.change(1, version: 1, Self.seeded))
            #expect(try await auth.signIn("seed@example.com", "password124").code == "invalid_credentials")
            let answer = try await auth.signIn("seed@example.com", "password123")
            #expect(answer.status == 200, "\(answer.body.text)")
            #expect(answer.body["user"]?["id"]?.stringValue == Self.id)
            #expect(answer.body["user"]?["user_metadata"]?["name"] == "Seed")
            #expect(answer.body["user"]?["identities"]?.arrayValue?.count == 1)
            #expect(auth.directory.waitingChanges == 0)
            let stored = try await auth.database.read { session in
                try session.query("select password_hash from users").first?[0].textValue
            }
            #expect(stored?.hasPrefix("$argon2id$") == true)
            #expect(try await auth.signIn("seed@example.com", "password123").status == 200)
            // The address is taken.
            #expect(try await auth.signUp("seed@example.com").code == "user_already_exists")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A token shows what SQL has changed since the last one, and a ban ends refreshes`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp()
            let id = try #require(first.body["user"]?["id"]?.stringValue)
            let token = try #require(first.body["refresh_token"]?.stringValue)
            var row: [String: String?] = ["raw_app_meta_data": #"{"role": "editor"}"#]
            auth.directory.note(Self.change(1, version: 2, id: id, row))
            let second = try await auth.refresh(token)
            #expect(second.body["user"]?["app_metadata"]?["role"] == "editor")
            // What auth has changed since is not undone by something older.
            auth.directory.note(Self.change(2, version: 1, id: id, ["raw_app_meta_data": "{}"]))
            let next = try #require(second.body["refresh_token"]?.stringValue)
            #expect(try await auth.refresh(next).body["user"]?["app_metadata"]?["role"] == "editor")
            row = ["banned_until": "2999-01-01 00:00:00+00"]
            auth.directory.note(Self.change(3, version: 3, id: id, row))
            #expect(try await auth.signIn().code == "user_banned")
            #expect(try await auth.refresh(next).code == "user_banned")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A user whom SQL has deleted is gone with all sessions`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp()
            let id = try #require(first.body["user"]?["id"]?.stringValue)
            let token = try #require(first.body["refresh_token"]?.stringValue)
            auth.directory.note(Self.change(1, version: 0, id: id, nil))
            #expect(try await auth.refresh(token).code == "refresh_token_not_found")
            #expect(try await auth.count("users") == 0)
            #expect(try await auth.count("sessions") == 0)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Many changes, and two users who swap their addresses, are all taken over`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth in
            func id(_ number: Int) -> String { "8c7e2b1a-0000-4000-8000-00000000000\(number)" }
            func note(_ number: UInt64, _ user: Int, version: Int64, email: String) {
                var columns = Self.seeded
                columns["email"] = email
                auth.directory.note(Self.change(number, version: version, id: id(user), columns))
            }
            for number in 1...5 {
                note(UInt64(number), number, version: 1, email: "user\(number)@example.com")
            }
            await auth.authority.settle()
            #expect(auth.directory.waitingChanges == 0)
            note(6, 1, version: 2, email: "user2@example.com")
            note(7, 2, version: 2, email: "user1@example.com")
            await auth.authority.settle()
            let users = try await auth.count("users")
            #expect(users == 5)
            #expect(auth.observations.all.isEmpty)
            for (email, user) in [("user1@example.com", 2), ("user2@example.com", 1), ("user5@example.com", 5)] {
                let answer = try await auth.signIn(email, "password123")
                #expect(answer.body["user"]?["id"]?.stringValue == id(user))
            }
        }
    }

    @Test(arguments: TestAuth.engines)
    func `Without the application's database tokens go on for a minute, and no longer`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth in
            let first = try await auth.signUp()
            #expect(first.status == 200)
            auth.directory.behave(.away)
            #expect(try await auth.signIn().status == 200)
            auth.clock.advance(by: .seconds(59))
            #expect(try await auth.signIn().status == 200)
            auth.clock.advance(by: .seconds(2))
            #expect(try await auth.signIn().status == 503)
            auth.directory.behave(.answering)
            #expect(try await auth.signIn().status == 200)
        }
    }

    @Test(
        arguments: [
            ("$2a$04$", false), ("", false), ("$2a$31$" + String(repeating: "a", count: 53), false),
            ("$2x$04$" + String(repeating: "a", count: 53), false), (hash, true),
        ])
    func `Only hashes that can be computed in time are computed`(encoded: String, isKnown: Bool) {
        #expect((Bcrypt.cost(of: encoded) != nil) == isKnown)
    }

    @Test func `A password does not end at a zero byte`() {
        #expect(Bcrypt.matches(Array("password123".utf8), Self.hash))
        #expect(!Bcrypt.matches(Array("password123\0more".utf8), Self.hash))
        #expect(!Bcrypt.matches([], Self.hash))
    }
}
