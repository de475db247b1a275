// SPDX-License-Identifier: Apache-2.0

internal import MartletDatabase

/// The tables of the logic service's own database, in SQL that both engines take. Times are microseconds since 1970
/// UTC.
enum LogicSchema {
    static let migrations = [
        Migration(
            number: 1, name: "jobs, triggers, schedules",
            sql: """
                create table job_numbers (one bigint primary key check (one = 1), last bigint not null);
                insert into job_numbers (one, last) values (1, 0);

                create table jobs (
                    id text primary key,
                    number bigint not null unique,
                    function text not null,
                    source text not null check (source in ('request', 'trigger', 'schedule')),
                    source_name text not null,
                    headers text not null,
                    body text not null,
                    ordering_key text,
                    attempts_max bigint not null,
                    traceparent text not null,
                    request_hash text,
                    state text not null check (state in ('queued', 'running', 'done', 'dead', 'cancelled')),
                    due_at bigint,
                    attempt bigint not null,
                    fence bigint not null,
                    created_at bigint not null,
                    finished_at bigint,
                    last_status bigint,
                    last_error text
                );
                create index jobs_due on jobs (due_at, number) where due_at is not null;
                create index jobs_ordering on jobs (ordering_key, number) where due_at is not null;
                create index jobs_source on jobs (source, source_name) where due_at is not null;
                create index jobs_finished on jobs (state, finished_at);

                create table job_attempts (
                    job_id text not null references jobs (id) on delete cascade,
                    attempt bigint not null,
                    started_at bigint not null,
                    finished_at bigint,
                    status bigint,
                    error text,
                    primary key (job_id, attempt)
                );
                create index job_attempts_started on job_attempts (started_at);

                create table triggers (
                    name text primary key,
                    definition text not null,
                    gone bigint not null,
                    disabled_at bigint
                );

                create table schedules (
                    name text primary key,
                    definition text not null,
                    next_at bigint not null,
                    last_at bigint
                );
                """ + LogConsumer.table),
        Migration(
            number: 2, name: "request ids",
            sql: "alter table jobs add column request_id text not null default ''"),
    ]
}
