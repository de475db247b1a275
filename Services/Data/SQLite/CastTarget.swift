// SPDX-License-Identifier: Apache-2.0

import MartletSQL

/// Types that a cast in `select` may name (rest contract 5.1).
enum CastTarget {
    private static let types: [String: (ColumnType.Base, String)] = [
        "text": (.text, "text"), "varchar": (.varchar, "character varying"),
        "character varying": (.varchar, "character varying"), "smallint": (.int2, "smallint"),
        "int2": (.int2, "smallint"), "int": (.int4, "integer"), "int4": (.int4, "integer"),
        "integer": (.int4, "integer"), "bigint": (.int8, "bigint"), "int8": (.int8, "bigint"),
        "numeric": (.numeric, "numeric"), "decimal": (.numeric, "numeric"), "real": (.float4, "real"),
        "float4": (.float4, "real"), "float8": (.float8, "double precision"), "float": (.float8, "double precision"),
        "double precision": (.float8, "double precision"), "bool": (.bool, "boolean"), "boolean": (.bool, "boolean"),
        "json": (.json, "json"), "jsonb": (.jsonb, "jsonb"), "date": (.date, "date"),
        "time": (.time, "time without time zone"), "timestamp": (.timestamp, "timestamp without time zone"),
        "timestamptz": (.timestamptz, "timestamp with time zone"), "uuid": (.uuid, "uuid"),
    ]

    /// Nil when there is no such type.
    static func type(named name: String, in catalog: Catalog) -> ColumnType? {
        if let (base, display) = types[name.lowercased()] { return ColumnType(base: base, display: display) }
        let qualified = QualifiedName("public", name)
        guard catalog.enums[qualified] != nil else { return nil }
        return ColumnType(base: .enumeration, enumName: qualified, display: name)
    }
}
