// SPDX-License-Identifier: Apache-2.0

import MartletData
import MartletDatabase
import MartletJSON
import MartletWire
import Testing

/// The cause of a change goes with it into the log.
@Suite("Data: traces")
struct TraceTests {
    static let engines: [DatabaseEngine] = [.sqlite, .postgres]

    private static let migration = """
        create table note (id integer primary key, text text);
        alter publication supabase_realtime add table note;
        """

    private func trace(_ number: Int) -> TraceContext {
        let digits = String(repeating: "0", count: 15 - String(number).count) + "\(number)a"
        return TraceContext(
            requestID: "request-\(number)", traceparent: "00-0af7651916cd43dd\(digits)-b7ad6b7169203331-01")
    }

    @Test("Each entry names the request that made it, though many are committed together", arguments: engines)
    func entries(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: [Self.migration]) { engine in
            let start = try await engine.logged().count
            await withTaskGroup(of: Void.self) { group in
                for number in 1...40 {
                    group.addTask {
                        // Every fourth is refused after it has written a row, and every fifth comes without a trace.
                        let body = number % 4 == 0 ? #"[{"id":\#(number)},{"id":\#(number)}]"# : #"[{"id":\#(number)}]"#
                        _ = await engine.send(
                            "POST", "/note", as: .service, body, trace: number % 5 == 0 ? .none : trace(number))
                    }
                }
            }
            let entries = try await engine.logged().dropFirst(start)
            #expect(entries.count == 30)
            for entry in entries {
                let headers = try #require(try JSONValue(parsing: entry.headers).objectValue)
                let number = try #require(Int(entry.key.dropFirst().dropLast()))
                let expected = number % 5 == 0 ? TraceContext.none : trace(number)
                #expect(
                    headers["request_id"]?.stringValue == (expected == .none ? nil : expected.requestID), "\(number)")
                #expect(
                    headers["traceparent"]?.stringValue == (expected == .none ? nil : expected.traceparent),
                    "\(number)")
            }
        }
    }

    @Test("PostgreSQL's functions see request and trace as settings, and cannot put rubbish into the log")
    func settings() async throws {
        let migration = """
            create table seen (id integer primary key, request text, trace text);
            alter publication supabase_realtime add table seen;
            create function note_cause() returns trigger language plpgsql as $$
            begin
                new.request := current_setting('martlet.request_id', true);
                new.trace := current_setting('martlet.traceparent', true);
                perform set_config('martlet.request_id', E'two words "and" quotes', true);
                perform set_config('martlet.traceparent', 'rubbish', true);
                return new;
            end $$;
            create trigger note_cause before insert on seen for each row execute function note_cause();
            """
        try await TestEngine.with(.postgres, migrations: [migration]) { engine in
            let start = try await engine.logged().count
            let reply = await engine.send(
                "POST", "/seen", as: .service, #"{"id":1}"#, prefer: "return=representation", trace: trace(7))
            let row = try #require(try JSONValue(parsing: reply.body).arrayValue?.first?.objectValue)
            #expect(row["request"]?.stringValue == "request-7")
            #expect(row["trace"]?.stringValue == trace(7).traceparent)
            let entry = try #require(try await engine.logged().dropFirst(start).first)
            let headers = try #require(try JSONValue(parsing: entry.headers).objectValue)
            #expect(headers["request_id"] == nil && headers["traceparent"] == nil)
            // The next request on the same connection has its own.
            _ = await engine.send("POST", "/seen", as: .service, #"{"id":2}"#)
            let next = await engine.send("GET", "/seen?id=eq.2", as: .service)
            let second = try #require(try JSONValue(parsing: next.body).arrayValue?.first?.objectValue)
            #expect(second["request"]?.stringValue == "")
        }
    }
}
