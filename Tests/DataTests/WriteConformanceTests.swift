// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import MartletWire
import Testing

/// What writes do, and what refuses them.
@Suite("Writes on both engines")
struct WriteConformanceTests {
    typealias Step = RestConformanceTests.Step
    private static let alice = RestConformanceTests.alice
    private static let bob = RestConformanceTests.bob
    private static let rows = RestConformanceTests.rows

    private static func error(_ code: String, _ message: String, details: String? = nil) -> String {
        let details = details.map { "\"\($0)\"" } ?? "null"
        return #"{"code":"\#(code)","details":\#(details),"hint":null,"message":"\#(message)"}"#
    }

    @Test("Insert, update and delete answer as they were asked to", arguments: TestDatabaseEngines.all)
    func answers(_ engine: DatabaseEngine) async throws {
        try await RestConformanceTests.check(
            engine,
            Self.rows + [
                Step(
                    method: "POST", target: "/@item?select=id,done,state", body: #"{"id":10,"title":"a"}"#,
                    prefer: "return=representation, count=exact", status: 201,
                    reply: #"[{"id":10,"done":false,"state":"open"}]"#, fields: ["content-range": "*/1"]),
                Step(
                    method: "POST", target: "/@part", body: #"{"item_id":10,"number":3}"#,
                    prefer: "return=headers-only",
                    status: 201, reply: "", fields: ["location": "/@part?item_id=eq.10&number=eq.3"]),
                Step(
                    method: "PATCH", target: "/@item?id=eq.10&select=id,title", body: #"{"title":"b"}"#,
                    prefer: "return=representation", status: 200, reply: #"[{"id":10,"title":"b"}]"#,
                    fields: ["content-range": "0-0/*"]),
                Step(
                    method: "PATCH", target: "/@item?or=(id.eq.10,id.eq.2)", body: #"{"done":true}"#,
                    prefer: "count=exact", status: 204, reply: "", fields: ["content-range": "0-1/2"]),
                Step(method: "PATCH", target: "/@item?id=eq.77", body: #"{"done":true}"#, status: 204, reply: ""),
                Step(
                    method: "PATCH", target: "/@item", body: "{}", prefer: "return=representation", status: 200,
                    reply: "[]"),
                Step(
                    method: "DELETE", target: "/@item?id=eq.10&select=id,@part(number)",
                    prefer: "return=representation",
                    status: 200, reply: #"[{"id":10,"@part":[{"number":3}]}]"#),
                Step(target: "/@part?select=number&item_id=eq.10", status: 200, reply: "[]"),
                Step(
                    method: "POST", target: "/@item", body: "[]", prefer: "return=representation", status: 201,
                    reply: "[]"),
                Step(
                    method: "POST", target: "/@item?columns=%22id%22,%22title%22&select=id,title,done",
                    body: #"[{"id":11,"title":"k","junk":1},{"title":"l","id":12}]"#, prefer: "return=representation",
                    status: 201,
                    reply: #"[{"id":11,"title":"k","done":false},{"id":12,"title":"l","done":false}]"#),
                Step(
                    method: "POST", target: "/@item?columns=id,title,done&select=id,done",
                    body: #"[{"id":13,"title":"m"},{"id":14,"title":"n","done":true}]"#,
                    prefer: "return=representation,missing=default", status: 201,
                    reply: #"[{"id":13,"done":false},{"id":14,"done":true}]"#),
                Step(
                    method: "POST", target: "/@item?columns=id,title,done", body: #"{"id":15,"title":"o"}"#, status: 400
                ),
                Step(
                    method: "PATCH", target: "/@item?id=gt.10&order=id.desc&select=id", body: #"{"note":1}"#,
                    status: 400),
                Step(
                    method: "PATCH", target: "/@item?id=gt.10&order=id.desc&select=id", body: #"{"code":"z"}"#,
                    prefer: "return=representation", status: 200,
                    reply: #"[{"id":14},{"id":13},{"id":12},{"id":11}]"#),
                Step(
                    method: "DELETE", target: "/@item?id=gt.10", prefer: "handling=strict,max-affected=3", status: 400,
                    reply: Self.error(
                        "PGRST124", "Query result exceeds max-affected preference constraint",
                        details: "The query affects 4 rows")),
                Step(
                    method: "DELETE", target: "/@item?id=gt.10", prefer: "count=exact", status: 204,
                    fields: ["content-range": "*/4"]),
            ])
    }

    @Test("Upserts merge or skip", arguments: TestDatabaseEngines.all)
    func upserts(_ engine: DatabaseEngine) async throws {
        try await RestConformanceTests.check(
            engine,
            Self.rows + [
                Step(
                    method: "POST", target: "/@part?select=number,label",
                    body: #"[{"item_id":1,"number":1,"label":"HEAD"}]"#,
                    prefer: "resolution=merge-duplicates,return=representation", status: 200,
                    reply: #"[{"number":1,"label":"HEAD"}]"#,
                    fields: ["preference-applied": "resolution=merge-duplicates, return=representation"]),
                Step(
                    method: "POST", target: "/@part?select=number,label",
                    body: #"[{"item_id":1,"number":2,"label":"shaft"},{"item_id":1,"number":5,"label":"new"}]"#,
                    prefer: "resolution=merge-duplicates,return=representation", status: 201,
                    reply: #"[{"number":2,"label":"shaft"},{"number":5,"label":"new"}]"#),
                Step(
                    method: "POST", target: "/@part?select=number",
                    body: #"[{"item_id":1,"number":1,"label":"no"},{"item_id":1,"number":6,"label":"yes"}]"#,
                    prefer: "resolution=ignore-duplicates,return=representation", status: 201,
                    reply: #"[{"number":6}]"#),
                Step(
                    method: "POST", target: "/@item?on_conflict=owner,title&select=id,code",
                    body: #"{"owner":"\#(TestEngine.alice)","title":"bolt","code":"m8"}"#,
                    prefer: "resolution=merge-duplicates,return=representation", status: 200,
                    reply: #"[{"id":1,"code":"m8"}]"#),
                Step(
                    target: "/@part?select=number,label&order=number", status: 200,
                    reply: """
                        [{"number":1,"label":"HEAD"},{"number":2,"label":"shaft"},{"number":5,"label":"new"},\
                        {"number":6,"label":"yes"}]
                        """),
                Step(
                    method: "POST", target: "/@item?on_conflict=title", body: #"{"title":"q"}"#,
                    prefer: "resolution=merge-duplicates", status: 400,
                    reply: Self.error(
                        "42P10",
                        "there is no unique or exclusion constraint matching the ON CONFLICT specification")),
                Step(
                    method: "POST", target: "/@part",
                    body: #"[{"item_id":1,"number":8,"label":"a"},{"item_id":1,"number":8,"label":"b"}]"#,
                    prefer: "resolution=merge-duplicates", status: 500),
                Step(
                    method: "POST", target: "/@item", caller: Self.bob, body: #"{"id":1,"title":"stolen"}"#,
                    prefer: "resolution=merge-duplicates", status: 403),
                Step(target: "/@item?select=title&id=eq.1", status: 200, reply: #"[{"title":"bolt"}]"#),
            ])
    }

    @Test("Constraints and wrong values are refused in PostgreSQL's words", arguments: TestDatabaseEngines.all)
    func refusals(_ engine: DatabaseEngine) async throws {
        try await RestConformanceTests.check(
            engine,
            Self.rows + [
                Step(
                    method: "POST", target: "/@item", body: #"{"id":50,"title":"bolt"}"#, status: 409,
                    reply: Self.error(
                        "23505", #"duplicate key value violates unique constraint \"@item_owner_title_key\""#)),
                Step(
                    method: "POST", target: "/@item", body: #"{"id":51,"title":"z","team_id":99}"#, status: 409,
                    reply: Self.error(
                        "23503",
                        #"insert or update on table \"@item\" violates foreign key constraint \"@item_team_id_fkey\""#,
                        details: #"Key is not present in table \"@team\"."#)),
                Step(
                    method: "DELETE", target: "/@team?id=eq.1", caller: .service, status: 409,
                    reply: Self.error(
                        "23503",
                        #"update or delete on table \"@team\" violates foreign key constraint \"@item_team_id_fkey\" on table \"@item\""#,
                        details: #"Key (id)=(1) is still referenced from table \"@item\"."#)),
                Step(method: "PATCH", target: "/@item?id=eq.1", body: #"{"title":null}"#, status: 400),
                Step(
                    method: "POST", target: "/@team", caller: .service, body: #"{"id":8}"#, status: 400,
                    reply: Self.error(
                        "23502",
                        #"null value in column \"name\" of relation \"@team\" violates not-null constraint"#,
                        details: "Failing row contains (8, null).")),
                Step(method: "PATCH", target: "/@item?id=eq.1", body: #"{"title":""}"#, status: 400),
                Step(
                    method: "POST", target: "/@team", caller: .service, body: #"{"id":"x","name":"n"}"#, status: 400,
                    reply: Self.error("22P02", #"invalid input syntax for type integer: \"x\""#)),
                Step(
                    method: "POST", target: "/@item", body: #"{"title":"z","state":"lost"}"#, status: 400,
                    reply: Self.error("22P02", #"invalid input value for enum @state: \"lost\""#)),
                Step(method: "POST", target: "/@item", body: #"{"title":"z","due":"2026-02-30"}"#, status: 400),
                Step(
                    method: "POST", target: "/@item", body: #"{"title":"z","code":"longer"}"#, status: 400,
                    reply: Self.error("22001", "value too long for type character varying(5)")),
                Step(method: "POST", target: "/@item", body: #"{"title":"z","team_id":99999999999}"#, status: 400),
                Step(
                    target: "/@item?id=eq.abc", status: 400,
                    reply: Self.error("22P02", #"invalid input syntax for type bigint: \"abc\""#)),
                Step(
                    target: "/@item?owner=eq.abc", status: 400,
                    reply: Self.error("22P02", #"invalid input syntax for type uuid: \"abc\""#)),
                Step(
                    target: "/@item?due=gt.soon", status: 400,
                    reply: Self.error("22007", #"invalid input syntax for type date: \"soon\""#)),
                Step(target: "/@item?id=like.1*", status: 404),
                Step(
                    target: "/@item?nope=eq.1", status: 400,
                    reply: Self.error("42703", "column @item.nope does not exist")),
                Step(
                    target: "/@item?select=nope", status: 400,
                    reply: Self.error("42703", "column @item.nope does not exist")),
                Step(target: "/@gone", status: 404),
                Step(
                    method: "POST", target: "/@item", body: #"{"nope":1}"#, status: 400,
                    reply: Self.error("PGRST204", "Could not find the 'nope' column of '@item' in the schema cache")),
                Step(
                    method: "POST", target: "/@item", body: "{", status: 400,
                    reply: Self.error("PGRST102", "Empty or invalid json")),
                Step(
                    method: "POST", target: "/@item", body: #"[{"id":1},{"title":"x"}]"#, status: 400,
                    reply: Self.error("PGRST102", "All object keys must match")),
                Step(method: "PUT", target: "/@item?id=eq.1", body: "{}", status: 405),
                Step(target: "/a/b/c", status: 404),
                Step(method: "POST", target: "/rpc/@f", body: "{}", status: 404),
                Step(
                    target: "/@item?select=id,title&order=id", status: 200,
                    reply: #"[{"id":1,"title":"bolt"},{"id":2,"title":"Nut"}]"#),
            ])
    }

    @Test("A write under one key is executed once", arguments: TestDatabaseEngines.all)
    func idempotency(_ engine: DatabaseEngine) async throws {
        let project = TestProject()
        try await TestEngine.with(engine, migrations: [project.migration]) { test in
            func post(_ title: String, as caller: Caller = Self.alice) async -> FinishedReply {
                await test.send(
                    "POST", project.named("/@item?select=title"), as: caller, #"{"title":"\#(title)"}"#,
                    prefer: "return=representation", key: "key-1")
            }
            let first = await post("once")
            #expect(first.status == 201)
            let second = await post("once")
            #expect(second == first)
            let other = await post("twice")
            #expect(other.status == 422)
            #expect(await post("once", as: Self.bob).status == 201)
            let failed = await test.send(
                "POST", project.named("/@item"), as: Self.alice, #"{"title":""}"#, key: "key-2")
            #expect(failed.status == 400)
            let corrected = await test.send(
                "POST", project.named("/@item"), as: Self.alice, #"{"title":"better"}"#, key: "key-2")
            #expect(corrected.status == 201)
            let all = await test.send("GET", project.named("/@item?select=title&order=title,owner"), as: .service)
            #expect(all.text == #"[{"title":"better"},{"title":"once"},{"title":"once"}]"#)
        }
    }
}
