// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import MartletJSON
import MartletWire
import Synchronization
import Testing

/// Rules before writes, with the test as the function.
@Suite("Rules on both engines")
struct RuleTests {
    private static let migration = """
        create type stage as enum ('open', 'done');
        create table shelf (
            id integer primary key, label text not null, stock integer not null check (stock >= 0), price numeric(10, 2));
        create table basket (
            id integer primary key, owner uuid not null default auth.uid(), stage stage not null default 'open',
            total numeric(12, 2) not null default 0, secret text, note text);
        create table entry (
            basket_id integer not null references basket (id), shelf_id integer not null references shelf (id),
            amount integer not null, primary key (basket_id, shelf_id));
        alter table basket enable row level security;
        create policy "see all" on basket for select using (true);
        create policy "make own" on basket for insert to authenticated with check (owner = auth.uid());
        create policy "change own" on basket for update to authenticated
            using (owner = auth.uid()) with check (owner = auth.uid());
        create policy "drop own" on basket for delete to authenticated using (owner = auth.uid());
        revoke insert, update on basket from authenticated;
        grant insert (id, owner, stage, note), update (stage, note) on basket to authenticated;
        insert into shelf (id, label, stock, price) values (1, 'bolt', 5, 1.10), (2, 'nut', 100, 0.25);
        insert into basket (id, owner, secret) values
            (1, '00000000-0000-4000-8000-00000000000a', 's1'), (2, '00000000-0000-4000-8000-00000000000a', 's2'),
            (3, '00000000-0000-4000-8000-00000000000b', 's3');
        insert into entry (basket_id, shelf_id, amount) values (1, 1, 2), (1, 2, 3), (2, 1, 1), (3, 1, 1);
        """
    private static let alice = Caller.user(TestEngine.alice)

    private static func rule(_ events: [RuleEvent] = RuleEvent.allCases, allows: Bool = false) -> RuleDefinition {
        RuleDefinition(
            name: "total", table: "basket", events: events, function: "count", deadline: .seconds(5),
            allowsOnError: allows,
            reads: [.init(name: "entries", query: "entry?basket_id=eq.{id}&select=amount,shelf(id,price)")])
    }

    /// Lends an engine whose handler asks `decide`.
    private static func with(
        _ engine: DatabaseEngine, _ rule: RuleDefinition = rule(),
        decide: @escaping @Sendable (JSONValue, TestEngine) async throws(DecisionFailure) -> String,
        _ body: (TestEngine, TestDecider) async throws -> Void
    ) async throws {
        try await TestEngine.with(engine, migrations: [migration]) { plain in
            let decider = TestDecider { event async throws(DecisionFailure) in try await decide(event, plain) }
            let book = try RuleBook([rule], schema: plain.rows.schema, decider: decider)
            try await plain.rows.prepareRules(book.tables)
            let ruled = TestEngine(
                rows: plain.rows, handler: RestHandler(engine: plain.rows, rowsMax: nil, rules: book))
            try await body(ruled, decider)
        }
    }

    @Test("The function sees the row as it is and would be, with its reads", arguments: TestDatabaseEngines.all)
    func event(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { _, _ in "{}" } _: { engine, decider in
            let reply = await engine.send(
                "PATCH", "/basket?id=eq.1&select=id,stage", as: Self.alice, #"{"stage":"done"}"#,
                prefer: "return=representation")
            #expect(reply.status == 200)
            #expect(reply.text == #"[{"id":1,"stage":"done"}]"#)
            let event = try #require(decider.events.first)
            let row = #""owner":"\#(TestEngine.alice)","stage":"#
            let rest = #","total":0.00,"secret":"s1","note":null}"#
            #expect(event["record"]?.text == #"{"id":1,"# + row + #""done""# + rest)
            #expect(event["old_record"]?.text == #"{"id":1,"# + row + #""open""# + rest)
            #expect(
                event["reads"]?.text
                    == #"{"entries":[{"amount":2,"shelf":{"id":1,"price":1.10}},{"amount":3,"shelf":{"id":2,"price":0.25}}]}"#)
            #expect(event["rows"]?.arrayValue?.count == 1)
            #expect(event["type"] == "update" && event["schema"] == "public" && event["table"] == "basket")
            #expect(event["rule"] == "total" && event["function"] == "count")
            #expect(event["claims"]?["sub"]?.stringValue == TestEngine.alice)
            _ = await engine.send("DELETE", "/entry?basket_id=eq.2", as: .service)
            #expect(await engine.send("DELETE", "/basket?id=eq.2", as: Self.alice).status == 204)
            #expect(decider.events.last?["record"] == .null && decider.events.last?["type"] == "delete")
            #expect(await engine.send("POST", "/basket", as: Self.alice, #"{"id":9,"note":"n"}"#).status == 201)
            #expect(decider.events.last?["record"]?.text == #"{"id":9,"note":"n"}"#)
            #expect(decider.events.last?["old_record"] == .null)
            #expect(decider.events.count == 3)
        }
    }

    @Test("Its values replace the written ones, under the caller's policies", arguments: TestDatabaseEngines.all)
    func values(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { event, _ in
            let rows = event["rows"]?.arrayValue ?? []
            // The whole record comes back, as functions like to do it: only what differs is a change.
            let records = rows.map { row -> String in
                var record = row["record"]?.objectValue ?? [:]
                record["total"] = .number("\(record["id"]?.text ?? "0").50")
                if record["note"] == "give away" { record["owner"] = .string(TestEngine.bob) }
                return record.text
            }
            return #"{"records":[\#(records.joined(separator: ","))]}"#
        } _: { engine, _ in
            let both = await engine.send(
                "PATCH", "/basket?owner=eq.\(TestEngine.alice)&select=id,total,note", as: Self.alice, #"{"note":"x"}"#,
                prefer: "return=representation,count=exact")
            #expect(both.text == #"[{"id":1,"total":1.50,"note":"x"},{"id":2,"total":2.50,"note":"x"}]"#)
            #expect(both["content-range"] == "0-1/2")
            let made = await engine.send(
                "POST", "/basket?select=id,owner,total", as: Self.alice, #"[{"id":7},{"id":8}]"#,
                prefer: "return=representation")
            #expect(made.status == 201)
            #expect(
                made.text == #"[{"id":7,"owner":"\#(TestEngine.alice)","total":7.50},"#
                    + #"{"id":8,"owner":"\#(TestEngine.alice)","total":8.50}]"#)
            // Only the rule may set the total.
            let own = await engine.send("PATCH", "/basket?id=eq.1", as: Self.alice, #"{"total":0}"#)
            #expect(own.status == 403 && own.text.contains("permission denied for table basket"))
            let stolen = await engine.send("PATCH", "/basket?id=eq.1", as: Self.alice, #"{"note":"give away"}"#)
            #expect(stolen.status == 403 && stolen.text.contains("42501"))
            #expect(
                await engine.send("GET", "/basket?id=eq.1&select=note", as: .service).text == #"[{"note":"x"}]"#)
        }
    }

    @Test("Statements are the service's, in the write's own transaction", arguments: TestDatabaseEngines.all)
    func statements(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine, Self.rule([.update])) { event, _ in
            let amount = event["reads"]?["entries"]?.arrayValue?.first?["amount"]?.int64Value ?? 0
            return #"""
                {"ok":true,"record":{"total":3},"statements":[
                  {"update":"shelf?id=eq.1&stock=gte.\#(amount)","add":{"stock":-\#(amount)},"expect":1,
                   "else":{"status":409,"code":"out_of_stock","message":"Not enough bolts"}}]}
                """#
        } _: { engine, _ in
            func stock() async -> String { await engine.send("GET", "/shelf?id=eq.1&select=stock", as: .service).text }
            let done = await engine.send("PATCH", "/basket?id=eq.1", as: Self.alice, #"{"stage":"done"}"#, key: "k")
            #expect(done.status == 204)
            #expect(await stock() == #"[{"stock":3}]"#)
            // The key's record is in the same transaction: a repeat takes nothing again, and asks nobody.
            let again = await engine.send("PATCH", "/basket?id=eq.1", as: Self.alice, #"{"stage":"done"}"#, key: "k")
            #expect(again == done)
            #expect(await stock() == #"[{"stock":3}]"#)
            _ = await engine.send("PATCH", "/entry?basket_id=eq.2", as: .service, #"{"amount":4}"#)
            let refused = await engine.send("PATCH", "/basket?id=eq.2", as: Self.alice, #"{"stage":"done"}"#)
            #expect(refused.status == 409)
            #expect(
                refused.text == #"{"code":"out_of_stock","details":null,"hint":null,"message":"Not enough bolts"}"#)
            #expect(await stock() == #"[{"stock":3}]"#)
            #expect(
                await engine.send("GET", "/basket?select=stage,total&id=lt.3&order=id", as: .service).text
                    == #"[{"stage":"done","total":3.00},{"stage":"open","total":0.00}]"#)
        }
    }

    @Test("A refusal is the answer, in the function's words", arguments: TestDatabaseEngines.all)
    func refusal(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { _, _ in
            #"{"error":{"status":422,"code":"no","message":"Never","details":"d","hint":"h"}}"#
        } _: { engine, _ in
            let reply = await engine.send("DELETE", "/basket?id=eq.1", as: Self.alice)
            #expect(reply.status == 422)
            #expect(reply.text == #"{"code":"no","details":"d","hint":"h","message":"Never"}"#)
        }
    }

    @Test("What the function saw is looked at again: it is asked once more, at most three times", arguments: TestDatabaseEngines.all)
    func rounds(_ engine: DatabaseEngine) async throws {
        let rounds = Mutex(0)
        let moves = Mutex(1)
        try await Self.with(engine) { event, plain async throws(DecisionFailure) in
            rounds.withLock { $0 += 1 }
            // Somebody adds to the basket while the function thinks.
            if moves.withLock({ $0 -= 1; return $0 >= 0 }) {
                let amount = rounds.withLock { $0 } + 10
                let reply = await plain.send(
                    "PATCH", "/entry?basket_id=eq.1&shelf_id=eq.1", as: .service, #"{"amount":\#(amount)}"#)
                if reply.status != 204 { throw DecisionFailure(.failed, "the test cannot move") }
            }
            let amounts = (event["reads"]?["entries"]?.arrayValue ?? []).compactMap { $0["amount"]?.int64Value }
            return #"{"record":{"total":\#(amounts.reduce(0, +))}}"#
        } _: { engine, _ in
            let once = await engine.send("PATCH", "/basket?id=eq.1", as: Self.alice, #"{"stage":"done"}"#)
            #expect(once.status == 204)
            #expect(rounds.withLock { $0 } == 2)
            #expect(
                await engine.send("GET", "/basket?id=eq.1&select=total,stage", as: .service).text
                    == #"[{"total":14.00,"stage":"done"}]"#)
            moves.withLock { $0 = 3 }
            rounds.withLock { $0 = 10 }
            let never = await engine.send("PATCH", "/basket?id=eq.1", as: Self.alice, #"{"note":"never"}"#)
            #expect(never.status == 409 && never.text.contains("rule_conflict"))
            #expect(rounds.withLock { $0 } == 13)
            #expect(
                await engine.send("GET", "/basket?id=eq.1&select=note", as: .service).text == #"[{"note":null}]"#)
        }
    }

    @Test("A new row that a read would find, and a row that is new to the filter, begin another round", arguments: TestDatabaseEngines.all)
    func phantoms(_ engine: DatabaseEngine) async throws {
        let moves = Mutex(["new entry", "new basket"])
        try await Self.with(engine) { event, plain async throws(DecisionFailure) in
            let move = moves.withLock { $0.isEmpty ? "" : $0.removeFirst() }
            switch move {
            case "new entry":
                _ = await plain.send("POST", "/entry", as: .service, #"{"basket_id":2,"shelf_id":2,"amount":9}"#)
            case "new basket":
                _ = await plain.send("POST", "/basket", as: .service, #"{"id":4,"owner":"\#(TestEngine.alice)"}"#)
            default: break
            }
            let rows = (event["rows"]?.arrayValue ?? []).map { row in
                #"{"total":\#(row["reads"]?["entries"]?.arrayValue?.count ?? 0)}"#
            }
            return #"{"records":[\#(rows.joined(separator: ","))]}"#
        } _: { engine, decider in
            let reply = await engine.send(
                "PATCH", "/basket?owner=eq.\(TestEngine.alice)", as: Self.alice, #"{"note":"n"}"#)
            #expect(reply.status == 204)
            #expect(decider.events.count == 3)
            #expect(
                await engine.send("GET", "/basket?select=id,total,note&owner=eq.\(TestEngine.alice)&order=id", as: .service)
                    .text == #"[{"id":1,"total":2.00,"note":"n"},{"id":2,"total":2.00,"note":"n"},"#
                    + #"{"id":4,"total":0.00,"note":"n"}]"#)
        }
    }

    @Test("A guard without a refusal begins another round", arguments: TestDatabaseEngines.all)
    func guards(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { _, _ in
            #"{"statements":[{"update":"shelf?id=eq.1&stock=gte.50","add":{"stock":-50},"expect":1}]}"#
        } _: { engine, decider in
            let reply = await engine.send("PATCH", "/basket?id=eq.1", as: Self.alice, #"{"stage":"done"}"#)
            #expect(reply.status == 409 && reply.text.contains("rule_conflict"))
            #expect(decider.events.count == 3)
            #expect(
                await engine.send("GET", "/basket?id=eq.1&select=stage", as: .service).text == #"[{"stage":"open"}]"#)
        }
    }

    @Test("Without a usable answer nothing is written, unless the rule says so", arguments: TestDatabaseEngines.all)
    func failures(_ engine: DatabaseEngine) async throws {
        let failures: [(String, UInt16, String)] = [
            ("!unavailable", 503, "rule_unavailable"), ("!late", 504, "rule_late"), ("!failed", 502, "rule_failed"),
            ("", 502, "rule_failed"), ("[]", 502, "rule_failed"), (#"{"ok":false}"#, 502, "rule_failed"),
            (#"{"more":1}"#, 502, "rule_failed"), (#"{"record":{"none":1}}"#, 502, "rule_failed"),
            (#"{"records":[]}"#, 502, "rule_failed"), (#"{"error":{"code":""}}"#, 502, "rule_failed"),
            (#"{"statements":[{"delete":"nothing?id=eq.1"}]}"#, 502, "rule_failed"),
            (#"{"statements":[{"check":"shelf","return":"id"}]}"#, 502, "rule_failed"),
            (#"{"record":{"note":"\#(String(repeating: "x", count: 1 << 20))"}}"#, 502, "rule_failed"),
        ]
        for allows in [false, true] {
            let answer = Mutex("")
            try await Self.with(engine, Self.rule(allows: allows)) { _, _ throws(DecisionFailure) in
                switch answer.withLock({ $0 }) {
                case "!unavailable": throw DecisionFailure(.unavailable, "")
                case "!late": throw DecisionFailure(.late, "")
                case "!failed": throw DecisionFailure(.failed, "")
                case let text: return text
                }
            } _: { engine, _ in
                for (position, (text, status, code)) in failures.enumerated() {
                    answer.withLock { $0 = text }
                    let reply = await engine.send(
                        "PATCH", "/basket?id=eq.1", as: Self.alice, #"{"note":"\#(position)"}"#)
                    #expect(reply.status == (allows ? 204 : status), "\(text.prefix(60))")
                    #expect(allows || reply.text.contains(code))
                    let note = allows ? "\"\(position)\"" : "null"
                    #expect(
                        await engine.send("GET", "/basket?id=eq.1&select=note", as: .service).text
                            == #"[{"note":\#(note)}]"#)
                }
            }
        }
    }

    @Test("Upserts, many rows, rows that may not be changed and inner embeds are refused", arguments: TestDatabaseEngines.all)
    func bounds(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine) { _, _ in
            #"{"statements":[{"update":"shelf?id=eq.1","add":{"stock":-1}}]}"#
        } _: { engine, decider in
            let upsert = await engine.send(
                "POST", "/basket", as: Self.alice, #"{"id":1}"#, prefer: "resolution=merge-duplicates")
            #expect(upsert.status == 400 && upsert.text.contains("rule_upsert_refused"))
            let rows = (0...100).map { #"{"id":\#($0 + 100)}"# }.joined(separator: ",")
            let many = await engine.send("POST", "/basket", as: Self.alice, "[\(rows)]")
            #expect(many.status == 400 && many.text.contains("rule_rows_exceeded"))
            let inner = await engine.send(
                "PATCH", "/basket?id=eq.1&select=id,entry!inner(amount)", as: Self.alice, #"{"note":"n"}"#,
                prefer: "return=representation")
            #expect(inner.status == 400 && inner.text.contains("PGRST127"))
            #expect(decider.events.isEmpty)
            // Alice sees bob's basket and may not change it: the stock must not be taken for it.
            let others = await engine.send("PATCH", "/basket?id=eq.3", as: Self.alice, #"{"note":"n"}"#)
            #expect(others.status == 403 && others.text.contains("rule_rows_hidden"))
            let none = await engine.send("PATCH", "/basket?id=eq.77", as: Self.alice, #"{"note":"n"}"#)
            #expect(none.status == 204)
            #expect(decider.events.count == 1)
            #expect(await engine.send("GET", "/shelf?id=eq.1&select=stock", as: .service).text == #"[{"stock":5}]"#)
            let single = await engine.send(
                "PATCH", "/basket?id=lt.3", as: Self.alice, #"{"note":"n"}"#, prefer: "return=representation",
                accept: "application/vnd.pgrst.object+json")
            #expect(single.status == 406)
            #expect(await engine.send("GET", "/shelf?id=eq.1&select=stock", as: .service).text == #"[{"stock":5}]"#)
        }
    }

    @Test("Of 500 buyers of 100 things a hundred get one, and every total is right", arguments: TestDatabaseEngines.all)
    func races(_ engine: DatabaseEngine) async throws {
        try await Self.with(engine, Self.rule([.update])) { event, _ async throws(DecisionFailure) in
            let entry = event["reads"]?["entries"]?.arrayValue?.first
            guard let amount = entry?["amount"]?.int64Value, let shelf = entry?["shelf"]?["id"]?.int64Value,
                let price = entry?["shelf"]?["price"]?.doubleValue
            else { throw DecisionFailure(.failed, "the read is not there") }
            // The stock is not among the reads, so that buyers are not asked again because of each other.
            return #"""
                {"record":{"total":\#(Double(amount) * price)},"statements":[
                  {"update":"shelf?id=eq.\#(shelf)&stock=gte.\#(amount)","add":{"stock":-\#(amount)},"expect":1,
                   "else":{"status":409,"code":"out_of_stock","message":"Sold out"}}]}
                """#
        } _: { engine, _ in
            let baskets = (100..<600).map { #"{"id":\#($0),"owner":"\#(TestEngine.alice)"}"# }.joined(separator: ",")
            let entries = (100..<600).map { #"{"basket_id":\#($0),"shelf_id":2,"amount":1}"# }.joined(separator: ",")
            #expect(await engine.send("POST", "/basket", as: .service, "[\(baskets)]").status == 201)
            #expect(await engine.send("POST", "/entry", as: .service, "[\(entries)]").status == 201)
            let replies = await withTaskGroup(of: FinishedReply.self) { group in
                for id in 100..<600 {
                    group.addTask {
                        await engine.send("PATCH", "/basket?id=eq.\(id)", as: Self.alice, #"{"stage":"done"}"#)
                    }
                }
                return await group.reduce(into: [FinishedReply]()) { $0.append($1) }
            }
            #expect(replies.count { $0.status == 204 } == 100)
            let refused = replies.filter { $0.text.contains("out_of_stock") }
            #expect(refused.count == 400 && refused.allSatisfy { $0.status == 409 })
            #expect(await engine.send("GET", "/shelf?id=eq.2&select=stock", as: .service).text == #"[{"stock":0}]"#)
            func count(_ filter: String) async -> String {
                let reply = await engine.send("GET", "/basket?id=gte.100&\(filter)&select=count", as: .service)
                return reply.text
            }
            #expect(await count("stage=eq.done&total=eq.0.25") == #"[{"count":100}]"#)
            #expect(await count("stage=eq.open&total=eq.0") == #"[{"count":400}]"#)
        }
    }

    @Test("Rules that cannot be are refused with their key", arguments: TestDatabaseEngines.all)
    func definitions(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration + "create table keyless (a integer);"]) { engine in
            func fault(_ change: (inout RuleDefinition) -> Void) -> String {
                var rule = Self.rule()
                change(&rule)
                do throws(RuleFault) {
                    _ = try RuleBook([rule], schema: engine.rows.schema, decider: TestDecider { _ in "" })
                    return "none"
                } catch {
                    return error.key
                }
            }
            #expect(fault { _ in } == "none")
            #expect(fault { $0.table = "public.basket" } == "none")
            #expect(fault { $0.table = "nothing" } == "table")
            #expect(fault { $0.table = "keyless" } == "table")
            for query in [
                "", "?id=eq.1", "nothing?id=eq.{id}", "entry?basket_id=eq.{nothing}", "entry?basket_id=in.({id})",
                "entry?basket_id=eq.x{id}", "entry?basket_id=like.{id}", "entry?basket_id=eq.{id}x", "entry?basket_id=eq.{id",
                "entry?{id}=eq.1", "entry?or=(basket_id.eq.{id})", "entry?nothing=eq.{id}", "entry?select=nothing(id)",
                "{id}?a=eq.1",
            ] {
                #expect(fault { $0.reads[0].query = query } == "reads.entries", "\(query)")
            }
            for query in ["entry?basket_id=not.eq.{id}&amount=gt.{total}", "shelf", "shelf?order=id&limit=1"] {
                #expect(fault { $0.reads[0].query = query } == "none", "\(query)")
            }
            var other = Self.rule([.update])
            other.name = "second"
            #expect(throws: RuleFault.self) {
                _ = try RuleBook(
                    [Self.rule(), other], schema: engine.rows.schema, decider: TestDecider { _ in "" })
            }
        }
    }
}

/// The test as the function; keeps what it was asked.
final class TestDecider: RuleDecider {
    private let asked = Mutex<[JSONValue]>([])
    private let answer: @Sendable (JSONValue) async throws(DecisionFailure) -> String

    init(_ answer: @escaping @Sendable (JSONValue) async throws(DecisionFailure) -> String) { self.answer = answer }

    var events: [JSONValue] { asked.withLock { $0 } }

    func decide(
        _ function: String, rule: String, event: [UInt8], trace: TraceContext, deadline: ContinuousClock.Instant
    ) async throws(DecisionFailure) -> [UInt8] {
        guard let event = try? JSONValue(parsing: event) else { throw DecisionFailure(.failed, "no JSON was asked") }
        asked.withLock { $0.append(event) }
        return Array(try await answer(event).utf8)
    }
}
