// SPDX-License-Identifier: Apache-2.0

/// Operators of PostgreSQL that give something else than a comparison of two values of one kind.
enum OperatorTable {
    static let byName: [String: [Signature]] = Dictionary(grouping: all, by: \.name)

    static let all: [Signature] = arithmetic + moments + texts + documents

    /// Integers overflow with an error in PostgreSQL and turn into floating point in SQLite: each result is checked.
    private static let arithmetic: [Signature] =
        integers(.int2, "martlet_int2") + integers(.int4, "martlet_int4") + [
            Signature("+", [.int8, .int8], .int8, "martlet_int8_add(%1, %2)"),
            Signature("-", [.int8, .int8], .int8, "martlet_int8_subtract(%1, %2)"),
            Signature("*", [.int8, .int8], .int8, "martlet_int8_multiply(%1, %2)"),
            Signature("/", [.int8, .int8], .int8, "martlet_int8_divide(%1, %2)"),
            Signature("%", [.int8, .int8], .int8, "martlet_int_mod(%1, %2)"),
            Signature("-", [.int8], .int8, "martlet_int8_subtract(0, %1)"),
            Signature("+", [.numeric, .numeric], .numeric, "martlet_decimal_add(%1, %2)"),
            Signature("-", [.numeric, .numeric], .numeric, "martlet_decimal_subtract(%1, %2)"),
            Signature("*", [.numeric, .numeric], .numeric, "martlet_decimal_multiply(%1, %2)"),
            Signature("/", [.numeric, .numeric], .numeric, "martlet_decimal_divide(%1, %2)"),
            Signature("%", [.numeric, .numeric], .numeric, "martlet_decimal_mod(%1, %2)"),
            Signature("-", [.numeric], .numeric, "martlet_decimal_subtract('0', %1)"),
            Signature("+", [.float8, .float8], .float8, "martlet_float(%1 + %2)"),
            Signature("-", [.float8, .float8], .float8, "martlet_float(%1 - %2)"),
            Signature("*", [.float8, .float8], .float8, "martlet_float(%1 * %2)"),
            Signature("/", [.float8, .float8], .float8, "martlet_float_divide(%1, %2)"),
            Signature("-", [.float8], .float8, "(-%1)"),
        ]

    private static func integers(_ type: ColumnType, _ check: String) -> [Signature] {
        [
            Signature("+", [type, type], type, "\(check)(%1 + %2)"),
            Signature("-", [type, type], type, "\(check)(%1 - %2)"),
            Signature("*", [type, type], type, "\(check)(%1 * %2)"),
            Signature("/", [type, type], type, "\(check)(martlet_int8_divide(%1, %2))"),
            Signature("%", [type, type], type, "martlet_int_mod(%1, %2)"),
            Signature("-", [type], type, "\(check)(-%1)"),
        ]
    }

    private static let moments: [Signature] = [
        Signature("+", [.timestamptz, .interval], .timestamptz, "martlet_moment_add(%1, %2, 1)", volatility: .stable),
        Signature("-", [.timestamptz, .interval], .timestamptz, "martlet_moment_add(%1, %2, -1)", volatility: .stable),
        Signature("+", [.interval, .timestamptz], .timestamptz, "martlet_moment_add(%2, %1, 1)", volatility: .stable),
        Signature("+", [.timestamp, .interval], .timestamp, "martlet_moment_add(%1, %2, 1)"),
        Signature("-", [.timestamp, .interval], .timestamp, "martlet_moment_add(%1, %2, -1)"),
        Signature("+", [.interval, .timestamp], .timestamp, "martlet_moment_add(%2, %1, 1)"),
        Signature("+", [.date, .interval], .timestamp, "martlet_moment_add(martlet_date_moment(%1), %2, 1)"),
        Signature("-", [.date, .interval], .timestamp, "martlet_moment_add(martlet_date_moment(%1), %2, -1)"),
        Signature("+", [.date, .int4], .date, "martlet_date_add(%1, %2)"),
        Signature("-", [.date, .int4], .date, "martlet_date_add(%1, -%2)"),
        Signature("-", [.timestamptz, .timestamptz], .interval, "martlet_moment_difference(%1, %2)"),
        Signature("-", [.timestamp, .timestamp], .interval, "martlet_moment_difference(%1, %2)"),
        Signature("-", [.date, .date], .int4, "martlet_date_difference(%1, %2)"),
    ]

    private static let texts: [Signature] = [
        Signature("||", [.text, .text], .text, "(%1 || %2)")
    ]

    private static let documents: [Signature] = [
        Signature("->", [.jsonb, .text], .jsonb, "martlet_jsonb_get(%1, %2)"),
        Signature("->", [.jsonb, .int4], .jsonb, "martlet_jsonb_get(%1, %2)"),
        Signature("->", [.json, .text], .json, "martlet_json_get(%1, %2)"),
        Signature("->", [.json, .int4], .json, "martlet_json_get(%1, %2)"),
        Signature("->>", [.jsonb, .text], .text, "martlet_jsonb_text(%1, %2)"),
        Signature("->>", [.jsonb, .int4], .text, "martlet_jsonb_text(%1, %2)"),
        Signature("->>", [.json, .text], .text, "martlet_json_text(%1, %2)"),
        Signature("->>", [.json, .int4], .text, "martlet_json_text(%1, %2)"),
        Signature("?", [.jsonb, .text], .bool, "martlet_jsonb_exists(%1, %2)"),
        Signature("@>", [.jsonb, .jsonb], .bool, "martlet_jsonb_contains(%1, %2)"),
        Signature("<@", [.jsonb, .jsonb], .bool, "martlet_jsonb_contains(%2, %1)"),
    ]
}
