// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// Reads the functions that can be called by name. Who may execute them is the server's to say.
struct PostgresFunctionReader {
    let session: DatabaseSession

    /// Functions outside the system's schemas and ours. Triggers are called by tables alone, aggregates and procedures
    /// in other ways.
    private static let functions = """
        pg_proc p join pg_namespace n on n.oid = p.pronamespace \
        and n.nspname !~ '^(pg_|information_schema$|martlet$)' and p.prokind = 'f' \
        and p.prorettype <> all ('{trigger,event_trigger,internal,language_handler,fdw_handler}'::regtype[])
        """

    private struct Entry {
        var function: DatabaseFunction
        /// Columns that OUT, INOUT and TABLE parameters make.
        var out: [Column] = []
        /// Inputs from the end that have a default.
        var defaultsCount: Int
        /// The row type that it returns; empty: none.
        var rowType: String
    }

    func read(into catalog: inout Catalog) throws {
        var entries: [String: Entry] = [:]
        var order: [String] = []
        for row in try rows(catalog) {
            order.append(row.oid)
            entries[row.oid] = row.entry
        }
        try readParameters(into: &entries)
        let rowTypes = try rowTypes(of: entries.values)
        for oid in order {
            guard var entry = entries[oid] else { continue }
            let inputs = entry.function.parameters.count
            for position in entry.function.parameters.indices {
                entry.function.parameters[position].isRequired = position < inputs - entry.defaultsCount
            }
            if !entry.out.isEmpty {
                entry.function.result = .row(entry.out, relation: nil)
            } else if case .row(_, let relation) = entry.function.result {
                entry.function.result = .row(rowTypes[entry.rowType] ?? [], relation: relation)
            }
            catalog.functions[entry.function.name, default: []].append(entry.function)
        }
    }

    private func rows(_ catalog: Catalog) throws -> [(oid: String, entry: Entry)] {
        let rows = try session.query(
            """
            select p.oid, n.nspname, p.proname, p.provolatile, p.proretset, p.pronargdefaults, to_json(p.proconfig), \
            b.typrelid, rn.nspname, rc.relname, format_type(p.prorettype, null), \(PostgresCatalogReader.typeColumns) \
            from \(Self.functions) \(PostgresCatalogReader.typeJoins("p.prorettype")) \
            left join pg_class rc on rc.oid = b.typrelid and b.typrelid <> 0 \
            left join pg_namespace rn on rn.oid = rc.relnamespace order by n.nspname, p.proname, p.oid
            """)
        return rows.map { row in
            let type = PostgresCatalogReader.type(of: row, at: 10)
            var function = DatabaseFunction(
                QualifiedName(row[1].textValue ?? "", row[2].textValue ?? ""), result: .value(type),
                returnsSet: row[4].textValue == "t", settings: settings(row[6]))
            function.volatility =
                switch row[3].textValue {
                case "i": .immutable
                case "s": .stable
                default: .volatile
                }
            if type.display == "void" { function.result = .void }
            if let schema = row[8].textValue, let relation = row[9].textValue {
                let name = QualifiedName(schema, relation)
                function.result = .row([], relation: catalog.relations[name] == nil ? nil : name)
            }
            let entry = Entry(
                function: function, defaultsCount: Int(row[5].integerValue ?? 0), rowType: row[7].textValue ?? "")
            return (row[0].textValue ?? "", entry)
        }
    }

    /// `SET` options as the catalogue keeps them: `name=value`.
    private func settings(_ value: SQLValue) -> [String: String] {
        guard let text = value.textValue, let list = (try? JSONValue(parsing: text))?.arrayValue else { return [:] }
        var settings: [String: String] = [:]
        for option in list {
            guard let option = option.stringValue, let equals = option.firstIndex(of: "=") else { continue }
            settings[String(option[..<equals])] = String(option[option.index(after: equals)...])
        }
        return settings
    }

    private func readParameters(into entries: inout [String: Entry]) throws {
        let rows = try session.query(
            """
            select p.oid, coalesce(u.name, ''), coalesce(u.mode, 'i'), format_type(u.type, null), \
            \(PostgresCatalogReader.typeColumns) from \(Self.functions) cross join lateral \
            unnest(coalesce(p.proallargtypes, p.proargtypes::oid[]), p.proargnames, p.proargmodes::text[]) \
            with ordinality as u(type, name, mode, position) \(PostgresCatalogReader.typeJoins("u.type")) \
            order by p.oid, u.position
            """)
        for row in rows {
            let oid = row[0].textValue ?? ""
            let name = row[1].textValue ?? ""
            let mode = row[2].textValue ?? "i"
            let type = PostgresCatalogReader.type(of: row, at: 3)
            if ["i", "b", "v"].contains(mode) {
                entries[oid]?.function.parameters.append(.init(name, type, isVariadic: mode == "v"))
            }
            if ["o", "b", "t"].contains(mode) {
                let position = (entries[oid]?.out.count ?? 0) + 1
                // The server's own name for a column that has none.
                entries[oid]?.out.append(Column(name: name.isEmpty ? "column\(position)" : name, type: type))
            }
        }
    }

    /// The columns of row types, by their class.
    private func rowTypes(of entries: some Sequence<Entry>) throws -> [String: [Column]] {
        let wanted = Set(entries.map(\.rowType)).subtracting(["", "0"])
        guard !wanted.isEmpty else { return [:] }
        let rows = try session.query(
            """
            select a.attrelid, a.attname, format_type(a.atttypid, a.atttypmod), \(PostgresCatalogReader.typeColumns) \
            from pg_attribute a \(PostgresCatalogReader.typeJoins("a.atttypid")) \
            where a.attrelid = any ($1::oid[]) and a.attnum > 0 and not a.attisdropped order by a.attrelid, a.attnum
            """, [.text("{\(wanted.sorted().joined(separator: ","))}")])
        var types: [String: [Column]] = [:]
        for row in rows {
            let column = Column(name: row[1].textValue ?? "", type: PostgresCatalogReader.type(of: row, at: 2))
            types[row[0].textValue ?? "", default: []].append(column)
        }
        return types
    }
}
