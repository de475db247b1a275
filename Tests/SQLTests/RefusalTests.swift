// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import MartletSQL

@Suite struct RefusalTests {
    /// Statements that are refused, with the code and a word of the reason.
    static let table: [(String, String, String)] = [
        ("create function f() returns int language sql as 'select 1'", "0A000", "functions"),
        ("create trigger x before insert on t for each row execute function f()", "0A000", "triggers"),
        ("do $$ begin end $$", "0A000", "DO blocks"), ("update t set nosuch = 1", "42703", "nosuch"),
        ("update t set a = 1 from v", "0A000", "fromClause"), ("delete from v", "42809", "not a table"),
        ("update t set a = 'x'", "22P02", "invalid"),
        ("alter table t alter column b type int using (select 1)", "0A000", "subquery"),
        ("create materialized view m as select 1", "0A000", "materialized"),
        ("create table x (a tsvector)", "0A000", "full text"), ("create table x (a point)", "0A000", "geometric"),
        ("create table x (a int4range)", "0A000", "ranges"), ("create table x (a nosuch)", "42704", "does not exist"),
        ("create table x (a int, exclude using gist (a with =))", "0A000", "EXCLUDE"),
        ("create table x (a int) partition by range (a)", "0A000", "partspec"),
        ("create table x () inherits (t)", "0A000", "inh"), ("create temp table x (a int)", "0A000", "temporary"),
        ("create table x (a int unique nulls not distinct)", "0A000", "nulls"),
        ("create table x (a int unique deferrable)", "0A000", "deferrable"),
        ("create table x (a date check (a < current_date))", "0A000", "current time"),
        ("create table x (a int references t (b))", "42830", "unique"),
        ("create table x (a text references t)", "42804", "incompatible"),
        ("create table t (a int)", "42P07", "already exists"),
        ("create table x (a int, a int)", "42701", "more than once"),
        ("create table x (a int default 'x')", "22P02", "invalid input"),
        ("create table auth.x (a int)", "42501", "permission"), ("drop table auth.users", "42501", "owner"),
        ("alter table auth.users disable row level security", "42501", "owner"),
        ("alter table nosuch add column a int", "42P01", "nosuch"),
        ("alter table t drop column nosuch", "42703", "nosuch"),
        ("alter table t drop column a", "2BP01", "depends"), ("drop table t", "2BP01", "depends"),
        ("alter table t alter column a type text", "0A000", "used by"),
        ("create policy q on t for insert using (true)", "42601", "WITH CHECK"),
        ("create policy q on t for select with check (true)", "42601", "WITH CHECK"),
        ("create policy q on t using (a)", "42804", "boolean"),
        ("create policy q on t using (nosuch = 1)", "42703", "nosuch"),
        ("create policy q on t using (nosuch())", "42883", "nosuch"),
        ("create policy p on t using (true)", "42710", "exists"),
        ("create policy q on t to nobody using (true)", "42704", "nobody"),
        ("create view w as select a, a from t", "42701", "different"),
        ("create view w as select nosuch from t", "42703", "nosuch"),
        ("create view w as select a, count(*) from t", "42803", "GROUP BY"),
        ("create view w with (check_option = local) as select a from t", "0A000", "check_option"),
        ("create view w as select * from t full join t u on true", "0A000", "FULL"),
        ("insert into t select 1", "0A000", "SELECT"), ("insert into t (nosuch) values (1)", "42703", "nosuch"),
        ("insert into t (a) values ('x')", "22P02", "invalid"),
        ("insert into t (a) values (1, 2)", "42601", "more expressions"),
        ("insert into t (a) values (1) on conflict (a) do nothing", "42P10", "ON CONFLICT"),
        ("insert into t (a) values (1) returning a", "0A000", "returningList"),
        ("grant select on t to nobody", "42704", "nobody"), ("grant nosuch on t to anon", "42601", "nosuch"),
        ("revoke usage on schema auth from anon", "42501", "permission"), ("create role x", "0A000", "roles"),
        ("alter publication other add table t", "0A000", "supabase_realtime"),
        ("alter publication supabase_realtime add table t where (a > 1)", "0A000", "whereClause"),
        ("set role anon", "0A000", "role"), ("rollback", "0A000", "COMMIT"), ("select 1", "0A000", "queries"),
        ("create tabel x ()", "42601", "syntax"), ("alter type mood add value 'low'", "42710", "exists"),
        ("create type mood as enum ('x')", "42710", "exists"), ("drop type mood", "2BP01", "depends"),
        ("comment on function f() is 'x'", "0A000", "comment"), ("alter table t owner to anon", "0A000", "owner"),
        ("create unique index on t (nosuch)", "42703", "nosuch"),
        ("create index on t ((now()))", "0A000", "current time"),
    ]

    @Test(arguments: table)
    func `A refusal names its place and reason, and changes nothing`(
        _ sql: String, _ sqlState: String, _ word: String
    ) throws {
        var translator = MigrationTranslator(catalog: try Platform.catalog().0)
        _ = try translator.translate(
            """
            create type mood as enum ('low');
            create table t (id int primary key, a int, b int, m mood);
            create policy p on t using (a > 1);
            create view v as select a from t;
            """, file: "base.sql")
        let before = translator.catalog
        do {
            _ = try translator.translate("create table fine (a int);\n-- a remark\n  \(sql);", file: "bad.sql")
            Issue.record("accepted")
        } catch let refusals {
            let refusal = try #require(refusals.refusals.first)
            #expect(refusal.sqlState == sqlState, "\(refusal)")
            #expect(refusal.reason.contains(word), "\(refusal)")
            #expect(refusal.file == "bad.sql")
            #expect(refusal.line == 3)
            #expect(refusal.column >= 3)
        }
        #expect(translator.catalog == before)
    }

    @Test func `Every refusal of a file is told, but none that only follows from another`() throws {
        var translator = MigrationTranslator(catalog: try Platform.catalog().0)
        let sql = """
            create table a (x tsvector);
            alter table a enable row level security;
            create policy p on a using (true);
            create trigger t before insert on b for each row execute function f();
            """
        do {
            _ = try translator.translate(sql, file: "m.sql")
            Issue.record("accepted")
        } catch let refusals {
            #expect(refusals.refusals.map(\.line) == [1, 4])
            #expect(refusals.refusals[0].column == 19)
            #expect(refusals.description.hasPrefix("m.sql:1:19: type tsvector is not translated"))
        }
    }
}
