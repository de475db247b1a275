// SPDX-License-Identifier: Apache-2.0
import MartletDatabase
import MartletJSON
import Testing

@testable import MartletSQL

/// Values from text and JSON to the form on disk and back, against what PostgreSQL 15 prints.
@Suite struct ValueFormTests {
    static func type(_ name: String) throws -> ColumnType {
        let catalog = Catalog(
            schemas: ["public"],
            enums: [
                QualifiedName("public", "mood"): EnumType(
                    name: QualifiedName("public", "mood"), labels: ["low", "high"])
            ])
        let cast = try SQLParser.expression("null::\(name)")
        let node = try #require(cast.bare("typeName", as: "TypeName"))
        return try TypeResolver(names: NameResolver(catalog: catalog, searchPath: ["public"])).type(node)
    }

    static let enums = [
        QualifiedName("public", "mood"): EnumType(name: QualifiedName("public", "mood"), labels: ["low", "high"])
    ]

    /// Type, text in, text out, JSON out.
    static let accepted: [(String, String, String, String)] = [
        ("int4", " 42 ", "42", "42"), ("int8", "-9223372036854775808", "-9223372036854775808", "-9223372036854775808"),
        ("float8", "1e100", "1e+100", "1e+100"), ("float8", "0.00001", "1e-05", "1e-05"),
        ("float8", "-0.5", "-0.5", "-0.5"),
        ("float8", "123456789012345678", "1.2345678901234568e+17", "1.2345678901234568e+17"),
        ("float8", "Infinity", "Infinity", "\"Infinity\""), ("float4", "0.1", "0.1", "0.1"),
        ("float4", "1234567", "1.234567e+06", "1.234567e+06"),
        ("numeric", "1.50", "1.50", "1.50"), ("numeric", "1e3", "1000", "1000"),
        ("numeric", "-0.000", "0.000", "0.000"),
        ("numeric", ".5", "0.5", "0.5"), ("numeric(10,2)", "1.005", "1.01", "1.01"),
        ("numeric(10,2)", "-3", "-3.00", "-3.00"),
        ("numeric(3,0)", "99.5", "100", "100"),
        ("numeric(20,3)", "12345678901234567.8905", "12345678901234567.891", "12345678901234567.891"),
        ("bool", "YES", "t", "true"), ("bool", "off", "f", "false"), ("text", "a\"b\n", "a\"b\n", "\"a\\\"b\\n\""),
        ("varchar(3)", "ab   ", "ab ", "\"ab \""), ("char(4)", "ab", "ab  ", "\"ab  \""),
        (
            "uuid", "{A0EEBC999C0B4EF8BB6D6BB9BD380A11}", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
            "\"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11\""
        ),
        ("date", "2026-2-3", "2026-02-03", "\"2026-02-03\""), ("date", "20260203", "2026-02-03", "\"2026-02-03\""),
        ("date", "infinity", "infinity", "\"infinity\""),
        ("date", "2026-02-03T10:00:00Z", "2026-02-03", "\"2026-02-03\""),
        ("time", "12:30:59.5", "12:30:59.5", "\"12:30:59.5\""), ("time", "1:02 pm", "13:02:00", "\"13:02:00\""),
        ("timestamp", "2026-01-31 12:30:00.123456", "2026-01-31 12:30:00.123456", "\"2026-01-31T12:30:00.123456\""),
        ("timestamp", "2026-01-31T12:30:00+05", "2026-01-31 12:30:00", "\"2026-01-31T12:30:00\""),
        ("timestamptz", "2026-01-31T12:30:00.5+05:30", "2026-01-31 07:00:00.5+00", "\"2026-01-31T07:00:00.5+00:00\""),
        (
            "timestamptz", "1969-12-31 23:59:59.999999Z", "1969-12-31 23:59:59.999999+00",
            "\"1969-12-31T23:59:59.999999+00:00\""
        ),
        ("timestamptz", "0001-01-01 00:00:00+00", "0001-01-01 00:00:00+00", "\"0001-01-01T00:00:00+00:00\""),
        ("timestamptz", "-infinity", "-infinity", "\"-infinity\""),
        ("timestamptz", "2026-01-31", "2026-01-31 00:00:00+00", "\"2026-01-31T00:00:00+00:00\""),
        (
            "interval", "1 year 2 months 3 days 4:05:06", "1 year 2 mons 3 days 04:05:06",
            "\"1 year 2 mons 3 days 04:05:06\""
        ),
        ("interval", "90 minutes", "01:30:00", "\"01:30:00\""), ("interval", "-1 day", "-1 days", "\"-1 days\""),
        ("interval", "1.5 hours ago", "-01:30:00", "\"-01:30:00\""),
        ("interval", "P1DT2H", "1 day 02:00:00", "\"1 day 02:00:00\""),
        ("interval", "1 week", "7 days", "\"7 days\""), ("interval", "0", "00:00:00", "\"00:00:00\""),
        ("json", "{\"b\":1,  \"a\":2}", "{\"b\":1,  \"a\":2}", "{\"b\":1,  \"a\":2}"),
        (
            "jsonb", "{\"bb\":1,\"a\":[1.50,1e2,null,true,\"x\\u00e9\"],\"b\":{}}",
            "{\"a\": [1.50, 100, null, true, \"xé\"], \"b\": {}, \"bb\": 1}",
            "{\"a\": [1.50, 100, null, true, \"xé\"], \"b\": {}, \"bb\": 1}"
        ),
        ("bytea", "\\xDEad", "\\xdead", "\"\\\\xdead\""), ("bytea", "a\\000", "\\x6100", "\"\\\\x6100\""),
        ("mood", "high", "high", "\"high\""), ("int4[]", "{1, 2,NULL}", "{1,2,NULL}", "[1,2,null]"),
        ("text[]", "{}", "{}", "[]"),
        ("text[]", "{a,\"b,c\",\"NULL\",\"\"}", "{a,\"b,c\",\"NULL\",\"\"}", "[\"a\",\"b,c\",\"NULL\",\"\"]"),
        ("int4[]", "{{1,2},{3,4}}", "{{1,2},{3,4}}", "[[1,2],[3,4]]"), ("bool[]", "{t,f}", "{t,f}", "[true,false]"),
        ("numeric(6,2)[]", "{1,2.5}", "{1.00,2.50}", "[1.00,2.50]"),
        ("date[]", "{2026-01-01}", "{2026-01-01}", "[\"2026-01-01\"]"),
        ("timestamptz[]", "{2026-01-01 10:00+00}", "{\"2026-01-01 10:00:00+00\"}", "[\"2026-01-01T10:00:00+00:00\"]"),
        ("jsonb[]", "{\"{\\\"a\\\":1}\"}", "{\"{\\\"a\\\": 1}\"}", "[{\"a\": 1}]"),
    ]

    @Test(arguments: accepted)
    func `A value goes to disk and comes back as PostgreSQL prints it`(
        _ name: String, _ input: String, _ text: String, _ json: String
    ) throws {
        let type = try Self.type(name)
        let value = try ValueForm.parse(input, as: type, enums: Self.enums)
        #expect(ValueForm.text(value, type: type) == text)
        var out: [UInt8] = []
        ValueForm.appendJSON(value, type: type, to: &out)
        // jsonb inside an array is kept compact.
        let written = String(decoding: out, as: UTF8.self)
        #expect(written == json || (name == "jsonb[]" && written == "[{\"a\":1}]"))
        // What is printed reads back as the same value, as text and as a JSON body has it.
        #expect(try ValueForm.parse(text, as: type, enums: Self.enums) == value)
        if name != "json" {
            #expect(try ValueForm.parse(try JSONValue(parsing: json), as: type, enums: Self.enums) == value)
        }
    }

    static let refused: [(String, String, String, String)] = [
        ("int4", "abc", "22P02", "invalid input syntax for type integer: \"abc\""),
        ("int4", "", "22P02", "invalid input syntax for type integer: \"\""),
        ("int4", "1.5", "22P02", "invalid input syntax for type integer: \"1.5\""),
        ("int2", "40000", "22003", "value \"40000\" is out of range for type smallint"),
        ("int8", "9223372036854775808", "22003", "value \"9223372036854775808\" is out of range for type bigint"),
        ("float8", "x", "22P02", "invalid input syntax for type double precision: \"x\""),
        ("float8", "1e400", "22003", "\"1e400\" is out of range for type double precision"),
        ("numeric", "1.2.3", "22P02", "invalid input syntax for type numeric: \"1.2.3\""),
        ("numeric(4,2)", "100", "22003", "numeric field overflow"),
        ("bool", "maybe", "22P02", "invalid input syntax for type boolean: \"maybe\""),
        ("varchar(2)", "abc", "22001", "value too long for type character varying(2)"),
        ("uuid", "x", "22P02", "invalid input syntax for type uuid: \"x\""),
        ("date", "2026-13-01", "22008", "date/time field value out of range: \"2026-13-01\""),
        ("date", "soon", "22007", "invalid input syntax for type date: \"soon\""),
        ("timestamptz", "2026-01-01 25:00", "22008", "date/time field value out of range: \"2026-01-01 25:00\""),
        ("timestamptz", "x", "22007", "invalid input syntax for type timestamp with time zone: \"x\""),
        ("time", "noon", "22007", "invalid input syntax for type time: \"noon\""),
        ("json", "{", "22P02", "invalid input syntax for type json"),
        ("jsonb", "\"\\u0000\"", "22P05", "unsupported Unicode escape sequence"),
        ("mood", "x", "22P02", "invalid input value for enum mood: \"x\""),
        ("int4[]", "1,2", "22P02", "malformed array literal: \"1,2\""),
        ("int4[]", "{1,x}", "22P02", "invalid input syntax for type integer: \"x\""),
        ("int4[]", "{{1},{2,3}}", "22P02", "malformed array literal: \"{{1},{2,3}}\""),
        ("bytea", "\\xzz", "22023", "invalid hexadecimal digit: \"z\""),
        ("timestamp", "x", "22007", "invalid input syntax for type timestamp: \"x\""),
        ("interval", "many", "22007", "invalid input syntax for type interval: \"many\""),
    ]

    @Test(arguments: refused)
    func `A value that the type does not take is refused in PostgreSQL's words`(
        _ name: String, _ input: String, _ sqlState: String, _ message: String
    ) throws {
        let type = try Self.type(name)
        do {
            let value = try ValueForm.parse(input, as: type, enums: Self.enums)
            Issue.record("became \(value)")
        } catch {
            #expect(error.sqlState == sqlState)
            #expect(error.message == message)
        }
    }

    @Test func `JSON bodies give every type`() throws {
        #expect(try ValueForm.parse(.number("5"), as: .text) == .text("5"))
        #expect(try ValueForm.parse(.bool(true), as: .text) == .text("true"))
        #expect(try ValueForm.parse(.string("7"), as: .int4) == .integer(7))
        #expect(try ValueForm.parse(.number("1.5"), as: .numeric) == .text("1.5"))
        #expect(try ValueForm.parse(["a": 1], as: .jsonb) == .text("{\"a\": 1}"))
        #expect(try ValueForm.parse(.string("x"), as: .jsonb) == .text("\"x\""))
        #expect(try ValueForm.parse(["x", nil], as: ColumnType.text.array) == .text("[\"x\",null]"))
        #expect(try ValueForm.parse(.string("{x}"), as: ColumnType.text.array) == .text("[\"x\"]"))
        #expect(try ValueForm.parse(.null, as: .jsonb) == .null)
        #expect(throws: DatabaseError.self) { try ValueForm.parse(.number("1.5"), as: .int4) }
        #expect(throws: DatabaseError.self) { try ValueForm.parse(["a": 1], as: .int4) }
    }

    @Test(
        "Moments that do not fit are refused, wherever they come from",
        arguments: [
            "294276-12-31T00:00:00Z", "294247-01-11 00:00:00", "9999999-01-01", "294246-12-31 23:59:59.999999-16",
        ])
    func farMoments(_ text: String) {
        for base in [ColumnType.Base.timestamptz, .timestamp, .date] {
            let type = ColumnType(base: base, display: "\(base)")
            do {
                _ = ValueForm.text(try ValueForm.parse(text, as: type, enums: [:]), type: type)
            } catch {
                #expect(["22008", "22007"].contains(error.sqlState), "\(base): \(error.sqlState)")
            }
        }
    }
}
