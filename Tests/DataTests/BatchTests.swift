// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import MartletJSON
import MartletWire
import Testing

/// `data.batch`: guarded statements, all or none.
@Suite("Batches on both engines")
struct BatchTests {
    private static let migration = """
        create table thing (
            id integer primary key, name text unique, stock integer not null check (stock >= 0), small smallint,
            big bigint, price numeric(10, 2), exact numeric, weight double precision, light real, day date,
            note text default 'none');
        create table mine (id integer primary key, owner uuid not null default auth.uid(), amount integer);
        alter table mine enable row level security;
        create policy "own" on mine for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
        insert into thing (id, name, stock, small, big, price, exact, weight, light) values
            (1, 'a', 10, 32767, 9223372036854775807, 1.10, 0.1, 0.5, 0.25),
            (2, 'b', 0, null, 1, null, 1e20, 1, 1);
        """

    private static func with(_ engine: DatabaseEngine, _ body: (TestEngine) async throws -> Void) async throws {
        try await TestEngine.with(engine, migrations: [migration], body)
    }

    @Test("Statements run in order, see each other and answer counts and rows", arguments: TestDatabaseEngines.all)
    func order(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            let reply = await engine.batch(
                #"""
                [{"insert":"thing","rows":[{"id":3,"stock":5},{"id":4,"stock":6,"note":"x"}],"expect":2,"return":"id,note"},
                 {"update":"public.thing?id=in.(3,4)&stock=gte.5","set":{"name":null},"add":{"stock":-5},"expect":2},
                 {"check":"thing?stock=eq.1"},
                 {"check":"thing?id=gt.2","return":"id,stock","expect":{"min":1,"max":2}},
                 {"delete":"thing?id=eq.3","expect":1,"return":"*"},
                 {"check":"thing?id=eq.3","expect":0}]
                """#)
            #expect(reply.status == 200)
            #expect(
                reply.text == #"{"results":[{"count":2,"rows":[{"id":3,"note":"none"},{"id":4,"note":"x"}]},{"count":2},"#
                    + #"{"count":1},{"count":2,"rows":[{"id":3,"stock":0},{"id":4,"stock":1}]},"#
                    + #"{"count":1,"rows":[{"id":3,"name":null,"stock":0,"small":null,"big":null,"price":null,"#
                    + #""exact":null,"weight":null,"light":null,"day":null,"note":"none"}]},{"count":0}]}"#)
        }
    }

    @Test("Additions are exact, and refused beyond the type", arguments: TestDatabaseEngines.all)
    func additions(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            let added = await engine.batch(
                #"""
                [{"update":"thing?id=eq.1","expect":1,"return":"stock,price,exact,weight,light",
                  "add":{"stock":-3,"price":0.205,"exact":0.20000000000000000000001,"weight":0.25,"light":0.5}},
                 {"update":"thing?id=eq.2","add":{"price":1,"small":1,"exact":-1,"big":-2},
                  "return":"price,small,exact,big"}]
                """#)
            #expect(
                added.text == #"{"results":[{"count":1,"rows":[{"stock":7,"price":1.31,"#
                    + #""exact":0.30000000000000000000001,"weight":0.75,"light":0.75}]},"#
                    + #"{"count":1,"rows":[{"price":null,"small":null,"exact":99999999999999999999,"big":-1}]}]}"#)
            for (amounts, code, message) in [
                (#"{"small":1}"#, "22003", "smallint out of range"),
                (#"{"big":1}"#, "22003", "bigint out of range"), (#"{"stock":2147483647}"#, "22003", "integer out of range"),
                (#"{"price":99999999}"#, "22003", "numeric field overflow"),
                (#"{"stock":-8}"#, "23514", "new row for relation \"thing\" violates check constraint \"thing_stock_check\""),
            ] {
                let reply = await engine.batch(#"[{"update":"thing?id=eq.1","add":\#(amounts)}]"#)
                let error = (try? JSONValue(parsing: reply.body))?.objectValue
                #expect(error?["code"]?.stringValue == code, "\(amounts)")
                #expect(error?["message"]?.stringValue == message, "\(amounts)")
            }
            #expect(await engine.send("GET", "/thing?select=stock&id=eq.1", as: .service).text == #"[{"stock":7}]"#)
        }
    }

    @Test("An expectation that fails undoes everything, in the statement's own words", arguments: TestDatabaseEngines.all)
    func expectations(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            let plain = await engine.batch(
                #"""
                [{"insert":"thing","rows":[{"id":9,"stock":1}]},
                 {"update":"thing?id=eq.1&stock=gte.11","add":{"stock":-11},"expect":1}]
                """#)
            #expect(plain.status == 409)
            #expect(
                plain.text == #"{"code":"expectation_failed","details":"statement 2: 0 rows, expected 1","hint":null,"#
                    + #""message":"A statement did not find what it expects"}"#)
            let worded = await engine.batch(
                #"""
                [{"insert":"thing","rows":[{"id":9,"stock":1}]},
                 {"check":"thing?id=eq.1&stock=gte.11",
                  "else":{"status":422,"code":"out_of_stock","message":"Only 10 left","hint":"Take less."}}]
                """#)
            #expect(worded.status == 422)
            #expect(
                worded.text == #"{"code":"out_of_stock","details":null,"hint":"Take less.","message":"Only 10 left"}"#)
            #expect(await engine.send("GET", "/thing?id=eq.9", as: .service).text == "[]")
            let constraint = await engine.batch(
                #"[{"insert":"thing","rows":[{"id":9,"stock":1}]},{"insert":"thing","rows":[{"id":1,"stock":1}]}]"#)
            #expect(constraint.status == 409)
            #expect(await engine.send("GET", "/thing?id=eq.9", as: .service).text == "[]")
        }
    }

    @Test("A key's batch is executed once; another one under it is refused", arguments: TestDatabaseEngines.all)
    func keys(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            let batch = #"[{"update":"thing?id=eq.1","add":{"stock":1},"return":"stock"}]"#
            let first = await engine.batch(batch, key: "k")
            let second = await engine.batch(batch, key: "k")
            #expect(first.text == #"{"results":[{"count":1,"rows":[{"stock":11}]}]}"#)
            #expect(second == first)
            let other = await engine.batch(#"[{"delete":"thing?id=eq.1"}]"#, key: "k")
            #expect(other.status == 422)
            // A refusal leaves no record.
            #expect(await engine.batch(#"[{"check":"thing?id=eq.77"}]"#, key: "l").status == 409)
            #expect(await engine.batch(#"[{"check":"thing?id=eq.1"}]"#, key: "l").status == 200)
        }
    }

    @Test("A caller's batch has the caller's rights", arguments: TestDatabaseEngines.all)
    func rights(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            let insert = #"[{"insert":"mine","rows":[{"id":1,"amount":1}],"return":"owner"}]"#
            let own = await engine.batch(insert, as: .user(TestEngine.alice))
            #expect(own.text == #"{"results":[{"count":1,"rows":[{"owner":"\#(TestEngine.alice)"}]}]}"#)
            let update = #"[{"update":"mine?id=eq.1","add":{"amount":1},"expect":1}]"#
            #expect(await engine.batch(update, as: .user(TestEngine.bob)).status == 409)
            #expect(await engine.batch(update, as: .user(TestEngine.alice)).status == 200)
            #expect(await engine.batch(update).status == 200)
            #expect(await engine.send("GET", "/mine?select=amount", as: .service).text == #"[{"amount":3}]"#)
        }
    }

    @Test("What cannot be read is refused before anything runs", arguments: TestDatabaseEngines.all)
    func refusals(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            let rows = (0...1_000).map { #"{"id":\#($0 + 100),"stock":1}"# }.joined(separator: ",")
            let many = Array(repeating: #"{"check":"thing?id=eq.1"}"#, count: 101).joined(separator: ",")
            for (statements, code) in [
                ("1", "statement_invalid"), ("[1]", "statement_invalid"), ("[{}]", "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1","check":"thing"}]"#, "statement_invalid"),
                (#"[{"delete":"thing"}]"#, "statement_invalid"), (#"[{"update":"thing","set":{"stock":1}}]"#, "statement_invalid"),
                (#"[{"update":"thing?id=eq.1"}]"#, "statement_invalid"),
                (#"[{"update":"thing?id=eq.1","set":{"stock":1},"add":{"stock":1}}]"#, "statement_invalid"),
                (#"[{"update":"thing?id=eq.1","add":{"name":1}}]"#, "statement_invalid"),
                (#"[{"update":"thing?id=eq.1","add":{"stock":"1"}}]"#, "statement_invalid"),
                (#"[{"update":"thing?id=eq.1&limit=1","set":{"stock":1}}]"#, "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1&select=id"}]"#, "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1","rows":[]}]"#, "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1","expect":-1}]"#, "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1","expect":{"min":2,"max":1}}]"#, "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1","else":{"status":200,"code":"a"}}]"#, "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1","else":{"code":"a b"}}]"#, "statement_invalid"),
                (#"[{"delete":"thing?id=eq.1","return":"mine(id)"}]"#, "statement_invalid"),
                (#"[{"insert":"thing","rows":[]}]"#, "statement_invalid"),
                (#"[{"insert":"thing?id=eq.1","rows":[{"id":7}]}]"#, "statement_invalid"),
                (#"[{"insert":"nothing","rows":[{"id":7}]}]"#, "PGRST205"),
                (#"[{"insert":"thing","rows":[{"no":7}]}]"#, "PGRST204"),
                (#"[{"check":"auth.users?id=eq.1"}]"#, "PGRST205"),
                (#"[{"insert":"thing","rows":[\#(rows)]}]"#, "statement_rows_exceeded"),
                ("[\(many)]", "statement_invalid"),
            ] {
                let reply = await engine.batch(statements)
                let error = (try? JSONValue(parsing: reply.body))?.objectValue
                #expect(error?["code"]?.stringValue == code, "\(statements.prefix(100)): \(reply.text)")
                #expect((400...404).contains(reply.status))
            }
            #expect(await engine.batch(document: "{").status == 400)
            #expect(await engine.batch(document: #"{"statements":[],"more":1}"#).status == 400)
            #expect(await engine.send("GET", "/thing?select=count", as: .service).text == #"[{"count":2}]"#)
        }
    }

    @Test("What many rows would be affected is undone", arguments: TestDatabaseEngines.all)
    func rowsBound(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            let rows = (0..<1_000).map { #"{"id":\#($0 + 100),"stock":1}"# }.joined(separator: ",")
            #expect(await engine.batch(#"[{"insert":"thing","rows":[\#(rows)]}]"#).status == 200)
            let reply = await engine.batch(#"[{"update":"thing?id=gte.0","add":{"stock":1}}]"#)
            #expect(reply.status == 400)
            #expect(await engine.send("GET", "/thing?select=count&stock=gt.10", as: .service).text == #"[{"count":0}]"#)
        }
    }

    @Test("Batches that race keep what they checked", arguments: TestDatabaseEngines.all)
    func races(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { engine in
            // At most three: each batch counts, then inserts. Two that count the same must not both insert.
            let statuses = await withTaskGroup(of: UInt16.self) { group in
                for id in 0..<24 {
                    group.addTask {
                        await engine.batch(
                            #"""
                            [{"check":"thing?name=like.r*","expect":{"max":2}},
                             {"insert":"thing","rows":[{"id":\#(100 + id),"name":"r\#(id)","stock":1}]},
                             {"update":"thing?id=eq.1&stock=gte.1","add":{"stock":-1},"expect":1}]
                            """#
                        ).status
                    }
                }
                return await group.reduce(into: [UInt16]()) { $0.append($1) }
            }
            #expect(statuses.count { $0 == 200 } == 3)
            #expect(statuses.count { $0 == 409 } == 21)
            #expect(await engine.send("GET", "/thing?select=stock&id=eq.1", as: .service).text == #"[{"stock":7}]"#)
        }
    }
}

extension TestEngine {
    func batch(_ statements: String, as caller: Caller = .anonymous, key: String = "") async -> FinishedReply {
        await batch(document: #"{"statements":\#(statements)}"#, as: caller, key: key)
    }

    func batch(document: String, as caller: Caller = .anonymous, key: String = "") async -> FinishedReply {
        await BatchHandler(engine: rows).answer(
            Array(document.utf8), principal: caller.principal, key: key, deadline: .now + .seconds(30))
    }
}
