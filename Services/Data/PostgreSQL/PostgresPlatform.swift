// SPDX-License-Identifier: Apache-2.0

/// What every project's database holds before its first migration: roles, schemas, `auth.users`, the functions that
/// policies call, and our own records. Each statement may run again.
enum PostgresPlatform {
    /// Names and shapes that applications know from Supabase. Roles belong to the whole cluster, so another database
    /// may have made them, or be making them now.
    static let roles = """
        do $$
        declare
            made text;
        begin
            foreach made in array array[
                'create role anon nologin noinherit', 'create role authenticated nologin noinherit',
                'create role service_role nologin noinherit bypassrls',
                'create role supabase_auth_admin nologin noinherit',
                'create role supabase_storage_admin nologin noinherit',
                'create role supabase_realtime_admin nologin noinherit',
                'create role supabase_admin nologin noinherit bypassrls',
                'create role dashboard_user nologin noinherit',
                'create role postgres nologin bypassrls',
                'create role authenticator nologin noinherit'] loop
                begin
                    if not exists (select from pg_roles where rolname = split_part(made, ' ', 3)) then
                        execute made;
                    end if;
                exception when duplicate_object or unique_violation then null;
                end;
            end loop;
            -- Migrations set parameters of the request roles, as the application's owner may on Supabase.
            if (select rolsuper from pg_roles where rolname = current_user)
                and not (select rolcreaterole from pg_roles where rolname = 'postgres') then
                alter role postgres createrole;
                foreach made in array array[
                    'session_replication_role', 'pgrst.db_schemas', 'pgrst.db_extra_search_path', 'pgrst.db_max_rows', 'pgrst.db_pre_request',
                    'pgrst.db_aggregates_enabled', 'pgrst.db_plan_enabled'] loop
                    execute format('grant set on parameter %s to postgres', made);
                end loop;
            end if;
            -- Migrations set policies on the tables of the two last, whose members may act as owners.
            foreach made in array array[
                'anon authenticator', 'authenticated authenticator', 'service_role authenticator',
                'anon postgres', 'authenticated postgres', 'service_role postgres',
                'supabase_storage_admin postgres', 'supabase_realtime_admin postgres'] loop
                begin
                    if not pg_has_role(split_part(made, ' ', 2), split_part(made, ' ', 1), 'member') then
                        execute format('grant %I to %I', split_part(made, ' ', 1), split_part(made, ' ', 2));
                    end if;
                exception when duplicate_object or unique_violation then null;
                end;
            end loop;
        end $$;
        """

    static let schemas = """
        create schema if not exists extensions;
        create schema if not exists auth;
        create schema if not exists storage;
        create schema if not exists realtime;
        create schema if not exists martlet;
        grant usage on schema public, auth, storage, realtime, extensions
            to anon, authenticated, service_role, postgres;
        grant usage, create on schema storage to supabase_storage_admin;
        grant usage, create on schema realtime to supabase_realtime_admin;
        grant usage on schema auth to supabase_auth_admin;
        grant all on schema public, extensions to postgres;
        -- Dumps say so of each schema; as the database's owner it would own this one anyway.
        alter schema public owner to postgres;
        grant usage on schema martlet to authenticator;
        do $$ begin
            execute format('grant create, connect, temporary on database %I to postgres', current_database());
            if not exists (select from pg_publication where pubname = 'supabase_realtime') then
                -- The server warns about wal_level, which matters to replication alone.
                perform set_config('client_min_messages', 'error', true);
                if (select rolsuper from pg_roles where rolname = current_user) then
                    perform set_config('log_min_messages', 'error', true);
                end if;
                create publication supabase_realtime;
                alter publication supabase_realtime owner to postgres;
            end if;
        end $$;
        alter default privileges for role postgres in schema public
            grant all on tables to postgres, anon, authenticated, service_role;
        alter default privileges for role postgres in schema public
            grant all on sequences to postgres, anon, authenticated, service_role;
        alter default privileges for role postgres in schema public
            grant all on functions to postgres, anon, authenticated, service_role;
        """

    static let authentication = """
        create table if not exists auth.users (
            instance_id uuid, id uuid primary key, aud varchar(255), role varchar(255), email varchar(255),
            encrypted_password varchar(255), email_confirmed_at timestamptz, invited_at timestamptz,
            confirmation_token varchar(255), confirmation_sent_at timestamptz, recovery_token varchar(255),
            recovery_sent_at timestamptz, email_change_token_new varchar(255), email_change varchar(255),
            email_change_sent_at timestamptz, last_sign_in_at timestamptz, raw_app_meta_data jsonb,
            raw_user_meta_data jsonb, is_super_admin boolean, created_at timestamptz, updated_at timestamptz,
            phone text default null, phone_confirmed_at timestamptz, phone_change text default '',
            phone_change_token varchar(255) default '', phone_change_sent_at timestamptz,
            confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
            email_change_token_current varchar(255) default '', email_change_confirm_status smallint default 0,
            banned_until timestamptz, reauthentication_token varchar(255) default '',
            reauthentication_sent_at timestamptz, is_sso_user boolean not null default false, deleted_at timestamptz,
            is_anonymous boolean not null default false, constraint users_phone_key unique (phone));
        create unique index if not exists users_email_partial_key on auth.users (email) where is_sso_user = false;
        alter table auth.users enable row level security;
        alter table auth.users owner to supabase_auth_admin;
        grant all on auth.users to postgres;
        create table if not exists auth.identities (
            provider_id text not null, user_id uuid not null references auth.users (id) on delete cascade,
            identity_data jsonb not null, provider text not null, last_sign_in_at timestamptz, created_at timestamptz,
            updated_at timestamptz, email text generated always as (lower(identity_data ->> 'email')) stored,
            id uuid not null default gen_random_uuid() primary key,
            constraint identities_provider_id_provider_unique unique (provider_id, provider));
        create index if not exists identities_user_id_idx on auth.identities (user_id);
        alter table auth.identities enable row level security;
        alter table auth.identities owner to supabase_auth_admin;
        grant all on auth.identities to postgres;
        create or replace function auth.jwt() returns jsonb language sql stable as $$
            select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
        create or replace function auth.uid() returns uuid language sql stable as $$
            select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $$;
        create or replace function auth.role() returns text language sql stable as $$
            select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $$;
        create or replace function auth.email() returns text language sql stable as $$
            select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email' $$;
        grant execute on function auth.jwt(), auth.uid(), auth.role(), auth.email() to public;
        """

    /// Rows about files, with Supabase's columns and the functions that policies on them call; the files themselves are
    /// not served yet. A migration may set policies on both tables.
    static let storage = """
        create table if not exists storage.buckets (
            id text primary key, name text not null, owner uuid, created_at timestamptz default now(),
            updated_at timestamptz default now(), public boolean default false,
            avif_autodetection boolean default false, file_size_limit bigint, allowed_mime_types text[],
            owner_id text);
        create unique index if not exists bname on storage.buckets (name);
        create table if not exists storage.objects (
            id uuid primary key default gen_random_uuid(), bucket_id text references storage.buckets (id), name text,
            owner uuid, created_at timestamptz default now(), updated_at timestamptz default now(),
            last_accessed_at timestamptz default now(), metadata jsonb,
            path_tokens text[] generated always as (string_to_array(name, '/')) stored, version text, owner_id text,
            user_metadata jsonb);
        create unique index if not exists bucketid_objname on storage.objects (bucket_id, name);
        create index if not exists name_prefix_search on storage.objects (name text_pattern_ops);
        alter table storage.buckets enable row level security;
        alter table storage.objects enable row level security;
        alter table storage.buckets owner to supabase_storage_admin;
        alter table storage.objects owner to supabase_storage_admin;
        grant all on storage.buckets, storage.objects to anon, authenticated, service_role, postgres;
        create or replace function storage.foldername(name text) returns text[] language sql immutable as $$
            select (string_to_array(name, '/'))[1:cardinality(string_to_array(name, '/')) - 1] $$;
        create or replace function storage.filename(name text) returns text language sql immutable as $$
            select (string_to_array(name, '/'))[cardinality(string_to_array(name, '/'))] $$;
        create or replace function storage.extension(name text) returns text language sql immutable as $$
            select reverse(split_part(reverse(storage.filename(name)), '.', 1)) $$;
        grant execute on function storage.foldername(text), storage.filename(text), storage.extension(text) to public;
        """

    /// Where policies of private channels stand.
    static let realtime = """
        create table if not exists realtime.messages (
            topic text not null, extension text not null, payload jsonb, event text, private boolean default false,
            updated_at timestamp not null default now(), inserted_at timestamp not null default now(),
            id uuid not null default gen_random_uuid(), primary key (id, inserted_at));
        alter table realtime.messages enable row level security;
        alter table realtime.messages owner to supabase_realtime_admin;
        grant select, insert, update on realtime.messages to anon, authenticated, service_role, postgres;
        create or replace function realtime.topic() returns text language sql stable as $$
            select nullif(current_setting('realtime.topic', true), '') $$;
        grant execute on function realtime.topic() to public;
        """

    /// What every project of Supabase has from the start, where the server has it.
    static let extensions = """
        do $$
        declare
            wanted text;
        begin
            foreach wanted in array array['pgcrypto', 'uuid-ossp'] loop
                if exists (select from pg_available_extensions where name = wanted) then
                    execute format('create extension if not exists %I with schema extensions', wanted);
                end if;
            end loop;
        exception when insufficient_privilege then
            raise notice 'extensions are left to the server''s administrator';
        end $$;
        """

    /// Notes which users SQL makes, changes or deletes, so that auth learns it (D25). What auth itself asks for is told
    /// by `martlet.user_of_auth`: a user's id, or `*` for every one.
    static let userNews = """
        create table if not exists martlet.user_news (
            number bigint generated always as identity primary key, id uuid not null);
        alter table martlet.user_version add column if not exists auth_version bigint not null default 0;
        alter table martlet.user_tombstone add column if not exists version bigint not null default 0;
        create or replace function martlet.note_user() returns trigger language plpgsql security definer
            set search_path = '' as $$
        declare
            gone uuid := case when tg_op <> 'INSERT' then old.id end;
            changed uuid := case when tg_op <> 'DELETE' then new.id end;
            reached bigint;
        begin
            if current_setting('martlet.user_of_auth', true) in ('*', coalesce(changed, gone)::text) then
                return null;
            end if;
            if gone is distinct from changed and gone is not null then
                delete from martlet.user_version where id = gone returning version into reached;
                insert into martlet.user_tombstone as kept (id, version) values (gone, coalesce(reached, 0))
                    on conflict (id) do update set version = greatest(kept.version, excluded.version);
                insert into martlet.user_news (id) values (gone);
            end if;
            if changed is not null then
                -- A version never goes back: whoever has seen the deleted user must take this one for newer.
                reached := null;
                delete from martlet.user_tombstone where id = changed returning version into reached;
                insert into martlet.user_version as kept (id, version) values (changed, coalesce(reached, 0) + 1)
                    on conflict (id) do update set version = kept.version + 1;
                insert into martlet.user_news (id) values (changed);
            end if;
            return null;
        end $$;
        create or replace function martlet.note_users_gone() returns trigger language plpgsql security definer
            set search_path = '' as $$
        begin
            if current_setting('martlet.user_of_auth', true) = '*' then
                return null;
            end if;
            insert into martlet.user_news (id) select id from martlet.user_version;
            insert into martlet.user_tombstone as kept (id, version) select id, version from martlet.user_version
                on conflict (id) do update set version = greatest(kept.version, excluded.version);
            delete from martlet.user_version;
            return null;
        end $$;
        do $$ begin
            if not exists (
                select from pg_trigger where tgrelid = 'auth.users'::regclass and tgname = '!martlet_users') then
                create trigger "!martlet_users" after insert or update or delete on auth.users
                    for each row execute function martlet.note_user();
                create trigger "!martlet_users_gone" after truncate on auth.users
                    for each statement execute function martlet.note_users_gone();
                -- Dumps are loaded with the triggers of the application off.
                alter table auth.users enable always trigger "!martlet_users";
                alter table auth.users enable always trigger "!martlet_users_gone";
            end if;
        end $$;
        """

    static let records = """
        create table if not exists martlet.migration (
            version text primary key, file text not null, checksum text not null, sql text not null,
            applied_at timestamptz not null default now());
        create table if not exists martlet.seed (file text primary key, applied_at timestamptz not null default now());
        create table if not exists martlet.user_version (id uuid primary key, version bigint not null);
        create table if not exists martlet.user_tombstone (
            id uuid primary key, deleted_at timestamptz not null default now());
        create table if not exists martlet.idempotency (
            principal text not null, method text not null, key text not null, request_hash text not null,
            status integer, fields text, body bytea, created_at timestamptz not null default now(),
            primary key (principal, method, key));
        create index if not exists idempotency_created_at_idx on martlet.idempotency (created_at);
        grant select, insert, update, delete on martlet.idempotency to authenticator;
        -- Holds no row: transactions of several steps take turns by locking it.
        create table if not exists martlet.turn (nothing boolean);
        grant select, update on martlet.turn to authenticator;
        """

    /// The change log. No request role may touch it: what requests write comes in through `martlet.capture()`.
    static let log = """
        create table if not exists martlet.log (
            stream text not null, epoch bigint not null, seq bigint not null, id uuid not null, type text not null,
            key text not null, at bigint not null, tx uuid not null, headers text not null, body bytea not null,
            primary key (stream, epoch, seq));
        create table if not exists martlet.log_head (
            stream text primary key, epoch bigint not null, head bigint not null, trimmed bigint not null,
            bytes bigint not null, holder text not null default '', fence bigint not null default 0,
            expires_at timestamptz not null default '-infinity');
        create table if not exists martlet.meta (key text primary key, value text not null);
        -- Without a cache the numbers of two connections stand in the order in which they were drawn.
        create sequence if not exists martlet.outbox_id cache 1;
        create table if not exists martlet.outbox (
            id bigint primary key default nextval('martlet.outbox_id'), xid xid8 not null default pg_current_xact_id(),
            stream text not null, type text not null, relation text[] not null, at bigint not null,
            record text, old_record text, headers text not null);
        """

    static let all = [
        roles, schemas, extensions, authentication, storage, realtime, records, userNews, log,
        PostgresCronPlatform.reading, PostgresCronPlatform.tables, PostgresCapture.function, PostgresLineage.function,
        PostgresRuleValues.function,
    ]
}
