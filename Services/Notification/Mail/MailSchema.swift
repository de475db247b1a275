// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

/// Notification's own tables, in SQL that both engines take. Times are microseconds since 1970 UTC.
enum MailSchema {
    static let migrations = [
        Migration(
            number: 1, name: "deliveries",
            sql: """
                create table deliveries (
                    id text primary key,
                    sender_key text not null unique,
                    request_hash text not null,
                    template text not null,
                    recipient text not null,
                    message_id text not null,
                    content text,
                    state text not null check (state in ('queued', 'sending', 'sent', 'dead')),
                    attempts bigint not null,
                    due_at bigint not null,
                    fence bigint not null,
                    unknown_outcomes bigint not null,
                    last_error text,
                    created_at bigint not null,
                    finished_at bigint
                );
                create index deliveries_due on deliveries (due_at) where finished_at is null;
                create index deliveries_finished on deliveries (finished_at) where finished_at is not null;
                """),
        Migration(
            number: 2, name: "trace",
            sql: "alter table deliveries add column trace text not null default ''"),
        // When a mail was last sent on its way: at first when it was accepted.
        Migration(
            number: 3, name: "retries",
            sql: "alter table deliveries add column tried_from bigint"),
    ]
}
