// SPDX-License-Identifier: Apache-2.0

/// Functions of PostgreSQL that can be called in policies, checks, defaults, indexes and views.
enum FunctionTable {
    /// Overloads by name.
    static let byName: [String: [Signature]] = Dictionary(grouping: all, by: \.name)

    static let all: [Signature] = texts + numbers + moments + documents + arrays + platform

    private static let texts: [Signature] = [
        Signature("lower", [.text], .text, "martlet_lower(%1)"),
        Signature("upper", [.text], .text, "martlet_upper(%1)"),
        Signature("length", [.text], .int4, "length(%1)"),
        Signature("char_length", [.text], .int4, "length(%1)"),
        Signature("character_length", [.text], .int4, "length(%1)"),
        Signature("octet_length", [.text], .int4, "length(CAST(%1 AS BLOB))"),
        Signature("btrim", [.text], .text, "trim(%1)"),
        Signature("btrim", [.text, .text], .text, "trim(%1, %2)"),
        Signature("ltrim", [.text], .text, "ltrim(%1)"),
        Signature("ltrim", [.text, .text], .text, "ltrim(%1, %2)"),
        Signature("rtrim", [.text], .text, "rtrim(%1)"),
        Signature("rtrim", [.text, .text], .text, "rtrim(%1, %2)"),
        Signature("substring", [.text, .int4], .text, "martlet_substring_from(%1, %2)"),
        Signature("substring", [.text, .int4, .int4], .text, "martlet_substring(%1, %2, %3)"),
        Signature("substr", [.text, .int4], .text, "martlet_substring_from(%1, %2)"),
        Signature("substr", [.text, .int4, .int4], .text, "martlet_substring(%1, %2, %3)"),
        Signature("replace", [.text, .text, .text], .text, "replace(%1, %2, %3)"),
        Signature("strpos", [.text, .text], .int4, "instr(%1, %2)"),
        Signature("position", [.text, .text], .int4, "instr(%1, %2)"),
        Signature("left", [.text, .int4], .text, "martlet_left(%1, %2)"),
        Signature("right", [.text, .int4], .text, "martlet_right(%1, %2)"),
        Signature("starts_with", [.text, .text], .bool, "(substr(%1, 1, length(%2)) = %2)"),
        Signature("split_part", [.text, .text, .int4], .text, "martlet_split_part(%1, %2, %3)"),
        Signature(
            "concat", [.text], .text, "martlet_concat(%*)", isVariadic: true, volatility: .stable, takesNull: true),
    ]

    private static let numbers: [Signature] = [
        Signature("abs", [.int2], .int2, "martlet_int2(abs(%1))"),
        Signature("abs", [.int4], .int4, "martlet_int4(abs(%1))"),
        Signature("abs", [.int8], .int8, "martlet_int8_abs(%1)"),
        Signature("abs", [.numeric], .numeric, "martlet_decimal_abs(%1)"),
        Signature("abs", [.float8], .float8, "abs(%1)"),
        Signature("round", [.numeric], .numeric, "martlet_decimal_round(%1, 0)"),
        Signature("round", [.numeric, .int4], .numeric, "martlet_decimal_round(%1, %2)"),
        Signature("round", [.float8], .float8, "martlet_float_round(%1)"),
        Signature("trunc", [.numeric], .numeric, "martlet_decimal_trunc(%1, 0)"),
        Signature("trunc", [.numeric, .int4], .numeric, "martlet_decimal_trunc(%1, %2)"),
        Signature("floor", [.numeric], .numeric, "martlet_decimal_floor(%1)"),
        Signature("floor", [.float8], .float8, "martlet_float_floor(%1)"),
        Signature("ceil", [.numeric], .numeric, "martlet_decimal_ceil(%1)"),
        Signature("ceil", [.float8], .float8, "martlet_float_ceil(%1)"),
        Signature("ceiling", [.numeric], .numeric, "martlet_decimal_ceil(%1)"),
        Signature("ceiling", [.float8], .float8, "martlet_float_ceil(%1)"),
        Signature("mod", [.int2, .int2], .int2, "martlet_int_mod(%1, %2)"),
        Signature("mod", [.int4, .int4], .int4, "martlet_int_mod(%1, %2)"),
        Signature("mod", [.int8, .int8], .int8, "martlet_int_mod(%1, %2)"),
        Signature("mod", [.numeric, .numeric], .numeric, "martlet_decimal_mod(%1, %2)"),
    ]

    private static let moments: [Signature] = [
        Signature("now", [], .timestamptz, "%now", volatility: .stable),
        Signature("transaction_timestamp", [], .timestamptz, "%now", volatility: .stable),
        Signature("statement_timestamp", [], .timestamptz, "%now", volatility: .stable),
        // The session's zone is UTC, so that both forms hold the same number of microseconds.
        Signature("timezone", [.text, .timestamptz], .timestamp, "martlet_in_utc(%1, %2)"),
        Signature("timezone", [.text, .timestamp], .timestamptz, "martlet_in_utc(%1, %2)"),
        Signature(
            "date_trunc", [.text, .timestamptz], .timestamptz, "martlet_date_trunc(%1, %2)", volatility: .stable),
        Signature("date_trunc", [.text, .timestamp], .timestamp, "martlet_date_trunc(%1, %2)"),
        Signature("extract", [.text, .timestamptz], .numeric, "martlet_extract(%1, %2)", volatility: .stable),
        Signature("extract", [.text, .timestamp], .numeric, "martlet_extract(%1, %2)"),
        Signature("extract", [.text, .date], .numeric, "martlet_extract_date(%1, %2)"),
    ]

    private static let documents: [Signature] = [
        Signature("jsonb_typeof", [.jsonb], .text, "martlet_json_typeof(%1)"),
        Signature("json_typeof", [.json], .text, "martlet_json_typeof(%1)"),
        Signature("jsonb_array_length", [.jsonb], .int4, "martlet_json_array_length(%1)"),
        Signature("json_array_length", [.json], .int4, "martlet_json_array_length(%1)"),
    ]

    /// Functions over arrays of any element type: the analyser matches them by name, see `ExpressionAnalyzer`.
    private static let arrays: [Signature] = [
        Signature("cardinality", [ColumnType.text.array], .int4, "martlet_array_cardinality(%1)"),
        Signature("array_length", [ColumnType.text.array, .int4], .int4, "martlet_array_length(%1, %2)"),
    ]

    private static let platform: [Signature] = [
        Signature("gen_random_uuid", [], .uuid, "martlet_uuid()", volatility: .volatile),
        Signature("uuid_generate_v4", [], .uuid, "martlet_uuid()", schema: "extensions", volatility: .volatile),
        Signature("gen_random_uuid", [], .uuid, "martlet_uuid()", schema: "extensions", volatility: .volatile),
        Signature("clock_timestamp", [], .timestamptz, "martlet_now()", volatility: .volatile),
    ]
}
