# SPDX-License-Identifier: Apache-2.0
"""A project that SQLite cannot run starts on a PostgreSQL of its own, which lives and dies with martlet (D24b)."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import uuid

import pytest
from conftest import TOPOLOGY
from people import client
from stack import Stack, wait_until
from postgrest.exceptions import APIError
from supabase_auth.errors import AuthApiError

MIGRATION = """
create table public.profiles (id uuid primary key references auth.users on delete cascade, name text not null);
alter table public.profiles enable row level security;
create policy own on public.profiles for all to authenticated using (id = (select auth.uid()));
create function public.handle_new_user() returns trigger language plpgsql security definer set search_path = '' as $$
begin
  insert into public.profiles (id, name) values (new.id, coalesce(new.raw_user_meta_data ->> 'name', 'nobody'));
  return new;
end $$;
create trigger on_auth_user_created after insert on auth.users
  for each row execute procedure public.handle_new_user();
create table public.notes (id bigint generated always as identity primary key, body text not null);
"""
SEED = """
insert into auth.users (instance_id, id, aud, role, email, encrypted_password, email_confirmed_at, raw_app_meta_data,
  raw_user_meta_data, created_at, updated_at, confirmation_token, email_change, email_change_token_new, recovery_token)
values ('00000000-0000-0000-0000-000000000000', '8c7e2b1a-0000-4000-8000-000000000001', 'authenticated',
  'authenticated', 'seed@example.com', crypt('password123', gen_salt('bf')), now(),
  '{"provider":"email","providers":["email"]}', '{"name":"Seed"}', now(), now(), '', '', '', '');
insert into auth.identities (id, user_id, provider_id, identity_data, provider, last_sign_in_at, created_at, updated_at)
select gen_random_uuid(), id, id::text, jsonb_build_object('sub', id, 'email', email), 'email', now(), now(), now()
from auth.users;
"""
FUNCTIONS = """
create function public.make_editor() returns void language sql security definer set search_path = '' as $$
  update auth.users set raw_app_meta_data = raw_app_meta_data || '{"role":"editor"}' where id = (select auth.uid()) $$;
create function public.rise() returns text language plpgsql as $$
begin
  execute 'reset session authorization';
  execute 'reset role';
  return session_user || ' ' || (select rolsuper from pg_roles where rolname = session_user);
end $$;
create function public.leave() returns void language sql security definer set search_path = '' as $$
  delete from auth.users where id = (select auth.uid()) $$;
"""
PLAIN = "create table public.notes (id bigint generated always as identity primary key, body text not null);\n"


def folder(migration: str) -> pathlib.Path:
    # A place that the server's own user can reach where the tests run as root.
    base = pathlib.Path(tempfile.mkdtemp(prefix="martlet-managed-"))
    base.chmod(0o711)
    project = base / "project"
    (project / "migrations").mkdir(parents=True)
    (project / "config.toml").write_text("[api]\n")
    (project / "migrations/20260101000000_first.sql").write_text(migration)
    return project


@pytest.fixture
def project():
    made = folder(MIGRATION)
    yield made
    shutil.rmtree(made.parent, ignore_errors=True)


@pytest.fixture
def plain():
    made = folder(PLAIN)
    yield made
    shutil.rmtree(made.parent, ignore_errors=True)


def stack_of(project: pathlib.Path) -> Stack:
    data = project.parent / "data"
    data.mkdir(exist_ok=True)
    return Stack(project, None, TOPOLOGY, data=data)


def run(*arguments: str, **environment: str):
    program = pathlib.Path(os.environ["MARTLET_TEST_BINARIES"]) / "martlet"
    return subprocess.run([str(program), *arguments], env={**os.environ, **environment}, cwd="/", text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=60)


def server(stack: Stack) -> int:
    return int((stack.data / "postgres/cluster/postmaster.pid").read_text().splitlines()[0])


def kill(stack: Stack):
    """Every process of the suite at once, without a word. The server is none of them."""
    services = json.loads((stack.data / "run/ports.json").read_text())
    for number in {service["pid"] for service in services.values()}:
        os.kill(number, signal.SIGKILL)
    stack.kill()
    stack.log.close()


def lives(number: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def names(stack: Stack) -> list[str]:
    rows = client(stack, "service_role").table("profiles").select("name").order("name").execute().data
    return [row["name"] for row in rows]


def sign_up(stack: Stack, name: str):
    answer = client(stack).auth.sign_up({
        "email": f"{uuid.uuid4()}@example.com", "password": "correct horse", "options": {"data": {"name": name}}})
    assert answer.session


def test_a_project_with_triggers_starts_and_survives_kills(project):
    stack = stack_of(project)
    try:
        stack.start()
        assert (stack.data / "engine").read_text() == "postgres\n"
        sign_up(stack, "Ada")
        assert names(stack) == ["Ada"]
        # The socket is the server's only door, and its folder its user's alone.
        assert (stack.data / "postgres").stat().st_mode & 0o777 == 0o700

        kill(stack)
        stack.start()
        assert names(stack) == ["Ada"]

        # The server is killed; martlet starts it again by itself.
        first = server(stack)
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: server(stack) != first, "another server", 20)

        def signs_up():
            sign_up(stack, "Grace")
            return True

        wait_until(signs_up, "a sign-up on the new server", 20)
        assert names(stack)[:2] == ["Ada", "Grace"]
        last = server(stack)
        stack.stop()
        assert not lives(last)
        # It closed its files: nothing to recover.
        assert not (stack.data / "postgres/cluster/postmaster.pid").exists()
    finally:
        stack.kill()


def test_users_of_a_seed_and_changes_by_sql_show_in_tokens(project):
    (project / "migrations/20260102000000_functions.sql").write_text(FUNCTIONS)
    (project / "seed.sql").write_text(SEED)
    stack = stack_of(project)
    try:
        stack.start()
        assert names(stack) == ["Seed"]
        person = client(stack)
        answer = person.auth.sign_in_with_password({"email": "seed@example.com", "password": "password123"})
        assert answer.user.user_metadata == {"name": "Seed"}
        assert "role" not in answer.user.app_metadata
        # Whatever a function does, its connection is nobody's who may do everything.
        assert person.rpc("rise").execute().data == "authenticator false"
        person.rpc("make_editor").execute()
        answer = person.auth.refresh_session()
        assert answer.user.app_metadata["role"] == "editor"
        # Auth changes the same user afterwards, on the version that SQL has left.
        person.auth.update_user({"data": {"name": "Sown"}})
        assert names(stack) == ["Seed"]
        person.rpc("leave").execute()
        with pytest.raises(AuthApiError) as refused:
            person.auth.refresh_session()
        assert refused.value.status == 400
        assert names(stack) == []
        stack.stop()
    finally:
        stack.kill()


EXPOSED = """
create extension if not exists no_such_extension with schema extensions;
comment on extension no_such_extension is 'left out';
create schema if not exists "shop";
create schema hidden;
grant usage on schema shop, hidden to anon, authenticated, service_role;
create table shop.things (id int primary key);
create table hidden.things (id int primary key);
grant all on shop.things, hidden.things to anon, authenticated, service_role;
"""


def test_schemas_and_seeds_are_those_of_the_settings(project):
    (project / "migrations/20260102000000_exposed.sql").write_text(EXPOSED)
    (project / "config.toml").write_text(
        '[api]\nschemas = ["public", "shop"]\n[db.seed]\nsql_paths = ["./seeds/*.sql", "./last.sql", "./none.sql"]\n')
    (project / "seeds").mkdir()
    (project / "seeds/b.sql").write_text("insert into shop.things values (2), (3);\n")
    (project / "seeds/a.sql").write_text("insert into shop.things values (1), (20);\n")
    (project / "last.sql").write_text("update shop.things set id = 30 where id = 20;\n")
    (project / "seed.sql").write_text("insert into shop.things values (99);\n")
    stack = stack_of(project)

    def things(schema: str):
        rows = client(stack, "service_role").schema(schema).table("things").select("id").order("id").execute().data
        return [row["id"] for row in rows]

    try:
        for _ in range(2):
            stack.start()
            assert things("shop") == [1, 2, 3, 30]
            with pytest.raises(APIError) as refused:
                things("hidden")
            assert refused.value.code == "PGRST106"
            stack.stop()
        # A migration may expose more, as PostgREST takes it.
        (project / "migrations/20260103000000_more.sql").write_text(
            "alter role authenticator set pgrst.db_schemas = 'public, hidden';\n")
        stack.start()
        assert things("hidden") == []
        stack.stop()
    finally:
        stack.kill()


def test_the_engine_stays_what_it_was_at_the_first_start(plain):
    stack = stack_of(plain)
    try:
        stack.start()
        stack.stop()
        assert (stack.data / "engine").read_text() == "sqlite\n"
        assert not (stack.data / "postgres").exists()
        (plain / "migrations/20260102000000_second.sql").write_text(
            "create function public.one() returns int language sql as 'select 1';\n")
        done = run("up", "--project", str(plain), **{**stack.environment})
        assert done.returncode == 78, done.stdout
        assert "20260102000000_second.sql:1:1" in done.stdout and "martlet move --to postgres" in done.stdout
        assert (stack.data / "engine").read_text() == "sqlite\n"
        assert not (stack.data / "postgres").exists()
    finally:
        stack.kill()


def test_nothing_is_decided_by_a_start_that_fails(plain):
    stack = stack_of(plain)
    try:
        (plain / "migrations/unnamed.sql").write_text("select 1;\n")
        done = run("up", "--project", str(plain), **stack.environment)
        assert done.returncode == 78 and "unnamed.sql" in done.stdout, done.stdout
        # SQLite translates it, and its rows contradict it.
        first = plain / "migrations/20260101000000_first.sql"
        (plain / "migrations/unnamed.sql").unlink()
        first.write_text(PLAIN + "insert into public.notes (body) values (null);\n")
        done = run("up", "--project", str(plain), **stack.environment)
        assert done.returncode == 78 and "20260101000000_first.sql" in done.stdout, done.stdout
        assert not (stack.data / "engine").exists()
        first.write_text(MIGRATION)
        stack.start()
        assert (stack.data / "engine").read_text() == "postgres\n"
        stack.stop()
    finally:
        stack.kill()


def test_a_cluster_of_another_version_is_refused_and_left_alone(project):
    stack = stack_of(project)
    cluster = stack.data / "postgres/cluster"
    try:
        stack.start()
        stack.stop()
        version = (cluster / "PG_VERSION").read_text()
        (cluster / "PG_VERSION").write_text("9\n")
        done = run("up", "--project", str(project), **stack.environment)
        assert done.returncode == 78, done.stdout
        assert "was made by PostgreSQL 9" in done.stdout and "pg_upgrade" in done.stdout
        (cluster / "PG_VERSION").write_text(version)
        stack.start()
        stack.stop()
    finally:
        stack.kill()


def test_without_the_programs_the_refusal_says_which_statements_need_them(project):
    stack = stack_of(project)
    done = run("up", "--project", str(project), MARTLET_DATA_POSTGRES_BINARIES="/nowhere", **stack.environment)
    assert done.returncode == 78, done.stdout
    assert "20260101000000_first.sql:5:1" in done.stdout and "apt install postgresql" in done.stdout
    # Nothing was decided: it starts as soon as they are there.
    assert not (stack.data / "engine").exists()


def test_check_says_what_needs_postgresql_and_what_no_engine_runs(project, plain):
    done = run("check", str(project))
    assert done.returncode == 0, done.stdout
    assert "20260101000000_first.sql: 6 statements, 2 not on SQLite" in done.stdout
    assert "  5:1: functions are not translated to SQLite yet" in done.stdout
    assert "The project starts on a PostgreSQL of its own" in done.stdout

    done = run("check", str(project), "--data-engine", "sqlite")
    assert done.returncode == 78 and "SQLite does not run 2 statements" in done.stdout, done.stdout

    done = run("check", str(plain))
    assert done.returncode == 0 and "1 of 1 statements run on SQLite.\nThe project starts on SQLite." in done.stdout

    (plain / "migrations/20260102000000_second.sql").write_text("select 1;\ncreate tabel x ();\n")
    done = run("check", str(plain))
    assert done.returncode == 78 and "20260102000000_second.sql:2:8: no engine runs this" in done.stdout, done.stdout
    assert not (plain / ".martlet").exists()


def test_check_reads_no_more_than_a_folder(tmp_path):
    done = run("check", str(tmp_path))
    assert done.returncode == 0 and "0 of 0 statements" in done.stdout, done.stdout
    assert json.dumps(sorted(path.name for path in tmp_path.iterdir())) == "[]"
