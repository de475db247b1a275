# SPDX-License-Identifier: Apache-2.0
"""Jobs, triggers and schedules on a real stack. The functions run in this process, so that they can kill the service
that calls them at the worst of moments; what they do, they do through `/rest/v1` under the key that they were given."""

import datetime
import http.server
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid

import pytest

from conftest import TOPOLOGY
from stack import Stack, wait_until

MIGRATION = """
create table items (id bigint primary key, v integer not null, note text);
create table effects (id bigint generated always as identity primary key, job text not null, item bigint, v integer);
alter table items enable row level security;
alter table effects enable row level security;
grant select, insert, update, delete on items, effects to service_role;
"""

CONFIG = """
{functions}
[martlet.triggers.item-told]
table = "items"
on = ["insert", "update", "delete"]
function = "tell"

[martlet.triggers.item-noted]
table = "items"
on = ["insert"]
function = "note"
payload = "martlet"

[martlet.triggers.item-gone]
table = "items"
on = ["delete"]
function = "gone"

[martlet.schedules.beat]
cron = "2 seconds"
function = "beat"
body = '{{"from":"schedule"}}'
"""

NAMES = ["tell", "note", "gone", "beat", "work", "fail"]


class Functions(http.server.ThreadingHTTPServer):
    """The project's functions, of kind `http`."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.calls = []
        self.lock = threading.Lock()
        self.stack = None
        self.hurt = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def entries(self) -> str:
        port = self.server_address[1]
        return "\n".join(f'[functions.{name}]\nverify_jwt = false\n[martlet.functions.{name}]\nkind = "http"\n'
                         f'url = "http://127.0.0.1:{port}/{name}"' for name in NAMES)

    def of(self, name: str) -> list:
        with self.lock:
            return [call for call in self.calls if call["name"] == name]

    def effect(self, call, item=None, v=None):
        """A row, once: the key is the job's."""
        status, _ = rest(self.stack, "POST", "effects", {"job": call["job"], "item": item, "v": v},
                         {"Idempotency-Key": call["key"]})
        assert status == 201, status

    def kill_logic(self):
        ports = json.loads((self.stack.data / "run/ports.json").read_text())
        try:
            os.kill(ports["logic"]["pid"], signal.SIGKILL)
        except (KeyError, ProcessLookupError):
            pass


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        name = [part for part in self.path.split("?")[0].split("/") if part][-1]
        call = {
            "name": name, "body": json.loads(body) if body else None, "job": self.headers.get("x-martlet-job-id"),
            "key": self.headers.get("idempotency-key"), "attempt": int(self.headers.get("x-martlet-attempt", 0)),
            "headers": dict(self.headers.items()), "at": time.time(),
        }
        with self.server.lock:
            self.server.calls.append(call)
        try:
            self.answer(getattr(self, name)(call))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def answer(self, status: int):
        body = b'{"said":%d}' % status
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def tell(self, call):
        row = call["body"]["record"] or call["body"]["old_record"]
        self.server.effect(call, row["id"], row["v"])
        return 200

    def note(self, call):
        return 201 if call["attempt"] > 1 else 503

    def gone(self, call):
        return 410

    def beat(self, call):
        return 200

    def fail(self, call):
        return 500

    def work(self, call):
        """Kills the service that waits for the answer: before the effect, after it, or once the answer is on its way."""
        server = self.server
        with server.lock:
            moment = server.hurt.pop(call["body"]["n"], None)
        if moment == "before":
            server.kill_logic()
            return 500
        server.effect(call, call["body"]["n"])
        if moment == "after":
            server.kill_logic()
        if moment == "answered":
            self.answer(200)
            server.kill_logic()
            raise BrokenPipeError
        return 200


def ask(stack, method, path, body=None, headers=None, key="service_role"):
    request = urllib.request.Request(
        stack.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"apikey": stack.keys[key], "Authorization": f"Bearer {stack.keys[key]}",
                 "Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
            return answer.status, json.loads(text) if text else None
    except urllib.error.HTTPError as error:
        text = error.read()
        return error.code, json.loads(text) if text else None


def rest(stack, method, path, body=None, headers=None):
    return ask(stack, method, f"/rest/v1/{path}", body, headers)


def admin(stack, method, path, body=None, headers=None, key="service_role"):
    return ask(stack, method, f"/functions/v1/_admin/{path}", body, headers, key)


def make_project() -> tuple[pathlib.Path, Functions]:
    functions = Functions()
    project = pathlib.Path(tempfile.mkdtemp(prefix="martlet-jobs-"))
    (project / "migrations").mkdir()
    (project / "migrations/20260101000000_items.sql").write_text(MIGRATION)
    (project / "config.toml").write_text(CONFIG.format(functions=functions.entries))
    return project, functions


def start(postgres, topology):
    project, functions = make_project()
    settings = {"MARTLET_LOGIC_ENGINE": postgres.database()} if postgres else {}
    stack = Stack(project, postgres.database() if postgres else None, topology, settings)
    functions.stack = stack
    return stack.start(), functions


def end(stack, functions):
    try:
        stack.stop()
    finally:
        functions.shutdown()
        functions.server_close()
        shutil.rmtree(stack.project, ignore_errors=True)
    stack.remove()


@pytest.fixture(scope="module")
def running(postgres):
    stack, functions = start(postgres, TOPOLOGY)
    yield stack, functions
    end(stack, functions)


def job(stack, identifier):
    status, found = admin(stack, "GET", f"jobs/{identifier}")
    assert status == 200, found
    return found


def test_a_job_runs_once_under_its_key(running):
    stack, functions = running
    key = str(uuid.uuid4())
    wanted = {"function": "work", "body": {"n": 1_000_001, "text": "ä€"}, "key": key}
    status, made = admin(stack, "POST", "jobs", wanted)
    assert status == 201
    assert admin(stack, "POST", "jobs", wanted) == (200, made)
    assert admin(stack, "POST", "jobs", {**wanted, "body": 1})[0] == 422
    done = wait_until(lambda: job(stack, made["id"])["state"] == "done" and job(stack, made["id"]), "a done job")
    assert [attempt["status"] for attempt in done["attempts"]] == ["succeeded"]
    calls = [call for call in functions.of("work") if call["job"] == made["id"]]
    assert len(calls) == 1 and calls[0]["body"] == wanted["body"] and calls[0]["key"] == made["id"]
    assert len(rest(stack, "GET", "effects?item=eq.1000001")[1]) == 1
    assert any(found["job_id"] == made["id"] for found in admin(stack, "GET", "executions?function=work")[1])


def test_a_job_waits_for_its_time_and_can_be_cancelled(running):
    stack, functions = running
    later = (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(hours=1)).isoformat()
    status, made = admin(stack, "POST", "jobs", {"function": "work", "body": {"n": 1_000_002}, "run_at": later})
    assert status == 201
    assert job(stack, made["id"])["state"] == "queued"
    assert admin(stack, "POST", f"jobs/{made['id']}/cancel")[1]["state"] == "cancelled"
    assert not [call for call in functions.of("work") if call["job"] == made["id"]]


def test_a_dead_job_is_told_and_sent_again(running):
    stack, functions = running
    made = admin(stack, "POST", "jobs", {"function": "fail", "attempts": 2})[1]
    dead = wait_until(lambda: job(stack, made["id"])["state"] == "dead" and job(stack, made["id"]), "a dead job")
    assert dead["http_status"] == 500 and dead["error"] == '{"said":500}' and len(dead["attempts"]) == 2
    assert "A job is dead" in stack.log_path.read_text()
    printed = subprocess.run(
        [str(pathlib.Path(os.environ["MARTLET_TEST_BINARIES"]) / "martlet"), "jobs", "list", "--state", "dead",
         "--project", str(stack.project)], env=stack.environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert made["id"] in printed and "fail" in printed
    printed = subprocess.run(
        [str(pathlib.Path(os.environ["MARTLET_TEST_BINARIES"]) / "martlet"), "jobs", "retry", made["id"],
         "--project", str(stack.project)], env=stack.environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    assert "queued" in printed or "running" in printed
    wait_until(lambda: len(job(stack, made["id"])["attempts"]) == 3, "a third attempt")


def test_only_the_service_role_sees_jobs(running):
    stack, _ = running
    assert admin(stack, "GET", "jobs", key="anon")[0] == 403
    assert admin(stack, "POST", "jobs", {"function": "work"}, key="anon")[0] == 403
    assert admin(stack, "POST", "jobs", {"function": "nobody"})[0] == 404


def test_triggers_tell_each_change_in_the_order_of_its_row(running):
    stack, functions = running
    assert rest(stack, "POST", "items", {"id": 7, "v": 1, "note": "ü\"\\"})[0] == 201
    for v in (2, 3, 4):
        assert rest(stack, "PATCH", "items?id=eq.7", {"v": v})[0] == 204
    assert rest(stack, "DELETE", "items?id=eq.7")[0] == 204
    wait_until(lambda: len(rest(stack, "GET", "effects?item=eq.7")[1]) == 5, "five effects")
    assert [row["v"] for row in rest(stack, "GET", "effects?item=eq.7&order=id")[1]] == [1, 2, 3, 4, 4]
    bodies = [call["body"] for call in functions.of("tell") if call["attempt"] == 1]
    row = {"id": 7, "v": 1, "note": "ü\"\\"}
    assert {"type": "INSERT", "table": "items", "schema": "public", "record": row, "old_record": None} in bodies
    assert {"type": "UPDATE", "table": "items", "schema": "public", "record": {**row, "v": 2}, "old_record": row} in bodies
    assert {"type": "DELETE", "table": "items", "schema": "public", "record": None, "old_record": {**row, "v": 4}} in bodies


def test_a_trigger_tries_again_with_the_same_event(running):
    stack, functions = running
    assert rest(stack, "POST", "items", {"id": 8, "v": 1})[0] == 201
    calls = wait_until(lambda: (found := [call for call in functions.of("note") if call["body"]["record"]["id"] == 8])
                       and len(found) == 2 and found, "a second attempt")
    assert [call["attempt"] for call in calls] == [1, 2]
    assert calls[0]["key"] == calls[1]["key"] and calls[0]["body"] == calls[1]["body"]
    assert calls[0]["body"]["trigger"] == {"name": "item-noted"} and calls[0]["body"]["id"]


def test_three_times_gone_disables_a_trigger(running):
    stack, functions = running
    before = len(functions.of("gone"))
    for number in range(100, 106):
        assert rest(stack, "POST", "items", {"id": number, "v": 0})[0] == 201
        assert rest(stack, "DELETE", f"items?id=eq.{number}")[0] == 204
        time.sleep(0.3)

    def disabled():
        found = {trigger["name"]: trigger for trigger in admin(stack, "GET", "triggers")[1]}
        return found["item-gone"]["disabled_at"]

    wait_until(disabled, "a disabled trigger")
    wait_until(lambda: len(rest(stack, "GET", "effects?item=eq.105")[1]) == 2, "the other trigger's effects")
    assert before + len(functions.of("gone")) >= 3
    count = len(functions.of("gone"))
    assert admin(stack, "POST", "triggers/item-gone/enable")[0] == 200
    assert rest(stack, "POST", "items", {"id": 106, "v": 0})[0] == 201
    assert rest(stack, "DELETE", "items?id=eq.106")[0] == 204
    wait_until(lambda: len(functions.of("gone")) == count + 1, "a call of the enabled trigger")


def test_a_schedule_beats(running):
    stack, functions = running
    calls = wait_until(lambda: len(functions.of("beat")) >= 4 and functions.of("beat"), "four beats", 30)
    repeats = [job(stack, call["job"])["attempts"] for call in calls if call["attempt"] != 1]
    assert not repeats
    assert all(call["body"] == {"from": "schedule"} for call in calls)
    times = [call["headers"]["x-martlet-scheduled-at"] for call in calls]
    assert len(set(times)) == len(times)
    assert all(int(moment[17:19]) % 2 == 0 for moment in times)


def test_jobs_whose_runner_is_killed_at_every_step_take_effect_once(postgres):
    """Killed when the call has arrived, when the effect has happened, and when the answer is on its way."""
    stack, functions = start(postgres, "five")
    try:
        moments = ["before", "after", "answered"]
        functions.hurt = {n: moments[n % 3] for n in range(0, 36, 4)}
        made = []
        for n in range(36):
            found = wait_until(lambda: admin(stack, "POST", "jobs", {"function": "work", "body": {"n": n}, "key": f"w{n}",
                                                                     "attempts": 20}), "an accepted job", 60)
            while found[0] not in (200, 201):
                time.sleep(0.2)
                found = admin(stack, "POST", "jobs", {"function": "work", "body": {"n": n}, "key": f"w{n}", "attempts": 20})
            made.append(found[1]["id"])
        assert len(set(made)) == 36

        def all_done():
            status, found = admin(stack, "GET", "jobs?function=work&limit=100")
            return status == 200 and [each["state"] for each in found] == ["done"] * 36

        wait_until(all_done, "36 done jobs", 120)
        assert not functions.hurt, "every kill has happened"
        effects = rest(stack, "GET", "effects?select=job,item&order=item&limit=100")[1]
        assert sorted(row["item"] for row in effects) == list(range(36))
        assert sorted(row["job"] for row in effects) == sorted(made)
        assert len(functions.of("work")) > 36, "some ran more than once, and their effects did not"
    except BaseException:
        print(stack.tail(60))
        stack.kill()
        raise
    end(stack, functions)


def test_triggers_whose_service_is_killed_tell_each_change_once_and_in_order(postgres):
    stack, functions = start(postgres, "five")
    stopped = threading.Event()

    def kill():
        for _ in range(8):
            if stopped.wait(random.uniform(0.3, 1.2)):
                return
            functions.kill_logic()

    killer = threading.Thread(target=kill)
    try:
        killer.start()
        for item in range(10):
            assert rest(stack, "POST", "items", {"id": item, "v": 0})[0] == 201
        for v in range(1, 20):
            for item in range(10):
                assert rest(stack, "PATCH", f"items?id=eq.{item}", {"v": v})[0] == 204
            time.sleep(0.2)
        killer.join()
        wait_until(lambda: len(rest(stack, "GET", "effects?select=id&limit=1000")[1]) >= 200, "200 effects", 150)
        wait_until(lambda: admin(stack, "GET", "jobs?function=tell&state=queued") == (200, [])
                   and admin(stack, "GET", "jobs?function=tell&state=running") == (200, []), "no more jobs", 60)
        effects = rest(stack, "GET", "effects?select=item,v&order=id&limit=1000")[1]
        for item in range(10):
            assert [row["v"] for row in effects if row["item"] == item] == list(range(20)), item
    except BaseException:
        print(stack.tail(60))
        stopped.set()
        stack.kill()
        raise
    end(stack, functions)


def test_a_wrong_schedule_stops_the_start():
    project, functions = make_project()
    try:
        path = project / "config.toml"
        path.write_text(path.read_text().replace('cron = "2 seconds"', 'cron = "61 * * * *"'))
        binaries = pathlib.Path(os.environ["MARTLET_TEST_BINARIES"])
        done = subprocess.run(
            [str(binaries / "martlet-logic"), "--project", str(project), "--data-dir", str(project / "data"),
             "--env", "development"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
        assert done.returncode == 78, done.stdout
        assert "martlet.schedules.beat.cron (config.toml:" in done.stdout
    finally:
        functions.shutdown()
        functions.server_close()
        shutil.rmtree(project)
