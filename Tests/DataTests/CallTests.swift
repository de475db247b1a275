// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import MartletJSON
import MartletWire
import Testing

/// Functions of the database over `/rpc` (rest contract 12). On SQLite there are none: every call that is well formed
/// finds no function, which each test sees for each of its requests.
@Suite("Calls of functions")
struct CallTests {
    struct Step: Sendable {
        var method = "POST"
        var target: String
        var caller: Caller = .anonymous
        var body = ""
        var type: String?
        var prefer: String?
        var accept: String?
        var range: String?
        var status: UInt16 = 200
        var reply: String?
        /// Members of an error's body.
        var code: String?
        var message: String?
        var details: String?
        var hint: String?
        /// A nil value: the field is absent.
        var fields: [String: String?] = [:]
        /// Refused before a function is looked for, so on both engines.
        var isRefusedEarly = false
        /// What is said where there is no function of the name.
        var codeWithoutFunction = "PGRST202"
    }

    static let alice = Caller.user(TestEngine.alice)

    static func check(_ engine: DatabaseEngine, rowsMax: Int64? = nil, _ steps: [Step]) async throws {
        try await with(engine, rowsMax: rowsMax) { test, project in
            for step in steps { try await check(engine, test, project, step) }
        }
    }

    static func with(
        _ engine: DatabaseEngine, rowsMax: Int64? = nil, _ body: (TestEngine, TestProject) async throws -> Void
    ) async throws {
        let project = TestProject()
        let migration = project.named(CallProject.migration(engine))
        try await TestEngine.with(engine, migrations: [migration], rowsMax: rowsMax) { try await body($0, project) }
    }

    private static func check(
        _ engine: DatabaseEngine, _ test: TestEngine, _ project: TestProject, _ step: Step
    ) async throws {
        var fields: [HTTPField] = []
        if let type = step.type { fields.append(HTTPField("content-type", type)) }
        if let range = step.range { fields.append(HTTPField("range", range)) }
        let reply = await test.send(
            step.method, project.named(step.target), as: step.caller, project.named(step.body), prefer: step.prefer,
            accept: step.accept, fields: fields)
        let place: Comment = "\(step.method) \(step.target) \(step.body): \(reply.status) \(reply.text)"
        let error = (try? JSONValue(parsing: reply.body))?.objectValue
        if engine == .sqlite, !step.isRefusedEarly {
            #expect(reply.status == (step.codeWithoutFunction == "PGRST202" ? 404 : 400), place)
            if step.method != "HEAD" { #expect(error?["code"]?.stringValue == step.codeWithoutFunction, place) }
            return
        }
        #expect(reply.status == step.status, place)
        if let expected = step.reply { #expect(reply.text == project.named(expected), place) }
        if let code = step.code { #expect(error?["code"]?.stringValue == code, place) }
        if let message = step.message { #expect(error?["message"]?.stringValue == project.named(message), place) }
        if let details = step.details { #expect(error?["details"]?.stringValue == project.named(details), place) }
        if let hint = step.hint { #expect(error?["hint"]?.stringValue == project.named(hint), place) }
        for (name, value) in step.fields { #expect(reply[name] == value.map(project.named), place) }
    }

    @Test("Arguments go by name, from the query and from the body", arguments: TestDatabaseEngines.all)
    func arguments(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            [
                Step(target: "/rpc/@add", body: #"{"a":1,"b":2}"#, reply: "3"),
                Step(target: "/rpc/@add", body: #"{"a":1}"#, reply: "11"),
                Step(target: "/rpc/@add", body: #"[{"a":1},{"a":2}]"#, reply: "11"),
                Step(target: "/rpc/@add?columns=a,b", body: #"{"a":1,"b":2,"c":3}"#, reply: "3"),
                Step(target: "/rpc/@add", body: "a=5&b=6", type: "application/x-www-form-urlencoded", reply: "11"),
                Step(method: "GET", target: "/rpc/@add?a=1&b=2", reply: "3"),
                Step(method: "GET", target: "/rpc/@add?b=-3&a=1&a=4", reply: "1"),
                Step(method: "GET", target: "/rpc/@add?a=x", status: 400, code: "22P02"),
                Step(target: "/rpc/@add", body: #"{"a":"x"}"#, status: 400, code: "22P02"),
                Step(
                    target: "/rpc/@tell", body: #"{"word":"o'no\"","Big Name":null}"#,
                    reply: #"{"word" : "o'no\"", "big" : null}"#),
                Step(
                    method: "GET", target: "/rpc/@tell?word=o'no&%22Big%20Name%22=x.y&select=pgrst_scalar",
                    reply: #"{"word" : "o'no", "big" : "x.y"}"#),
                Step(target: "/rpc/@total", body: #"{"numbers":[1,2,3]}"#, reply: "6"),
                Step(method: "GET", target: "/rpc/@total?numbers=%7B1,2,3%7D", reply: "6"),
                Step(target: "/rpc/@join", body: #"{"sep":"-","parts":["a","b c"]}"#, reply: #""a-b c""#),
                Step(method: "GET", target: "/rpc/@join?sep=-&parts=a,1&parts=%22b", reply: #""a,1-\"b""#),
                Step(target: "/rpc/@nothing", reply: "null"),
                Step(target: "/rpc/@nothing", body: "[]", reply: "null"),
                Step(target: "/rpc/@nothing", body: "{", status: 400, code: "PGRST102", isRefusedEarly: true),
                Step(
                    target: "/rpc/@add", body: #"[{"a":1},{"b":2}]"#, status: 400, code: "PGRST102",
                    message: "All object keys must match", isRefusedEarly: true),
                Step(
                    target: "/rpc/@add", body: "a,b", type: "image/png", status: 400, code: "PGRST102",
                    message: "Content-Type not acceptable: image/png", isRefusedEarly: true),
                Step(target: "/rpc/@add?a=1", status: 400, code: "PGRST100", isRefusedEarly: true),
                Step(
                    method: "PATCH", target: "/rpc/@add", status: 405, code: "PGRST101",
                    message: "Cannot use the PATCH method on RPC", isRefusedEarly: true),
            ])
    }

    @Test("Arguments become values of their parameters' types", arguments: TestDatabaseEngines.all)
    func types(_ engine: DatabaseEngine) async throws {
        let reply =
            #"{"x": 1, "day": "2026-01-31", "doc": {"a": [1]}, "bits": "\\x00ff", "mood": "so so", "#
            + #""seen": "2026-01-31T10:00:00+00:00", "level": "high", "moods": ["good"], "small": 7}"#
        let query =
            #"mood=so%20so&small=7&at=(1,2)&day=2026-01-31&seen=2026-01-31T12:00:00%2B02:00&moods={good}"#
            + #"&bits=\x00ff&doc={"a":[1]}&level=high"#
        try await Self.check(
            engine,
            [
                Step(
                    target: "/rpc/@types",
                    body: #"""
                        {"mood":"so so","small":7,"at":{"x":1,"y":2},"day":"2026-01-31","moods":["good"],
                        "seen":"2026-01-31T12:00:00+02:00","bits":"\\x00ff","doc":{"a":[1]},"level":"high"}
                        """#, reply: reply),
                Step(method: "GET", target: "/rpc/@types?\(query)", reply: reply),
                Step(
                    method: "GET", target: "/rpc/@types?\(query.replacing("small=7", with: "small=70"))", status: 400,
                    code: "23514"),
                Step(
                    method: "GET", target: "/rpc/@types?\(query.replacing("so%20so", with: "bad"))", status: 400,
                    code: "22P02"),
                // Nothing says what type is meant.
                Step(target: "/rpc/@any", body: #"{"given":1}"#, status: 400),
                Step(method: "GET", target: "/rpc/@any?given=1", status: 400),
            ])
    }

    @Test("A whole body is the argument of a parameter without a name", arguments: TestDatabaseEngines.all)
    func wholeBody(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            [
                Step(target: "/rpc/@document", body: #"{"any":1}"#, reply: #""object""#),
                Step(target: "/rpc/@document", reply: #""object""#),
                Step(
                    target: "/rpc/@document", body: "[1,2]", reply: #""array""#,
                    codeWithoutFunction: "PGRST102"),
                Step(target: "/rpc/@length", body: "três", type: "text/plain", reply: "4"),
                Step(target: "/rpc/@bytes", body: "\u{0}a'", type: "application/octet-stream", reply: #""006127""#),
                Step(target: "/rpc/@length", body: "a\u{0}", type: "text/plain", status: 400, code: "22021"),
                Step(
                    target: "/rpc/@add", body: "1", type: "text/plain", status: 404, code: "PGRST202",
                    message: "Could not find the function public.@add in the schema cache",
                    details: "Searched for the function public.@add with a single unnamed text parameter, but no "
                        + "matches were found in the schema cache."),
                Step(method: "GET", target: "/rpc/@document", status: 404, code: "PGRST202"),
            ])
    }

    @Test("A function is chosen by the names of its arguments", arguments: TestDatabaseEngines.all)
    func choice(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            [
                Step(target: "/rpc/@over", body: #"{"a":1}"#, reply: #""a""#),
                Step(target: "/rpc/@over", body: #"{"b":1,"a":2}"#, reply: #""a, b""#),
                Step(
                    target: "/rpc/@same", body: #"{"arg":1}"#, status: 300, code: "PGRST203",
                    message: "Could not choose the best candidate function between: public.@same(arg => integer), "
                        + "public.@same(arg => text)"),
                Step(
                    method: "GET", target: "/rpc/@over?b=1&c=2", status: 404, code: "PGRST202",
                    message: "Could not find the function public.@over(b, c) in the schema cache",
                    details: "Searched for the function public.@over with parameters b, c, but no matches were found "
                        + "in the schema cache."),
                Step(
                    target: "/rpc/@add", body: #"{"aa":1}"#, status: 404, code: "PGRST202",
                    details: "Searched for the function public.@add with parameter aa or with a single unnamed "
                        + "json/jsonb parameter, but no matches were found in the schema cache.",
                    hint: "Perhaps you meant to call the function public.@add(a, b)"),
                Step(
                    method: "GET", target: "/rpc/@nothin", status: 404, code: "PGRST202",
                    message: "Could not find the function public.@nothin without parameters in the schema cache",
                    hint: "Perhaps you meant to call the function public.@nothing"),
                // A trigger's function is none of these, and neither is a built-in one.
                Step(method: "GET", target: "/rpc/@watch", status: 404, code: "PGRST202"),
                Step(method: "GET", target: "/rpc/now", status: 404, code: "PGRST202"),
                Step(method: "GET", target: "/rpc/@add%22%3B", status: 404, code: "PGRST202"),
            ])
    }

    @Test("Each kind of result has its shape", arguments: TestDatabaseEngines.all)
    func shapes(_ engine: DatabaseEngine) async throws {
        let one: [String: String?] = [
            "content-range": "0-0/*", "content-type": "application/json; charset=utf-8", "content-location": nil,
        ]
        try await Self.check(
            engine,
            [
                Step(target: "/rpc/@add", body: #"{"a":1}"#, reply: "11", fields: one),
                Step(target: "/rpc/@words", reply: #"["a",null,"c d"]"#, fields: ["content-range": "0-2/*"]),
                Step(target: "/rpc/@corner", reply: #"{"x":3,"y":4}"#, fields: one),
                Step(target: "/rpc/@out_two", body: #"{"n":2}"#, reply: #"{"doubled":4,"word":"n2"}"#, fields: one),
                Step(method: "GET", target: "/rpc/@out_one?n=2", reply: #"{"n":3}"#, fields: one),
                Step(target: "/rpc/@pair", reply: #"{"f1":1,"f2":"x"}"#, fields: one),
                Step(
                    target: "/rpc/@author_table",
                    reply: #"[{"id":1,"full_name":"Ann","born":"2001-02-03"},{"id":2,"full_name":"Bob","born":null}]"#),
                Step(
                    target: "/rpc/@one_book?select=title", body: #"{"id":1}"#, reply: #"{"title":"Ash"}"#, fields: one),
                Step(
                    target: "/rpc/@one_book?id=eq.9", body: #"{"id":1}"#, reply: "null",
                    fields: ["content-range": "*/*"]),
                Step(
                    target: "/rpc/@ring_quietly", caller: .service, body: #"{"word":"a"}"#, status: 204, reply: "",
                    fields: ["content-type": nil]),
                Step(
                    method: "HEAD", target: "/rpc/@words", prefer: "count=exact", reply: "",
                    fields: ["content-range": "0-2/3", "preference-applied": "count=exact"]),
                Step(method: "OPTIONS", target: "/rpc/@words", fields: ["allow": "OPTIONS,GET,HEAD,POST"]),
                Step(method: "OPTIONS", target: "/rpc/@nothing", fields: ["allow": "OPTIONS,POST"]),
                Step(
                    method: "GET", target: "/rpc/@one_book?id=2",
                    accept: "application/vnd.pgrst.object+json;nulls=stripped",
                    reply: #"{"id":2,"author_id":1,"title":"Birch"}"#),
                Step(target: "/rpc/@add", body: #"{"a":1}"#, accept: "application/vnd.pgrst.object+json", reply: "11"),
                Step(target: "/rpc/@words", accept: "application/vnd.pgrst.object+json", status: 406, code: "PGRST116"),
                Step(target: "/rpc/@words", accept: "text/csv", status: 406, code: "PGRST107"),
            ])
    }

    @Test(
        "Rows of a function are filtered, ordered, paged, counted and embedded as a table's",
        arguments: TestDatabaseEngines.all)
    func rows(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine, rowsMax: 3,
            [
                Step(
                    method: "GET", target: "/rpc/@books?select=id,author:@author(name)&id=gt.1&order=id.desc",
                    reply: #"[{"id":3,"author":{"name":"Bob"}},{"id":2,"author":{"name":"Ann"}}]"#),
                Step(
                    target: "/rpc/@books?select=id&@author.name=eq.Bob&select=id&order=id", body: "{}", status: 400,
                    code: "PGRST108"),
                Step(
                    target: "/rpc/@books?select=id,@author!inner()&@author.name=eq.Bob&order=id", caller: Self.alice,
                    prefer: "count=exact", reply: #"[{"id":3},{"id":4}]"#, fields: ["content-range": "0-1/2"]),
                Step(
                    method: "GET", target: "/rpc/@books?select=id&order=price.desc.nullslast,id&limit=1&offset=1",
                    prefer: "count=exact", status: 206, reply: #"[{"id":1}]"#, fields: ["content-range": "1-1/3"]),
                Step(
                    method: "GET", target: "/rpc/@books?select=id&order=id", range: "1-1", reply: #"[{"id":2}]"#,
                    fields: ["content-range": "1-1/*"]),
                Step(
                    target: "/rpc/@books?select=id&order=id", range: "1-1",
                    reply: #"[{"id":1},{"id":2},{"id":3}]"#, fields: ["content-range": "0-2/*"]),
                Step(
                    target: "/rpc/@books?select=id&order=id", caller: Self.alice, prefer: "count=exact", status: 206,
                    reply: #"[{"id":1},{"id":2},{"id":3}]"#, fields: ["content-range": "0-2/4"]),
                Step(
                    target: "/rpc/@books?offset=9", prefer: "count=exact", status: 416, code: "PGRST103",
                    details: "An offset of 9 was requested, but there are only 3 rows.",
                    fields: ["content-range": "*/3"]),
                Step(
                    target: "/rpc/@books?id=gt.7", prefer: "count=exact", reply: "[]", fields: ["content-range": "*/0"]),
                Step(target: "/rpc/@words?limit=1&offset=2", reply: #"["c d"]"#, fields: ["content-range": "2-2/*"]),
                Step(target: "/rpc/@author_table?full_name=like.B*&select=n:full_name", reply: #"[{"n":"Bob"}]"#),
                Step(
                    target: "/rpc/@author_table?or=(id.eq.1,born.is.null)&select=id&order=id.desc",
                    reply: #"[{"id":2},{"id":1}]"#),
                Step(target: "/rpc/@author_table?select=id,@book(id)", status: 400, code: "PGRST200"),
                Step(target: "/rpc/@author_table?nope=eq.1", status: 400, code: "42703"),
                Step(target: "/rpc/@add?select=x", body: #"{"a":1}"#, status: 400, code: "42703"),
                Step(target: "/rpc/@books?limit=-1", status: 416, code: "PGRST103", isRefusedEarly: true),
                Step(
                    target: "/rpc/@books", prefer: "handling=strict, max-affected=2", status: 400, code: "PGRST124",
                    details: "The query affects 3 rows"),
                Step(
                    target: "/rpc/@books", prefer: "handling=strict, max-affected=3",
                    fields: ["preference-applied": "handling=strict, max-affected=3"]),
                Step(
                    target: "/rpc/@add", body: #"{"a":1}"#, prefer: "handling=strict, max-affected=3", status: 400,
                    code: "PGRST128"),
                Step(
                    target: "/rpc/@add", body: #"{"a":1}"#, prefer: "handling=strict, tx=rollback", status: 400,
                    code: "PGRST122"),
            ])
    }

    @Test("A call runs as its caller, and may execute what that role may", arguments: TestDatabaseEngines.all)
    func privileges(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            [
                Step(
                    target: "/rpc/@me", caller: Self.alice,
                    reply: "{\"uid\" : \"\(TestEngine.alice)\", \"role\" : \"authenticated\", \"method\" : \"POST\", "
                        + "\"request\" : \"\"}"),
                Step(
                    method: "GET", target: "/rpc/@me",
                    reply: "{\"uid\" : null, \"role\" : \"anon\", \"method\" : \"GET\", \"request\" : \"\"}"),
                Step(
                    target: "/rpc/@secret", status: 401, code: "42501",
                    message: "permission denied for function @secret", fields: ["www-authenticate": "Bearer"]),
                Step(target: "/rpc/@secret", caller: Self.alice, status: 403, code: "42501"),
                Step(target: "/rpc/@secret", caller: .service, reply: "42"),
                Step(
                    target: "/rpc/@ring_bell", body: #"{"word":"x"}"#, status: 401, code: "42501",
                    message: "permission denied for table @ring"),
                Step(target: "/rpc/@secret", caller: .role("nobody"), status: 401, code: "22023"),
                Step(target: "/rpc/@secret", caller: .role("postgres"), status: 403, code: "42501"),
            ])
    }

    @Test(
        "GET, HEAD and functions that say so change nothing; the others do it once", arguments: TestDatabaseEngines.all)
    func changes(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            [
                Step(
                    method: "GET", target: "/rpc/@ring_bell?word=x", caller: .service, status: 405, code: "25006",
                    message: "cannot execute INSERT in a read-only transaction"),
                Step(method: "HEAD", target: "/rpc/@ring_bell?word=x", caller: .service, status: 405),
                Step(target: "/rpc/@ring_stable", caller: .service, body: #"{"word":"x"}"#, status: 405, code: "25006"),
                Step(method: "GET", target: "/rpc/@secret", caller: .service, reply: "42"),
                Step(target: "/rpc/@ring_bell", caller: .service, body: #"{"word":"a"}"#, reply: "1"),
                // What is shown does not decide what is done.
                Step(target: "/rpc/@ring_twice?limit=0", caller: .service, body: #"{"word":"b"}"#, reply: "[]"),
                Step(target: "/rpc/@ring_twice?word=in.()", caller: .service, body: #"{"word":"c"}"#, reply: "[]"),
                Step(
                    target: "/rpc/@ring_twice?select=word&order=id.desc", caller: .service, body: #"{"word":"d"}"#,
                    prefer: "count=exact", reply: #"[{"word":"d!"},{"word":"d"}]"#, fields: ["content-range": "0-1/2"]),
                // A refusal of the answer undoes the call.
                Step(
                    target: "/rpc/@ring_twice", caller: .service, body: #"{"word":"no"}"#,
                    accept: "application/vnd.pgrst.object+json", status: 406, code: "PGRST116"),
                Step(
                    target: "/rpc/@ring_twice", caller: .service, body: #"{"word":"no"}"#,
                    prefer: "handling=strict,max-affected=1", status: 400, code: "PGRST124"),
            ])
        guard engine == .postgres else { return }
        try await Self.with(engine) { test, project in
            for word in ["a", "b"] {
                _ = await test.send(
                    "POST", project.named("/rpc/@ring_twice?limit=0"), as: .service, #"{"word":"\#(word)"}"#)
            }
            let rows = await test.send("GET", project.named("/@ring?select=word&order=id"), as: .service)
            #expect(rows.text == #"[{"word":"a"},{"word":"a!"},{"word":"b"},{"word":"b!"}]"#)
        }
    }

    @Test("A repeated call with the same key is answered from its record", arguments: TestDatabaseEngines.all)
    func idempotency(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { test, project in
            func call(_ name: String, _ body: String, key: String) async -> FinishedReply {
                await test.send("POST", project.named("/rpc/@\(name)"), as: .service, body, key: key)
            }
            let first = await call("ring_bell", #"{"word":"a"}"#, key: "one")
            guard engine == .postgres else { return #expect(first.status == 404) }
            #expect(first.text == "1")
            #expect(await call("ring_bell", #"{"word":"a"}"#, key: "one") == first)
            #expect(await call("ring_bell", #"{"word":"b"}"#, key: "one").status == 422)
            #expect(await call("ring_bell", #"{"word":"b"}"#, key: "two").text == "2")
            // One that changes nothing has a record, too, and still may not change anything.
            #expect(await call("add", #"{"a":1}"#, key: "three").text == "11")
            #expect(await call("add", #"{"a":1}"#, key: "three").text == "11")
            #expect(await call("ring_stable", #"{"word":"c"}"#, key: "four").status == 405)
            let rows = await test.send("GET", project.named("/@ring?select=word&order=id"), as: .service)
            #expect(rows.text == #"[{"word":"a"},{"word":"b"}]"#)
        }
    }

    @Test("What a function changes is in the log, with the request's trace", arguments: TestDatabaseEngines.all)
    func log(_ engine: DatabaseEngine) async throws {
        let project = TestProject()
        let migration = project.named(
            CallProject.migration(engine) + "alter publication supabase_realtime add table @ring;")
        try await TestEngine.with(engine, migrations: [migration]) { test in
            let start = try await test.logged().count
            let trace = TraceContext(
                requestID: "request-9", traceparent: "00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01")
            let reply = await test.send(
                "POST", project.named("/rpc/@ring_bell"), as: .service, #"{"word":"a"}"#, trace: trace)
            let entries = try await test.logged().dropFirst(start)
            guard engine == .postgres else {
                #expect(reply.status == 404 && entries.isEmpty)
                return
            }
            #expect(entries.count == 1 && reply.text == "1")
            let headers = try #require(entries.first?.headers)
            #expect(headers.contains("request-9") && headers.contains("0af7651916cd43dd8448eb211c80319c"))
        }
    }

    @Test("What a function raises is the answer", arguments: TestDatabaseEngines.all)
    func refusals(_ engine: DatabaseEngine) async throws {
        func raised(_ message: String, _ detail: String?) -> String {
            var body: JSONObject = ["state": "PGRST", "said": .string(message)]
            if let detail { body["explained"] = .string(detail) }
            return body.text
        }
        let said = #"{"code":"Q1","message":"short","details":"long","hint":"try"}"#
        try await Self.check(
            engine,
            [
                Step(
                    target: "/rpc/@fail", body: #"{"state":"P0001","said":"no","explained":"d","hinted":"h"}"#,
                    status: 400, reply: #"{"code":"P0001","details":"d","hint":"h","message":"no"}"#),
                Step(target: "/rpc/@fail", body: #"{"state":"PT402","said":"pay"}"#, status: 402, code: "PT402"),
                Step(target: "/rpc/@fail", body: #"{"state":"PT101","said":"odd"}"#, status: 500, code: "PT101"),
                Step(target: "/rpc/@fail", body: #"{"state":"PT204","said":"gone"}"#, status: 204, reply: ""),
                Step(target: "/rpc/@fail", body: #"{"state":"42501","said":"no"}"#, status: 401, code: "42501"),
                Step(target: "/rpc/@fail", caller: Self.alice, body: #"{"state":"42501","said":"no"}"#, status: 403),
                Step(target: "/rpc/@fail", body: #"{"state":"23505","said":"twice"}"#, status: 409, code: "23505"),
                Step(target: "/rpc/@fail", body: #"{"state":"42883","said":"what"}"#, status: 404, code: "42883"),
                Step(
                    target: "/rpc/@fail", body: raised(said, #"{"status":418,"headers":{"X-Tea":"green"}}"#),
                    status: 418, reply: #"{"code":"Q1","details":"long","hint":"try","message":"short"}"#,
                    fields: ["x-tea": "green"]),
                Step(
                    target: "/rpc/@fail", body: raised(said, nil), status: 500, code: "PGRST121",
                    message: "Could not parse JSON in the \"RAISE SQLSTATE 'PGRST'\" error"),
                Step(
                    target: "/rpc/@fail", body: raised("text", #"{"status":418,"headers":{}}"#), status: 500,
                    code: "PGRST121", details: "Invalid JSON value for MESSAGE: 'text'"),
                Step(
                    target: "/rpc/@fail", body: raised(said, #"{"status":418,"headers":{"a":"b\nc: d"}}"#), status: 500,
                    code: "PGRST121"),
                Step(
                    target: "/rpc/@fail", body: raised(said, #"{"status":99,"headers":{}}"#), status: 500,
                    code: "PGRST121"),
            ])
    }

    @Test("A function sets status and header fields of its answer", arguments: TestDatabaseEngines.all)
    func response(_ engine: DatabaseEngine) async throws {
        func answer(_ status: String?, _ headers: String?) -> String {
            JSONValue.object([
                "status": status.map { .string($0) } ?? .null, "headers": headers.map { .string($0) } ?? .null,
            ]).text
        }
        let wrong = "response.headers guc must be a JSON array composed of objects with a single key and a string value"
        try await Self.check(
            engine,
            [
                Step(
                    target: "/rpc/@answer", body: answer("201", #"[{"X-One":"1"},{"Content-Type":"text/x"}]"#),
                    status: 201, reply: #"{"said": true}"#, fields: ["x-one": "1", "content-type": "text/x"]),
                Step(
                    target: "/rpc/@answer", body: answer("204", nil), status: 204, reply: "",
                    fields: ["content-type": nil]),
                Step(
                    target: "/rpc/@answer", body: answer("99", nil), status: 500, code: "PGRST112",
                    message: "response.status guc must be a valid status code"),
                Step(target: "/rpc/@answer", body: answer("100", nil), status: 500, code: "PGRST112"),
                Step(target: "/rpc/@answer", body: answer(nil, "{}"), status: 500, code: "PGRST111", message: wrong),
                Step(target: "/rpc/@answer", body: answer(nil, #"[{"a":1}]"#), status: 500, code: "PGRST111"),
                Step(target: "/rpc/@answer", body: answer(nil, #"[{"a":"1","b":"2"}]"#), status: 500, code: "PGRST111"),
                Step(target: "/rpc/@answer", body: answer(nil, #"[{"a":"1\r\nb: 2"}]"#), status: 500, code: "PGRST111"),
                Step(
                    target: "/rpc/@answer", body: answer(nil, #"[{"Content-Length":"1"}]"#), status: 500,
                    code: "PGRST111"),
                Step(
                    target: "/rpc/@answer", body: answer(nil, #"[{"X-Request-Id":"1"}]"#), status: 500,
                    code: "PGRST111"),
                // What is left in a session is no later answer's. Two connections: each is used by one of three.
                Step(target: "/rpc/@leave", status: 299), Step(target: "/rpc/@leave", status: 299),
                Step(target: "/rpc/@nothing", status: 200), Step(target: "/rpc/@nothing", status: 200),
                Step(target: "/rpc/@nothing", status: 200),
            ])
    }

    @Test("So does a trigger of a write", arguments: TestDatabaseEngines.all)
    func triggers(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { test, project in
            func write(_ word: String) async -> FinishedReply {
                await test.send("POST", project.named("/@author_note"), as: .service, #"{"word":"\#(word)"}"#)
            }
            let (now, later) = (await write("now"), await write("later"))
            #expect(now.status == 201 && now["x-made"] == (engine == .postgres ? "now" : nil))
            #expect(later.status == (engine == .postgres ? 202 : 201))
            #expect(await write("later").status == 409)
            guard engine == .postgres else { return }
            // A field that would begin another one undoes the write.
            let broken = await write(#"a\nb"#)
            #expect(broken.status == 500 && broken.text.contains("PGRST111"))
            let rows = await test.send("GET", project.named("/@author_note?order=word"), as: .service)
            #expect(rows.text == #"[{"word":"later"},{"word":"now"}]"#)
        }
    }

    @Test("Settings of a function hold for its transaction", arguments: TestDatabaseEngines.all)
    func settings(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            [
                Step(target: "/rpc/@patience", reply: #""7s""#),
                Step(target: "/rpc/@slow", status: 500, code: "57014"),
                Step(target: "/rpc/@strictly", reply: #""serializable""#),
            ])
    }

    @Test("A function can be called as soon as its migration is applied", arguments: TestDatabaseEngines.all)
    func migrations(_ engine: DatabaseEngine) async throws {
        let first = "create table a (id integer primary key);"
        try await TestEngine.with(engine, migrations: [first]) { test in
            #expect(await test.send("GET", "/rpc/late").status == 404)
            let files = [
                MigrationFile(version: "20260101000000", fileName: "20260101000000_test.sql", sql: first),
                MigrationFile(
                    version: "20270101000000", fileName: "20270101000000_late.sql",
                    sql: "create function late() returns integer language sql stable as 'select 7';"),
            ]
            do {
                _ = try await test.rows.migrate(files, requiresRowSecurity: false)
                #expect(engine == .postgres)
                #expect(await test.send("GET", "/rpc/late").text == "7")
            } catch let failure as MigrationFailure {
                #expect(engine == .sqlite && failure.file == files[1].fileName)
            }
        }
    }
}
