// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import MartletSQL
import MartletWire
import Testing

@testable import MartletData

/// Statements that serve other reads of the same shape: what is kept must never show in an answer.
@Suite("Reads like earlier ones")
struct ReadReuseTests {
    private typealias Step = RestConformanceTests.Step

    private static let invalid =
        #"{"code":"22P02","details":null,"hint":null,"message":"invalid input syntax for type "#

    /// Each group has one shape, or nearly; every answer says which values were asked with.
    private static let steps: [Step] = [
        ids("id=eq.1", "1"), ids("id=eq.2", "2"), ids("id=eq.1", "", as: RestConformanceTests.bob),
        ids("id=eq.3", "3", as: RestConformanceTests.bob), ids("id=eq.3", ""), ids("id=eq.3", "3", as: .service),
        ids("id=eq.1", "", as: .anonymous),
        Step(target: "/@item?select=id&order=id&id=eq.x", status: 400, reply: Self.invalid + #"bigint: \"x\""}"#),
        ids("title=eq.bolt", "1"), ids("title=eq.Nut", "2"), ids("title=neq.Nut", "1"), ids("title=not.eq.Nut", "1"),
        ids("title=like.b*", "1"), ids("title=like.N*", "2"), ids("title=ilike.n*", "2"), ids("title=match.^b", "1"),
        ids("title=match.t$", "1,2"), ids("title=eq(any).{bolt}", "1"), ids("title=eq(any).{bolt,Nut}", "1,2"),
        ids("title=like(any).{b*,x*}", "1"), ids("title=like(all).{*u*,N*}", "2"),
        // Whether the number fits the column's scale decides the statement.
        ids("price=eq.1.5", "1"), ids("price=eq.1.501", ""), ids("price=eq.1.50", "1"), ids("price=gt.1.5", "2"),
        ids("price=gt.1.4999", "1,2"), ids("price=lt.99999999999999999999999", "1,2"), ids("price=lt.2", "1"),
        ids("id=in.(1)", "1"), ids("id=in.(2)", "2"), ids("id=in.(1,2)", "1,2"), ids("id=in.(2,9)", "2"),
        ids("id=in.()", ""), ids("id=not.in.(1)", "2"), ids("id=in.(\(list(1...70)))", "1,2"),
        ids("id=in.(\(list(2...71)))", "2"),
        // A label's place in its type stands in the statement.
        ids("state=gt.open", ""), ids("state=lt.held", "1,2"), ids("state=lt.open", ""), ids("state=eq.open", "1,2"),
        ids("state=eq.held", ""),
        ids("due=is.null", "2"), ids("due=is.not_null", "1"), ids("due=not.is.null", "1"), ids("done=is.false", "1,2"),
        ids("done=is.true", ""), ids("done=eq.true", ""), ids("done=eq.false", "1,2"),
        ids("meta-%3E%3Eb=eq.2", "1"), ids("meta-%3E%3Eb=eq.3", ""), ids("meta-%3E%3Ea=eq.2", ""),
        ids("meta-%3Eb=eq.2", "1"), ids("meta-%3Ea-%3E0=eq.1", "1"), ids("meta-%3Ea-%3E1=eq.1", ""),
        ids("tags=eq.{}", "1,2"), ids("tags=eq.{x}", ""), ids("due=eq.2026-01-31", "1"), ids("due=eq.2026-02-01", ""),
        ids("or=(id.eq.1,title.eq.Nut)", "1,2"), ids("or=(id.eq.9,title.eq.Nut)", "2"),
        ids("or=(id.eq.1,title.eq.x)", "1"), ids("and=(id.gt.0,title.eq.Nut)", "2"), ids("team_id=isdistinct.1", "2"),
        ids("team_id=isdistinct.2", "1,2"), ids("team_id=eq.1", "1"),
        ids("limit=1", "1"), ids("limit=2", "1,2"), ids("limit=1&offset=1", "2"), ids("limit=2&offset=1", "2"),
        ids("offset=1", "2"), ids("offset=2", ""),
        Step(
            target: "/@item?select=id&order=id&id=gt.1&limit=1", prefer: "count=exact", status: 200,
            reply: #"[{"id":2}]"#, fields: ["content-range": "0-0/1"]),
        Step(
            target: "/@item?select=id&order=id&id=gt.0&limit=1", prefer: "count=exact", status: 206,
            reply: #"[{"id":1}]"#, fields: ["content-range": "0-0/2"]),
        Step(target: "/@item?select=x:id&id=eq.1", status: 200, reply: #"[{"x":1}]"#),
        Step(target: "/@item?select=y:id&id=eq.1", status: 200, reply: #"[{"y":1}]"#),
        Step(target: "/@item?select=id::text&id=eq.1", status: 200, reply: #"[{"id":"1"}]"#),
        Step(target: "/@item?select=price::text&id=eq.1", status: 200, reply: #"[{"price":"1.50"}]"#),
        parts("@part.label=eq.head&id=eq.1", #"[{"id":1,"@part":[{"number":1}]}]"#),
        parts("@part.label=eq.none&id=eq.1", #"[{"id":1,"@part":[]}]"#),
        parts("id=eq.1&@part.label=eq.head", #"[{"id":1,"@part":[{"number":1}]}]"#),
        parts("@part.label=eq.head&id=eq.2", #"[{"id":2,"@part":[]}]"#),
        parts("@part.label=is.null&id=eq.1", #"[{"id":1,"@part":[{"number":2}]}]"#),
        parts("@part.limit=1&@part.order=number&id=eq.1", #"[{"id":1,"@part":[{"number":1}]}]"#),
        parts("@part.limit=1&@part.order=number.desc&id=eq.1", #"[{"id":1,"@part":[{"number":2}]}]"#),
        parts("@part.limit=2&@part.order=number&id=eq.1", #"[{"id":1,"@part":[{"number":1},{"number":2}]}]"#),
        inner("@part.label=eq.head&id=gt.0", #"[{"id":1,"@part":[{"number":1}]}]"#),
        inner("@part.label=eq.tail&id=gt.0", "[]"), inner("@part.label=eq.head&id=gt.1", "[]"),
        Step(
            target: "/@item?select=id,@team()&@team.name=eq.red&@team=not.is.null", status: 200,
            reply: #"[{"id":1}]"#),
        Step(
            target: "/@item?select=id,@team()&@team.name=eq.blue&@team=not.is.null", status: 200, reply: "[]"),
        Step(
            target: "/@item?select=id,@team()&order=id&@team.id=eq.1", status: 200, reply: #"[{"id":1},{"id":2}]"#),
    ]

    /// More than a statement is kept for.
    private static func list(_ numbers: ClosedRange<Int>) -> String {
        numbers.map { String($0) }.joined(separator: ",")
    }

    private static func ids(_ query: String, _ ids: String, as caller: Caller = RestConformanceTests.alice) -> Step {
        let rows = ids.split(separator: ",").map { #"{"id":\#($0)}"# }.joined(separator: ",")
        return Step(target: "/@item?select=id&order=id&\(query)", caller: caller, status: 200, reply: "[\(rows)]")
    }

    private static func parts(_ query: String, _ reply: String) -> Step {
        Step(target: "/@item?select=id,@part(number)&\(query)", status: 200, reply: reply)
    }

    private static func inner(_ query: String, _ reply: String) -> Step {
        Step(target: "/@item?select=id,@part!inner(number)&\(query)", status: 200, reply: reply)
    }

    @Test("Each read is answered by its own values, whatever was asked before", arguments: TestDatabaseEngines.all)
    func values(_ engine: DatabaseEngine) async throws {
        try await RestConformanceTests.check(
            engine, RestConformanceTests.rows + Self.steps + Self.steps.reversed() + Self.steps)
    }

    @Test("A statement that is used again is the one that would be made, with the same parameters")
    func sameStatements() async throws {
        let project = TestProject()
        try await TestEngine.with(.sqlite, migrations: [project.migration]) { test in
            let engine = try #require(test.rows as? SQLiteEngine)
            let schema = engine.snapshot
            var reused = 0
            // Only SQLite refuses a value that nothing is compared with in the end.
            let hidden = Step(target: "/@item?select=id,@team()&@team.id=eq.x", status: 400)
            for step in Self.steps + [hidden] + Self.steps + [hidden] {
                let parts = project.named(step.target).split(separator: "?", maxSplits: 1).map(String.init)
                let head = HTTPRequestHead(method: "GET", path: parts[0], query: parts[1])
                let session = RestRequest(head: head, principal: step.caller.principal).session()
                let access = RowAccess(schema: schema, session: session)
                let planner = Planner(schema: schema.cache, rowsMax: nil)
                let query = try QueryParser.parse(parts[1])
                let relation = try planner.relation(QualifiedName("public", String(parts[0].dropFirst())))
                let plan = try planner.readPlan(
                    relation, query, page: try PageRange(query.window(at: []), header: nil),
                    count: step.prefer == nil ? .none : .exact)
                guard step.status < 400 else {
                    #expect(throws: DatabaseError.self) { _ = try schema.read(plan, access) }
                    continue
                }
                let made = try CompiledRead(plan, access)
                let taken = try schema.read(plan, access)
                #expect(taken.statements == made.statements, "\(step.target)")
                reused += taken.isReusable ? 1 : 0
            }
            #expect(reused > Self.steps.count)
        }
    }

    @Test("What is kept holds nobody's values")
    func blank() async throws {
        let project = TestProject()
        try await TestEngine.with(.sqlite, migrations: [project.migration]) { test in
            let engine = try #require(test.rows as? SQLiteEngine)
            let schema = engine.snapshot
            let planner = Planner(schema: schema.cache, rowsMax: 7)
            let query = try QueryParser.parse("title=eq.secret&offset=3")
            let relation = try planner.relation(QualifiedName("public", project.named("@item")))
            let plan = try planner.readPlan(
                relation, query, page: try PageRange(query.window(at: []), header: nil), count: .exact)
            let access = RowAccess(
                schema: schema, session: RequestSession(role: "authenticated", subject: TestEngine.alice))
            let read = try CompiledRead(plan.numbered, access)
            #expect(read.statements.contains { $0.parameters.contains(.text("secret")) })
            for statement in read.withoutValues.statements {
                #expect(statement.parameters.allSatisfy { $0.isNull }, "\(statement)")
            }
            let shape = ReadShape(plan, role: "authenticated")
            #expect(shape.isSmall)
            let long = try planner.readPlan(
                relation, try QueryParser.parse("id=in.(\(Self.list(1...70)))"), page: try PageRange(nil, header: nil),
                count: .none)
            #expect(!ReadShape(long, role: "authenticated").isSmall)
            #expect(shape.texts == ["secret"] && shape.withoutTexts.texts.isEmpty && shape == shape.withoutTexts)
            #expect(shape != ReadShape(plan, role: "anon"))
        }
    }

    @Test("A change of the schema ends what was made before it", arguments: TestDatabaseEngines.all)
    func migration(_ engine: DatabaseEngine) async throws {
        let first = MigrationFile(
            version: "20260101000000", fileName: "20260101000000_a.sql",
            sql: """
                create table note (id integer primary key, body text);
                alter table note enable row level security;
                create policy "all" on note for select using (true);
                insert into note values (1, 'one');
                """)
        let second = MigrationFile(
            version: "20260101000001", fileName: "20260101000001_b.sql",
            sql: """
                drop policy "all" on note;
                create policy "few" on note for select using (id > 1);
                alter table note add column more text default 'm';
                insert into note values (2, 'two', 'n');
                """)
        let third = MigrationFile(
            version: "20260101000002", fileName: "20260101000002_c.sql",
            sql: "revoke select on note from authenticated;")
        try await TestEngine.open(engine) { rows in
            let test = TestEngine(rows: rows, handler: RestHandler(engine: rows, rowsMax: nil))
            _ = try await rows.migrate([first], requiresRowSecurity: false)
            for _ in 0..<2 {
                #expect(
                    await test.send("GET", "/note?id=gt.0", as: RestConformanceTests.alice).text
                        == #"[{"id":1,"body":"one"}]"#)
            }
            _ = try await rows.migrate([first, second], requiresRowSecurity: false)
            for _ in 0..<2 {
                #expect(
                    await test.send("GET", "/note?id=gt.0", as: RestConformanceTests.alice).text
                        == #"[{"id":2,"body":"two","more":"n"}]"#)
            }
            _ = try await rows.migrate([first, second, third], requiresRowSecurity: false)
            for _ in 0..<2 {
                #expect(await test.send("GET", "/note?id=gt.0", as: RestConformanceTests.alice).status == 403)
            }
        }
    }

    @Test("What is kept is bounded, and what is used stays")
    func bounded() {
        var cache = GenerationCache<Int, Int>(countMax: 10)
        for number in 0..<1_000 {
            cache.keep(number, for: number)
            #expect(cache.value(for: number) == number)
            // Used with every step, so it outlives each generation.
            if number > 0 { #expect(cache.value(for: 0) == 0) }
            #expect(cache.count <= 20)
        }
        #expect(cache.value(for: 1) == nil)
    }

    @Test("Claims are those of their own token, also when it comes again")
    func claims() {
        for _ in 0..<2 {
            let full = TokenClaims.read(#"{"role":"a","email":"x@y"}"#, role: "a")
            #expect(full?.email == "x@y" && full?.text == #"{"role":"a","email":"x@y"}"#)
            #expect(TokenClaims.read(#"{"email":"x@z"}"#, role: "a")?.text == #"{"email":"x@z","role":"a"}"#)
            #expect(TokenClaims.read(#"{"email":"x@z"}"#, role: "b")?.text == #"{"email":"x@z","role":"b"}"#)
            #expect(TokenClaims.read("[]", role: "a") == nil)
            #expect(TokenClaims.read("", role: "a") == nil)
        }
    }
}
