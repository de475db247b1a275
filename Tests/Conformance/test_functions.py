# SPDX-License-Identifier: Apache-2.0
"""Functions as the Python SDK invokes them: TypeScript by Deno, programs in Python and Swift, and an upstream."""

import concurrent.futures
import http.server
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request

import pytest
from supabase import create_client
from supabase_functions.errors import FunctionsHttpError, FunctionsRelayError

from conftest import run
from stack import deno, wait_until

SAMPLES = pathlib.Path(__file__).parent / "functions"


class Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        seen = {"path": self.path, "headers": [[name.lower(), value] for name, value in self.headers.items()],
                "body": body.decode("latin-1"), "method": self.command}
        answer = json.dumps(seen).encode()
        self.send_response(418 if "teapot" in self.path else 200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.send_header("Set-Cookie", "a=1")
        self.send_header("Set-Cookie", "b=2")
        if "cors" in self.path:
            self.send_header("Access-Control-Allow-Origin", "https://only.test")
        self.end_headers()
        self.wfile.write(answer)

    do_GET = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_POST

    def log_message(self, *arguments):
        pass


@pytest.fixture(scope="module")
def stack(postgres):
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    project = pathlib.Path(tempfile.mkdtemp(prefix="martlet-functions-"))
    shutil.copytree(SAMPLES, project / "functions")
    port = upstream.server_address[1]
    (project / "config.toml").write_text(f"""
[functions.hello]
verify_jwt = false
[functions.up]
verify_jwt = false
[martlet.functions.up]
url = "http://127.0.0.1:{port}/base"
[martlet.functions.closed]
url = "http://127.0.0.1:{port}"
[martlet.functions.gone]
url = "http://127.0.0.1:1"
[martlet.functions.python]
command = ["{sys.executable}", "functions/python/main.py"]
idle_timeout = "2s"
env = {{ GREETING = "hi" }}
[martlet.functions.patient]
command = ["{sys.executable}", "functions/python/main.py"]
[martlet.functions.swift]
command = ["functions/swift/main"]
[martlet.functions.limited]
memory_mebibytes = 128
cpu_time = "500ms"
""")
    (project / "functions/.env").write_text("SECRET_WORD=xyzzy\n")
    subprocess.run(["swiftc", "-O", "-o", "main", "main.swift"], cwd=project / "functions/swift", check=True)
    os.environ["MARTLET_LOGIC_DENO"] = deno()
    try:
        stack = run(project, postgres)
    finally:
        del os.environ["MARTLET_LOGIC_DENO"]
    yield stack
    stack.stop()
    stack.remove()
    shutil.rmtree(project)
    upstream.shutdown()


@pytest.fixture(scope="module")
def functions(stack):
    return create_client(stack.url, stack.keys["anon"]).functions


def call(stack, method: str, path: str, headers: dict | None = None, body: bytes | None = None):
    """Status, headers (lower case; the last of each) and body, without any SDK."""
    request = urllib.request.Request(f"{stack.url}/functions/v1{path}", data=body, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


def relayed(stack, status: int, code: str, method: str, path: str, headers: dict | None = None, body: bytes | None = None):
    """The platform's own answer: status, code, header, three members (FN-03)."""
    answered, fields, text = call(stack, method, path, headers, body)
    seen = json.loads(text)
    assert (answered, seen["code"]) == (status, code)
    assert fields["sb-error-code"] == code
    assert seen["message"] == seen["msg"]
    return fields


def bearer(stack, key: str = "anon") -> dict:
    return {"Authorization": f"Bearer {stack.keys[key]}"}


def test_typescript_answers_json(functions):
    answer = functions.invoke("hello", {"body": {"name": "Ada"}, "responseType": "json"})
    assert answer == {"message": "Hello Ada", "method": "POST", "path": "/hello", "type": "application/json"}


# FN-02
def test_typescript_sees_text_bytes_query_and_method(functions):
    def seen(name, **options):
        return functions.invoke(name, {"responseType": "json", **options})
    assert seen("hello", body="plain")["type"] == "text/plain"
    assert seen("hello", body=b"\x00\x01")["type"] == "application/octet-stream"
    assert seen("hello/sub/path", body={})["path"] == "/hello/sub/path"
    assert seen("hello", method="GET")["method"] == "GET"


def test_typescript_runs_in_its_sandbox(functions):
    seen = functions.invoke("sandbox", {"responseType": "json"})
    assert seen == {"own": "own file\n", "shared": "shared", "secret": "xyzzy", "passwd": "denied", "write": "denied",
                    "run": "denied", "home": ""}


def test_typescript_reads_the_data_api_as_its_caller_and_as_the_service(functions):
    seen = functions.invoke("back", {"responseType": "json"})
    assert seen == {"anon": 200, "service": 200}


def test_typescript_with_the_older_serve_answers(functions):
    assert functions.invoke("old") == b"older /old!"


def test_a_function_that_throws_is_an_http_error(functions):
    with pytest.raises(FunctionsHttpError):
        functions.invoke("hello/throw", {"body": {}})


# FN-08
def test_python_answers_and_has_its_environment(stack, functions):
    answer = functions.invoke("python/env", {"responseType": "json"})
    assert answer["GREETING"] == "hi" and answer["SECRET_WORD"] == "xyzzy"
    assert answer["SUPABASE_URL"] == stack.url
    assert answer["SUPABASE_ANON_KEY"] == stack.keys["anon"]
    assert "MARTLET_DATA_DIR" not in answer


def test_swift_answers(functions):
    assert functions.invoke("swift", {"responseType": "json"}) == {"swift": True, "path": "/swift"}


# FN-01
def test_everything_of_the_client_reaches_an_upstream(stack):
    status, fields, text = call(
        stack, "PUT", "/up/a%20b?x=1&x=2",
        {"Cookie": "c=1", "X-Own": "ü".encode().decode("latin-1"), "apikey": "k", "Authorization": "Bearer broken",
         "Idempotency-Key": "i1", "x-martlet-claims": "{}", "Content-Type": "application/x-own", "Host": "public.test"},
        b"\x00\xff")
    seen = json.loads(text)
    headers = dict(seen["headers"])
    assert status == 200 and seen["method"] == "PUT" and seen["path"] == "/base/a%20b?x=1&x=2"
    assert seen["body"].encode("latin-1") == b"\x00\xff"
    for name, value in {"cookie": "c=1", "apikey": "k", "authorization": "Bearer broken", "idempotency-key": "i1",
                        "content-type": "application/x-own", "x-forwarded-host": "public.test",
                        "x-forwarded-proto": "http", "x-forwarded-prefix": "/functions/v1",
                        "x-forwarded-for": "127.0.0.1"}.items():
        assert headers[name] == value, name
    assert headers["x-request-id"] == fields["x-request-id"]
    assert "x-martlet-claims" not in headers
    assert fields["content-type"] == "application/json"


def test_status_and_repeated_fields_pass_through(stack):
    request = urllib.request.Request(f"{stack.url}/functions/v1/up/teapot", method="POST", data=b"")
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request)
    assert raised.value.code == 418
    assert raised.value.headers.get_all("set-cookie") == ["a=1", "b=2"]
    assert "x-relay-error" not in raised.value.headers


# FN-05
def test_a_token_is_asked_for_and_its_claims_are_handed_on(stack):
    for headers, code in [({}, "UNAUTHORIZED_NO_AUTH_HEADER"),
                          ({"Authorization": "Bearer x"}, "UNAUTHORIZED_INVALID_JWT_FORMAT"),
                          ({"apikey": stack.keys["anon"]}, "UNAUTHORIZED_NO_AUTH_HEADER"),
                          ({"Authorization": bearer(stack)["Authorization"] + "x"}, "UNAUTHORIZED_LEGACY_JWT")]:
        assert "x-relay-error" not in relayed(stack, 401, code, "POST", "/closed", headers, b"")
    for headers in [bearer(stack), {"apikey": stack.keys["publishable"]}]:
        status, _, text = call(stack, "POST", "/closed", headers, b"")
        assert status == 200
        assert json.loads(dict(json.loads(text)["headers"])["x-martlet-claims"])["role"] == "anon"


def test_the_platform_says_what_failed(stack, functions):
    for status, code, method, path in [
            (404, "NOT_FOUND", "POST", "/none"), (400, "BAD_REQUEST", "POST", "/"),
            (405, "METHOD_NOT_ALLOWED", "PROPFIND", "/up"), (503, "BOOT_ERROR", "POST", "/gone")]:
        assert relayed(stack, status, code, method, path, bearer(stack), b"")["x-relay-error"] == "true"
    with pytest.raises(FunctionsRelayError):
        functions.invoke("none")


def test_a_body_beyond_the_limit_is_refused(stack):
    status, _, text = call(stack, "POST", "/up", body=b"x" * 5_000_000)
    assert status == 200 and len(json.loads(text)["body"]) == 5_000_000
    relayed(stack, 413, "PAYLOAD_TOO_LARGE", "POST", "/up", body=b"x" * 11_000_000)


# FN-09
def test_a_worker_that_dies_hangs_or_spins_fails_only_its_own_request(stack, functions):
    headers = bearer(stack)
    relayed(stack, 500, "WORKER_ERROR", "GET", "/python/exit", headers)
    relayed(stack, 504, "IDLE_TIMEOUT", "GET", "/python/sleep", headers)
    for path in ["spin", "heap", "buffers"]:
        begin = time.monotonic()
        relayed(stack, 546, "WORKER_LIMIT", "GET", f"/limited/{path}", headers)
        assert time.monotonic() - begin < 20
        assert functions.invoke("hello", {"body": {"name": "x"}, "responseType": "json"})["message"] == "Hello x"
        assert call(stack, "GET", "/limited", headers)[0] == 200


def test_many_slow_calls_wait_for_their_turn_and_hold_up_no_other_function(stack, functions):
    # 150 at once, of which 100 are in hand; more than the 64 requests that other links carry.
    headers = bearer(stack)
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(150) as pool:
        slow = [pool.submit(call, stack, "GET", "/patient/wait", headers) for _ in range(150)]
        assert functions.invoke("hello", {"body": {"name": "x"}, "responseType": "json"})["message"] == "Hello x"
        assert not all(answer.done() for answer in slow)
        assert [answer.result()[0] for answer in slow] == [200] * 150
    assert time.monotonic() - begin >= 2


def test_a_function_that_cannot_start_is_boot_error(stack):
    relayed(stack, 503, "BOOT_ERROR", "POST", "/broken", bearer(stack), b"")


def test_a_changed_file_is_served_within_two_seconds(stack, functions):
    path = stack.project / "functions/hello/index.ts"
    text = path.read_text()
    path.write_text(text.replace("Hello", "Good day"))
    try:
        wait_until(lambda: functions.invoke("hello", {"body": {"name": "x"}, "responseType": "json"})["message"]
                   == "Good day x", "the new text", 5)
    finally:
        path.write_text(text)
    wait_until(lambda: functions.invoke("hello", {"body": {"name": "x"}, "responseType": "json"})["message"]
               == "Hello x", "the old text", 5)


def test_a_new_folder_is_a_function(stack, functions):
    folder = stack.project / "functions/fresh"
    folder.mkdir()
    (folder / "index.ts").write_text('Deno.serve(() => new Response("fresh"));\n')
    assert functions.invoke("fresh") == b"fresh"


def test_what_a_function_writes_is_in_the_log(stack, functions):
    functions.invoke("hello", {"body": {"name": "logged-word"}})
    wait_until(lambda: "greeting logged-word" in stack.log_path.read_text(), "the line", 5)


PREFLIGHT = {"Origin": "https://app.test", "Access-Control-Request-Method": "POST",
             "Access-Control-Request-Headers": "authorization, x-own"}


# FN-07
def test_other_origins_are_the_functions_business_or_else_allowed(stack):
    for path in ["/closed", "/none", "/gone"]:
        status, fields, _ = call(stack, "OPTIONS", path, PREFLIGHT)
        assert status == 204 and fields["access-control-allow-origin"] == "*"
        assert "x-own" in fields["access-control-allow-headers"] and "x-region" in fields["access-control-allow-headers"]
        assert fields["access-control-max-age"] == "3600"
    status, fields, _ = call(stack, "OPTIONS", "/up/cors", PREFLIGHT)
    assert status == 200 and fields["access-control-allow-origin"] == "https://only.test"
    assert "access-control-max-age" not in fields
    _, fields, _ = call(stack, "POST", "/up/cors", {"Origin": "https://app.test"}, b"")
    assert fields["access-control-allow-origin"] == "https://only.test"
    _, fields, _ = call(stack, "POST", "/none", {"Origin": "https://app.test"}, b"")
    assert fields["access-control-allow-origin"] == "*"
    assert "x-relay-error" in fields["access-control-expose-headers"]


def workers(stack) -> list[str]:
    """Numbers of the processes that are workers of the stack, or were started by one."""
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if f"MARTLET_FUNCTION_SOCKET={stack.data}/".encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
        except OSError:
            pass
    return found


@pytest.fixture
def small(postgres, tmp_path_factory):
    """A stack of its own with one worker that has a child."""
    project = tmp_path_factory.mktemp("ends") / "project"
    shutil.copytree(SAMPLES / "python", project / "functions/python")
    (project / "config.toml").write_text(
        f'[martlet.functions.python]\ncommand = ["{sys.executable}", "functions/python/main.py"]\n')
    stack = run(project, postgres)
    try:
        assert call(stack, "GET", "/python/child", bearer(stack))[0] == 200
        assert len(workers(stack)) == 2
        yield stack
    finally:
        stack.kill()
        stack.remove()


def test_no_worker_outlives_the_stack(small):
    small.stop()
    wait_until(lambda: not workers(small), "the end of the workers", 10)


def test_killed_logic_takes_its_workers_along_and_the_next_ends_what_they_left(small):
    # In one process that is the whole stack; of five the supervisor starts it again.
    os.kill(int((small.data / "run/logic.lock").read_text().split()[0]), signal.SIGKILL)
    wait_until(lambda: len(workers(small)) <= 1, "the end of the worker", 10)
    if small.topology == "one":
        small.process.wait(10)
        small.start()
    wait_until(lambda: workers(small) == [], "the end of the worker's child", 10)
    wait_until(lambda: call(small, "GET", "/python", bearer(small))[0] == 200, "an answer of a new worker", 10)
    small.stop()
