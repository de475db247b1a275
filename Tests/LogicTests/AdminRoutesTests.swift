// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletWire
import Testing

@testable import MartletLogic

@Suite("Logic: admin routes", .timeLimit(.minutes(1)))
struct AdminRoutesTests {
    struct Client {
        let routes: AdminRoutes
        var role = "service_role"

        func send(
            _ method: String, _ path: String, _ body: JSONValue? = nil, key: String = ""
        ) async -> (status: UInt16, body: JSONValue) {
            let parts = path.split(separator: "?", maxSplits: 1).map(String.init)
            let head = HTTPRequestHead(
                method: method, path: "/_admin" + parts[0], query: parts.count > 1 ? parts[1] : "")
            let header = RequestHeader(
                principal: Principal(tokenStatus: .valid, role: role), idempotencyKey: key)
            let answer = await routes.answer(
                head, path: parts[0], body: body.map { Array($0.text.utf8) } ?? [], header: header)
            return (answer.status, answer.body)
        }
    }

    static func with(_ engine: DatabaseEngine, _ body: (TestLogic, Client) async throws -> Void) async throws {
        try await TestLogic.with(engine) { logic in
            let routes = AdminRoutes(
                store: logic.store, triggers: TriggerStore(database: logic.database),
                schedules: ScheduleStore(database: logic.database), isFunction: { $0 == "f" }, wake: {},
                clock: { logic.clock.now }, logger: TestLogic.logger)
            try await body(logic, Client(routes: routes))
        }
    }

    @Test("A job is made, shown, cancelled and sent again", arguments: TestLogic.engines)
    func life(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { logic, client in
            let made = await client.send(
                "POST", "/jobs",
                ["function": "f", "body": ["n": 1], "run_at": "2026-03-01T13:00:00+01:00", "attempts": 2])
            #expect(made.status == 201)
            let id = try #require(made.body["id"]?.stringValue)
            let shown = await client.send("GET", "/jobs/\(id)")
            #expect(shown.status == 200 && shown.body["state"] == "queued" && shown.body["attempts"] == [])
            #expect(shown.body["body"] == #"{"n":1}"# && shown.body["attempts_max"] == 2)
            #expect(shown.body["run_at"] == "2026-03-01T12:00:00.000000Z")
            #expect(await client.send("POST", "/jobs/\(id)/cancel").body["state"] == "cancelled")
            #expect(await client.send("POST", "/jobs/\(id)/cancel").status == 409)
            #expect(await client.send("POST", "/jobs/\(id)/retry").body["state"] == "queued")
            _ = try await logic.finish(try #require(try await logic.lease().first), status: 503)
            let executions = await client.send("GET", "/executions?function=f&status=failed")
            #expect(executions.body.arrayValue?.first?["http_status"] == 503)
            #expect(executions.body.arrayValue?.first?["trigger"] == "queue")
            #expect(await client.send("GET", "/jobs?state=queued&function=f&limit=1").body.arrayValue?.count == 1)
            #expect(await client.send("GET", "/jobs?state=done").body == [])
        }
    }

    @Test("One key, one job", arguments: TestLogic.engines)
    func keys(engine: DatabaseEngine) async throws {
        try await Self.with(engine) { _, client in
            let first = await client.send("POST", "/jobs", ["function": "f", "key": "k"])
            let second = await client.send("POST", "/jobs", ["function": "f"], key: "k")
            #expect(first.status == 201 && second.status == 200 && first.body == second.body)
            let other = await client.send("POST", "/jobs", ["function": "f", "body": 2, "key": "k"])
            #expect(other.status == 422 && other.body["code"] == "idempotency_key_reused")
            #expect(await client.send("GET", "/jobs").body.arrayValue?.count == 1)
        }
    }

    @Test("Nobody but the service role", arguments: ["anon", "authenticated", ""])
    func roles(role: String) async throws {
        try await Self.with(.sqlite) { _, client async throws in
            for (method, path) in [("GET", "/jobs"), ("POST", "/jobs"), ("GET", "/executions"), ("GET", "/none")] {
                let answer = await Client(routes: client.routes, role: role).send(method, path, ["function": "f"])
                #expect(answer.status == 403 && answer.body["code"] == "not_admin")
            }
            #expect(try await client.routes.store.counts().isEmpty)
        }
    }

    @Test(
        "What cannot be read is refused and changes nothing",
        arguments: [
            (#"{}"#, "function"), (#"[]"#, "object"), (#"{"function":"f","else":1}"#, "else"),
            (#"{"function":1}"#, "function"), (#"{"function":"f","run_at":"tomorrow"}"#, "run_at"),
            (#"{"function":"f","run_at":"2028-01-01T00:00:00Z"}"#, "year"),
            (#"{"function":"f","attempts":0}"#, "attempts"),
            (#"{"function":"f","attempts":1.5}"#, "attempts"), (#"{"function":"f","key":""}"#, "key"),
            (#"{"function":"f","key":7}"#, "key"),
        ])
    func bodies(body: String, word: String) async throws {
        try await Self.with(.sqlite) { _, client in
            let answer = await client.send("POST", "/jobs", try JSONValue(parsing: body))
            #expect(answer.status == 400 && answer.body["message"]?.stringValue?.contains(word) == true, "\(answer)")
            #expect(try await client.routes.store.counts().isEmpty)
        }
    }

    @Test(
        "Unknown places, jobs, functions and parameters",
        arguments: [
            ("GET", "/", UInt16(404)), ("GET", "/jobs/none", 404), ("POST", "/jobs/none/retry", 404),
            ("POST", "/jobs/none/burn", 404), ("DELETE", "/jobs/none", 404), ("GET", "/jobs?limit=0", 400),
            ("GET", "/jobs?limit=1001", 400), ("GET", "/jobs?state=lost", 400), ("GET", "/jobs?before=x", 400),
            ("GET", "/jobs?colour=red", 400), ("GET", "/jobs?function=%zz", 400), ("GET", "/jobs?function=%00", 400),
            ("GET", "/executions?status=x", 400), ("POST", "/triggers/none/enable", 404), ("GET", "/schedules", 200),
            ("GET", "/triggers", 200), ("POST", "/jobs", 404),
        ])
    func unknown(method: String, path: String, status: UInt16) async throws {
        try await Self.with(.sqlite) { _, client in
            #expect(await client.send(method, path, ["function": "g"]).status == status)
        }
    }
}
