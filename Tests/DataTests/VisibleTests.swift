// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL
import MartletWire
import Testing

@testable import MartletData

/// Who may see a logged change (`data.visible`).
@Suite("Visibility of changes")
struct VisibleTests {
    private static let alice = TestEngine.alice
    private static let bob = TestEngine.bob

    /// Callers of every question, in this order.
    private static let callers: [Caller] = [.user(alice), .user(bob), .anonymous, .service, .role("nobody")]

    private static let migration = """
        create table own (id bigint primary key, owner uuid, text text);
        create table guarded (id bigint primary key, owner uuid, hidden boolean not null default false);
        create table team (id bigint primary key, lead uuid);
        create table item (id bigint primary key, team_id bigint);
        create table members (id bigint primary key, text text);
        create table partly (id bigint primary key, shown text, secret text);
        create table locked (id bigint primary key);
        create table keyless (id bigint primary key, text text);
        create table open (id bigint primary key, text text);
        create table odd (id bigint primary key, n integer);
        alter table own enable row level security;
        alter table guarded enable row level security;
        alter table team enable row level security;
        alter table item enable row level security;
        alter table members enable row level security;
        alter table odd enable row level security;
        create policy a on own for select using (auth.uid() = owner);
        create policy a on guarded for select using (owner is not null);
        create policy b on guarded as restrictive for select to authenticated
            using (not hidden and owner = (select auth.uid()));
        create policy a on team for select using (lead = auth.uid());
        create policy a on item for select using (exists (select 1 from team t where t.id = item.team_id));
        create policy a on members for select to authenticated using (true);
        create policy a on odd for select using (10 / n > 1);
        create table secret (id bigint primary key, owner uuid);
        alter table secret enable row level security;
        create policy a on secret for select using (owner = auth.uid() and id > 0);
        revoke all on partly, locked, keyless, secret from anon, authenticated;
        grant select (id, shown) on partly to authenticated;
        grant select (text) on keyless to authenticated;
        """

    /// Of what is not published nobody sees anything.
    private static let published = """
        alter publication supabase_realtime
            add table own, guarded, team, item, members, partly, locked, keyless, open, odd, secret;
        """

    /// An epoch that no log gives itself.
    private static let epoch: Int64 = 7

    /// Logs what stands in the table as the service role reads it.
    private static func log(
        _ table: String, _ id: Int, as type: String = "row.insert", at sequence: Int64, _ engine: TestEngine
    ) async throws {
        let reply = await engine.send("GET", "/\(table)?id=eq.\(id)", as: .service)
        let rows = try JSONValue(parsing: reply.text).arrayValue ?? []
        let record = try #require(rows.first, "\(table) \(id): \(reply.text)")
        try await log(table, record.text, as: type, at: sequence, engine)
    }

    private static func log(
        _ table: String, _ record: String, as type: String, at sequence: Int64, headers: String = "",
        _ engine: TestEngine
    ) async throws {
        let member = type == "row.delete" ? "old_record" : "record"
        let body = "{\"columns\":[],\"key\":[\"id\"],\"full\":false,\"\(member)\":\(record)}"
        let head = "{\"schema\":\"public\",\"table\":\"\(table)\",\"op\":\"X\",\"version\":1\(headers)}"
        try await engine.writeLog { session in
            let table = session.engine == .sqlite ? "martlet_log" : "martlet.log"
            try session.execute(
                "insert into \(table) (stream, epoch, seq, id, type, key, at, tx, headers, body) "
                    + "values ('rows', $1, $2, $3, $4, '', 0, $3, $5, $6)",
                [
                    .integer(epoch), .integer(sequence), .text(TestEngine.alice), .text(type), .text(head),
                    .blob(Array(body.utf8)),
                ])
        }
    }

    private static func ask(
        _ sequences: [Int64], _ engine: TestEngine, epoch: Int64 = epoch, callers: [Caller] = callers
    ) async throws -> [ChangeVisibility] {
        let sets = callers.map { caller in
            let principal = caller.principal
            return VisibleMethods.caller(
                role: principal.role.isEmpty ? "anon" : principal.role, claims: principal.claims)
        }
        let answer = try await engine.rows.visible(
            VisibilityQuestion(stream: "rows", epoch: epoch, sequences: sequences, claimSets: sets))
        #expect(answer.changes.map(\.sequence) == sequences)
        return answer.changes
    }

    /// Positions of the callers in a set of bits.
    private static func set(_ bits: ClaimBits) -> [Int] { callers.indices.filter { bits.contains($0) } }

    private static func write(_ method: String, _ target: String, _ body: String, _ engine: TestEngine) async {
        let reply = await engine.send(method, target, as: .service, body)
        #expect(reply.status < 300, "\(method) \(target): \(reply.text)")
    }

    @Test("Policies decide by caller: owners, restrictive ones, roles", arguments: TestDatabaseEngines.all)
    func policies(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration, Self.published]) { engine in
            await Self.write(
                "POST", "/own",
                #"[{"id":1,"owner":"\#(Self.alice)"},{"id":2,"owner":"\#(Self.bob)"},{"id":3,"owner":null}]"#,
                engine)
            await Self.write(
                "POST", "/guarded",
                #"[{"id":1,"owner":"\#(Self.alice)","hidden":false},{"id":2,"owner":"\#(Self.bob)","hidden":true}]"#,
                engine)
            await Self.write("POST", "/members", #"{"id":1,"text":"it's"}"#, engine)
            await Self.write("POST", "/open", #"{"id":1,"text":"x"}"#, engine)
            for id in 1...3 { try await Self.log("own", id, at: Int64(id), engine) }
            try await Self.log("guarded", 1, at: 4, engine)
            try await Self.log("guarded", 2, as: "row.update", at: 5, engine)
            try await Self.log("members", 1, at: 6, engine)
            try await Self.log("open", 1, at: 7, engine)
            let answers = try await Self.ask([1, 2, 3, 4, 5, 6, 7, 99], engine)
            #expect(
                answers.map { Self.set($0.visible) } == [
                    [0, 3], [1, 3], [3], [0, 2, 3], [2, 3], [0, 1, 3], [0, 1, 2, 3], [],
                ])
            #expect(answers.allSatisfy { Self.set($0.denied).isEmpty && $0.masks.isEmpty })
            #expect(answers.map(\.rowSecurity) == [true, true, true, true, true, true, false, false])
            #expect(answers.map(\.isGone) == [false, false, false, false, false, false, false, true])
        }
    }

    @Test("A policy that reads a table with policies sees what the caller sees now", arguments: TestDatabaseEngines.all)
    func subqueries(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration, Self.published]) { engine in
            await Self.write("POST", "/team", #"{"id":1,"lead":"\#(Self.alice)"}"#, engine)
            await Self.write("POST", "/item", #"[{"id":1,"team_id":1},{"id":2,"team_id":2}]"#, engine)
            try await Self.log("item", 1, at: 1, engine)
            try await Self.log("item", 2, at: 2, engine)
            #expect(try await Self.ask([1, 2], engine).map { Self.set($0.visible) } == [[0, 3], [3]])
            // The right that another table's row gave is taken away after the change.
            await Self.write("PATCH", "/team?id=eq.1", #"{"lead":"\#(Self.bob)"}"#, engine)
            #expect(try await Self.ask([1, 2], engine).map { Self.set($0.visible) } == [[1, 3], [3]])
        }
    }

    @Test("The logged row counts, whatever became of it", arguments: TestDatabaseEngines.all)
    func images(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration, Self.published]) { engine in
            await Self.write("POST", "/own", #"{"id":1,"owner":"\#(Self.alice)"}"#, engine)
            await Self.write("POST", "/guarded", #"{"id":1,"owner":"\#(Self.alice)"}"#, engine)
            try await Self.log("own", 1, at: 1, engine)
            try await Self.log("guarded", 1, at: 2, engine)
            await Self.write("PATCH", "/own?id=eq.1", #"{"owner":"\#(Self.bob)"}"#, engine)
            await Self.write("PATCH", "/guarded?id=eq.1", #"{"owner":"\#(Self.bob)"}"#, engine)
            try await Self.log("own", 1, as: "row.update", at: 3, engine)
            try await Self.log("guarded", 1, as: "row.update", at: 4, engine)
            await Self.write("DELETE", "/own?id=eq.1", "", engine)
            await Self.write("DELETE", "/guarded?id=eq.1", "", engine)
            let answers = try await Self.ask([1, 2, 3, 4], engine)
            #expect(answers.map { Self.set($0.visible) } == [[0, 3], [0, 2, 3], [1, 3], [1, 2, 3]])
        }
    }

    @Test("Grants: masks, denied keys, none at all; deletions ask no policy", arguments: TestDatabaseEngines.all)
    func grants(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration, Self.published]) { engine in
            await Self.write("POST", "/partly", #"{"id":1,"shown":"a","secret":"b"}"#, engine)
            await Self.write("POST", "/locked", #"{"id":1}"#, engine)
            await Self.write("POST", "/keyless", #"{"id":1,"text":"a"}"#, engine)
            try await Self.log("partly", 1, at: 1, engine)
            try await Self.log("locked", 1, at: 2, engine)
            try await Self.log("keyless", 1, at: 3, engine)
            try await Self.log("own", #"{"id":1,"owner":null,"text":null}"#, as: "row.delete", at: 4, engine)
            try await Self.log("partly", #"{"id":1,"shown":"a","secret":"b"}"#, as: "row.delete", at: 5, engine)
            try await Self.log("dropped", #"{"id":1}"#, as: "row.insert", at: 6, engine)
            // A row that no policy lets through is not even told of.
            try await Self.log("secret", #"{"id":1,"owner":"\#(Self.bob)"}"#, as: "row.insert", at: 7, engine)
            let answers = try await Self.ask([1, 2, 3, 4, 5, 6, 7], engine)
            #expect(
                answers.map { Self.set($0.visible) } == [[0, 1, 3], [3], [0, 1, 3], [0, 1, 2, 3], [0, 1, 3], [], [3]])
            #expect(answers.map { Self.set($0.denied) } == [[2], [0, 1, 2], [0, 1, 2], [], [2], [], [1]])
            typealias Mask = ChangeVisibility.ColumnMask
            let partly = [0, 1].map { Mask(claimSet: $0, columns: ["id", "shown"]) }
            // Who may not read any column hears that something changed, and is shown none.
            let nothing = (0...2).map { Mask(claimSet: $0, columns: []) }
            #expect(answers[0].masks == partly + nothing[2...] && answers[4].masks == partly + nothing[2...])
            #expect(answers[2].masks == [0, 1].map { Mask(claimSet: $0, columns: ["text"]) } + nothing[2...])
            #expect(answers[1].masks == nothing && answers[3].masks.isEmpty)
        }
    }

    @Test("What cannot be decided is seen by nobody whom policies bind", arguments: TestDatabaseEngines.all)
    func undecided(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration, Self.published]) { engine in
            try await Self.log("odd", #"{"id":1,"n":0}"#, as: "row.insert", at: 1, engine)
            try await Self.log("odd", #"{"id":2,"n":3}"#, as: "row.insert", at: 2, engine)
            try await Self.log("odd", #"{"id":3}"#, as: "row.insert", at: 3, engine)
            try await Self.log("odd", #"{"id":4,"n":"x"}"#, as: "row.insert", at: 4, engine)
            try await Self.log("odd", #"{"id":5,"n":3}"#, as: "row.insert", at: 5, headers: #","cut":true"#, engine)
            // A policy that lets everything through asks nothing about the row.
            try await Self.log("members", #"{"id":6}"#, as: "row.insert", at: 6, engine)
            let answers = try await Self.ask([1, 2, 3, 4, 5, 6], engine)
            #expect(answers.map { Self.set($0.visible) } == [[3], [0, 1, 2, 3], [3], [3], [3], [0, 1, 3]])
        }
    }

    @Test("Who sees a change is who selects the row, for drawn rows and policies", arguments: TestDatabaseEngines.all)
    func property(_ engine: DatabaseEngine) async throws {
        let users: [String?] = [Self.alice, Self.bob, nil]
        try await TestEngine.with(engine, migrations: [Self.migration, Self.published]) { engine in
            await Self.write(
                "POST", "/team", #"[{"id":1,"lead":"\#(Self.alice)"},{"id":2,"lead":"\#(Self.bob)"}]"#, engine)
            var expected: [[Int]] = []
            for id in 1...60 {
                let owner = users.randomElement()?.map { "\"\($0)\"" } ?? "null"
                let table = ["own", "guarded", "item", "members", "partly"].randomElement() ?? "own"
                let row =
                    switch table {
                    case "own": #"{"id":\#(id),"owner":\#(owner),"text":"é\#(id)"}"#
                    case "guarded": #"{"id":\#(id),"owner":\#(owner),"hidden":\#(Bool.random())}"#
                    case "item": #"{"id":\#(id),"team_id":\#(Int.random(in: 1...3))}"#
                    case "members": #"{"id":\#(id),"text":null}"#
                    default: #"{"id":\#(id),"shown":"s","secret":null}"#
                    }
                await Self.write("POST", "/\(table)", row, engine)
                try await Self.log(table, id, at: Int64(id), engine)
                var seen: [Int] = []
                for (position, caller) in Self.callers.enumerated() {
                    let reply = await engine.send("GET", "/\(table)?select=id&id=eq.\(id)", as: caller)
                    if reply.text == "[{\"id\":\(id)}]" { seen.append(position) }
                }
                expected.append(seen)
            }
            let answers = try await Self.ask((1...60).map { Int64($0) }, engine)
            #expect(answers.map { Self.set($0.visible) } == expected)
        }
    }

    @Test("A change that a write logged is asked about by its number", arguments: TestDatabaseEngines.all)
    func written(_ engine: DatabaseEngine) async throws {
        let published = "alter publication supabase_realtime add table own, guarded;"
        try await TestEngine.with(engine, migrations: [Self.migration, published]) { engine in
            await Self.write("POST", "/own", #"{"id":1,"owner":"\#(Self.alice)"}"#, engine)
            await Self.write("POST", "/guarded", #"{"id":1,"owner":"\#(Self.alice)"}"#, engine)
            await Self.write("PATCH", "/own?id=eq.1", #"{"owner":"\#(Self.bob)"}"#, engine)
            await Self.write("DELETE", "/own?id=eq.1", "", engine)
            let rows = try await engine.logged().filter { $0.type.hasPrefix("row.") }
            let epoch = try await engine.rows.log.head("rows").epoch
            let answers = try await Self.ask(rows.map(\.sequence), engine, epoch: epoch)
            #expect(answers.map { Self.set($0.visible) } == [[0, 3], [0, 2, 3], [1, 3], [0, 1, 2, 3]])
            #expect(answers.allSatisfy { Self.set($0.denied).isEmpty && $0.rowSecurity && !$0.isGone })
        }
    }

    @Test("The feed's tables are described with key, types and labels", arguments: TestDatabaseEngines.all)
    func description(_ engine: DatabaseEngine) async throws {
        let sql = """
            create type mood as enum ('low', 'high');
            create table a (x integer, y mood, tags text[], primary key (x));
            create table b (id bigint primary key);
            create table c (id bigint primary key);
            alter table b enable row level security;
            alter publication supabase_realtime add table b, a;
            """
        try await TestEngine.with(engine, migrations: [sql]) { engine in
            let all = try await engine.rows.describeFeed(schema: "*", table: "", deadline: nil)
            typealias Column = FeedDescription.Column
            #expect(
                all.tables == [
                    FeedDescription.Table(
                        name: QualifiedName("public", "a"),
                        columns: [
                            Column(name: "x", type: "int4", labels: []),
                            Column(name: "y", type: "mood", labels: ["low", "high"]),
                            Column(name: "tags", type: "_text", labels: []),
                        ], key: ["x"], rowSecurity: false),
                    FeedDescription.Table(
                        name: QualifiedName("public", "b"),
                        columns: [Column(name: "id", type: "int8", labels: [])], key: ["id"], rowSecurity: true),
                ])
            let one = try await engine.rows.describeFeed(schema: "public", table: "b", deadline: nil)
            #expect(one.tables.map(\.name.name) == ["b"])
            let none = try await engine.rows.describeFeed(schema: "public", table: "c", deadline: nil)
            #expect(none.tables.isEmpty)
            #expect(all.epoch > 0 && all.head >= 0)
        }
    }

    @Test("The commonest policy is recognised in its forms, and no other text is")
    func owners() throws {
        let types = ["owner": "uuid", "name": "text", "notowner": "uuid", "n": "int8"]
        func rule(_ text: String) -> String? { OwnerRule(text) { types[$0] }?.column }
        for text in [
            "auth.uid() = owner", "owner=auth.uid()", "((SELECT auth.uid() AS uid) = owner)",
            "(( SELECT auth.uid()) = owner)", "owner::text = auth.uid()::text",
        ] {
            #expect(rule(text) == "owner", "\(text)")
        }
        #expect(rule("(auth.uid())::text = name") == "name")
        for text in [
            "not owner = auth.uid()", "owner <> auth.uid()", "owner = auth.uid() or true", "name = auth.uid()",
            "owner = auth.jwt()", "other = auth.uid()", "\"owner\" = auth.uid()", "n = auth.uid()",
            "owner >= auth.uid()", "auth.uid() = auth.uid()", "owner = my.uid()", "owner = auth.uid() = true",
        ] {
            #expect(rule(text) == nil, "\(text)")
        }
        let own = try #require(OwnerRule("owner = auth.uid()") { types[$0] })
        let record = try #require(try JSONValue(parsing: #"{"owner":"\#(Self.alice)"}"#).objectValue)
        #expect(own.holds(record, subject: Self.alice.uppercased()))
        #expect(!own.holds(record, subject: Self.bob) && !own.holds(record, subject: nil))
        #expect(!own.holds(JSONObject(), subject: Self.alice))
    }
}

extension TestEngine {
    /// Writes into the log past everything that keeps it.
    func writeLog(_ body: @escaping @Sendable (DatabaseSession) throws -> Void) async throws {
        switch rows {
        case let engine as SQLiteEngine: try await engine.database.write { try body($0) }
        case let engine as PostgresEngine: try await engine.administration.write { try body($0) }
        default: Issue.record("an engine without a log")
        }
    }
}
