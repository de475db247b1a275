// SPDX-License-Identifier: Apache-2.0

/// A value of a TOML 1.0 document.
package indirect enum TOMLValue: Sendable, Equatable {
    case string(String)
    case integer(Int64)
    case float(Double)
    case boolean(Bool)
    /// Dates and times keep their text; no setting has that type.
    case dateTime(String)
    case array([TOMLValue])
    /// An inline table, or the tables of an array of tables.
    case table([String: TOMLValue])

    /// What messages call it.
    package var typeName: String {
        switch self {
        case .string: "a string"
        case .integer: "an integer"
        case .float: "a float"
        case .boolean: "a boolean"
        case .dateTime: "a date or time"
        case .array: "an array"
        case .table: "a table"
        }
    }
}

/// Why a text is not TOML.
package struct TOMLError: Error, Sendable, Equatable {
    /// Counted from 1.
    package let line: Int
    package let reason: String
}
