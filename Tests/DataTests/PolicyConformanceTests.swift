// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import Testing

/// Whose rows a request reaches: two users, nobody, and the service role.
@Suite("Policies on both engines")
struct PolicyConformanceTests {
    typealias Step = RestConformanceTests.Step
    private static let alice = RestConformanceTests.alice
    private static let bob = RestConformanceTests.bob
    private static let rows = RestConformanceTests.rows

    private static func denied(_ message: String) -> String {
        #"{"code":"42501","details":null,"hint":null,"message":"\#(message)"}"#
    }

    @Test("Each user sees, counts and embeds their own rows alone", arguments: TestDatabaseEngines.all)
    func reads(_ engine: DatabaseEngine) async throws {
        try await RestConformanceTests.check(
            engine,
            Self.rows + [
                Step(
                    target: "/@item?select=id&order=id", caller: Self.alice, status: 200,
                    reply: #"[{"id":1},{"id":2}]"#),
                Step(
                    target: "/@item?select=id", caller: Self.bob, prefer: "count=exact", status: 200,
                    reply: #"[{"id":3}]"#, fields: ["content-range": "0-0/1"]),
                Step(target: "/@item?select=id&id=eq.1", caller: Self.bob, status: 200, reply: "[]"),
                Step(target: "/@item?select=id", caller: .anonymous, status: 200, reply: "[]"),
                Step(
                    target: "/@item?select=id&order=id", caller: .service, status: 200,
                    reply: #"[{"id":1},{"id":2},{"id":3}]"#),
                Step(target: "/@part?select=label", caller: Self.bob, status: 200, reply: #"[{"label":"tooth"}]"#),
                Step(
                    target: "/@part?select=label", caller: .anonymous, status: 401,
                    reply: Self.denied("permission denied for table @part"),
                    fields: ["www-authenticate": "Bearer"]),
                Step(
                    target: "/@item?select=id,@part(label)", caller: .anonymous, status: 401,
                    reply: Self.denied("permission denied for table @part")),
                Step(target: "/@item?select=count", caller: Self.bob, status: 200, reply: #"[{"count":1}]"#),
                Step(
                    target: "/@item?select=id,@part!inner(label)", caller: Self.bob, status: 200,
                    reply: #"[{"id":3,"@part":[{"label":"tooth"}]}]"#),
                Step(
                    target: "/@team?select=name,@item(count)&order=id", caller: .anonymous, status: 200,
                    reply: #"[{"name":"red","@item":[{"count":0}]},{"name":"blue","@item":[{"count":0}]}]"#),
            ])
    }

    @Test("Nobody changes or removes another user's rows", arguments: TestDatabaseEngines.all)
    func writes(_ engine: DatabaseEngine) async throws {
        try await RestConformanceTests.check(
            engine,
            Self.rows + [
                Step(
                    method: "PATCH", target: "/@item?id=eq.1", caller: Self.bob, body: #"{"title":"mine"}"#,
                    status: 204,
                    reply: "", fields: ["content-range": "*/*"]),
                Step(
                    method: "PATCH", target: "/@item?id=eq.1", caller: Self.bob, body: #"{"title":"mine"}"#,
                    prefer: "return=representation", status: 200, reply: "[]"),
                Step(
                    method: "DELETE", target: "/@item", caller: Self.bob, prefer: "count=exact", status: 204, reply: "",
                    fields: ["content-range": "*/1"]),
                Step(
                    method: "DELETE", target: "/@item", caller: .anonymous, prefer: "return=representation",
                    status: 200,
                    reply: "[]"),
                Step(
                    target: "/@item?select=id,title&order=id", caller: .service, status: 200,
                    reply: #"[{"id":1,"title":"bolt"},{"id":2,"title":"Nut"}]"#),
                Step(
                    method: "POST", target: "/@item", caller: Self.bob,
                    body: #"{"title":"x","owner":"\#(TestEngine.alice)"}"#, status: 403,
                    reply: Self.denied(#"new row violates row-level security policy for table \"@item\""#)),
                Step(
                    method: "POST", target: "/@item", caller: .anonymous,
                    body: #"{"title":"x","owner":"\#(TestEngine.alice)"}"#, status: 401,
                    reply: Self.denied(#"new row violates row-level security policy for table \"@item\""#)),
                Step(
                    method: "PATCH", target: "/@item?id=eq.1", body: #"{"owner":"\#(TestEngine.bob)"}"#, status: 403,
                    reply: Self.denied(#"new row violates row-level security policy for table \"@item\""#)),
                Step(
                    method: "POST", target: "/@part", caller: Self.bob, body: #"{"item_id":1,"number":9}"#, status: 403,
                    reply: Self.denied(#"new row violates row-level security policy for table \"@part\""#)),
                Step(
                    method: "POST", target: "/@team", body: #"{"id":5,"name":"x"}"#, status: 403,
                    reply: Self.denied("permission denied for table @team")),
                Step(
                    method: "PATCH", target: "/@team?id=eq.1", caller: .anonymous, body: #"{"name":"x"}"#, status: 401,
                    reply: Self.denied("permission denied for table @team")),
                Step(method: "DELETE", target: "/@team", status: 403),
                Step(
                    method: "POST", target: "/@team", caller: .service, body: #"{"id":5,"name":"green"}"#, status: 201),
                Step(target: "/@team?select=name&id=gt.2", status: 200, reply: #"[{"name":"green"}]"#),
                Step(
                    target: "/@item?select=id&order=id", caller: .service, status: 200, reply: #"[{"id":1},{"id":2}]"#),
            ])
    }

    @Test("A role that does not exist, or that nobody may take, reads nothing", arguments: TestDatabaseEngines.all)
    func roles(_ engine: DatabaseEngine) async throws {
        try await RestConformanceTests.check(
            engine,
            [
                Step(
                    target: "/@team", caller: .role("nobody"), status: 401,
                    reply: #"{"code":"22023","details":null,"hint":null,"message":"role \"nobody\" does not exist"}"#),
                Step(
                    target: "/@team", caller: .role("postgres"), status: 403,
                    reply: Self.denied(#"permission denied to set role \"postgres\""#)),
            ])
    }
}
