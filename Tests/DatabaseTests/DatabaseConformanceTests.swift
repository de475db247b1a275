// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import Testing

/// What both engines promise behind the one API. Every test runs on each.
@Suite("Database conformance")
struct DatabaseConformanceTests {
    private static let table = "create table t (id bigint primary key, name text not null, n bigint check (n >= 0))"

    private struct Refusal: Error, Equatable {}

    @Test("Values come back as they went in", arguments: TestDatabase.engines)
    func values(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { try $0.executeScript(Self.table) }
            let names = ["", "x", "Grüße 🐦 'quoted' \"double\"", String(repeating: "long ", count: 200_000)]
            try await database.write { session in
                for (position, name) in names.enumerated() {
                    try session.execute(
                        "insert into t (id, name, n) values ($1, $2, $3)",
                        [.integer(Int64(position)), .text(name), position == 0 ? .null : .integer(.max)])
                }
            }
            let rows = try await database.read { try $0.query("select name, n from t order by id") }
            #expect(rows.map { $0["name"].textValue } == names)
            #expect(rows[0]["n"].isNull)
            #expect(rows[1]["n"].integerValue == .max)
        }
    }

    @Test("Parameters count by their number, wherever they stand", arguments: TestDatabase.engines)
    func numbers(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            let row = try await database.read {
                try $0.query("select cast($2 as text), cast($1 as text), cast($2 as text)", [.text("a"), .text("b")])
            }
            #expect(row[0].values == [.text("b"), .text("a"), .text("b")])
        }
    }

    @Test("A broken constraint is told by its SQLSTATE, and the write leaves nothing", arguments: TestDatabase.engines)
    func constraints(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { session in
                try session.executeScript(Self.table)
                try session.executeScript("create table child (t bigint references t (id) deferrable initially deferred)")
                try session.execute("insert into t values (1, 'a', 0)")
            }
            let cases = [
                ("insert into t values (1, 'b', 0)", "23505"), ("insert into t values (2, null, 0)", "23502"),
                ("insert into t values (2, 'b', -1)", "23514"), ("insert into child values (9)", "23503"),
                ("select * from nowhere", "42P01"), ("selec", "42601"),
            ]
            for (sql, state) in cases {
                let error = await #expect(throws: DatabaseError.self) {
                    try await database.write { session in
                        try session.execute("insert into t values (100, 'lost', 0)")
                        try session.execute(sql)
                    }
                }
                #expect(error?.sqlState == state, "\(sql): \(error.map { "\($0)" } ?? "no error")")
            }
            let count = try await database.read { try $0.query("select count(*) from t")[0][0].integerValue }
            #expect(count == 1)
        }
    }

    @Test("What a closure throws reaches the caller, and its changes are undone", arguments: TestDatabase.engines)
    func throwing(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { try $0.executeScript(Self.table) }
            await #expect(throws: Refusal()) {
                try await database.write { session in
                    try session.execute("insert into t values (1, 'a', 0)")
                    throw Refusal()
                }
            }
            let found = try await database.read { try $0.query("select id from t").count }
            #expect(found == 0)
        }
    }

    @Test("A savepoint undoes itself alone", arguments: TestDatabase.engines)
    func savepoints(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { session in
                try session.executeScript(Self.table)
                try session.execute("insert into t values (1, 'a', 0)")
                do {
                    try session.savepoint {
                        try session.execute("insert into t values (2, 'b', 0)")
                        try session.execute("insert into t values (1, 'again', 0)")
                    }
                    Issue.record("a second row with the same key went in")
                } catch let error as DatabaseError {
                    #expect(error.sqlState == "23505")
                }
                try session.savepoint { _ = try session.execute("insert into t values (3, 'c', 0)") }
            }
            let ids = try await database.read { try $0.query("select id from t order by id").map { $0[0].integerValue } }
            #expect(ids == [1, 3])
        }
    }

    @Test("Concurrent writers lose nothing, and a bad one fails alone", arguments: TestDatabase.engines)
    func concurrentWriters(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { try $0.executeScript(Self.table) }
            let failures = try await withThrowingTaskGroup(of: Bool.self) { group in
                for id in 0..<200 {
                    group.addTask {
                        do {
                            try await database.write { session in
                                try session.execute("insert into t values ($1, 'x', 0)", [.integer(Int64(id))])
                                if id % 10 == 0 { throw Refusal() }
                            }
                            return false
                        } catch is Refusal {
                            return true
                        }
                    }
                }
                return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
            }
            #expect(failures == 20)
            let found = try await database.read { try $0.query("select count(*) from t")[0][0].integerValue }
            #expect(found == 180)
        }
    }

    @Test("A read sees what was committed before it began, and on SQLite one state", arguments: TestDatabase.engines)
    func freshness(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { session in
                try session.executeScript("create table a (n bigint); create table b (n bigint)")
                try session.executeScript("insert into a values (0); insert into b values (0)")
            }
            for step in 1...40 {
                try await database.write { session in
                    try session.execute("update a set n = $1", [.integer(Int64(step))])
                    try session.execute("update b set n = $1", [.integer(Int64(step))])
                }
                // Many at once, so that they share what can be shared, while the next write is made.
                try await withThrowingTaskGroup(of: (Int64?, Int64?)?.self) { group in
                    for position in 0..<40 {
                        group.addTask {
                            do {
                                return try await database.read { session in
                                    let first = try session.query("select n from a")[0][0].integerValue
                                    if position % 10 == 3 { throw Refusal() }
                                    return (first, try session.query("select n from b")[0][0].integerValue)
                                }
                            } catch is Refusal {
                                return nil
                            }
                        }
                    }
                    group.addTask {
                        try await database.write { session in
                            try session.execute("update a set n = n + 1000")
                            try session.execute("update b set n = n + 1000")
                        }
                        return nil
                    }
                    var refused = 0
                    for try await pair in group {
                        guard let (first, second) = pair else {
                            refused += 1
                            continue
                        }
                        // On PostgreSQL each statement of a read sees what is committed by then.
                        if engine == .sqlite { #expect(first == second) }
                        #expect((first ?? 0) % 1000 == step % 1000)
                    }
                    #expect(refused == 5)
                }
            }
        }
    }

    @Test("An update reports the rows that it changed", arguments: TestDatabase.engines)
    func changes(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            let counts = try await database.write { session in
                try session.executeScript(Self.table)
                let inserted = try session.execute("insert into t values (1, 'a', 0), (2, 'b', 0), (3, 'c', 5)")
                return [
                    inserted, try session.execute("update t set n = 1 where n = 0"),
                    try session.execute("delete from t where id = 9"),
                ]
            }
            #expect(counts == [3, 2, 0])
        }
    }

    @Test("A reader cannot write", arguments: TestDatabase.engines)
    func readOnly(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { try $0.executeScript(Self.table) }
            let error = await #expect(throws: DatabaseError.self) {
                try await database.read { try $0.execute("insert into t values (1, 'a', 0)") }
            }
            #expect(error?.sqlState == "25006")
        }
    }

    private static func endless(_ engine: DatabaseEngine) -> String {
        switch engine {
        case .sqlite: "with recursive c(n) as (select 1 union all select n + 1 from c) select count(*) from c"
        case .postgres: "select pg_sleep(600)"
        }
    }

    @Test("A deadline stops the statement, and the connection is good afterwards", arguments: TestDatabase.engines)
    func deadline(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            let error = await #expect(throws: DatabaseError.self) {
                try await database.read(deadline: .now + .milliseconds(100)) { try $0.query(Self.endless(engine)) }
            }
            #expect(error?.sqlState == "57014")
            for _ in 0..<8 {
                let one = try await database.read { try $0.query("select 1")[0][0].integerValue }
                #expect(one == 1)
            }
        }
    }

    @Test("Cancelling the task stops the statement", arguments: TestDatabase.engines)
    func cancellation(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            let (started, signal) = AsyncStream.makeStream(of: Void.self)
            let task = Task {
                try await database.write { session in
                    signal.finish()
                    return try session.query(Self.endless(engine))
                }
            }
            for await _ in started {}
            task.cancel()
            let error = await #expect(throws: DatabaseError.self) { try await task.value }
            #expect(error?.sqlState == "57014")
        }
    }

    @Test("Rows are lent one by one, and the body can stop", arguments: TestDatabase.engines)
    func cursor(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            try await database.write { session in
                try session.executeScript(Self.table)
                for id in 0..<10 { try session.execute("insert into t values ($1, 'row', null)", [.integer(Int64(id))]) }
            }
            let seen = try await database.read { session in
                var seen: [String] = []
                try session.forEachRow("select id, name, n from t order by id") { row in
                    seen.append("\(row.columnName(1))=\(row.text(1)) \(row.integer(0)) \(row.isNull(2))")
                    return seen.count < 3
                }
                return seen
            }
            #expect(seen == ["name=row 0 true", "name=row 1 true", "name=row 2 true"])
        }
    }

    @Test("After closing, work is refused", arguments: TestDatabase.engines)
    func closed(engine: DatabaseEngine) async throws {
        try await TestDatabase.with(engine) { database in
            await database.close()
            let error = await #expect(throws: DatabaseError.self) { try await database.read { try $0.query("select 1") } }
            #expect(error?.sqlState == "57P01")
        }
    }
}
