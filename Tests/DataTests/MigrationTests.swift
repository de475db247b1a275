// SPDX-License-Identifier: Apache-2.0

import Foundation
import MartletData
import MartletDatabase
import MartletSQL
import Testing

@Suite("Migrations on both engines")
struct MigrationTests {
    private static func file(_ version: Int, _ sql: String) -> MigrationFile {
        MigrationFile(
            version: "\(20_260_101_000_000 + version)", fileName: "\(20_260_101_000_000 + version)_x.sql", sql: sql)
    }

    @Test("New files are applied in order, once", arguments: TestDatabaseEngines.all)
    func order(_ engine: DatabaseEngine) async throws {
        try await TestEngine.open(engine) { rows in
            let first = Self.file(1, "create table a (id integer primary key);")
            let second = Self.file(2, "alter table a add column b text; create table c (a integer references a (id));")
            let report = try await rows.migrate([second, first], requiresRowSecurity: false)
            #expect(report.applied == [first.fileName, second.fileName])
            let again = try await rows.migrate([first, second], requiresRowSecurity: false)
            #expect(again == MigrationReport(applied: [], present: 2))
            let relation = rows.schema.catalog.relations.values.first { $0.name.name == "a" }
            #expect(relation?.columns.map(\.name) == ["id", "b"])
        }
    }

    @Test("A changed, missing or late file is refused before anything runs", arguments: TestDatabaseEngines.all)
    func ledger(_ engine: DatabaseEngine) async throws {
        try await TestEngine.open(engine) { rows in
            let first = Self.file(5, "create table a (id integer primary key);")
            _ = try await rows.migrate([first], requiresRowSecurity: false)
            let new = Self.file(6, "create table b (id integer primary key);")
            for files in [
                [Self.file(5, "create table a (id bigint primary key);"), new], [new],
                [Self.file(4, "create table z (id integer);"), first],
                [first, new, Self.file(6, "create table y (id integer);")],
            ] {
                await #expect(throws: MigrationFailure.self) {
                    _ = try await rows.migrate(files, requiresRowSecurity: false)
                }
            }
            #expect(rows.schema.catalog.relations.keys.allSatisfy { !["b", "y", "z"].contains($0.name) })
            _ = try await rows.migrate([first, new], requiresRowSecurity: false)
        }
    }

    @Test("A failing statement names its file and line, and leaves nothing behind", arguments: TestDatabaseEngines.all)
    func failure(_ engine: DatabaseEngine) async throws {
        try await TestEngine.open(engine) { rows in
            let bad = Self.file(1, "create table a (id integer primary key);\n\ninsert into a (nope) values (1);\n")
            let failure = await #expect(throws: MigrationFailure.self) {
                _ = try await rows.migrate([bad], requiresRowSecurity: false)
            }
            #expect(failure?.file == bad.fileName)
            #expect(failure?.line == 3)
            #expect(failure?.sqlState == "42703")
            let good = Self.file(1, "create table a (id integer primary key); insert into a values (1);")
            _ = try await rows.migrate([good], requiresRowSecurity: false)
        }
    }

    @Test("PostgreSQL takes functions, transaction words and concurrent indexes as they are written")
    func script() async throws {
        let sql = """
            begin; -- one file is one transaction; anyway
            create table a (id integer primary key, "b;c" text default 'x;''y');
            create function f() returns trigger language plpgsql as $body$ begin perform ';'; return new; end; $body$;
            create function g(n integer) returns integer language sql begin atomic select case when n > 0 then 1 else 2 end; end;
            /* a comment; /* in a comment; */ */ create index concurrently i on a ("b;c");
            insert into a values (1, e'it\\'s;'), (2, default);
            commit;
            """
        try await TestEngine.open(.postgres) { rows in
            _ = try await rows.migrate([Self.file(1, sql)], requiresRowSecurity: false)
            let all = await TestEngine(rows: rows).send("GET", "/a?order=id", as: .service)
            #expect(all.text == #"[{"id":1,"b;c":"it's;"},{"id":2,"b;c":"x;'y"}]"#)
            let failure = await #expect(throws: MigrationFailure.self) {
                let bad = Self.file(2, "select $$\n;\n$$;\n\nselect nope;")
                _ = try await rows.migrate([Self.file(1, sql), bad], requiresRowSecurity: false)
            }
            #expect(failure?.line == 5)
        }
    }

    @Test("require_row_security refuses an open table", arguments: TestDatabaseEngines.all)
    func rowSecurity(_ engine: DatabaseEngine) async throws {
        try await TestEngine.open(engine) { rows in
            let open = Self.file(1, "create table a (id integer primary key);")
            let failure = await #expect(throws: MigrationFailure.self) {
                _ = try await rows.migrate([open], requiresRowSecurity: true)
            }
            #expect(failure?.reason.contains("public.a has no row level security") == true)
            let closed = Self.file(2, "alter table a enable row level security;")
            let report = try await rows.migrate([open, closed], requiresRowSecurity: true)
            #expect(report.applied.count == 2)
        }
    }

    @Test("The example project and its seed run, and the seed runs once", arguments: TestDatabaseEngines.all)
    func example(_ engine: DatabaseEngine) async throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
            .appendingPathComponent("../../compose/example")
        let sql = try String(
            contentsOf: folder.appendingPathComponent("migrations/20260105090000_order_desk.sql"), encoding: .utf8)
        let seed = try String(contentsOf: folder.appendingPathComponent("seed.sql"), encoding: .utf8)
        try await TestEngine.open(engine) { rows in
            _ = try await rows.migrate(
                [MigrationFile(version: "20260105090000", fileName: "order_desk.sql", sql: sql)],
                requiresRowSecurity: true)
            let ran = try await rows.seed(seed, fileName: "seed.sql")
            #expect(ran)
            let ranAgain = try await rows.seed(seed, fileName: "seed.sql")
            #expect(!ranAgain)
            let test = TestEngine(rows: rows, handler: RestHandler(engine: rows, rowsMax: 1_000))
            let lines = await test.send("HEAD", "/order_lines", as: .service, prefer: "count=exact")
            let orders = await test.send("HEAD", "/orders", as: .service, prefer: "count=exact")
            let products = await test.send("GET", "/products?select=sku,price&order=id&limit=1", prefer: "count=exact")
            let counts = [lines, orders, products].compactMap { $0["content-range"]?.split(separator: "/").last }
                .compactMap { Int($0) }
            #expect(counts.count == 3)
            #expect(counts.reduce(0, +) >= 2_000)
            #expect(products.status == 206)
            let hidden = await test.send("GET", "/orders?select=id", as: .user(TestEngine.alice))
            #expect(hidden.text == "[]")
            let view = await test.send("GET", "/placed_orders?select=id&limit=1", as: .service)
            #expect(view.status == 200, "\(view.text)")
        }
    }
}

extension TestEngine {
    init(rows: any RowEngine, rowsMax: Int64? = nil) {
        self.init(rows: rows, handler: RestHandler(engine: rows, rowsMax: rowsMax))
    }
}
