// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletSQL

/// The triggers that write changes of published tables, and of others that were asked for, into the outbox (D30).
enum PostgresCapture {
    /// Runs with fixed settings, so that a value looks the same whoever changes the row. It is silent during
    /// migrations and the seed; the setting that says so counts for no request.
    static let function = """
        create or replace function martlet.capture() returns trigger language plpgsql security definer
            set timezone = 'UTC' set datestyle = 'ISO, MDY' set intervalstyle = 'postgres' set extra_float_digits = 1
            set bytea_output = 'hex' set search_path = pg_catalog as $$
        begin
            if current_setting('martlet.capture', true) = 'off' and session_user <> 'authenticator' then
                return null;
            end if;
            insert into martlet.outbox (stream, type, relation, at, record, old_record, headers) values (
                'rows', 'row.' || lower(tg_op), array[tg_table_schema, tg_table_name]::text[],
                (extract(epoch from transaction_timestamp()) * 1000000)::bigint,
                case when tg_op in ('INSERT', 'UPDATE') then row_to_json(new)::text end,
                case when tg_op in ('UPDATE', 'DELETE') then row_to_json(old)::text end,
                json_build_object('request_id', current_setting('martlet.request_id', true),
                    'traceparent', current_setting('martlet.traceparent', true))::text);
            return null;
        end $$;
        """

    /// Makes the triggers of published tables and of `others`, and drops those of all further ones.
    static func synchronise(_ others: Set<QualifiedName>, _ session: DatabaseSession) throws {
        let logged = try names(
            """
            select schemaname, tablename from pg_publication_tables where pubname = 'supabase_realtime' \
            and schemaname <> all ('{auth,storage,realtime,extensions,martlet}')
            """, session
        ).union(
            try names(
                """
                select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                where c.relkind in ('r', 'p') and not c.relispartition \
                and n.nspname <> all ('{auth,storage,realtime,extensions,martlet,pg_catalog,information_schema}')
                """, session
            ).intersection(others))
        let captured = try names(
            """
            select distinct n.nspname, c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid \
            join pg_namespace n on n.oid = c.relnamespace where t.tgname = '!martlet_capture_id' and t.tgparentid = 0
            """, session)
        for name in captured.subtracting(logged).sorted() {
            for suffix in ["id", "u", "t"] {
                try session.executeScript("drop trigger if exists \"!martlet_capture_\(suffix)\" on \(quoted(name))")
            }
        }
        // A name that begins with ! stands before the application's own triggers, whose changes come after.
        for name in logged.subtracting(captured).sorted() {
            try session.executeScript(
                """
                create trigger "!martlet_capture_id" after insert or delete on \(quoted(name))
                    for each row execute function martlet.capture();
                create trigger "!martlet_capture_u" after update on \(quoted(name))
                    for each row when (old *<> new) execute function martlet.capture();
                create trigger "!martlet_capture_t" after truncate on \(quoted(name))
                    for each statement execute function martlet.capture();
                """)
        }
    }

    private static func names(_ sql: String, _ session: DatabaseSession) throws -> Set<QualifiedName> {
        Set(try session.query(sql).map { QualifiedName($0[0].textValue ?? "", $0[1].textValue ?? "") })
    }

    private static func quoted(_ name: QualifiedName) -> String {
        [name.schema, name.name].map { part in
            "\"" + part.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"") + "\""
        }.joined(separator: ".")
    }
}
