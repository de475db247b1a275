// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import Testing

@testable import MartletSQL

/// Expressions of PostgreSQL, computed by SQLite, against what PostgreSQL 15 answers.
@Suite struct ExpressionTests {
    static let table: [(String, String?)] = [
        ("1 + 2 * 3", "7"), ("7 / 2", "3"), ("-7 % 3", "-1"), ("7.0 / 2", "3.5000000000000000"),
        ("1 / 3.0", "0.33333333333333333333"), ("2 * 1.50", "3.00"), ("0.1 + 0.2", "0.3"), ("10 % 3.5", "3.0"),
        ("round(2.5)", "3"), ("round(-2.5)", "-3"), ("round(1.005, 2)", "1.01"), ("trunc(-1.9)", "-1"),
        ("floor(-1.5)", "-2"), ("ceil(1.2)", "2"), ("abs(-3)", "3"), ("mod(7, 4)", "3"),
        ("1.0 = 1.00", "t"), ("10 > 9.5", "t"), ("'10' > '9'", "f"), ("2 between 1 and 3", "t"),
        ("1.5::int", "2"), ("2.5::float8::int", "2"), ("'12.345'::numeric(5,1)", "12.3"), ("3::numeric(6,2)", "3.00"),
        ("1e15::float8", "1e+15"), ("0.1::float8 + 0.2::float8", "0.30000000000000004"), ("100000::float8", "100000"),
        ("'a' || 1", "a1"), ("'x' || null", nil), ("upper('straße')", "STRAßE"), ("lower('ÄÖ')", "äö"),
        ("length('zürich')", "6"), ("substring('martlet' from 2 for 3)", "art"), ("left('martlet', -2)", "martl"),
        ("right('martlet', 3)", "let"), ("split_part('a.b.c', '.', 2)", "b"), ("split_part('a.b.c', '.', -1)", "c"),
        ("position('t' in 'martlet')", "4"), ("replace('aXbX', 'X', '-')", "a-b-"), ("concat('a', null, 2)", "a2"),
        ("trim('  x ')", "x"), ("'abc' like 'a%'", "t"), ("'abc' like 'a_'", "f"), ("'a%c' like 'a\\%c'", "t"),
        ("'ABC' ilike 'a%C'", "t"), ("'abc' not like '%b%'", "f"), ("'a1' ~ '^[a-z]\\d$'", "t"),
        ("'A1' ~* '^[a-z]\\d$'", "t"), ("'ab' !~ 'b{2}'", "t"), ("'user@host' ~ '^[^@]+@[^@]+$'", "t"),
        ("coalesce(null, 'x')", "x"), ("nullif(1, 1)", nil), ("greatest(1, null, 3)", "3"), ("least(2.5, 1)", "1"),
        ("case when 1 > 2 then 'a' else 'b' end", "b"), ("null is null", "t"), ("1 is distinct from null", "t"),
        ("(null and false) is null", "f"), ("1 in (2, null)", nil), ("1 = any(array[1,2])", "t"),
        ("'b' = any('{a,b}'::text[])", "t"), ("1 <> all('{2,3}'::int[])", "t"), ("array['a','b'] @> array['a']", "t"),
        ("'{1,2}'::int[] && '{2,3}'::int[]", "t"), ("array[1,2,3]", "{1,2,3}"), ("cardinality('{a,b}'::text[])", "2"),
        ("array_length('{1,2}'::int[], 1)", "2"), ("'{\"a b\",NULL,c}'::text[]", "{\"a b\",NULL,c}"),
        ("'{\"b\": 1, \"a\": [1, 2.0]}'::jsonb", "{\"a\": [1, 2.0], \"b\": 1}"),
        ("'{\"a\": {\"b\": \"x\"}}'::jsonb -> 'a' ->> 'b'", "x"), ("'[1,2]'::jsonb -> -1", "2"),
        ("'{\"a\": null}'::jsonb ->> 'a'", nil), ("'{\"a\":1}'::jsonb ? 'a'", "t"),
        ("'{\"a\":1,\"b\":2}'::jsonb @> '{\"a\":1.0}'", "t"), ("'[1,2,3]'::jsonb @> '[3]'", "t"),
        ("jsonb_typeof('[1]')", "array"), ("jsonb_array_length('[1,2]')", "2"),
        ("('{\"n\": 3}'::jsonb -> 'n')::int", "3"),
        ("'1'::jsonb = '1.0'::jsonb", "t"), ("true::text", "true"), ("1::boolean", "t"), ("'yes'::boolean", "t"),
        ("date '2026-01-31' + 1", "2026-02-01"), ("date '2026-03-01' - date '2026-02-01'", "28"),
        ("timestamptz '2026-01-31 12:00:00+02'", "2026-01-31 10:00:00+00"),
        ("timestamptz '2026-01-31 00:00+00' + interval '1 month'", "2026-02-28 00:00:00+00"),
        ("timestamp '2026-01-31T12:30:00.5'", "2026-01-31 12:30:00.5"),
        ("date_trunc('month', timestamptz '2026-02-15 10:00+00')", "2026-02-01 00:00:00+00"),
        ("date_trunc('week', timestamp '2026-01-01 10:00')", "2025-12-29 00:00:00"),
        ("extract(year from date '2026-02-03')", "2026"), ("extract(dow from date '2026-02-01')", "0"),
        ("extract(epoch from timestamptz '1970-01-02 00:00+00')", "86400.000000"),
        ("extract(week from date '2027-01-01')", "53"), ("interval '1 day 2 hours'", "1 day 02:00:00"),
        ("interval '14 months'", "1 year 2 mons"), ("interval '1 day' > interval '23 hours'", "t"),
        ("timestamptz '2026-01-03 00:00+00' - timestamptz '2026-01-01 12:00+00'", "1 day 12:00:00"),
        ("now()", "2026-01-01 00:00:00+00"), ("current_date", "2026-01-01"), ("now() > now() - interval '1 hour'", "t"),
        ("'A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
        ("'abc'::varchar(2)", "ab"), ("'ab'::char(4) = 'ab  '::char(2)", "t"), ("'\\x00ff'::bytea", "\\x00ff"),
        ("'12:30'::time", "12:30:00"), ("(select 1 where false)", nil), ("exists (select 1)", "t"),
        (
            "jsonb_build_object('b', 1, 'a', array['x'], 'n', null, 'd', date '2026-01-01')",
            "{\"a\": [\"x\"], \"b\": 1, \"d\": \"2026-01-01\", \"n\": null}"
        ),
        ("json_build_object('b', 1.50, 'a', true)", "{\"b\" : 1.50, \"a\" : true}"),
        ("jsonb_build_array(1, 'x', null)", "[1, \"x\", null]"),
        ("date(timestamptz '2026-02-03 10:00+00')", "2026-02-03"), ("2 = any (array(select 2))", "t"),
        ("3 <> all (array(select 2))", "t"), ("to_jsonb(1.5)", "1.5"), ("to_jsonb(null::int)", nil),
        ("(select string_agg(x, '-') from (select 'a' as x) s)", "a"),
        ("(select array_agg(x) from (select 1 as x union all select null) s)", "{1,NULL}"),
        ("(select jsonb_agg(x) from (select 'a' as x union all select 'b') s)", "[\"a\", \"b\"]"),
        ("(select json_agg(x) from (select 1 as x union all select 2) s)", "[1, 2]"),
        ("(select array_agg(x) from (select 1 as x) s where false)", nil),
        ("(select count(*) from (select 1 as x) s having count(*) > 1)", nil),
        ("(select sum(x) from (select 1.50 as x union all select 2) s)", "3.50"),
        ("(select avg(x) from (select 1 as x union all select 2) s)", "1.5000000000000000"),
        ("2 in (select 2 union select 3)", "t"), ("(1, 'a') = (1, 'a')", "t"),
    ]

    @Test func `Expressions give what PostgreSQL gives`() async throws {
        try await withProject { (project: TestProject) async throws in
            for (expression, expected) in Self.table {
                do {
                    let value = try await project.value(expression)
                    #expect(value == expected, "\(expression)")
                } catch {
                    Issue.record("\(expression): \(error)")
                }
            }
        }
    }

    static let failures: [(String, String)] = [
        ("2147483647 + 1", "22003"), ("9223372036854775807 + 1::int8", "22003"), ("1 / 0", "22012"),
        ("1.0 / 0", "22012"), ("'x'::text::int", "22P02"), ("'abc'::text::uuid", "22P02"),
        ("'2026-02-30'::text::date", "22008"), ("'x'::text::date", "22007"), ("12345::numeric(4,1)", "22003"),
        ("left('a', 1) like 'a\\'", "22025"), ("(select 1 union all select 2)", "21000"),
        ("substring('a' from 1 for -1)", "22011"), ("('\"x\"'::jsonb)::int", "22023"),
    ]

    @Test func `What PostgreSQL refuses at run time is refused with its code`() async throws {
        try await withProject { (project: TestProject) async throws in
            for (expression, sqlState) in Self.failures {
                do {
                    let value = try await project.value(expression)
                    Issue.record("\(expression) gave \(value ?? "NULL")")
                } catch let error as DatabaseError {
                    #expect(error.sqlState == sqlState, "\(expression): \(error.message)")
                } catch let fault as TranslationFault {
                    #expect(fault.sqlState == sqlState, "\(expression): \(fault.reason)")
                }
            }
        }
    }

    @Test func `The request's identity comes from the parameters`() async throws {
        let user = "11111111-1111-4111-8111-111111111111"
        let claims = #"{"sub": "11111111-1111-4111-8111-111111111111", "app_metadata": {"role": "admin"}}"#
        try await withProject { (project: TestProject) async throws in
            #expect(try await project.value("auth.uid()", user: user) == user)
            #expect(try await project.value("(select auth.uid()) is null") == "t")
            #expect(
                try await project.value("auth.jwt() -> 'app_metadata' ->> 'role' = 'admin'", claims: claims) == "t")
            #expect(
                try await project.value("current_setting('request.jwt.claims', true)::jsonb ->> 'sub'", claims: claims)
                    == user)
        }
    }
}
