// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import Testing

/// The same requests on both engines, each against the same bytes.
@Suite("Data API on both engines")
struct RestConformanceTests {
    /// One request with what it must bring. `@` stands for the run's prefix; a nil body is not looked at.
    struct Step: Sendable {
        var method = "GET"
        var target: String
        var caller: Caller = .user(TestEngine.alice)
        var body = ""
        var prefer: String?
        var accept: String?
        var status: UInt16
        var reply: String?
        var fields: [String: String] = [:]
    }

    static let alice = Caller.user(TestEngine.alice)
    static let bob = Caller.user(TestEngine.bob)

    static func check(_ engine: DatabaseEngine, rowsMax: Int64? = nil, _ steps: [Step]) async throws {
        let project = TestProject()
        try await TestEngine.with(engine, migrations: [project.migration], rowsMax: rowsMax) { test in
            for step in steps {
                let reply = await test.send(
                    step.method, project.named(step.target), as: step.caller, project.named(step.body),
                    prefer: step.prefer, accept: step.accept)
                let place: Comment = "\(step.method) \(step.target): \(reply.text)"
                #expect(reply.status == step.status, place)
                if let expected = step.reply { #expect(reply.text == project.named(expected), place) }
                for (name, value) in step.fields { #expect(reply[name] == project.named(value), place) }
            }
        }
    }

    /// Two items of alice, one of bob, parts of each.
    static let rows: [Step] = [
        Step(
            method: "POST", target: "/@item",
            body: """
                [{"id":1,"title":"bolt","price":1.5,"team_id":1,"due":"2026-01-31","meta":{"b":2,"a":[1,null]}},
                 {"id":2,"title":"Nut","price":12345678.90,"team_id":null,"due":null,"meta":null}]
                """, status: 201, reply: ""),
        Step(
            method: "POST", target: "/@item", caller: bob,
            body: #"{"id":3,"title":"cog","seen":"2026-01-02T12:00:00.5+02:00","tags":["x","y z"]}"#, status: 201),
        Step(
            method: "POST", target: "/@part",
            body: #"[{"item_id":1,"number":1,"label":"head"},{"item_id":1,"number":2,"label":null}]"#, status: 201),
        Step(
            method: "POST", target: "/@part", caller: bob, body: #"{"item_id":3,"number":1,"label":"tooth"}"#,
            status: 201),
    ]

    @Test("Rows come out as they went in", arguments: TestDatabaseEngines.all)
    func values(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            Self.rows + [
                Step(
                    target: "/@item?select=id,title,price,done,due,state,meta,tags&order=id", status: 200,
                    reply: """
                        [{"id":1,"title":"bolt","price":1.50,"done":false,"due":"2026-01-31","state":"open",\
                        "meta":{"a": [1, null], "b": 2},"tags":[]},\
                        {"id":2,"title":"Nut","price":12345678.90,"done":false,"due":null,"state":"open",\
                        "meta":null,"tags":[]}]
                        """, fields: ["content-range": "0-1/*", "content-type": "application/json; charset=utf-8"]),
                Step(
                    target: "/@item?select=id,seen,tags,owner", caller: Self.bob, status: 200,
                    reply: """
                        [{"id":3,"seen":"2026-01-02T10:00:00.5+00:00","tags":["x","y z"],"owner":"\(TestEngine.bob)"}]
                        """),
                Step(
                    target: "/@item?select=n:title,p:price::text&id=eq.1", status: 200,
                    reply: #"[{"n":"bolt","p":"1.50"}]"#),
                Step(
                    target: "/@item?select=meta-%3Eb,x:meta-%3Ea-%3E0,meta-%3E%3Eb,gone:meta-%3E%3Ec&id=eq.1",
                    status: 200, reply: #"[{"b":2,"x":1,"b":"2","gone":null}]"#),
                Step(
                    method: "POST", target: "/@item?select=*",
                    body: """
                        {"id":9,"title":7,"price":"3","done":"yes","due":"2026-02-01","weight":0.1,"code":"abc",
                         "seen":"2026-03-04 05:06:07+00","state":"held","meta":"text","tags":["a\\"b","c,d",""]}
                        """, prefer: "return=representation", status: 201,
                    reply: """
                        [{"id":9,"owner":"\(TestEngine.alice)","team_id":null,"title":"7","state":"held","price":3.00,\
                        "done":true,"due":"2026-02-01","seen":"2026-03-04T05:06:07+00:00","meta":"text",\
                        "tags":["a\\"b","c,d",""],"code":"abc","weight":0.1}]
                        """, fields: ["preference-applied": "return=representation", "content-range": "*/*"]),
            ])
    }

    /// Filters of alice's items, and the ids that they leave.
    private static let filters: [(query: String, ids: String)] = [
        ("id=eq.1", "1"), ("id=neq.1", "2"), ("id=gt.1", "2"), ("id=gte.1", "1,2"), ("id=lt.2", "1"),
        ("id=lte.2", "1,2"), ("id=in.(1,2,7)", "1,2"), ("id=in.()", ""), ("id=not.in.()", "1,2"),
        ("id=not.in.(1)", "2"), ("title=like.b*", "1"), ("title=like.n*", ""), ("title=ilike.n*", "2"),
        ("title=ilike.*O*", "1"), ("title=not.like.b*", "2"), ("title=like.b_lt", "1"), ("due=is.null", "2"),
        ("due=not.is.null", "1"), ("due=is.not_null", "1"), ("done=is.false", "1,2"), ("done=is.true", ""),
        ("done=eq.f", "1,2"), ("done=not.is.true", "1,2"), ("price=eq.1.500", "1"), ("price=gt.1.5", "2"),
        ("due=eq.2026-01-31", "1"), ("due=lt.2026-02-01", "1"), ("meta-%3Eb=eq.2", "1"),
        ("meta-%3E%3Eb=eq.2", "1"), ("state=eq.open", "1,2"), ("state=gt.open", ""), ("state=in.(held,done)", ""),
        ("or=(id.eq.1,title.eq.Nut)", "1,2"), ("and=(id.gt.0,or(id.eq.2,id.eq.9))", "2"),
        ("not.or=(id.eq.1,id.eq.9)", "2"), ("or=(team_id.is.null,id.eq.7)", "2"), ("team_id=neq.5", "1"),
        ("team_id=isdistinct.1", "2"), ("title=eq(any).{bolt,x}", "1"), ("id=gt(all).{0,1}", "2"),
        ("title=like(any).{b*,N*}", "1,2"), ("owner=eq.\(TestEngine.alice)", "1,2"),
        ("owner=eq.\(TestEngine.bob)", ""), ("id=gte.1&title=eq.bolt", "1"), ("title=eq.BOLT", ""),
    ]

    @Test("Filters choose rows by the column's type", arguments: TestDatabaseEngines.all)
    func filters(_ engine: DatabaseEngine) async throws {
        let steps = Self.filters.map { filter in
            let rows = filter.ids.split(separator: ",").map { #"{"id":\#($0)}"# }.joined(separator: ",")
            return Step(target: "/@item?select=id&order=id&\(filter.query)", status: 200, reply: "[\(rows)]")
        }
        try await Self.check(engine, Self.rows + steps)
    }

    @Test("Order, limit, offset and count", arguments: TestDatabaseEngines.all)
    func pages(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            Self.rows + [
                Step(target: "/@item?select=id&order=title", status: 200, reply: #"[{"id":2},{"id":1}]"#),
                Step(target: "/@item?select=id&order=due.desc,id", status: 200, reply: #"[{"id":2},{"id":1}]"#),
                Step(target: "/@item?select=id&order=due.desc.nullslast", status: 200, reply: #"[{"id":1},{"id":2}]"#),
                Step(target: "/@item?select=id&order=price.desc", status: 200, reply: #"[{"id":2},{"id":1}]"#),
                Step(
                    target: "/@item?select=id&order=id&limit=1", prefer: "count=exact", status: 206,
                    reply: #"[{"id":1}]"#,
                    fields: ["content-range": "0-0/2", "preference-applied": "count=exact"]),
                Step(
                    target: "/@item?select=id&order=id&offset=1", prefer: "count=exact", status: 206,
                    reply: #"[{"id":2}]"#, fields: ["content-range": "1-1/2"]),
                Step(target: "/@item?select=id&limit=0", status: 200, reply: "[]", fields: ["content-range": "*/*"]),
                Step(
                    target: "/@item?select=id&offset=2", prefer: "count=exact", status: 206, reply: "[]",
                    fields: ["content-range": "*/2"]),
                Step(
                    target: "/@item?select=id&offset=3", prefer: "count=exact", status: 416,
                    reply: """
                        {"code":"PGRST103","details":"An offset of 3 was requested, but there are only 2 rows.",\
                        "hint":null,"message":"Requested range not satisfiable"}
                        """, fields: ["content-range": "*/2"]),
                Step(
                    method: "HEAD", target: "/@item?id=gt.0", prefer: "count=exact", status: 200, reply: "",
                    fields: ["content-range": "0-1/2"]),
                Step(target: "/@item?select=count", status: 200, reply: #"[{"count":2}]"#),
                Step(target: "/@item?select=id&limit=-1", status: 416),
            ])
    }

    @Test("max_rows bounds reads and embeds", arguments: TestDatabaseEngines.all)
    func rowsMax(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine, rowsMax: 1,
            Self.rows + [
                Step(
                    target: "/@item?select=id,@part(number)&order=id&@part.order=number", status: 200,
                    reply: #"[{"id":1,"@part":[{"number":1}]}]"#)
            ])
    }

    @Test("One object where one is asked for", arguments: TestDatabaseEngines.all)
    func single(_ engine: DatabaseEngine) async throws {
        let type = "application/vnd.pgrst.object+json"
        try await Self.check(
            engine,
            Self.rows + [
                Step(
                    target: "/@item?select=id&id=eq.1", accept: type, status: 200, reply: #"{"id":1}"#,
                    fields: ["content-type": "application/vnd.pgrst.object+json; charset=utf-8"]),
                Step(
                    target: "/@item?select=id", accept: type, status: 406,
                    reply: """
                        {"code":"PGRST116","details":"The result contains 2 rows","hint":null,\
                        "message":"Cannot coerce the result to a single JSON object"}
                        """),
                Step(method: "PATCH", target: "/@item?id=gt.0", body: #"{"done":true}"#, accept: type, status: 406),
                Step(target: "/@item?select=id&done=is.true", status: 200, reply: "[]"),
                Step(
                    target: "/@item?select=id,due&id=eq.2", accept: "application/vnd.pgrst.object+json;nulls=stripped",
                    status: 200, reply: #"{"id":2}"#),
                Step(target: "/@item", accept: "text/html", status: 406),
            ])
    }

    @Test("Embeds follow foreign keys in both directions", arguments: TestDatabaseEngines.all)
    func embeds(_ engine: DatabaseEngine) async throws {
        try await Self.check(
            engine,
            Self.rows + [
                Step(
                    target: "/@item?select=id,@team(name),@part(number,label)&order=id&@part.order=number.desc",
                    status: 200,
                    reply: """
                        [{"id":1,"@team":{"name":"red"},"@part":[{"number":2,"label":null},{"number":1,"label":"head"}]},\
                        {"id":2,"@team":null,"@part":[]}]
                        """),
                Step(target: "/@item?select=id,t:@team!inner(id)", status: 200, reply: #"[{"id":1,"t":{"id":1}}]"#),
                Step(target: "/@item?select=id,@part!inner()&@part.number=eq.2", status: 200, reply: #"[{"id":1}]"#),
                Step(target: "/@item?select=id,@part()&@part=is.null", status: 200, reply: #"[{"id":2}]"#),
                Step(
                    target: "/@item?select=id,p:@part(label)&p.label=eq.head&order=id", status: 200,
                    reply: #"[{"id":1,"p":[{"label":"head"}]},{"id":2,"p":[]}]"#),
                Step(
                    target: "/@item?select=id,@part(count)&order=id", status: 200,
                    reply: #"[{"id":1,"@part":[{"count":2}]},{"id":2,"@part":[{"count":0}]}]"#),
                Step(
                    target: "/@part?select=number,@item(title,@team(name))&order=number", status: 200,
                    reply: """
                        [{"number":1,"@item":{"title":"bolt","@team":{"name":"red"}}},\
                        {"number":2,"@item":{"title":"bolt","@team":{"name":"red"}}}]
                        """),
                Step(
                    target: "/@item?select=id,team_id(name)&order=team_id(name).desc.nullslast", status: 200,
                    reply: #"[{"id":1,"team_id":{"name":"red"}},{"id":2,"team_id":null}]"#),
                Step(
                    target: "/@team?select=name,@item(id)&order=id", status: 200,
                    reply: #"[{"name":"red","@item":[{"id":1}]},{"name":"blue","@item":[]}]"#),
                Step(
                    target: "/@team?select=name,@item(id)&order=id", caller: Self.bob, status: 200,
                    reply: #"[{"name":"red","@item":[]},{"name":"blue","@item":[]}]"#),
                Step(
                    target: "/@item?select=id,@gone(x)", status: 400,
                    reply: """
                        {"code":"PGRST200","details":"Searched for a foreign key relationship between '@item' and \
                        '@gone' in the schema 'public', but no matches were found.","hint":null,"message":"Could not \
                        find a relationship between '@item' and '@gone' in the schema cache"}
                        """),
                Step(target: "/@item?select=id&@part.number=eq.1", status: 400),
            ])
    }
}

/// The engines that the suite runs on.
enum TestDatabaseEngines {
    static let all: [DatabaseEngine] = [.sqlite, .postgres]
}
