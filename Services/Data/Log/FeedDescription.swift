// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
package import MartletSQL

/// What the change feed needs to know of the published tables, and the place in the log that it holds for.
package struct FeedDescription: Sendable, Equatable {
    package var schemaVersion: Int64
    package var epoch: Int64
    package var head: Int64
    /// By schema and name.
    package var tables: [Table]

    package struct Table: Sendable, Equatable {
        package var name: QualifiedName
        package var columns: [Column]
        package var key: [String]
        package var rowSecurity: Bool
    }

    package struct Column: Sendable, Equatable {
        package var name: String
        /// PostgreSQL's internal name.
        package var type: String
        /// Labels of an enum in their order; empty for other types.
        package var labels: [String]
    }

    /// Whether a name is the one that is asked for.
    static func matches(_ name: String, _ asked: String) -> Bool { asked.isEmpty || asked == "*" || asked == name }
}

extension SQLiteEngine {
    package func describeFeed(
        schema: String, table: String, deadline: ContinuousClock.Instant?
    ) async throws -> FeedDescription {
        let catalog = snapshot.catalog
        let head = try await database.read(deadline: deadline) { try TableLog.head(LogStream.rows, $0) }
        let names = catalog.publication.sorted().filter { name in
            FeedDescription.matches(name.schema, schema) && FeedDescription.matches(name.name, table)
        }
        let tables = names.compactMap { name -> FeedDescription.Table? in
            guard let relation = catalog.relations[name], relation.kind == .table else { return nil }
            let columns = relation.columns.map { column in
                FeedDescription.Column(
                    name: column.name, type: column.type.internalName,
                    labels: column.type.enumName.flatMap { catalog.enums[$0]?.labels } ?? [])
            }
            return FeedDescription.Table(
                name: name, columns: columns, key: relation.primaryKey?.columns ?? [],
                rowSecurity: relation.rowSecurity)
        }
        return FeedDescription(schemaVersion: catalog.version, epoch: head.epoch, head: head.head, tables: tables)
    }
}

extension PostgresEngine {
    package func describeFeed(
        schema: String, table: String, deadline: ContinuousClock.Instant?
    ) async throws -> FeedDescription {
        let version = self.schema.catalog.version
        return try await administration.read(deadline: deadline) { session in
            // The head first: what is described afterwards is at least as new.
            let head = try TableLog.head(LogStream.rows, session)
            let tables = try session.query(
                Self.publishedTables, [schema, table].map { .text($0 == "*" ? "" : $0) }
            ).map(Self.table)
            return FeedDescription(schemaVersion: version, epoch: head.epoch, head: head.head, tables: tables)
        }
    }

    /// Types of domains are those that they stand for.
    private static let publishedTables = """
        select p.schemaname, p.tablename, c.relrowsecurity, \
        (select json_agg(json_build_object('name', a.attname, 'type', b.typname, 'labels', \
        (select coalesce(json_agg(v.enumlabel order by v.enumsortorder), '[]') from pg_enum v \
        where v.enumtypid in (b.oid, b.typelem))) order by a.attnum) \
        from pg_attribute a join pg_type t on t.oid = a.atttypid \
        join pg_type b on b.oid = case t.typtype when 'd' then t.typbasetype else t.oid end \
        where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), \
        (select json_agg(a.attname order by u.position) from pg_constraint k \
        cross join unnest(k.conkey) with ordinality u(number, position) \
        join pg_attribute a on a.attrelid = k.conrelid and a.attnum = u.number \
        where k.conrelid = c.oid and k.contype = 'p') \
        from pg_publication_tables p join pg_namespace n on n.nspname = p.schemaname \
        join pg_class c on c.relnamespace = n.oid and c.relname = p.tablename \
        where p.pubname = 'supabase_realtime' and $1::text in ('', p.schemaname::text) and $2::text in ('', p.tablename::text) \
        order by p.schemaname collate "C", p.tablename collate "C"
        """

    private static func table(_ row: SQLRow) -> FeedDescription.Table {
        let columns = (try? JSONValue(parsing: row[3].textValue ?? "[]"))?.arrayValue ?? []
        let key = (try? JSONValue(parsing: row[4].textValue ?? "[]"))?.arrayValue ?? []
        return FeedDescription.Table(
            name: QualifiedName(row[0].textValue ?? "", row[1].textValue ?? ""),
            columns: columns.map { column in
                FeedDescription.Column(
                    name: column["name"]?.stringValue ?? "", type: column["type"]?.stringValue ?? "",
                    labels: column["labels"]?.arrayValue?.compactMap(\.stringValue) ?? [])
            },
            key: key.compactMap(\.stringValue), rowSecurity: row[2].textValue == "t")
    }
}
