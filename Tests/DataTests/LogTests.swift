// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import MartletJSON
import MartletSQL
import Testing

/// The change log through the row engine.
@Suite("Change log")
struct LogTests {
    static let engines = TestEngine.logEngines

    private static let migration = """
        create table note (id bigint primary key, text text check (text <> 'bad'), n numeric);
        create table parent (id integer primary key);
        create table child (
            id integer primary key, parent integer references parent (id) on delete cascade,
            owner uuid references auth.users (id) on delete cascade);
        create table unseen (id integer primary key);
        insert into note values (0, 'from the migration', null);
        alter publication supabase_realtime add table note, child;
        """

    @Test("Inserts, updates and deletes are entries with both images; what changed nothing is none", arguments: engines)
    func changes(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration]) { engine in
            let start = try await engine.logged().count
            #expect(
                await engine.send("POST", "/note", as: .service, #"[{"id":1,"n":1.50},{"id":2,"n":null}]"#).status
                    == 201)
            #expect(await engine.send("PATCH", "/note?id=eq.1", as: .service, #"{"text":"x"}"#).status == 204)
            #expect(await engine.send("PATCH", "/note?id=eq.1", as: .service, #"{"text":"x"}"#).status == 204)
            #expect(await engine.send("POST", "/unseen", as: .service, #"{"id":1}"#).status == 201)
            #expect(await engine.send("DELETE", "/note?id=eq.1", as: .service).status == 204)
            let entries = try await engine.logged().dropFirst(start)
            #expect(entries.map(\.type) == ["row.insert", "row.insert", "row.update", "row.delete"])
            #expect(entries.map(\.key) == ["[1]", "[2]", "[1]", "[1]"])
            let before = #"{"id":1,"text":null,"n":1.50}"#
            let after = #"{"id":1,"text":"x","n":1.50}"#
            let beginning =
                #"{"columns":[{"name":"id","type":"int8"},{"name":"text","type":"text"},"#
                + #"{"name":"n","type":"numeric"}],"key":["id"],"full":false,"#
            #expect(
                entries.map { String(decoding: $0.body, as: UTF8.self) } == [
                    beginning + #""record":"# + before + "}",
                    beginning + #""record":{"id":2,"text":null,"n":null}}"#,
                    beginning + #""record":"# + after + #","old_record":"# + before + "}",
                    beginning + #""old_record":"# + after + "}",
                ])
            let operations = entries.map { (try? JSONValue(parsing: $0.headers))?.objectValue?["op"]?.stringValue }
            #expect(operations == ["INSERT", "INSERT", "UPDATE", "DELETE"])
            // One request, one transaction; sequences without a hole; ids all different.
            let transactions = entries.map(\.transaction)
            #expect(transactions[0] == transactions[1] && Set(transactions).count == 3)
            let all = try await engine.logged()
            #expect(all.map(\.sequence) == Array(1...Int64(all.count)))
            #expect(Set(all.map(\.id)).count == all.count)
        }
    }

    @Test("A table that only triggers name is logged, and shown to nobody", arguments: engines)
    func captured(_ engine: DatabaseEngine) async throws {
        let captured = [QualifiedName("public", "unseen"), QualifiedName("public", "nothing")]
        try await TestEngine.with(engine, migrations: [Self.migration], captured: Set(captured)) { engine in
            let start = try await engine.logged().count
            #expect(await engine.send("POST", "/unseen", as: .service, #"{"id":1}"#).status == 201)
            #expect(await engine.send("POST", "/note", as: .service, #"{"id":1}"#).status == 201)
            let entries = try await engine.logged().dropFirst(start)
            #expect(entries.map(\.type) == ["row.insert", "row.insert"])
            let first = try #require(entries.first)
            #expect(String(decoding: first.body, as: UTF8.self).contains(#""record":{"id":1}"#))
            let feed = try await engine.rows.describeFeed(schema: "", table: "", deadline: nil)
            #expect(feed.tables.map(\.name.name) == ["child", "note"])
            let question = VisibilityQuestion(
                stream: LogStream.rows, epoch: feed.epoch, sequences: entries.map(\.sequence),
                claimSets: [RequestSession(role: "service_role")], deadline: nil)
            let changes = try await engine.rows.visible(question).changes
            #expect(changes.map { $0.visible.bytes.contains { $0 != 0 } } == [false, true])
        }
    }

    /// Also where only a trigger had named it, which is gone now: there it was never shown.
    @Test("What is in the log of a table that is not published now is nobody's to see", arguments: engines)
    func unpublished(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration], users: []) { engine in
            #expect(await engine.send("POST", "/note", as: .service, #"{"id":1}"#).status == 201)
            let entry = try #require(try await engine.logged().last)
            func isSeen() async throws -> Bool {
                let feed = try await engine.rows.describeFeed(schema: "", table: "", deadline: nil)
                let question = VisibilityQuestion(
                    stream: LogStream.rows, epoch: feed.epoch, sequences: [entry.sequence],
                    claimSets: [RequestSession(role: "service_role")], deadline: nil)
                return try await engine.rows.visible(question).changes.contains { $0.visible.bytes.contains { $0 != 0 } }
            }
            #expect(try await isSeen())
            var files = [
                MigrationFile(version: "20260101000000", fileName: "20260101000000_test.sql", sql: Self.migration)
            ]
            for (number, verb) in ["drop", "add"].enumerated() {
                let version = "2026010100000\(number + 1)"
                let sql = "alter publication supabase_realtime \(verb) table note;"
                files.append(MigrationFile(version: version, fileName: "\(version)_more.sql", sql: sql))
                _ = try await engine.rows.migrate(files, requiresRowSecurity: false)
                #expect(try await isSeen() == (verb == "add"))
            }
        }
    }

    @Test("A refused write leaves no entry, a repeated one leaves one", arguments: engines)
    func refusedAndRepeated(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration]) { engine in
            let start = try await engine.logged().count
            let rows = #"[{"id":1,"text":"good"},{"id":2,"text":"bad"}]"#
            #expect(await engine.send("POST", "/note", as: .service, rows).status == 400)
            for _ in 0..<2 {
                let reply = await engine.send("POST", "/note", as: .service, #"{"id":3}"#, key: "k1")
                #expect(reply.status == 201)
            }
            #expect(try await engine.logged().dropFirst(start).map(\.key) == ["[3]"])
        }
    }

    @Test("Rows that foreign keys take along are entries too, also when a user is deleted", arguments: engines)
    func cascades(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration]) { engine in
            _ = await engine.send("POST", "/parent", as: .service, #"{"id":1}"#)
            let rows = #"[{"id":1,"parent":1},{"id":2,"parent":1}]"#
            #expect(await engine.send("POST", "/child", as: .service, rows).status == 201)
            let owned = #"{"id":3,"owner":"\#(TestEngine.alice)"}"#
            #expect(await engine.send("POST", "/child", as: .service, owned).status == 201)
            let start = try await engine.logged().count
            #expect(await engine.send("DELETE", "/parent?id=eq.1", as: .service).status == 204)
            _ = try await engine.rows.deleteUser(id: TestEngine.alice, session: RequestSession(role: "service_role"))
            let entries = try await engine.logged().dropFirst(start)
            #expect(entries.map(\.type) == ["row.delete", "row.delete", "row.delete"])
            #expect(entries.map(\.key) == ["[1]", "[2]", "[3]"])
        }
    }

    @Test("A migration is one entry, and its rows are none", arguments: engines)
    func schema(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration], users: []) { engine in
            let first = try await engine.logged()
            #expect(first.map(\.type) == ["data.schema.changed"])
            let more = """
                alter table note add column late text default 'd';
                alter publication supabase_realtime add table unseen;
                alter table unseen replica identity full;
                """
            let version = "20260101000001"
            _ = try await engine.rows.migrate(
                [
                    MigrationFile(
                        version: "20260101000000", fileName: "20260101000000_test.sql", sql: Self.migration),
                    MigrationFile(version: version, fileName: "\(version)_more.sql", sql: more),
                ], requiresRowSecurity: false)
            #expect(try await engine.logged().map(\.type) == ["data.schema.changed", "data.schema.changed"])
            // An old row shows the new column's default, and a table is captured from its publication on.
            #expect(await engine.send("PATCH", "/note?id=eq.0", as: .service, #"{"text":"y"}"#).status == 204)
            #expect(await engine.send("POST", "/unseen", as: .service, #"{"id":1}"#).status == 201)
            let bodies = try await engine.logged().dropFirst(2).map { String(decoding: $0.body, as: UTF8.self) }
            try #require(bodies.count == 2)
            #expect(
                bodies[0].hasSuffix(
                    #""record":{"id":0,"text":"y","n":null,"late":"d"},"#
                        + #""old_record":{"id":0,"text":"from the migration","n":null,"late":"d"}}"#))
            #expect(bodies[1].contains(#""full":true"#))
        }
    }

    private static let kinds = """
        create type mood as enum ('sad', 'happy');
        create table kinds (
            id integer primary key, a int2, b int8, c float4, d float8, e numeric, f numeric(10, 2), g boolean, h text,
            i varchar(9), j char(4), l uuid, m date, n time, o timestamp, p timestamptz, q interval, r json,
            s jsonb, t bytea, v integer[], w text[], x mood, y double precision,
            z integer generated always as (id * 2) stored);
        alter publication supabase_realtime add table kinds;
        """

    @Test("A row of every type has the same bytes on both engines", arguments: engines)
    func types(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.kinds], users: []) { engine in
            let row = #"""
                {"id":1,"a":-7,"b":9007199254740993,"c":1.5,"d":1e15,"e":"1.50","f":2,"g":true,"h":"a\"b\\ü\n","i":"v",
                "j":"c","l":"ABCDEF00-0000-4000-8000-000000000001","m":"2026-02-28","n":"12:34:56.5",
                "o":"2026-02-28 12:34:56","p":"2026-02-28T12:34:56+02:00","q":"1 day 02:00:00","r":{"z": 1,"a": [ 2 ]},
                "s":{"z": 1,"a": [ 2 ]},"t":"\\x00ff","v":[1,null,3],"w":["a","b c"],"x":"happy","y":2}
                """#
            let reply = await engine.send("POST", "/kinds", as: .service, row)
            #expect(reply.status == 201, "\(reply.text)")
            let entry = try #require(try await engine.logged().last)
            #expect(String(decoding: entry.body, as: UTF8.self) == Self.kindsBody)
            // What the log shows is what the API shows.
            let shown = await engine.send("GET", "/kinds", as: .service)
            #expect(
                String(decoding: entry.body, as: UTF8.self).contains("\"record\":" + shown.text.dropFirst().dropLast()))
        }
    }

    private static let kindsBody =
        #"{"columns":[{"name":"id","type":"int4"},{"name":"a","type":"int2"},{"name":"b","type":"int"#
        + #"8"},{"name":"c","type":"float4"},{"name":"d","type":"float8"},{"name":"e","type":"numeric""#
        + #"},{"name":"f","type":"numeric"},{"name":"g","type":"bool"},{"name":"h","type":"text"},{"na"#
        + #"me":"i","type":"varchar"},{"name":"j","type":"bpchar"},{"name":"l","type":"uuid"},{"name":"#
        + #""m","type":"date"},{"name":"n","type":"time"},{"name":"o","type":"timestamp"},{"name":"p","#
        + #""type":"timestamptz"},{"name":"q","type":"interval"},{"name":"r","type":"json"},{"name":"s"#
        + #"","type":"jsonb"},{"name":"t","type":"bytea"},{"name":"v","type":"_int4"},{"name":"w","typ"#
        + #"e":"_text"},{"name":"x","type":"mood"},{"name":"y","type":"float8"},{"name":"z","type":"in"#
        + #"t4"}],"key":["id"],"full":false,"#
        + #""record":{"id":1,"a":-7,"b":9007199254740993,"c":1.5,"d":1e+15,"e":1.50,"f":2.00,"g":true,"#
        + #""h":"a\"b\\ü\n","i":"v","j":"c   ","l":"abcdef00-0000-4000-8000-000000000001","m":"2026-02"#
        + #"-28","n":"12:34:56.5","o":"2026-02-28T12:34:56","p":"2026-02-28T10:34:56+00:00","q":"1 day"#
        + #" 02:00:00","r":{"z":1,"a":[2]},"s":{"a": [2], "z": 1},"t":"\\x00ff","v":[1,null,3],"w":["a"#
        + #"","b c"],"x":"happy","y":2,"z":2}}"#

    @Test("A platform's table cannot be published on SQLite")
    func platformTable() async throws {
        await #expect(throws: MigrationFailure.self) {
            try await TestEngine.with(
                .sqlite, migrations: ["alter publication supabase_realtime add table auth.users"], users: []
            ) { _ in }
        }
    }

    @Test(
        "A cursor that the log cannot serve is told so; one from a lost lineage begins a new epoch", arguments: engines)
    func cursors(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration], users: []) { engine in
            for id in 1...5 { _ = await engine.send("POST", "/note", as: .service, #"{"id":\#(id)}"#) }
            _ = try await engine.logged()
            let log = engine.rows.log
            let head = try await log.head("rows")
            #expect(head.head == 6 && head.trimmed == 0)
            #expect(try await engine.pull(0, 0) == .entries([], head))
            guard case .entries(let two, _) = try await engine.pull(head.epoch, 2, entriesMax: 2) else {
                Issue.record("no entries")
                return
            }
            #expect(two.map(\.sequence) == [3, 4])
            guard case .entries(let one, _) = try await engine.pull(head.epoch, 2, bytesMax: 1) else {
                Issue.record("no entries")
                return
            }
            #expect(one.map(\.sequence) == [3])
            #expect(try await log.entries("rows", epoch: head.epoch, at: [2, 9]).map(\.sequence) == [2])
            #expect(try await engine.pull(head.epoch - 1, 2) == .snapshotRequired(head))

            // Trimmed by size: everything goes, and the count goes on.
            let removed = try await log.trim("rows", LogRetention(age: .seconds(3_600), bytesMax: 0))
            #expect(removed == 6)
            let trimmed = try await log.head("rows")
            #expect(trimmed == LogHead(epoch: head.epoch, head: 6, trimmed: 6, bytes: 0))
            #expect(try await engine.pull(head.epoch, 5) == .snapshotRequired(trimmed))
            #expect(try await engine.pull(head.epoch, 6) == .entries([], trimmed))

            guard case .snapshotRequired(let raised) = try await engine.pull(head.epoch, 7) else {
                Issue.record("a cursor above the head was served")
                return
            }
            #expect(raised.epoch > head.epoch && raised.head == 0 && raised.trimmed == 0)
            guard case .snapshotRequired(let again) = try await engine.pull(raised.epoch + 1_000_000_000, 1) else {
                Issue.record("an epoch above ours was served")
                return
            }
            #expect(again.epoch > raised.epoch + 1_000_000_000)
        }
    }

    @Test("Retention takes the old ones and leaves the young ones", arguments: engines)
    func retention(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration], users: []) { engine in
            _ = await engine.send("POST", "/note", as: .service, #"{"id":1}"#)
            _ = try await engine.logged()
            let log = engine.rows.log
            #expect(try await log.trim("rows", LogRetention(age: .seconds(60), bytesMax: 1 << 30)) == 0)
            let bytes = try await log.head("rows").bytes
            #expect(try await log.trim("rows", LogRetention(age: .seconds(60), bytesMax: bytes - 1)) == 1)
            #expect(try await log.trim("rows", LogRetention(age: .seconds(-60), bytesMax: 1 << 30)) == 1)
            #expect(try await log.head("rows").bytes == 0)
        }
    }
}

extension TestEngine {
    /// The engines whose rows the log holds.
    static let logEngines: [DatabaseEngine] = [.sqlite, .postgres]

    /// All entries of the log from its beginning.
    func logged() async throws -> [LogEntry] {
        try await (rows as? PostgresEngine)?.numberLog()
        let head = try await rows.log.head("rows")
        guard case .entries(let entries, _) = try await pull(head.epoch, 0) else {
            Issue.record("the log was trimmed")
            return []
        }
        return entries
    }

    func pull(_ epoch: Int64, _ after: Int64, entriesMax: Int = 2_000, bytesMax: Int = 1 << 22) async throws -> LogPull
    {
        try await rows.log.pull(
            "rows", epoch: epoch, after: after, entriesMax: entriesMax, bytesMax: bytesMax, deadline: nil)
    }
}
