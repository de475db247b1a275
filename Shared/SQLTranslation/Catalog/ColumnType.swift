// SPDX-License-Identifier: Apache-2.0

/// A column's type with its modifiers.
package struct ColumnType: Sendable, Equatable, Hashable {
    package enum Base: String, Sendable, Hashable {
        case int2, int4, int8, float4, float8, numeric, bool, text, varchar, bpchar, citext, uuid, date, time
        case timestamp, timestamptz, interval, json, jsonb, bytea, inet
        /// A type of the application; `enumName` says which.
        case enumeration
        /// A type that this page does not know (PostgreSQL only): values pass as text.
        case other
    }

    package var base: Base
    /// Whether it is an array of `base` (of any number of dimensions, as in PostgreSQL).
    package var isArray: Bool
    /// Length of varchar(n) and char(n); precision of numeric(p, s).
    package var precision: Int?
    package var scale: Int?
    package var enumName: QualifiedName?
    /// PostgreSQL's spelling (`format_type`), for casts and messages: `timestamp with time zone`, `numeric(10,2)`.
    package var display: String

    /// PostgreSQL's internal name of the type, an array's with `_` in front: `int4`, `_text`, an enum's own name.
    package var internalName: String {
        let element =
            switch base {
            case .enumeration: enumName?.name ?? display
            case .other: display.hasSuffix("[]") ? String(display.dropLast(2)) : display
            default: base.rawValue
            }
        return isArray ? "_" + element : element
    }

    package init(
        base: Base, isArray: Bool = false, precision: Int? = nil, scale: Int? = nil, enumName: QualifiedName? = nil,
        display: String
    ) {
        self.base = base
        self.isArray = isArray
        self.precision = precision
        self.scale = scale
        self.enumName = enumName
        self.display = display
    }
}
