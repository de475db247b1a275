// SPDX-License-Identifier: Apache-2.0

import MartletDatabase

/// Which history a PostgreSQL database has: another one after a backup was restored into it or a standby took over,
/// where entries that consumers have may be missing or may be others. Then the log's epoch rises (D31).
enum PostgresLineage {
    /// The cluster's identifier, its timeline now, and the database's identity in the cluster, which a copy or a dump
    /// that was read back does not share. The timeline of the file that is written to is right from a standby's
    /// promotion on, not only from the checkpoint behind it. What a provider does not let us see stays empty.
    static let function = """
        create or replace function martlet.lineage() returns text language plpgsql set search_path = pg_catalog as $$
        declare
            cluster text := '';
            timeline text := '';
        begin
            begin
                select system_identifier::text into cluster from pg_control_system();
            exception when insufficient_privilege or feature_not_supported then null;
            end;
            begin
                timeline := left(pg_walfile_name(pg_current_wal_lsn()), 8);
            exception when insufficient_privilege or feature_not_supported or object_not_in_prerequisite_state
                then null;
            end;
            return cluster || '/' || timeline || '/'
                || (select oid::text from pg_database where datname = current_database());
        end $$;
        """

    private static let key = "lineage"

    /// Raises the epoch if the history is another one than that of the last call. `head` is the head's row, which the
    /// session has locked; returns it as it is then.
    static func follow(_ head: LogHead, _ stream: String, _ session: DatabaseSession) throws -> LogHead {
        let row = try session.query(
            "select martlet.lineage(), (select value from martlet.meta where key = $1)", [.text(key)]
        ).first
        let now = row?[0].textValue ?? ""
        let known = row?[1].textValue
        guard now != known else { return head }
        try session.execute(
            """
            insert into martlet.meta (key, value) values ($1, $2) \
            on conflict (key) do update set value = excluded.value
            """, [.text(key), .text(now)])
        guard known != nil else { return head }
        return try TableLog.raiseEpoch(stream, above: head.epoch, session)
    }
}
