// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

@Suite struct AdminTests {
    @Test(arguments: TestAuth.engines)
    func `An administrator creates, reads, changes and deletes a user`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let id = "0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11"
            func admin(_ method: String, _ path: String, _ body: JSONValue? = nil) async throws -> Answer {
                try await auth.send(method, "/admin/users\(path)", body, bearer: "service_role")
            }
            let created = try await admin(
                "POST", "",
                [
                    "id": .string(id.uppercased()), "email": "ada@example.com", "phone": "+44 1234 567",
                    "password": .string(TestAuth.password), "email_confirm": true, "role": "editor",
                    "user_metadata": ["nick": "ada"], "app_metadata": ["plan": "gold"],
                ])
            #expect(created.status == 200)
            #expect(created.userID == id)
            #expect(created.body["phone"] == "441234567")
            #expect(created.body["role"] == "editor")
            #expect(
                created.body["app_metadata"] == ["provider": "email", "providers": ["email", "phone"], "plan": "gold"])
            #expect(created.body["identities"]?.arrayValue?.count == 2)
            let session = try await auth.signIn()
            #expect(session.claims["role"] == "editor")

            #expect(try await admin("GET", "/\(id)").body["email"] == "ada@example.com")
            let changed = try await admin(
                "PUT", "/\(id)",
                ["email": "ADA@new.example.com", "email_confirm": true, "app_metadata": ["plan": nil]])
            #expect(changed.body["email"] == "ada@new.example.com")
            #expect(changed.body["app_metadata"]?["plan"] == nil)
            let identity = changed.body["identities"]?.arrayValue?.first { $0["provider"] == "email" }
            #expect(identity?["identity_data"]?["email"] == "ada@new.example.com")
            #expect(auth.directory.rows[id]?.columns["email"] == "ada@new.example.com")

            // A password from above ends every session.
            _ = try await admin("PUT", "/\(id)", ["password": "another good password"])
            #expect(try await auth.refresh(session.refreshToken).code == "refresh_token_not_found")

            let deleted = try await admin("DELETE", "/\(id)")
            #expect(deleted.status == 200)
            #expect(deleted.body == [:])
            #expect(try await admin("GET", "/\(id)").code == "user_not_found")
            #expect(auth.directory.rows.isEmpty)
            for table in ["users", "identities", "sessions"] { #expect(try await auth.count(table) == 0) }
        }
    }

    @Test func `The routes are for administrators`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            let session = try await auth.signUp()
            for (method, path) in [
                ("GET", ""), ("POST", ""), ("GET", "/\(session.userID)"), ("PUT", "/\(session.userID)"),
                ("DELETE", "/\(session.userID)"),
            ] {
                let absent = try await auth.send(method, "/admin/users\(path)", [:])
                #expect(absent.status == 401)
                #expect(absent.code == "no_authorization")
                let user = try await auth.send(method, "/admin/users\(path)", [:], bearer: session.accessToken)
                #expect(user.status == 403)
                #expect(user.code == "not_admin")
                #expect(user.text == "User not allowed")
            }
        }
    }

    @Test func `An administrator who signs in loses the rights with the session`() async throws {
        try await TestAuth.with(.sqlite) { auth in
            _ = try await auth.send(
                "POST", "/admin/users",
                [
                    "email": "root@example.com", "password": .string(TestAuth.password), "email_confirm": true,
                    "role": "supabase_admin",
                ], bearer: "service_role")
            let session = try await auth.signIn("root@example.com")
            #expect(try await auth.send("GET", "/admin/users", bearer: session.accessToken).status == 200)
            _ = try await auth.send("POST", "/logout", bearer: session.accessToken)
            #expect(
                try await auth.send("GET", "/admin/users", bearer: session.accessToken).code == "session_not_found")
        }
    }

    @Test(arguments: [
        ("POST", "", #"{}"#, 400, "validation_failed"),
        ("POST", "", #"{"email":"nonsense"}"#, 400, "validation_failed"),
        ("POST", "", #"{"email":"a@b.c","id":"7"}"#, 400, "validation_failed"),
        ("POST", "", #"{"email":"a@b.c","id":"00000000-0000-0000-0000-000000000000"}"#, 400, "validation_failed"),
        ("POST", "", #"{"email":"a@b.c","ban_duration":"100y"}"#, 400, "validation_failed"),
        ("POST", "", #"{"email":"a@b.c","password":"long enough","password_hash":"x"}"#, 400, "validation_failed"),
        (
            "POST", "", #"{"email":"a@b.c","password_hash":"$argon2id$v=19$m=9999999,t=1,p=1$YQ$YQ"}"#, 400,
            "validation_failed"
        ),
        ("POST", "", #"{"email":"a@b.c","password":"short"}"#, 422, "weak_password"),
        ("POST", "", #"{"email":"taken@example.com"}"#, 422, "email_exists"),
        ("PUT", "/7", #"{}"#, 404, "validation_failed"),
        ("PUT", "/0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11", #"{}"#, 404, "user_not_found"),
        ("DELETE", "/0b7e7dd5-5b3a-4d3e-9a53-3b1f6a1f8d11", "", 404, "user_not_found"),
        ("GET", "?page=0", "", 400, "validation_failed"),
        ("GET", "?per_page=x", "", 400, "validation_failed"),
        ("GET", "?sort=email%20asc", "", 400, "validation_failed"),
    ])
    func `Malformed requests get their code`(
        method: String, path: String, body: String, status: UInt16, code: String
    ) async throws {
        try await TestAuth.with(.sqlite) { auth in
            _ = try await auth.signUp("taken@example.com")
            let answer = try await auth.send(method, "/admin/users\(path)", bytes: Array(body.utf8), "service_role")
            #expect(answer.status == status)
            #expect(answer.code == code)
            #expect(try await auth.count("users") == 1)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A taken address or number is refused on change`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            _ = try await auth.signUp("taken@example.com")
            let ada = try await auth.signUp()
            let answer = try await auth.send(
                "PUT", "/admin/users/\(ada.userID)", ["email": "taken@example.com"], bearer: "service_role")
            #expect(answer.status == 422)
            #expect(answer.code == "email_exists")
        }
    }

    @Test(arguments: TestAuth.engines)
    func `The list pages, counts, links and filters`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            for number in 1...5 {
                auth.clock.advance(by: .seconds(1))
                let name: JSONValue = number == 3 ? ["full_name": "Grace 100% Hopper"] : [:]
                _ = try await auth.signUp("user\(number)@example.com", data: name)
            }
            func list(_ query: String) async throws -> (Answer, [String]) {
                let answer = try await auth.send("GET", "/admin/users\(query)", bearer: "service_role")
                return (answer, answer.body["users"]?.arrayValue?.compactMap { $0["email"]?.stringValue } ?? [])
            }
            let (first, names) = try await list("?page=1&per_page=2")
            #expect(names == ["user5@example.com", "user4@example.com"])
            #expect(first.header("x-total-count") == "5")
            #expect(
                first.header("link")
                    == #"</admin/users?page=2&per_page=2>; rel="next", </admin/users?page=3&per_page=2>; rel="last""#)
            #expect(first.body["aud"] == "authenticated")
            let (last, rest) = try await list("?page=3&per_page=2")
            #expect(rest == ["user1@example.com"])
            #expect(last.header("link") == #"</admin/users?page=3&per_page=2>; rel="last""#)
            #expect(try await list("?page=9").1.isEmpty)
            #expect(try await list("?sort=created_at%20asc&per_page=1").1 == ["user1@example.com"])
            #expect(try await list("?filter=USER2").1 == ["user2@example.com"])
            #expect(try await list("?filter=hopper").1 == ["user3@example.com"])
            #expect(try await list("?filter=100%25").1 == ["user3@example.com"])
            #expect(try await list("?filter=%25").1 == ["user3@example.com"])
            #expect(try await list("?filter=_").1.isEmpty)
        }
    }
}
