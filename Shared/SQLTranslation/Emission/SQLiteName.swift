// SPDX-License-Identifier: Apache-2.0

/// Names of PostgreSQL as names of SQLite, which ignores the case of ASCII letters and keeps some names for itself.
///
/// A plain lower-case name stays as it is. Otherwise `^` escapes: `^u` stands for `U`, `^^` for `^`, `^1` for a dot,
/// and a leading `^0` marks a name that SQLite or Martlet owns (`rowid`, `sqlite_…`, `martlet_…`). The encoding is part
/// of the format on disk (data-semantics 21) and maps different names to different names.
package enum SQLiteName {
    /// A table or index: `public.t` is `t`, any other `schema.t`; not quoted.
    package static func encoded(_ name: QualifiedName) -> String {
        let own = escaped(name.name)
        guard name.schema == "public" else { return escaped(name.schema) + "." + own }
        return isReservedRelation(name.name) ? "^0" + own : own
    }

    /// A column, not quoted.
    package static func encoded(column: String) -> String {
        isReservedColumn(column) ? "^0" + escaped(column) : escaped(column)
    }

    /// A table or index, quoted for SQL.
    package static func quoted(_ name: QualifiedName) -> String { quoted(raw: encoded(name)) }

    /// A column, quoted for SQL.
    package static func quoted(column: String) -> String { quoted(raw: encoded(column: column)) }

    /// A column of a table's alias, quoted for SQL. The alias is taken as SQLite's own name.
    package static func quoted(column: String, of alias: String) -> String {
        quoted(raw: alias) + "." + quoted(column: column)
    }

    /// Any text as a quoted identifier, without encoding: aliases, constraint names.
    package static func quoted(raw: String) -> String {
        "\"" + raw.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
    }

    /// PostgreSQL's name of an encoded column: the inverse of `encoded(column:)`, for SQLite's messages.
    package static func decoded(column: String) -> String {
        var result = ""
        var escape = false
        for scalar in column.unicodeScalars {
            guard escape else {
                if scalar == "^" { escape = true } else { result.unicodeScalars.append(scalar) }
                continue
            }
            escape = false
            switch scalar {
            case "0": break
            case "1": result.append(".")
            case "^": result.append("^")
            default: result += String(scalar).uppercased()
            }
        }
        return result
    }

    private static func escaped(_ name: String) -> String {
        var result = ""
        for scalar in name.unicodeScalars {
            switch scalar {
            case "A"..."Z": result += "^" + String(scalar).lowercased()
            case "^": result += "^^"
            case ".": result += "^1"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }

    private static func isReservedRelation(_ name: String) -> Bool {
        name.hasPrefix("sqlite_") || name.hasPrefix("martlet_")
    }

    private static func isReservedColumn(_ name: String) -> Bool {
        name == "rowid" || name == "oid" || name == "_rowid_"
    }
}
