// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import Testing

@testable import MartletSQL

@Suite struct AccessTests {
    static let ann = "aaaaaaaa-0000-4000-8000-000000000001"
    static let bob = "bbbbbbbb-0000-4000-8000-000000000002"

    /// Two people, teams that they belong to, notes of teams, and a public list.
    static let schema = """
        create table teams (id int primary key, name text not null);
        create table members (team int references teams, person uuid, role text not null, primary key (team, person));
        create table notes (id int primary key, team int references teams, author uuid, body text, secret text,
            hidden boolean not null default false);
        create table open_list (id int primary key);
        insert into teams values (1, 'red'), (2, 'blue');
        insert into members values (1, '\(ann)', 'admin'), (1, '\(bob)', 'reader'), (2, '\(bob)', 'admin');
        insert into notes values (1, 1, '\(ann)', 'a', 's', false), (2, 1, '\(bob)', 'b', 's', true),
            (3, 2, '\(bob)', 'c', 's', false);
        insert into open_list values (1), (2);
        alter table teams enable row level security;
        alter table members enable row level security;
        alter table notes enable row level security;
        create policy own on members for select to authenticated using (person = auth.uid());
        create policy seen on teams for select to authenticated
            using (exists (select 1 from members m where m.team = teams.id));
        create policy read_team on notes for select to authenticated
            using (team in (select team from members where person = (select auth.uid())));
        create policy own_hidden on notes as restrictive for select to authenticated
            using (not hidden or author = auth.uid());
        create policy write_own on notes for all to authenticated using (author = auth.uid())
            with check (author = auth.uid() and exists (select from members where members.team = notes.team));
        create view definer_notes as select id, body from notes;
        create view invoker_notes with (security_invoker = on) as select n.id, n.body, t.name as team
            from notes n left join teams t on t.id = n.team;
        create view note_counts with (security_invoker) as
            select team, count(*) as notes, bool_or(hidden) as any_hidden from notes group by team;
        """

    static let readers: [(relation: String, role: String, user: String?, ids: [String])] = [
        ("notes", "authenticated", ann, ["1"]), ("notes", "authenticated", bob, ["1", "2", "3"]),
        ("notes", "authenticated", nil, []), ("notes", "anon", nil, []),
        ("notes", "service_role", nil, ["1", "2", "3"]),
        ("notes", "postgres", nil, ["1", "2", "3"]), ("teams", "authenticated", ann, ["1"]),
        ("teams", "authenticated", bob, ["1", "2"]), ("open_list", "anon", nil, ["1", "2"]),
        ("definer_notes", "anon", nil, ["1", "2", "3"]), ("invoker_notes", "authenticated", ann, ["1"]),
        ("invoker_notes", "anon", nil, []), ("invoker_notes", "authenticated", bob, ["1", "2", "3"]),
    ]

    @Test func `Each role sees the rows that the policies give it`() async throws {
        try await withProject(Self.schema) { (project: TestProject) async throws in
            for reader in Self.readers {
                let ids = try await project.visible(reader.relation, "id", role: reader.role, user: reader.user)
                #expect(ids == reader.ids, "\(reader)")
            }
            #expect(
                try await project.visible("note_counts", "notes", role: "authenticated", user: Self.bob) == ["1", "2"])
        }
    }

    @Test func `A check is computed on the proposed row`() async throws {
        try await withProject(Self.schema) { (project: TestProject) async throws in
            let notes = try project.relation("notes")
            let compiler = AccessCompiler(catalog: project.catalog, role: "authenticated")
            guard case .expression(let check) = try compiler.withCheck(.insert, on: notes, alias: "new") else {
                Issue.record("the check must be an expression")
                return
            }
            for (author, team, passes) in [(Self.ann, 1, true), (Self.ann, 2, false), (Self.bob, 1, false)] {
                let sql = "SELECT \(check) FROM (SELECT 9 AS id, \(team) AS team, '\(author)' AS author) AS new"
                let row = try await project.database.read { session in
                    try session.query(sql, TestProject.context(sql, user: Self.ann))[0][0]
                }
                #expect(row == .integer(passes ? 1 : 0), "\(author) \(team)")
            }
            #expect(
                try AccessCompiler(catalog: project.catalog, role: "anon").withCheck(.insert, on: notes, alias: "n")
                    == .never)
            #expect(
                try AccessCompiler(catalog: project.catalog, role: "service_role").using(.delete, on: notes, alias: "n")
                    == .always)
        }
    }

    @Test func `Grants decide about tables and columns`() async throws {
        let sql = """
            create table t (a int, b int, c int);
            revoke all on t from anon, authenticated;
            grant select (a, b), update (b) on t to anon; grant insert on t to authenticated;
            create schema private; create table private.p (x int); grant select on private.p to anon;
            create schema api; create table api.q (x int);
            grant usage on schema api to anon; grant select on api.q to anon;
            """
        try await withProject(sql) { (project: TestProject) async throws in
            let anon = AccessCompiler(catalog: project.catalog, role: "anon")
            let table = try project.relation("t")
            #expect(anon.allows(.select, on: table, columns: ["a", "b"]))
            #expect(!anon.allows(.select, on: table, columns: ["a", "c"]))
            #expect(!anon.allows(.select, on: table, columns: nil))
            #expect(anon.allows(.select, on: table, columns: []))
            #expect(anon.allows(.update, on: table, columns: ["b"]))
            #expect(!anon.allows(.insert, on: table, columns: ["a"]))
            #expect(
                AccessCompiler(catalog: project.catalog, role: "authenticated").allows(
                    .insert, on: table, columns: ["a"]))
            let hidden = try #require(project.catalog.relations[QualifiedName("private", "p")])
            #expect(!anon.allows(.select, on: hidden, columns: nil), "no USAGE on the schema")
            let shown = try #require(project.catalog.relations[QualifiedName("api", "q")])
            #expect(anon.allows(.select, on: shown, columns: nil))
        }
    }

    static let errors: [(String, String)] = [
        ("create policy p on t using (exists (select 1 from t where id = 1))", "42P17"),
        (
            "create policy p on t using (exists (select 1 from u)); create policy p on u using (exists (select 1 from t))",
            "42P17"
        ),
        ("create policy p on t using (exists (select 1 from u)); revoke all on u from anon", "42501"),
        (
            "create policy p on t using (exists (select 1 from u where secret = 1)); "
                + "revoke all on u from anon; grant select (id) on u to anon",
            "42501"
        ),
    ]

    @Test(arguments: errors)
    func `A policy that cannot be read fails with PostgreSQL's code`(_ sql: String, _ sqlState: String) async throws {
        let base = """
            create table t (id int); create table u (id int, secret int);
            alter table t enable row level security; alter table u enable row level security;
            """
        try await withProject(base + sql) { (project: TestProject) async throws in
            let compiler = AccessCompiler(catalog: project.catalog, role: "anon")
            do {
                let condition = try compiler.using(.select, on: try project.relation("t"), alias: "t")
                Issue.record("gave \(condition)")
            } catch let error as DatabaseError {
                #expect(error.sqlState == sqlState)
            }
        }
    }

    @Test(arguments: [(bypasses: false, forces: false), (false, true), (true, true)])
    func `An owner is bound by FORCE only, and BYPASSRLS not even by it`(_ bypasses: Bool, _ forces: Bool) throws {
        var catalog = try Platform.catalog().0
        catalog.roles["owner"] = Role(bypassesRowSecurity: bypasses)
        let table = Relation(
            name: QualifiedName("public", "t"), columns: [Column(name: "id", type: .int4)], rowSecurity: true,
            forcesRowSecurity: forces, owner: "owner")
        let condition = try AccessCompiler(catalog: catalog, role: "owner").using(.select, on: table, alias: "t")
        #expect(condition == (forces && !bypasses ? .never : .always))
    }

    @Test func `A view of the application's owner reads auth.users, as on Supabase`() async throws {
        let sql = """
            insert into auth.users (id, email) values ('\(Self.ann)', 'ann@example.com');
            create view people as select id, email from auth.users;
            create view own_people with (security_invoker = on) as select id from auth.users;
            """
        try await withProject(sql) { (project: TestProject) async throws in
            #expect(try await project.visible("people", "email", role: "anon", user: nil) == ["ann@example.com"])
            await #expect(throws: DatabaseError.self) {
                try await project.visible("own_people", "id", role: "anon", user: nil)
            }
        }
    }

    @Test func `Defaults give the form on disk`() async throws {
        let sql = """
            create type mood as enum ('low', 'high');
            create table t (a timestamptz default now() + interval '1 day', b numeric(5,2) default 2,
                c mood default 'high',
                d jsonb default '{"b":1}', e text[] default array['x'], f uuid default auth.uid(),
                g date default current_date,
                h text default 'it''s', i boolean default true, j text[] default '{}',
                k timestamptz default timezone('utc', now()));
            """
        try await withProject(sql) { (project: TestProject) async throws in
            let compiler = AccessCompiler(catalog: project.catalog, role: "authenticated")
            let columns = try project.relation("t").columns
            let sql = "SELECT " + (try columns.map { try compiler.defaultExpression(of: $0) }.joined(separator: ", "))
            let parameters = TestProject.context(sql, user: Self.ann)
            let row = try await project.database.read { try $0.query(sql, parameters)[0].values }
            let texts = zip(row, columns).map { ValueForm.text($0, type: $1.type) }
            #expect(
                texts == [
                    "2026-01-02 00:00:00+00", "2.00", "high", "{\"b\": 1}", "{x}", Self.ann, "2026-01-01", "it's", "t",
                    "{}",
                    "2026-01-01 00:00:00+00",
                ])
            #expect(row[1] == .integer(200))
        }
    }
}
