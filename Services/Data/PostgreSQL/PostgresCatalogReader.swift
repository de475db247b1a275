// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// Reads the schema cache from PostgreSQL's system catalogue. Policies and grants stay where they are: the server
/// applies them itself.
struct PostgresCatalogReader {
    let session: DatabaseSession

    func read() throws -> Catalog {
        var catalog = Catalog(
            schemas: try session.query("select nspname from pg_namespace").map { $0[0].textValue ?? "" })
        try readRelations(into: &catalog)
        try readColumns(into: &catalog)
        try readConstraints(into: &catalog)
        try PostgresFunctionReader(session: session).read(into: &catalog)
        for row in try session.query("select rolname, rolbypassrls from pg_roles") {
            catalog.roles[row[0].textValue ?? ""] = Role(bypassesRowSecurity: row[1].textValue == "t")
        }
        catalog.version = try version()
        let published = try session.query(
            "select schemaname, tablename from pg_publication_tables where pubname = 'supabase_realtime'")
        catalog.publication = Set(published.map { QualifiedName($0[0].textValue ?? "", $0[1].textValue ?? "") })
        return catalog
    }

    /// Rises with every migration.
    func version() throws -> Int64 {
        try session.query("select count(*) from martlet.migration").first?[0].integerValue ?? 0
    }

    /// Relations that are no partition, outside the system's schemas and ours.
    private static let relations = """
        pg_class c join pg_namespace n on n.oid = c.relnamespace and n.nspname !~ '^(pg_|information_schema$|martlet$)' \
        and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relispartition
        """

    private func readRelations(into catalog: inout Catalog) throws {
        let rows = try session.query(
            """
            select n.nspname, c.relname, c.relkind, c.relrowsecurity, c.relforcerowsecurity, \
            pg_get_userbyid(c.relowner), obj_description(c.oid, 'pg_class'), \
            c.relreplident = 'f' from \(Self.relations)
            """)
        for row in rows {
            let name = QualifiedName(row[0].textValue ?? "", row[1].textValue ?? "")
            let isTable = ["r", "p", "f"].contains(row[2].textValue ?? "")
            catalog.relations[name] = Relation(
                name: name, kind: isTable ? .table : .view, rowSecurity: row[3].textValue == "t",
                forcesRowSecurity: row[4].textValue == "t", owner: row[5].textValue ?? "", comment: row[6].textValue,
                replicatesOldRow: row[7].textValue == "t")
        }
    }

    private func readColumns(into catalog: inout Catalog) throws {
        let rows = try session.query(
            """
            select n.nspname, c.relname, a.attname, format_type(a.atttypid, a.atttypmod), \
            \(Self.typeColumns), a.attnotnull, pg_get_expr(d.adbin, d.adrelid), a.attidentity, a.attgenerated, \
            col_description(c.oid, a.attnum) \
            from \(Self.relations) join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped \
            \(Self.typeJoins("a.atttypid")) \
            left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum \
            order by c.oid, a.attnum
            """)
        for row in rows {
            let name = QualifiedName(row[0].textValue ?? "", row[1].textValue ?? "")
            let generated = row[11].textValue == "s"
            let identity: Column.Identity =
                switch row[10].textValue {
                case "a": .always
                case "d": .byDefault
                default: .none
                }
            catalog.relations[name]?.columns.append(
                Column(
                    name: row[2].textValue ?? "", type: Self.type(of: row, at: 3), notNull: row[8].textValue == "t",
                    defaultExpression: generated ? nil : row[9].textValue, identity: identity,
                    generatedExpression: generated ? row[9].textValue : nil, comment: row[12].textValue))
        }
    }

    /// What says a type, after `format_type`, of the rows that `typeJoins` bring.
    static let typeColumns =
        "coalesce(e.typname, b.typname), b.typcategory = 'A', coalesce(e.typtype, b.typtype), en.nspname"

    /// - Parameter oid: expression of the type.
    static func typeJoins(_ oid: String) -> String {
        """
        join pg_type t on t.oid = \(oid) \
        join pg_type b on b.oid = case t.typtype when 'd' then t.typbasetype else t.oid end \
        left join pg_type e on e.oid = b.typelem and b.typcategory = 'A' \
        left join pg_namespace en on en.oid = coalesce(e.typnamespace, b.typnamespace)
        """
    }

    /// - Parameter first: where `format_type` stands, with `typeColumns` after it.
    static func type(of row: SQLRow, at first: Int) -> ColumnType {
        let typeName = row[first + 1].textValue ?? ""
        let display = row[first].textValue ?? ""
        let isArray = row[first + 2].textValue == "t"
        if row[first + 3].textValue == "e" {
            return ColumnType(
                base: .enumeration, isArray: isArray, enumName: QualifiedName(row[first + 4].textValue ?? "", typeName),
                display: display)
        }
        let base = typeName == "enumeration" ? nil : ColumnType.Base(rawValue: typeName)
        return ColumnType(base: base ?? .other, isArray: isArray, display: display)
    }

    private func readConstraints(into catalog: inout Catalog) throws {
        let rows = try session.query(
            """
            select n.nspname, c.relname, k.conname, k.contype, \
            (select json_agg(a.attname order by u.position) from unnest(k.conkey) with ordinality u(number, position) \
            join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number), \
            fn.nspname, f.relname, \
            (select json_agg(a.attname order by u.position) from unnest(k.confkey) with ordinality u(number, position) \
            join pg_attribute a on a.attrelid = k.confrelid and a.attnum = u.number) \
            from \(Self.relations) join pg_constraint k on k.conrelid = c.oid and k.contype in ('p', 'u', 'f') \
            left join pg_class f on f.oid = k.confrelid left join pg_namespace fn on fn.oid = f.relnamespace \
            order by k.conname
            """)
        for row in rows {
            let name = QualifiedName(row[0].textValue ?? "", row[1].textValue ?? "")
            let constraint = row[2].textValue ?? ""
            let columns = names(row[4])
            switch row[3].textValue {
            case "p": catalog.relations[name]?.primaryKey = KeyConstraint(name: constraint, columns: columns)
            case "u": catalog.relations[name]?.uniques.append(KeyConstraint(name: constraint, columns: columns))
            default:
                catalog.relations[name]?.foreignKeys.append(
                    ForeignKey(
                        name: constraint, columns: columns,
                        target: QualifiedName(row[5].textValue ?? "", row[6].textValue ?? ""),
                        targetColumns: names(row[7])))
            }
        }
    }

    private func names(_ value: SQLValue) -> [String] {
        guard let document = try? JSONValue(parsing: value.textValue ?? "[]") else { return [] }
        return document.arrayValue?.compactMap(\.stringValue) ?? []
    }
}
