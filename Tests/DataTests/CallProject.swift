// SPDX-License-Identifier: Apache-2.0

import MartletDatabase

/// The tables and functions of the tests of calls; names are drawn for each run, `@` stands for the run's prefix.
enum CallProject {
    static func migration(_ engine: DatabaseEngine) -> String {
        engine == .postgres ? tables + functions + refusals : tables
    }

    private static let tables = """
        create table @author (id integer primary key, name text not null);
        create table @book (
            id integer primary key, author_id integer not null references @author (id), title text not null,
            price numeric(8, 2), owner uuid);
        create table @ring (id bigint generated always as identity primary key, word text not null);
        create table @author_note (word text primary key);
        alter table @book enable row level security;
        create policy "open or own" on @book for select using (owner is null or owner = auth.uid());
        revoke all on @ring from anon;
        insert into @author (id, name) values (1, 'Ann'), (2, 'Bob');
        insert into @book (id, author_id, title, price, owner) values
            (1, 1, 'Ash', 1.50, null), (2, 1, 'Birch', null, null), (3, 2, 'Cedar', 12.00, null),
            (4, 2, 'Dogwood', 3.00, '00000000-0000-4000-8000-00000000000a');

        """

    private static let functions = """
        create type @point as (x integer, y integer);
        create function @add(a integer, b integer default 10) returns integer language sql immutable
            as 'select a + b';
        create function @nothing() returns integer language sql as 'select null::integer';
        create function @words() returns setof text language sql stable as
            $$ values ('a'), (null), ('c d') $$;
        create function @tell(word text, "Big Name" text) returns json language sql stable as
            $$ select json_build_object('word', word, 'big', "Big Name") $$;
        create function @books() returns setof @book language sql stable as 'select * from @book';
        create function @one_book(id integer) returns @book language sql stable as
            'select * from @book b where b.id = $1';
        create function @author_table() returns table (id integer, full_name text, born date) language sql stable as
            $$ select a.id, a.name, case a.id when 1 then date '2001-02-03' end from @author a $$;
        create function @corner() returns @point language sql stable as 'select 3, 4';
        create function @out_two(n integer, out doubled integer, out word text) language sql immutable as
            $$ select n * 2, 'n' || n $$;
        create function @out_one(inout n integer) language sql immutable as 'select n + 1';
        create function @pair() returns record language sql stable as $$ select 1 as f1, 'x' as f2 $$;
        create function @join(sep text, variadic parts text[]) returns text language sql immutable as
            'select array_to_string(parts, sep)';
        create function @total(numbers integer[]) returns bigint language sql immutable as
            'select sum(n) from unnest(numbers) n';
        create function @same(arg integer) returns text language sql immutable as $$ select 'integer' $$;
        create function @same(arg text) returns text language sql immutable as $$ select 'text' $$;
        create function @over(a integer) returns text language sql immutable as $$ select 'a' $$;
        create function @over(a integer, b integer) returns text language sql immutable as $$ select 'a, b' $$;
        create function @document(jsonb) returns text language sql immutable as $$ select jsonb_typeof($1) $$;
        create function @length(text) returns integer language sql immutable as 'select length($1)';
        create function @bytes(bytea) returns text language sql immutable as $$ select encode($1, 'hex') $$;
        create function @ring_bell(word text) returns bigint language plpgsql as $$
            declare made bigint;
            begin insert into @ring (word) values (@ring_bell.word) returning id into made; return made; end $$;
        create function @ring_twice(word text) returns setof @ring language sql as
            $$ insert into @ring (word) values ($1), ($1 || '!') returning * $$;
        create function @ring_quietly(word text) returns void language sql as
            'insert into @ring (word) values ($1)';
        create function @ring_stable(word text) returns bigint language sql stable as 'select @ring_bell($1)';
        create function @me() returns json language sql stable as $$
            select json_build_object('uid', auth.uid(), 'role', current_user, 'method',
                current_setting('request.method'), 'request', current_setting('martlet.request_id')) $$;
        create type @mood as enum ('good', 'so so');
        create domain @small as integer check (value < 10);
        create schema @aside;
        create type @aside.level as enum ('low', 'high');
        grant usage on schema @aside to anon;
        create function @types(mood @mood, small @small, at @point, day date, seen timestamptz, moods @mood[],
            bits bytea, doc jsonb, level @aside.level) returns jsonb language sql stable as $$
            select jsonb_build_object('mood', mood, 'small', small, 'x', (at).x, 'day', day, 'seen', seen,
                'moods', moods, 'bits', bits, 'doc', doc, 'level', level) $$;
        create function @any(given anyelement) returns text language sql immutable as 'select given::text';
        create function @secret() returns integer language sql as 'select 42';
        create function @watch() returns trigger language plpgsql as 'begin return new; end';
        revoke execute on function @secret() from public, anon, authenticated;

        """

    private static let refusals = """
        create function @fail(state text, said text, explained text default null, hinted text default null)
            returns void language plpgsql as $$
            begin
                raise exception using errcode = state, message = said,
                    detail = coalesce(explained, ''), hint = coalesce(hinted, '');
            end $$;
        create function @answer(status text, headers text) returns json language plpgsql as $$
            begin
                if status is not null then perform set_config('response.status', status, true); end if;
                if headers is not null then perform set_config('response.headers', headers, true); end if;
                return '{"said": true}'::json;
            end $$;
        create function @announce() returns trigger language plpgsql as $$
            begin
                perform set_config(
                    'response.headers', json_build_array(json_build_object('X-Made', new.word))::text, true);
                if new.word = 'later' then perform set_config('response.status', '202', true); end if;
                return new;
            end $$;
        create trigger announce after insert on @author_note for each row execute function @announce();
        create function @leave() returns integer language sql as
            $$ select set_config('response.status', '299', false)::integer $$;
        create function @patience() returns text language sql set statement_timeout = '7s' as
            $$ select current_setting('statement_timeout') $$;
        create function @slow() returns void language sql set statement_timeout = '50ms' as 'select pg_sleep(20)';
        create function @strictly() returns text language sql set default_transaction_isolation = 'serializable' as
            $$ select current_setting('transaction_isolation') $$;
        """
}
