// SPDX-License-Identifier: Apache-2.0

@testable import MartletData
import MartletDatabase
import Testing

/// `auth.users` as the authentication service keeps it (D25).
@Suite("Users on both engines")
struct UserTests {
    private static let id = TestEngine.alice
    private static let session = RequestSession(role: "supabase_auth_admin")

    private static func change(
        _ base: Int64, _ version: Int64, creates: Bool = false, _ columns: [UserColumn] = []
    ) -> UserChange {
        UserChange(id: id, baseVersion: base, version: version, isCreation: creates, columns: columns)
    }

    private static func value(_ name: String, in outcome: UserOutcome) -> String? {
        switch outcome {
        case .applied(let row, _), .unchanged(let row, _), .stale(let row, _):
            return row.first { $0.name == name }?.value
        case .gone, .refused: return nil
        }
    }

    @Test("A change is applied once, on the version that it was made on", arguments: TestDatabaseEngines.all)
    func versions(_ engine: DatabaseEngine) async throws {
        try await TestEngine.open(engine) { rows in
            func put(_ change: UserChange) async throws -> UserOutcome {
                try await rows.putUser(change, session: Self.session)
            }
            let early = try await put(Self.change(1, 2))
            #expect(early == .gone)
            let made = try await put(
                Self.change(
                    0, 1, creates: true,
                    [
                        UserColumn("email", "a@example.test"), UserColumn("raw_app_meta_data", #"{"b":1,"a":true}"#),
                        UserColumn("email_confirmed_at", "2026-01-02 03:04:05.5+00"), UserColumn("phone", nil),
                        UserColumn("is_anonymous", "true"),
                    ]))
            guard case .applied(let row, 1) = made else {
                Issue.record("\(made)")
                return
            }
            #expect(row.first { $0.name == "raw_app_meta_data" }?.value == #"{"a": true, "b": 1}"#)
            #expect(row.first { $0.name == "email_confirmed_at" }?.value == "2026-01-02 03:04:05.5+00")
            #expect(row.first { $0.name == "is_anonymous" }?.value == "t")
            #expect(row.first { $0.name == "is_sso_user" }?.value == "f")
            let repeated = try await put(Self.change(0, 1, creates: true, [UserColumn("email", "b@example.test")]))
            #expect(Self.value("email", in: repeated) == "a@example.test")
            guard case .unchanged(_, 1) = repeated else {
                Issue.record("\(repeated)")
                return
            }
            guard
                case .applied(let second, 4) = try await put(Self.change(1, 4, [UserColumn("email", "c@example.test")]))
            else {
                Issue.record("the change was not applied")
                return
            }
            #expect(second.first { $0.name == "email" }?.value == "c@example.test")
            guard case .stale(_, 4) = try await put(Self.change(1, 5, [UserColumn("email", "d@example.test")])) else {
                Issue.record("a stale change was taken")
                return
            }
        }
    }

    @Test("A deleted user is gone for ever, and takes along what cascades", arguments: TestDatabaseEngines.all)
    func deletion(_ engine: DatabaseEngine) async throws {
        let project = TestProject()
        try await TestEngine.with(engine, migrations: [project.migration]) { test in
            _ = await test.send(
                "POST", project.named("/@item"), as: .user(Self.id), #"{"id":1,"title":"x"}"#)
            _ = await test.send(
                "POST", project.named("/@part"), as: .user(Self.id), #"{"item_id":1,"number":1}"#)
            let deleted = try await test.rows.deleteUser(id: Self.id, session: Self.session)
            #expect(deleted == .deleted)
            let again = try await test.rows.deleteUser(id: Self.id, session: Self.session)
            #expect(again == .absent)
            let late = try await test.rows.putUser(Self.change(0, 9, creates: true), session: Self.session)
            #expect(late == .gone)
            let items = await test.send("GET", project.named("/@item?select=id"), as: .service)
            #expect(items.text == "[]")
            let parts = await test.send("GET", project.named("/@part?select=number"), as: .service)
            #expect(parts.text == "[]")
        }
    }

    @Test("A row that restricts keeps its user", arguments: TestDatabaseEngines.all)
    func restriction(_ engine: DatabaseEngine) async throws {
        let sql = """
            create table bill (id integer primary key, payer uuid not null references auth.users (id) on delete restrict);
            """
        try await TestEngine.with(engine, migrations: [sql]) { test in
            let made = await test.send("POST", "/bill", as: .service, #"{"id":1,"payer":"\#(Self.id)"}"#)
            #expect(made.status == 201, "\(made.text)")
            guard case .refused(let error) = try await test.rows.deleteUser(id: Self.id, session: Self.session) else {
                Issue.record("the user was deleted")
                return
            }
            #expect(error.code == "23503")
            let change = Self.change(1, 2, [UserColumn("role", "authenticated")])
            guard case .applied = try await test.rows.putUser(change, session: Self.session) else {
                Issue.record("the refused deletion left something behind")
                return
            }
        }
    }

    @Test("Two users cannot have one e-mail", arguments: TestDatabaseEngines.all)
    func uniqueness(_ engine: DatabaseEngine) async throws {
        try await TestEngine.with(engine, migrations: []) { test in
            let change = UserChange(
                id: "00000000-0000-4000-8000-00000000000c", baseVersion: 0, version: 1, isCreation: true,
                columns: [UserColumn("email", "\(TestEngine.alice)@example.test")])
            guard case .refused(let error) = try await test.rows.putUser(change, session: Self.session) else {
                Issue.record("a second user has the e-mail")
                return
            }
            #expect(error.code == "23505")
            #expect(error.message == "duplicate key value violates unique constraint \"users_email_partial_key\"")
        }
    }

    @Test("On PostgreSQL the application's trigger makes a profile, or refuses the user")
    func trigger() async throws {
        let sql = """
            create table profile (id uuid primary key references auth.users (id) on delete cascade, name text not null);
            create function public.welcome() returns trigger language plpgsql security definer set search_path = '' as $$
            begin
                insert into public.profile (id, name) values (new.id, new.raw_user_meta_data ->> 'name');
                return new;
            end $$;
            create trigger welcome after insert on auth.users for each row execute function public.welcome();
            """
        try await TestEngine.with(.postgres, migrations: [sql], users: []) { test in
            let named = [UserColumn("raw_user_meta_data", #"{"name":"Ann"}"#)]
            let refused = try await test.rows.putUser(Self.change(0, 1, creates: true), session: Self.session)
            guard case .refused(let error) = refused else {
                Issue.record("\(refused)")
                return
            }
            #expect(error.code == "23502")
            let applied = try await test.rows.putUser(Self.change(0, 1, creates: true, named), session: Self.session)
            guard case .applied = applied else {
                Issue.record("\(applied)")
                return
            }
            let profiles = await test.send("GET", "/profile?select=name", as: .service)
            #expect(profiles.text == #"[{"name":"Ann"}]"#)
        }
    }

    @Test("What SQL does to users is told until it is acknowledged, with the hash once")
    func news() async throws {
        try await TestEngine.open(.postgres) { rows in
            func news(_ acknowledged: [Int64] = []) async throws -> [UserNews] {
                try await rows.userNews(acknowledged: acknowledged, max: 10, session: Self.session)
            }
            func run(_ version: Int, _ sql: String) async throws {
                let file = MigrationFile(version: "\(version)", fileName: "\(version)_users.sql", sql: sql)
                files.append(file)
                _ = try await rows.migrate(files, requiresRowSecurity: false)
            }
            var files: [MigrationFile] = []
            try await run(
                1,
                "insert into auth.users (id, email, encrypted_password) values ('\(Self.id)', 'a@example.test', 'hash')")
            let first = try await news()
            #expect(first.map(\.id) == [Self.id])
            #expect(first.first?.version == 1)
            #expect(first.first?.row?.first { $0.name == "encrypted_password" }?.value == "hash")
            // Nobody has said yet that it is known.
            let again = try await news()
            #expect(again == first)
            let none = try await news(first.map(\.number))
            #expect(none.isEmpty)
            // What auth itself asks for is no news to it, and builds on the version that SQL has left.
            guard
                case .applied(let row, 2) = try await rows.putUser(
                    Self.change(1, 2, [UserColumn("role", "authenticated")]), session: Self.session)
            else {
                Issue.record("the change was not applied")
                return
            }
            #expect(row.first { $0.name == "encrypted_password" }?.value == "")
            let own = try await news()
            #expect(own.isEmpty)
            try await run(2, "update auth.users set banned_until = 'infinity'; delete from auth.users")
            let last = try await news()
            #expect(last.count == 2)
            #expect(last.allSatisfy { $0.row == nil })
            guard case .gone = try await rows.putUser(Self.change(0, 9, creates: true), session: Self.session) else {
                Issue.record("a deleted user came back")
                return
            }
        }
    }

    @Test("A version never goes back, and a change that was made on an older one is told so")
    func versionsOfSQL() async throws {
        try await TestEngine.withPostgresDatabase { url in
            let engine = try await PostgresEngine.open(url: url, poolSize: 1)
            func news(_ acknowledged: [Int64] = []) async throws -> [UserNews] {
                try await engine.userNews(acknowledged: acknowledged, max: 10, session: Self.session)
            }
            func run(_ sql: String) async throws {
                let database = try Database(DatabaseConfiguration(location: .postgres(url: url), poolSize: 1))
                try await database.write { try $0.executeScript(sql) }
                await database.close()
            }
            let id = Self.id
            _ = try await engine.putUser(Self.change(0, 1, creates: true), session: Self.session)
            try await run("delete from auth.users; insert into auth.users (id, email) values ('\(id)', 'b@example.test')")
            let told = try await news()
            #expect(told.map(\.version) == [2, 2])
            #expect(told.last?.row?.first { $0.name == "email" }?.value == "b@example.test")
            // Made on version 1, when SQL had made it 2: it is not taken, and not taken for done either.
            guard case .stale(_, 2) = try await engine.putUser(Self.change(1, 2), session: Self.session) else {
                Issue.record("a change on an older version was taken")
                return
            }
            // With triggers off, as dumps are loaded, and by TRUNCATE.
            try await run("set session_replication_role = replica; update auth.users set email = 'c@example.test'")
            let third = try await news(told.map(\.number))
            #expect(third.map(\.version) == [3])
            try await run("truncate auth.users cascade")
            let last = try await news(third.map(\.number))
            #expect(last.map(\.id) == [id])
            #expect(last.first?.row == nil)
            // A value that auth takes from nobody is not told.
            try await run(
                """
                insert into auth.users (id, email, raw_user_meta_data)
                values ('\(id)', 'd@example.test', jsonb_build_object('x', repeat('x', 100000)))
                """)
            let large = try await news(last.map(\.number))
            #expect(large.first?.version == 4)
            #expect(large.first?.row?.contains { $0.name == "raw_user_meta_data" } == false)
            await engine.close()
        }
    }
}
