// SPDX-License-Identifier: Apache-2.0
import Foundation
import MartletDatabase
import Testing

@testable import MartletSQL

@Suite struct MigrationTests {
    static let example: URL = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("../../compose/example/migrations").standardizedFileURL

    @Test func `The example project translates whole and runs`() async throws {
        try await withProject { (project: TestProject) async throws in
            let files = try FileManager.default.contentsOfDirectory(atPath: Self.example.path).sorted()
            #expect(!files.isEmpty)
            for file in files {
                try await project.migrate(
                    try String(contentsOf: Self.example.appendingPathComponent(file), encoding: .utf8))
            }
            let seed = Self.example.deletingLastPathComponent().appendingPathComponent("seed.sql")
            try await project.migrate(try String(contentsOf: seed, encoding: .utf8))
            for (table, least) in [("products", 100), ("customers", 100), ("orders", 200), ("order_lines", 500)] {
                let count = try #require(try await project.query("select count(*) from \(table)")[0][0].integerValue)
                #expect(count >= least, "\(table)")
            }
            #expect(try await project.query("pragma foreign_key_check").isEmpty)
            #expect(project.catalog.publication.count == 3)
            #expect(try project.relation("orders").policies.count == 2)
            #expect(try project.relation("products").column("price")?.type.storedScale == 2)
            #expect(try project.relation("placed_orders").securityInvoker)
            let compiler = AccessCompiler(catalog: project.catalog, role: "anon")
            #expect(compiler.allows(.select, on: try project.relation("products"), columns: nil))
            #expect(!compiler.allows(.insert, on: try project.relation("products"), columns: nil))
            #expect(!compiler.allows(.select, on: try project.relation("orders"), columns: []))
        }
    }

    @Test func `A seed of thousands of rows translates in bounded time`() throws {
        var translator = MigrationTranslator(catalog: try Platform.catalog().0)
        _ = try translator.translate(
            "create table t (id int primary key, name text, price numeric(10,2), at timestamptz, doc jsonb)",
            file: "m.sql")
        let rows = (0..<5_000).map { "(\($0), 'item \($0)', \($0).25, '2026-01-01T10:00:00Z', '{\"n\": \($0)}')" }
        let start = ContinuousClock.now
        let steps = try translator.translate(
            "insert into t values \(rows.joined(separator: ",\n"))", file: "seed.sql")
        guard case .insert(let insert) = steps.first else {
            Issue.record("an insert was expected")
            return
        }
        #expect(insert.rows.count == 5_000)
        #expect(
            insert.rows[7] == [
                .expression("7"), .expression("'item 7'"), .expression("725"), .expression("1767261600000000"),
                .expression("'{\"n\": 7}'"),
            ])
        #expect(ContinuousClock.now - start < .seconds(60))
    }

    @Test func `The catalogue survives being stored`() async throws {
        let sql = """
            create type mood as enum ('low', 'high');
            create table t (id serial primary key, m mood default 'low', tags text[] default '{}', n numeric(8,3),
                g int generated always as (1 + 1) stored, unique (m, n), check (n > 0));
            create index on t (lower(m::text)) where n > 1;
            create policy p on t for update to anon using (n > 1) with check (n > 2);
            create policy q on t as restrictive using (true);
            grant select (id, m) on t to anon;
            create table u (t int references t on delete cascade on update set null deferrable initially deferred);
            create view v with (security_invoker = on) as select * from t;
            comment on table t is 'c'; comment on column t.n is 'd';
            alter table t enable row level security, force row level security, replica identity full;
            alter publication supabase_realtime add table t;
            """
        var translator = MigrationTranslator(catalog: try Platform.catalog().0)
        _ = try translator.translate(sql, file: "m.sql")
        let decoded = try Catalog(decoding: translator.catalog.encoded())
        #expect(decoded == translator.catalog)
        #expect(throws: DatabaseError.self) { try Catalog(decoding: "{\"format\":2}") }
    }

    /// Statements, each after `create table t …`, with what must come out of a query on SQLite.
    static let changes: [(String, String, String)] = [
        ("alter table t add column c text", "select c from t", "NULL"),
        ("alter table t add column c text not null default 'x'", "select c from t", "x"),
        ("alter table t add c numeric(6,2) default 1.5", "select c from t", "150"),
        ("alter table t add column c uuid default gen_random_uuid()", "select length(c) from t", "36"),
        ("alter table t add column c timestamptz not null default now()", "select c > 0 from t", "1"),
        ("alter table t add column c bigint generated always as identity", "select c from t", "1"),
        ("alter table t add column c int generated always as (n * 2) stored", "select c from t", "14"),
        ("alter table t drop column n", "select count(*) from pragma_table_info('t')", "3"),
        (
            "alter table t drop column a", "select group_concat(name) from pragma_index_list('t') where origin='c'",
            "NULL"
        ),
        ("alter table t rename column n to m", "select m from t", "7"),
        ("alter table t rename to s", "select n from s", "7"),
        ("alter table t alter column j type text using 'x'", "select j from t", "x"),
        ("alter table t alter column n type numeric(10,2) using n * 1.5", "select n from t", "1050"),
        ("alter table t alter column a type varchar(5)", "select a from t", "one"),
        (
            "alter table t alter column n set not null",
            "select \"notnull\" from pragma_table_info('t') where name='n'", "1"
        ),
        (
            "alter table t alter column a drop not null",
            "select \"notnull\" from pragma_table_info('t') where name='a'", "0"
        ),
        ("alter table t add constraint positive check (n > 0)", "select n from t", "7"),
        (
            "alter table t add constraint k unique (n)", "select count(*) from pragma_index_list('t') where origin='u'",
            "1"
        ),
        (
            "alter table t rename constraint t_n_check to c2",
            "select sql like '%\"c2\"%' from sqlite_schema where name='t'", "1"
        ),
        ("alter table t drop constraint t_n_check", "select sql like '%CHECK%' from sqlite_schema where name='t'", "0"),
        (
            "create unique index i on t (lower(a), n desc) where n is not null",
            "select count(*) from sqlite_schema where name='i'", "1"
        ),
        ("create index i on t using gin (j)", "select count(*) from sqlite_schema where name='i'", "0"),
        ("drop index t_a_idx", "select count(*) from sqlite_schema where name='t_a_idx'", "0"),
        ("alter index t_a_idx rename to ai", "select count(*) from sqlite_schema where name='ai'", "1"),
        ("drop table t", "select count(*) from sqlite_schema where name='t'", "0"),
        (
            "create table \"Mixed\" (\"Id\" int primary key, rowid int)",
            "select count(*) from pragma_table_info('^mixed')", "2"
        ),
        ("create schema s; create table s.t (id int)", "select count(*) from sqlite_schema where name='s.t'", "1"),
        (
            "insert into t (a, n) values ('two', 2), ('three', default)",
            "select group_concat(a) from (select a from t order by id)", "one,two,three"
        ),
        ("insert into t (id, a) values (1, 'again') on conflict (id) do nothing", "select a from t", "one"),
        (
            "insert into t (a, j) values ('x', '{\"b\":1, \"a\":[true]}')", "select j from t where a='x'",
            "{\"a\": [true], \"b\": 1}"
        ),
        ("update t set n = n + 1, a = upper(a) where a = 'one'", "select a || n from t", "ONE8"),
        ("update t as x set n = (select count(*) from t where t.id = x.id), j = default", "select n from t", "1"),
        ("delete from t where n = 7 and a is not null", "select count(*) from t", "0"),
        (
            "alter table t add column at timestamp(3) default '2026-01-01 00:00:00.123456'", "select at % 1000 from t",
            "0"
        ),
        ("begin; set statement_timeout = 0; create extension if not exists pgcrypto; commit", "select 1", "1"),
        (
            "select pg_catalog.set_config('search_path', '', false); create table public.z (x int)",
            "select count(*) from z", "0"
        ),
    ]

    @Test(arguments: changes)
    func `A change of a table with a row in it`(_ change: String, _ query: String, _ expected: String) async throws {
        let base = """
            create table t (id int generated by default as identity primary key, a text not null,
                n int default 7 check (n < 100), j jsonb);
            create index on t (a);
            insert into t (a) values ('one');
            """
        try await withProject(base) { (project: TestProject) async throws in
            try await project.migrate(change)
            let row = try await project.query(query)[0][0]
            #expect((ValueForm.text(row, type: .text) ?? "NULL") == expected)
            // What is stored of the catalogue still makes the same tables.
            #expect(try Catalog(decoding: project.catalog.encoded()) == project.catalog)
        }
    }

    @Test func `A table that others refer to is rebuilt with foreign keys on`() async throws {
        let base = """
            create table p (id int primary key, parent int references p, n int);
            create table c (id int primary key, p int references p on delete cascade);
            insert into p values (1, null, 5), (2, 1, 6); insert into c values (1, 1), (2, 2);
            """
        try await withProject(base) { (project: TestProject) async throws in
            #expect(try await project.query("pragma foreign_keys")[0][0] == .integer(1))
            try await project.migrate("alter table p alter column n type text; alter table p drop column n")
            #expect(try await project.query("select count(*) from c join p on p.id = c.p")[0][0] == .integer(2))
            #expect(try await project.query("pragma foreign_key_check").isEmpty)
            #expect(
                try await project.query("select count(*) from pragma_foreign_key_list('c') where \"table\" = 'p'")[0][0]
                    == .integer(1))
        }
    }

    @Test func `A rename reaches every text that means the name`() async throws {
        let sql = """
            create table teams (id int primary key, owner uuid);
            create table notes (id int primary key, team int references teams (id), body text, owner uuid,
                check (length(body) > 0 and owner is not null));
            create index on notes (lower(body)) where owner is not null;
            create policy p on notes using (exists (
                select 1 from teams where teams.id = notes.team and owner = auth.uid()));
            create view v as select n.body, t.* from notes n join teams t on t.id = n.team;
            """
        var translator = MigrationTranslator(catalog: try Platform.catalog().0)
        _ = try translator.translate(sql, file: "1.sql")
        _ = try translator.translate(
            "alter table teams rename column owner to boss; alter table notes rename to memos; "
                + "alter table teams rename to groups; alter table memos rename column owner to author", file: "2.sql")
        let catalog = translator.catalog
        let memos = try #require(catalog.relations[QualifiedName("public", "memos")])
        #expect(memos.policies[0].using?.contains("memos.team") == true)
        #expect(memos.policies[0].using?.contains("boss = auth.uid()") == true)
        #expect(memos.checks[0].expression.contains("author"))
        #expect(memos.indexes[0].predicate == "(author IS NOT NULL)")
        #expect(memos.foreignKeys[0].target == QualifiedName("public", "groups"))
        let view = try #require(catalog.relations[QualifiedName("public", "v")])
        #expect(view.columns.map(\.name) == ["body", "id", "owner"])
        let compiler = AccessCompiler(catalog: catalog, role: "service_role")
        #expect(try compiler.rowSource(view, alias: "v").contains("\"boss\" AS \"owner\""))
    }

    @Test func `Names are PostgreSQL's`() throws {
        var translator = MigrationTranslator(catalog: try Platform.catalog().0)
        let long = String(repeating: "x", count: 60)
        _ = try translator.translate(
            """
            create table t (id int primary key, a int unique check (a > 0), b int,
                check (a > b), check (b > 1), unique (a, b));
            create table u (t_id int references t, constraint mine foreign key (t_id) references t (a));
            create index on t (a, lower(b::text)); create index on t (a);
            create table \(long) (abcdefgh int unique);
            """, file: "1.sql")
        let t = try #require(translator.catalog.relations[QualifiedName("public", "t")])
        #expect(t.primaryKey?.name == "t_pkey")
        #expect(t.uniques.map(\.name) == ["t_a_key", "t_a_b_key"])
        #expect(t.checks.map(\.name) == ["t_a_check", "t_check", "t_b_check"])
        #expect(t.indexes.map(\.name) == ["t_a_lower_idx", "t_a_idx"])
        let u = try #require(translator.catalog.relations[QualifiedName("public", "u")])
        #expect(u.foreignKeys.map(\.name) == ["u_t_id_fkey", "mine"])
        let wide = try #require(translator.catalog.relations[QualifiedName("public", long)])
        #expect(wide.uniques[0].name == String(repeating: "x", count: 50) + "_abcdefgh_key")
    }
}
