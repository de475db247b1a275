// SPDX-License-Identifier: Apache-2.0

import MartletAuth
import MartletDatabase
import MartletJSON
import Testing

/// Auth and the application's `auth.users` stay in step, whatever fails in between (D25).
@Suite struct DirectoryTests {
    @Test(arguments: TestAuth.engines)
    func `A refused sign-up leaves nothing behind`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            auth.directory.behave(.refusing)
            let answer = try await auth.signUp()
            #expect(answer.status == 500)
            #expect(answer.code == "unexpected_failure")
            #expect(answer.text == "Database error saving new user")
            #expect(answer.body["error_id"] == "request-1")
            #expect(!answer.body.text.contains("secret detail"))
            for table in ["users", "identities", "sessions", "user_changes"] {
                #expect(try await auth.count(table) == 0, "\(table)")
            }
            // The operator hears why.
            guard case .failed(_, let error)? = auth.observations.all.first else {
                Issue.record("nothing was reported")
                return
            }
            #expect(error.cause?.contains("secret detail") == true)
            auth.directory.behave(.answering)
            #expect(try await auth.signUp().status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A directory that is out of reach is a 503, and the address stays free`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            auth.directory.behave(.away)
            let answer = try await auth.signUp()
            #expect(answer.status == 503)
            #expect(answer.header("retry-after") == "1")
            #expect(try await auth.count("users") == 0)
            auth.directory.behave(.answering)
            #expect(try await auth.signUp().status == 200)
        }
    }

    @Test(arguments: TestAuth.engines, [TestDirectory.Behaviour.silentAfterwards, .silentBefore])
    func `A sign-up with an unknown outcome stays pending, unseen, until it is settled`(
        engine: DatabaseEngine, behaviour: TestDirectory.Behaviour
    ) async throws {
        try await TestAuth.with(engine) { auth in
            auth.directory.behave(behaviour)
            #expect(try await auth.signUp().status == 503)
            #expect(try await auth.count("users") == 1)
            #expect(try await auth.signIn().code == "invalid_credentials")
            let list = try await auth.send("GET", "/admin/users", bearer: "service_role")
            #expect(list.body["users"]?.arrayValue?.isEmpty == true)

            auth.directory.behave(.answering)
            await auth.authority.settle()
            #expect(try await auth.count("user_changes") == 0)
            let answer = try await auth.signIn()
            #expect(answer.status == 200)
            #expect(auth.directory.rows.keys.sorted() == [answer.userID])
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A repeat that finds the directory away does not undo what an earlier attempt may have done`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth in
            auth.directory.behave(.silentAfterwards)
            #expect(try await auth.signUp().status == 503)
            auth.directory.behave(.away)
            await auth.authority.settle()
            #expect(try await auth.signUp().status == 503)
            #expect(try await auth.count("users") == 1)
            auth.directory.behave(.answering)
            await auth.authority.settle()
            let answer = try await auth.signIn()
            #expect(auth.directory.rows.keys.sorted() == [answer.userID])
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A new sign-up settles the one that stands in its way`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth async throws in
            auth.directory.behave(.silentAfterwards)
            #expect(try await auth.signUp().status == 503)
            auth.directory.behave(.answering)
            #expect(try await auth.signUp().code == "user_already_exists")
            #expect(try await auth.signIn().status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A pending sign-up that the directory refuses later gives its address to the next`(
        engine: DatabaseEngine
    ) async throws {
        try await TestAuth.with(engine) { auth async throws in
            auth.directory.behave(.silentBefore)
            #expect(try await auth.signUp().status == 503)
            auth.directory.behave(.refusing)
            await auth.authority.settle()
            #expect(try await auth.count("users") == 0)
            auth.directory.behave(.answering)
            #expect(try await auth.signUp().status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A refused change changes nothing`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let token = try await auth.signUp().accessToken
            auth.directory.behave(.refusing)
            let answer = try await auth.send("PUT", "/user", ["data": ["nick": "a"]], bearer: token)
            #expect(answer.status == 500)
            #expect(answer.text == "Database error updating user")
            auth.directory.behave(.answering)
            let user = try await auth.send("GET", "/user", bearer: token)
            #expect(user.body["user_metadata"]?["nick"] == nil)
            #expect(try await auth.send("PUT", "/user", ["data": ["nick": "b"]], bearer: token).status == 200)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A change with an unknown outcome is finished before the next one`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let signedUp = try await auth.signUp()
            auth.directory.behave(.silentAfterwards)
            let silent = try await auth.send(
                "PUT", "/user", ["data": ["first": 1]], bearer: signedUp.accessToken)
            #expect(silent.status == 503)
            auth.directory.behave(.answering)
            let answer = try await auth.send(
                "PUT", "/user", ["data": ["second": 2]], bearer: signedUp.accessToken)
            #expect(answer.body["user_metadata"]?["first"] == 1)
            #expect(answer.body["user_metadata"]?["second"] == 2)
            #expect(auth.directory.rows[signedUp.userID]?.version == 3)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A change sends only the columns that change`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let signedUp = try await auth.signUp()
            auth.directory.onWrite { $0["seen"] = $0.keys.sorted().joined(separator: " ") }
            let before = auth.directory.rows[signedUp.userID]?.columns["email"]
            let answer = try await auth.send("PUT", "/user", ["data": ["a": 1]], bearer: signedUp.accessToken)
            #expect(answer.status == 200)
            #expect(auth.directory.rows[signedUp.userID]?.columns["email"] == before)
        }
    }

    @Test(arguments: TestAuth.engines)
    func `A user who is referred to is not deleted, and stays as they were`(engine: DatabaseEngine) async throws {
        try await TestAuth.with(engine) { auth in
            let signedUp = try await auth.signUp()
            auth.directory.behave(.refusing)
            let refused = try await auth.send("DELETE", "/admin/users/\(signedUp.userID)", bearer: "service_role")
            #expect(refused.status == 409)
            auth.directory.behave(.silentBefore)
            let silent = try await auth.send("DELETE", "/admin/users/\(signedUp.userID)", bearer: "service_role")
            #expect(silent.status == 503)
            auth.directory.behave(.answering)
            #expect(try await auth.send("GET", "/user", bearer: signedUp.accessToken).status == 200)
            await auth.authority.settle()
            #expect(try await auth.count("users") == 0)
            #expect(auth.directory.rows.isEmpty)
        }
    }
}
