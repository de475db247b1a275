// SPDX-License-Identifier: Apache-2.0

package import MartletDatabase

/// Auth's own tables, in SQL that both engines take. Times are microseconds since 1970 UTC, JSON is text.
package enum AuthSchema {
    package static let migrations = [
        Migration(
            number: 1, name: "people",
            sql: """
                create table users (
                    id text primary key,
                    aud text not null,
                    role text not null,
                    email text,
                    phone text,
                    password_hash text,
                    email_confirmed_at bigint,
                    phone_confirmed_at bigint,
                    invited_at bigint,
                    last_sign_in_at bigint,
                    banned_until bigint,
                    deleted_at bigint,
                    app_metadata text not null,
                    user_metadata text not null,
                    is_anonymous bigint not null,
                    created_at bigint not null,
                    updated_at bigint not null,
                    version bigint not null,
                    state text not null check (state in ('pending', 'active', 'deleting'))
                );
                create unique index users_email on users (email, aud) where deleted_at is null;
                create unique index users_phone on users (phone, aud) where deleted_at is null;
                create index users_created_at on users (created_at, id);

                create table user_changes (
                    user_id text primary key references users (id) on delete cascade,
                    kind text not null check (kind in ('create', 'update', 'delete')),
                    base_version bigint not null,
                    version bigint not null,
                    target text not null,
                    ended_sessions text,
                    created_at bigint not null
                );

                create table identities (
                    id text primary key,
                    user_id text not null references users (id) on delete cascade,
                    provider text not null,
                    provider_id text not null,
                    identity_data text not null,
                    email text,
                    last_sign_in_at bigint,
                    created_at bigint not null,
                    updated_at bigint not null
                );
                create unique index identities_subject on identities (provider, provider_id);
                create index identities_user on identities (user_id);

                create table sessions (
                    id text primary key,
                    user_id text not null references users (id) on delete cascade,
                    created_at bigint not null,
                    refreshed_at bigint,
                    aal text not null,
                    amr text not null,
                    user_agent text not null,
                    ip text not null,
                    refresh_key text not null,
                    refresh_counter bigint not null
                );
                create index sessions_user on sessions (user_id);

                create table signing_keys (
                    id text primary key,
                    private_key text not null,
                    state text not null check (state in ('signing', 'verifying')),
                    created_at bigint not null
                );
                create unique index signing_keys_one on signing_keys (state) where state = 'signing';

                create table audit_log (
                    id text primary key,
                    at bigint not null,
                    action text not null,
                    log_type text not null,
                    actor_id text not null,
                    actor_username text not null,
                    ip text not null,
                    request_id text not null,
                    traits text not null
                );
                create index audit_log_at on audit_log (at);
                """),
        Migration(
            number: 2, name: "mails",
            sql: """
                alter table users add column confirmation_sent_at bigint;
                alter table users add column recovery_sent_at bigint;

                create table secrets (
                    name text primary key,
                    sealed text not null
                );

                create table one_time_tokens (
                    id text primary key,
                    user_id text not null references users (id) on delete cascade,
                    purpose text not null,
                    address text not null,
                    code_hash text not null,
                    link_hash text not null unique,
                    challenge text,
                    challenge_is_hashed bigint not null,
                    failures bigint not null,
                    sent_at bigint not null
                );
                create unique index one_time_tokens_one on one_time_tokens (user_id, purpose);

                create table flow_states (
                    id text primary key,
                    user_id text not null references users (id) on delete cascade,
                    code_hash text not null unique,
                    challenge text not null,
                    is_hashed bigint not null,
                    failures bigint not null,
                    issued_at bigint not null
                );
                create index flow_states_user on flow_states (user_id);

                create table mail_sends (
                    id text primary key,
                    address_hash text not null,
                    mailbox_hash text not null,
                    purpose text not null,
                    is_real bigint not null,
                    sent_at bigint not null
                );
                create index mail_sends_address on mail_sends (address_hash, purpose, sent_at);
                create index mail_sends_mailbox on mail_sends (mailbox_hash, sent_at);
                create index mail_sends_at on mail_sends (sent_at);

                create table mail_outbox (
                    id text primary key,
                    kind text not null,
                    recipient text not null,
                    variables text not null,
                    created_at bigint not null
                );
                create index mail_outbox_at on mail_outbox (created_at, id);
                """),
        Migration(
            number: 3, name: "trace",
            sql: """
                alter table user_changes add column trace text not null default '';
                alter table mail_outbox add column trace text not null default '';
                """),
    ]
}
