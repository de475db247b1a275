# SPDX-License-Identifier: Apache-2.0
"""Traces: one tree over all services, read by the official schema; and a collector that is away, slow or unwilling."""

import concurrent.futures
import json
import pathlib
import re
import statistics
import time
import urllib.error
import urllib.request
import uuid

import pytest

from collector import Collector, tree
from conftest import TOPOLOGY
from stack import Stack, deno, wait_until

MIGRATION = """
create table orders (id bigint generated always as identity primary key, buyer text not null, total integer not null);
alter table orders enable row level security;
grant select, insert, update, delete on orders to service_role;
"""

CONFIG = """
[auth]
site_url = "https://app.example.test"
[auth.email]
enable_confirmations = true
max_frequency = "0s"

[martlet.rules.price]
table = "orders"
on = ["insert"]
function = "price"
deadline = "10s"

[martlet.triggers.ordered]
table = "orders"
on = ["insert"]
function = "receipt"
"""

PRICE = """
Deno.serve(() => Response.json({ ok: true }));
"""

# What it asks of the edge carries the trace on, since Deno's own `fetch` does.
RECEIPT = """
const key = Deno.env.get("SUPABASE_SERVICE_ROLE_KEY");
Deno.serve(async (request) => {
  const { record } = await request.json();
  const answer = await fetch(`${Deno.env.get("SUPABASE_URL")}/notification/v1/mail`, {
    method: "POST",
    headers: {
      apikey: key, authorization: `Bearer ${key}`, "content-type": "application/json",
      "idempotency-key": request.headers.get("idempotency-key"),
    },
    body: JSON.stringify({ to: record.buyer, template: "receipt", variables: { id: record.id } }),
  });
  return new Response(null, { status: answer.ok ? 204 : 500 });
});
"""

SECRET = "a%20collectors%2Ckey"


def project(folder: pathlib.Path) -> pathlib.Path:
    for name, text in {
        "config.toml": CONFIG, "migrations/20260101000000_orders.sql": MIGRATION,
        "functions/price/index.ts": PRICE, "functions/receipt/index.ts": RECEIPT,
        "templates/receipt.subject": "Your order {{ .id }}\n", "templates/receipt.txt": "Thank you.\n",
    }.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


def start(folder, postgres, collector, **settings) -> Stack:
    own = {f"MARTLET_{name}_ENGINE": postgres.database() for name in ("AUTH", "LOGIC", "NOTIFICATION")} if postgres else {}
    stack = Stack(
        project(folder), postgres.database() if postgres else None, TOPOLOGY,
        own | {"MARTLET_LOGIC_DENO": deno(), "MARTLET_OTLP_ENDPOINT": collector.url} | settings)
    stack.environment["MARTLET_AUTH_EXTERNAL_URL"] = f"{stack.url}/auth/v1"
    return stack.start()


def ask(stack, method: str, path: str, body=None, role: str = "service_role", **headers):
    """Status, X-Request-Id, text."""
    key = stack.keys[role]
    request = urllib.request.Request(
        stack.url + path, None if body is None else json.dumps(body).encode(),
        {"apikey": key, "Authorization": f"Bearer {key}", "Content-Type": "application/json"} | headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.status, answer.headers["X-Request-Id"], answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["X-Request-Id"], error.read().decode()


@pytest.fixture(scope="module")
def traced(postgres, tmp_path_factory):
    collector = Collector()
    stack = start(tmp_path_factory.mktemp("traced"), postgres, collector, MARTLET_OTLP_HEADERS=f"x-collector-key={SECRET}")
    yield stack, collector
    stack.stop()
    stack.remove()
    collector.stop()


def trace_of(collector, request_id: str, wanted: set) -> list:
    """Every span of the trace that the request belongs to, once `wanted` (service, name) are there and hang together:
    each process sends its own when it sees fit."""
    def found():
        traces = {span.trace for span in collector.of(request_id)}
        spans = [span for span in collector.spans if span.trace in traces]
        is_whole = len({span.parent for span in spans} - {span.id for span in spans}) == 1
        return spans if is_whole and wanted <= {(span.service, span.name) for span in spans} else None
    try:
        return wait_until(found, "the spans", 30)
    except AssertionError:
        traces = {span.trace for span in collector.of(request_id)}
        seen = sorted((span.service, span.name, span.id, span.parent) for span in collector.spans if span.trace in traces)
        missing = wanted - {each[:2] for each in seen}
        raise AssertionError(f"missing: {missing}; seen: {seen}") from None


def test_an_order_is_one_tree(traced):
    stack, collector = traced
    status, request_id, text = ask(
        stack, "POST", "/rest/v1/orders", {"buyer": "ada@example.com", "total": 7})
    assert status == 201, text
    spans = trace_of(collector, request_id, {
        ("martlet-edge", "POST /rest/v1"), ("martlet-data", "http.write"), ("martlet-logic", "logic.decide"),
        ("martlet-logic", "call price"), ("martlet-logic", "trigger ordered"), ("martlet-logic", "process receipt"),
        ("martlet-logic", "call receipt"), ("martlet-functions", "POST"), ("martlet-edge", "POST /notification/v1"),
        ("martlet-notification", "http.write"), ("martlet-notification", "send mail"),
    })
    roots = tree(spans)
    assert [(root.service, root.name, root.parent) for root in roots] == [("martlet-edge", "POST /rest/v1", "")], roots
    by_id = {span.id: span for span in spans}

    def parent(service: str, name: str) -> str:
        child = next(span for span in spans if (span.service, span.name) == (service, name))
        return by_id[child.parent].name

    assert parent("martlet-data", "http.write") == "POST /rest/v1"
    assert parent("martlet-logic", "call price") == "logic.decide"
    assert parent("martlet-logic", "process receipt") == "trigger ordered"
    assert parent("martlet-logic", "call receipt") == "process receipt"
    assert parent("martlet-notification", "send mail") == "http.write"
    database = [span for span in spans if span.service == "martlet-data" and "db.operation.name" in span.attributes]
    assert database and all(by_id[span.parent].name == "http.write" for span in database)
    assert by_id[next(span for span in spans if span.name == "trigger ordered").parent] in database
    # Kinds of OTLP: 2 server, 3 client, 4 producer, 5 consumer.
    kinds = {span.name: span.kind for span in spans if span.service != "martlet-functions"}
    assert (kinds["http.write"], kinds["call receipt"], kinds["trigger ordered"], kinds["process receipt"]) == (2, 3, 4, 5)
    assert not any(span.failed for span in spans)


def test_a_sign_up_is_one_tree(traced):
    stack, collector = traced
    status, request_id, text = ask(
        stack, "POST", "/auth/v1/signup", {"email": f"{uuid.uuid4().hex}@example.com", "password": "correct horse 9"},
        role="anon")
    assert status == 200, text
    spans = trace_of(collector, request_id, {
        ("martlet-edge", "POST /auth/v1"), ("martlet-auth", "http.write"), ("martlet-data", "data.users.put"),
        ("martlet-data", "INSERT auth.users"), ("martlet-notification", "mail.send"),
        ("martlet-notification", "send mail"),
    })
    assert [root.name for root in tree(spans)] == ["POST /auth/v1"]


def test_attributes_say_what_and_not_who(traced):
    stack, collector = traced
    status, request_id, _ = ask(stack, "GET", "/rest/v1/orders?select=id&buyer=eq.eve@example.com")
    assert status == 200
    spans = trace_of(collector, request_id, {("martlet-edge", "GET /rest/v1"), ("martlet-data", "SELECT public.orders")})
    edge = next(span for span in spans if span.service == "martlet-edge")
    assert edge.attributes | {"client.address": "127.0.0.1"} == {
        "http.request.method": "GET", "http.route": "/rest/v1", "url.path": "/rest/v1/orders", "url.scheme": "http",
        "http.response.status_code": 200, "client.address": "127.0.0.1", "server.address": "127.0.0.1",
        "martlet.request_id": request_id}
    read = next(span for span in spans if span.name == "SELECT public.orders")
    assert read.attributes["db.system.name"] in ("sqlite", "postgresql")
    assert read.attributes["db.collection.name"] == "public.orders"
    assert set(edge.resource) == {
        "service.name", "service.instance.id", "service.version", "deployment.environment.name"}
    status, request_id, _ = ask(stack, "GET", "/rest/v1/nothing")
    assert status == 404
    missing = trace_of(collector, request_id, {("martlet-edge", "GET /rest/v1"), ("martlet-data", "http.read")})
    assert not any(span.failed for span in missing), "a refusal is no failure of the server"
    told = [span for span in collector.spans if span.service != "martlet-functions"]
    text = json.dumps([[span.name, span.attributes] for span in told])
    for secret in ["example.com", "correct horse", "eq.", "select=", stack.keys["service_role"], stack.keys["anon"]]:
        assert secret not in text, secret
    assert not any(span.attributes.get("url.path") == "/health" for span in told)
    assert all(headers.get("x-collector-key") == "a collectors,key" for headers in collector.headers)
    log = stack.log_path.read_text(errors="replace")
    assert SECRET not in log and "a collectors,key" not in log


def test_a_callers_trace_is_gone_on_with_as_it_says(traced):
    stack, collector = traced
    trace, caller = uuid.uuid4().hex, uuid.uuid4().hex[:16]
    hidden = uuid.uuid4().hex
    assert ask(stack, "GET", "/rest/v1/orders", traceparent=f"00-{hidden}-{caller}-00")[0] == 200
    status, request_id, _ = ask(stack, "GET", "/rest/v1/orders", traceparent=f"00-{trace}-{caller}-01")
    assert status == 200
    spans = trace_of(collector, request_id, {
        ("martlet-edge", "GET /rest/v1"), ("martlet-data", "http.read"), ("martlet-data", "SELECT public.orders")})
    root, = tree(spans)
    assert (root.trace, root.parent, root.name) == (trace, caller, "GET /rest/v1")
    assert not any(span.trace == hidden for span in collector.spans)


def test_the_ratio_and_json(postgres, tmp_path_factory):
    """Nothing of our own traces at a ratio of 0, all of a caller's; in JSON, and to a path below the endpoint."""
    collector = Collector()
    stack = start(tmp_path_factory.mktemp("sampled"), postgres, collector, MARTLET_OTLP_SAMPLING_RATIO="0",
                  MARTLET_OTLP_PROTOCOL="http/json", MARTLET_OTLP_SERVICE_PREFIX="shop")
    try:
        for _ in range(5):
            assert ask(stack, "GET", "/rest/v1/orders")[0] == 200
        trace = uuid.uuid4().hex
        status, request_id, _ = ask(stack, "GET", "/rest/v1/orders", traceparent=f"00-{trace}-{uuid.uuid4().hex[:16]}-01")
        assert status == 200
        trace_of(collector, request_id, {("shop-edge", "GET /rest/v1"), ("shop-data", "SELECT public.orders")})
        assert all(headers["Content-Type"] == "application/json" for headers in collector.headers)
        assert {span.attributes["martlet.request_id"] for span in collector.spans} == {request_id}
    finally:
        stack.stop()
        stack.remove()
        collector.stop()


class Admin:
    """The admin port of one service."""

    def __init__(self, stack: Stack, service: str):
        self.url = json.loads((stack.data / "run/ports.json").read_text())[service]["admin"]

    def value(self, name: str) -> float:
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=5) as answer:
            text = answer.read().decode()
        return float(re.search(rf"^{re.escape(name)} (\S+)$", text, re.MULTILINE).group(1))


def lines(stack: Stack, message: str) -> list:
    return [line for line in stack.log_path.read_text(errors="replace").splitlines() if f'"{message}"' in line]


def seconds_of(stack, count: int) -> list:
    """How long each of so many reads took, eight at once; each has to succeed."""
    def one(_):
        begun = time.monotonic()
        assert ask(stack, "GET", "/rest/v1/orders")[0] == 200
        return time.monotonic() - begun
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        return list(pool.map(one, range(count)))


@pytest.mark.parametrize("trouble", ["away", "slow", "unwilling"])
def test_a_bad_collector_slows_nobody(trouble, postgres, tmp_path_factory):
    """No request waits for the collector, what waits stays bounded, and what comes later arrives. Times are compared
    with what waiting would cost, 5 s, since the machine may be busy with other things."""
    troubled = [False]
    manners = {"slow": 30.0, "unwilling": (503, 1), "away": None}
    collector = Collector(lambda count: manners[trouble] if troubled[0] else None)
    stack = start(tmp_path_factory.mktemp(trouble), postgres, collector, MARTLET_OTLP_TIMEOUT="5s",
                  MARTLET_EDGE_CLIENT_REQUESTS_PER_SECOND="100000")
    try:
        edge = Admin(stack, "edge")
        seconds_of(stack, 440)
        wait_until(lambda: edge.value("martlet_spans_exported_total") >= 440, "spans that arrive")
        memory = edge.value("process_resident_memory_bytes")
        port = collector.port
        troubled[0] = True
        if trouble == "away":
            collector.stop()
        during = seconds_of(stack, 3_500)
        assert statistics.median(during) < 0.5, statistics.median(during)
        assert statistics.quantiles(during, n=100)[98] < 5, max(during)
        assert edge.value("martlet_spans_waiting") <= 8_192
        # 8 MiB of spans, and as much again for the request that is being sent, with room for the allocator.
        grown = edge.value("process_resident_memory_bytes") - memory
        assert grown < 48 << 20, grown
        wait_until(lambda: lines(stack, "Traces do not arrive."), "a line in the log")
        if trouble == "away":
            collector = Collector(port=port)
        troubled[0] = False
        wait_until(lambda: lines(stack, "Traces arrive again."), "spans that arrive again", 90)
        data = Admin(stack, "data")
        wait_until(lambda: edge.value("martlet_spans_waiting") + data.value("martlet_spans_waiting") == 0, "no backlog", 90)
        status, request_id, _ = ask(stack, "GET", "/rest/v1/orders")
        assert status == 200
        trace_of(collector, request_id, {("martlet-edge", "GET /rest/v1"), ("martlet-data", "http.read")})
        # Once per process and change, not once per batch.
        processes = 5 if TOPOLOGY == "five" else 1
        assert len(lines(stack, "Traces do not arrive.")) <= processes
    finally:
        stack.stop()
        stack.remove()
        collector.stop()


def test_a_stop_sends_what_is_left_and_waits_for_nobody(postgres, tmp_path_factory):
    held = [False]
    collector = Collector(lambda count: 60.0 if held[0] else None)
    stack = start(tmp_path_factory.mktemp("stopping"), postgres, collector)
    try:
        status, request_id, _ = ask(stack, "GET", "/rest/v1/orders")
        assert status == 200
    finally:
        stack.stop()
    # No second for the batch to come together: the stop has sent it.
    assert ("martlet-edge", "GET /rest/v1") in {(span.service, span.name) for span in collector.of(request_id)}
    held[0] = True
    stack.start()
    assert ask(stack, "GET", "/rest/v1/orders")[0] == 200
    begun = time.monotonic()
    stack.stop()
    assert time.monotonic() - begun < 15
    stack.remove()
    collector.stop()
