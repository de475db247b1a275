// SPDX-License-Identifier: Apache-2.0

import MartletDatabase
import MartletJSON
import MartletSQL

/// Values that a rule gives to columns which the caller did not name (D28).
///
/// The server asks for the privilege of every column that a statement names, but not for what a BEFORE trigger sets;
/// policies and constraints see the row afterwards. So the values of the one row that a statement writes go to a
/// trigger, in a setting of the transaction.
enum PostgresRuleValues {
    static let function = """
        create or replace function martlet.rule_values() returns trigger language plpgsql as $$
        declare
            given jsonb := current_setting('martlet.rule_values')::jsonb;
        begin
            if (given ->> 'table')::oid is distinct from tg_relid then return new; end if;
            -- Once: what the application's triggers write meanwhile is not the rule's row.
            perform set_config('martlet.rule_values', '', true);
            return jsonb_populate_record(new, given -> 'values');
        end $$;
        """

    /// Makes the triggers of tables with rules and drops those of others.
    static func synchronise(_ tables: Set<QualifiedName>, _ session: DatabaseSession) throws {
        let rows = try session.query(
            """
            select distinct n.nspname, c.relname from pg_trigger t join pg_class c on c.oid = t.tgrelid \
            join pg_namespace n on n.oid = c.relnamespace where t.tgname = '!martlet_rule' and t.tgparentid = 0
            """)
        let present = Set(rows.map { QualifiedName($0[0].textValue ?? "", $0[1].textValue ?? "") })
        for name in present.subtracting(tables).sorted() {
            try session.executeScript("drop trigger if exists \"!martlet_rule\" on \(PostgresStatement.quote(name))")
        }
        // A name that begins with ! stands before the application's own triggers, which see the rule's values.
        for name in tables.subtracting(present).sorted() {
            try session.executeScript(
                """
                create trigger "!martlet_rule" before insert or update on \(PostgresStatement.quote(name)) for each row
                    when (current_setting('martlet.rule_values', true) <> '')
                    execute function martlet.rule_values();
                """)
        }
    }

    /// Runs a statement that writes one row at most.
    static func with<Result>(
        _ values: JSONObject, of table: QualifiedName, _ database: DatabaseSession, _ body: () throws -> Result
    ) throws -> (result: Result, wasTaken: Bool) {
        try database.execute(
            """
            select set_config('martlet.rule_values', \
            jsonb_build_object('table', $1::regclass::oid, 'values', $2::jsonb)::text, true)
            """, [.text(PostgresStatement.quote(table)), .text(values.text)])
        let result = try body()
        let rest = try database.query("select current_setting('martlet.rule_values')")
        try database.execute("select set_config('martlet.rule_values', '', true)")
        return (result, rest.first?[0].textValue == "")
    }
}
