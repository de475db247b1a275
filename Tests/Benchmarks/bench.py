# SPDX-License-Identifier: Apache-2.0
"""What the benchmarks of the whole stack share: a stack of release executables on a project, clients in C, and what the
kernel says about processor time and memory."""

import argparse
import base64
import contextlib
import hashlib
import hmac
import json
import os
import pathlib
import shlex
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
import uuid

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "Tests/Conformance"))

from stack import SERVICES, PostgreSQL, Stack, free_port, wait_until  # noqa: E402,F401

# Fuses that a benchmark from one address would blow.
SETTINGS = {
    "MARTLET_EDGE_CLIENT_REQUESTS_PER_SECOND": 1_000_000, "MARTLET_NOTIFICATION_JOINS_PER_SECOND": 1_000_000,
    "MARTLET_LOG_LEVEL": "warning",
}
SMAPS_FIELDS = ("Pss", "Anonymous")


def parser(name: str, description: str, rounds: int = 3) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog=f"run {name}", description=description)
    made.add_argument("--binaries", help="folder of release executables; without it they are built")
    made.add_argument("--rounds", type=int, default=rounds, help="the figures are medians over these")
    made.add_argument("--engines", default="sqlite,postgres")
    made.add_argument("--topologies", default="one,five", help="processes of the stack")
    made.add_argument("--priority", type=int, default=0, metavar="NICE",
                      help="of all processes that take part, for a machine that others use meanwhile; needs root below 0")
    return made


def begin(options, name: str):
    """Names the run, so that a figure never stands without its machine, command and load."""
    Watch.priority = options.priority
    if not options.binaries:
        subprocess.check_call(["swift", "build", "-c", "release"], cwd=ROOT, stdout=sys.stderr)
        options.binaries = subprocess.check_output(
            ["swift", "build", "-c", "release", "--show-bin-path"], cwd=ROOT, text=True).strip()
    os.environ["MARTLET_TEST_BINARIES"] = str(pathlib.Path(options.binaries).resolve())
    print(f"command: Tests/Benchmarks/run {shlex.join([name, *sys.argv[1:]])}")
    print(f"machine: {os.cpu_count()} cores, {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') >> 30} GiB, "
          f"load before {loads()}; the clients run on the same cores", flush=True)


def loads() -> str:
    return " ".join(f"{value:.2f}" for value in os.getloadavg())


def configurations(options):
    """Each engine with each topology; the server is started once."""
    topologies = options.topologies.split(",")
    for engine in options.engines.split(","):
        server = PostgreSQL() if engine == "postgres" else None
        try:
            for topology in topologies:
                yield engine, topology, server
        finally:
            if server:
                server.stop()


def project(files: dict) -> pathlib.Path:
    folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-bench-"))
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@contextlib.contextmanager
def running(folder: pathlib.Path, topology: str, server=None, settings: dict | None = None, services=("DATA",)):
    """A stack, removed afterwards. On PostgreSQL each of `services` has a database there."""
    engines = {f"MARTLET_{service}_ENGINE": server.database() for service in services} if server else {}
    stack = Stack(folder, None, topology, {**SETTINGS, **engines, **(settings or {})})
    stack.server = server
    try:
        stack.start()
        Watch(stack).prefer()
        yield stack
        stack.stop()
    finally:
        stack.kill()
        stack.remove()


# ---- processes ------------------------------------------------------------------------------------------------------

def processes(stack) -> dict:
    """Name and number of each process of the suite, or of what stands in for it."""
    if not isinstance(stack, Stack):
        return stack.processes()
    if stack.topology == "one":
        return {"martlet": stack.process.pid}
    ports = json.loads((stack.data / "run/ports.json").read_text())
    return {"supervisor": stack.process.pid, **{service: ports[service]["pid"] for service in SERVICES}}


def cpu_seconds(number: int) -> float:
    """Processor time of a whole process, by the clock that POSIX names for it."""
    try:
        return time.clock_gettime((~number << 3) | 2)
    except OSError:
        return 0


def children() -> dict:
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                parent = int(pathlib.Path(f"/proc/{entry}/stat").read_text().rsplit(")", 1)[1].split()[1])
                found.setdefault(parent, []).append(int(entry))
    return found


def family(number: int) -> list:
    known, waiting = children(), [number]
    found = []
    while waiting:
        current = waiting.pop()
        found.append(current)
        waiting += known.get(current, [])
    return found


def postgres_processes(server) -> list:
    if not server:
        return []
    return family(int((server.folder / "data/postmaster.pid").read_text().split()[0]))


def memory(number: int) -> dict:
    """Pss and Anonymous, in bytes."""
    with open(f"/proc/{number}/smaps_rollup") as file:
        lines = dict(line.split(":", 1) for line in file if ":" in line and "kB" in line)
    return {field: int(lines[field].split()[0]) * 1024 for field in SMAPS_FIELDS}


def listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def busy_seconds() -> float:
    """Processor time of the whole machine, of everybody."""
    with open("/proc/stat") as file:
        user, nice, system, _, _, interrupt, soft = map(int, file.readline().split()[1:8])
    return (user + nice + system + interrupt + soft) / os.sysconf("SC_CLK_TCK")


class Watch:
    """Processor time of the stack while a block runs, and how much of the machine others took meanwhile."""

    priority = 0

    def __init__(self, stack, clients=()):
        self.named = {**processes(stack)}
        self.others = [os.getpid(), *clients, *postgres_processes(getattr(stack, "server", None))]
        known = set(self.named.values())
        # Functions' workers run below the suite's processes; they count apart from it.
        self.workers = {child for number in known for child in family(number)} - known

    def prefer(self):
        """The kernel weighs sessions first and processes within them, so that both have to be told."""
        if not self.priority:
            return
        for number in {*self.named.values(), *self.workers, *self.others}:
            with contextlib.suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, number, self.priority)
                pathlib.Path(f"/proc/{number}/autogroup").write_text(str(self.priority))

    def __enter__(self):
        self.prefer()
        self.began = self._read()
        return self

    def _read(self):
        return (time.monotonic(), busy_seconds(), {name: cpu_seconds(number) for name, number in self.named.items()},
                sum(cpu_seconds(number) for number in set(self.others)),
                sum(cpu_seconds(number) for number in self.workers))

    def __exit__(self, *_):
        ended = self._read()
        self.seconds = ended[0] - self.began[0]
        self.cpu = {name: ended[2][name] - self.began[2][name] for name in self.named}
        self.worker_cpu = ended[4] - self.began[4]
        own = sum(self.cpu.values()) + ended[3] - self.began[3] + self.worker_cpu
        self.foreign = max(0.0, (ended[1] - self.began[1] - own) / self.seconds / os.cpu_count())

    def per(self, count: int) -> float:
        """Microseconds of the suite's own processes for each."""
        return sum(self.cpu.values()) / max(1, count) * 1e6


def settle(stack, seconds: float = 60):
    """Waits until what the load left behind is done: jobs, mails."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with Watch(stack) as watch:
            time.sleep(0.5)
        if (sum(watch.cpu.values()) + watch.worker_cpu) / watch.seconds < 0.1:
            return
    raise SystemExit(f"the stack is not idle {seconds} s after a load: {watch.cpu}")


# ---- clients --------------------------------------------------------------------------------------------------------

def compiled(name: str, directory: str) -> str:
    path = os.path.join(directory, name)
    subprocess.check_call(["cc", "-D_GNU_SOURCE", "-O2", "-Wall", "-Werror", "-o", path, f"{HERE}/C/{name}.c"])
    return path


def token(stack, subject: str, role: str = "authenticated") -> str:
    """A token under the project's own secret, as an application may mint one."""
    def encoded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    body = {"role": role, "sub": subject, "session_id": str(uuid.uuid4()), "exp": int(time.time() + 7200)}
    signed = ".".join(encoded(json.dumps(part, separators=(",", ":")).encode())
                      for part in ({"alg": "HS256", "typ": "JWT"}, body))
    mac = hmac.new(stack.keys["jwt_secret"].encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encoded(mac)}"


def raw(stack, method: str, path: str, body=None, bearer: str | None = None, key: str = "service_role",
        more=()) -> bytes:
    """The bytes of a request."""
    content = b"" if body is None else json.dumps(body, separators=(",", ":")).encode()
    head = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"apikey: {stack.keys[key]}",
            f"Authorization: Bearer {bearer or stack.keys[key]}", *more]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(content)}"]
    return "\r\n".join([*head, "", ""]).encode() + content


def call(stack, method: str, path: str, body=None, bearer: str | None = None, more: dict | None = None):
    """One request as the service, or as whom `bearer` says; anything but success ends the run."""
    request = urllib.request.Request(
        stack.url + path, method=method, data=None if body is None else json.dumps(body).encode(),
        headers={"apikey": stack.keys["service_role"], "Content-Type": "application/json",
                 "Authorization": f"Bearer {bearer or stack.keys['service_role']}", **(more or {})})
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {path}: {error.code} {error.read()[:500]!r}") from None
    return json.loads(text) if text else None


def http_load(program: str, port: int, in_flight: int, seconds: float, requests: list, directory: str, stack=None,
              status: str = "2"):
    """Runs the client in C; `cpu_us` is of the suite's processes, a request. A status that does not begin with `status`
    ends the run."""
    path = os.path.join(directory, "requests")
    with open(path, "wb") as file:
        for request in requests:
            file.write(b"%d\n" % len(request) + request)
    client = subprocess.Popen([program, str(port), str(in_flight), str(seconds), path], stdout=subprocess.PIPE,
                              text=True)
    watch = Watch(stack, [client.pid]) if stack else contextlib.nullcontext()
    if client.stdout.readline() != "measuring\n":
        raise SystemExit("http_load did not begin")
    with watch:
        line = client.stdout.readline()
    client.wait()
    if not line:
        raise SystemExit("http_load failed")
    result = json.loads(line)
    if not all(given.startswith(status) for given in result["statuses"]):
        raise SystemExit(f"unexpected answers: {result['statuses']}")
    if stack:
        result.update(cpu_us=watch.per(result["requests"]), foreign=watch.foreign, cpu=watch.cpu,
                      worker_us=watch.worker_cpu / max(1, result["requests"]) * 1e6)
    return result


class Subscribers:
    """The WebSockets of the client in C, joined."""

    def __init__(self, program: str, stack, joins: list, directory: str, key: str = "anon"):
        path = os.path.join(directory, "joins")
        pathlib.Path(path).write_text("".join(f"{join}\n" for join in joins))
        self.process = subprocess.Popen(
            [program, str(stack.port), f"/realtime/v1/websocket?apikey={stack.keys[key]}&vsn=2.0.0", path],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "joined\n":
            raise SystemExit("the subscribers did not join")

    def _ask(self, line: str):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def reset(self):
        self._ask("reset")
        self._answer()

    def expect(self, changes: int, seconds: float):
        """To be awaited with `answer`, so that what is measured can be begun in between."""
        self._ask(f"wait {changes} {seconds}")

    def answer(self) -> dict:
        return self._answer()

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("the subscribers ended")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def join(topic: str, table: str | None = None, access_token: str | None = None) -> str:
    config = {"postgres_changes": [{"event": "*", "schema": "public", "table": table}]} if table else {}
    payload = {"config": config}
    if access_token:
        payload["access_token"] = access_token
    return json.dumps(["1", "1", f"realtime:{topic}", "phx_join", payload], separators=(",", ":"))


# ---- figures --------------------------------------------------------------------------------------------------------

def percentile(values: list, share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def median(values) -> float:
    return statistics.median(values)


class Table:
    """Lines as they come, each with the load of the moment, in the form that docs/benchmarks.md has."""

    def __init__(self, *columns: str):
        self.columns = columns
        print("\n| " + " | ".join([*columns, "others", "load"]) + " |")
        print("|" + "---|" * (len(columns) + 2), flush=True)

    def line(self, *values, foreign: float | None = None):
        """`foreign`: the share of the machine that processes outside the benchmark took."""
        assert len(values) == len(self.columns)
        share = "–" if foreign is None else f"{foreign * 100:.0f} %"
        print("| " + " | ".join([*map(str, values), share, f"{os.getloadavg()[0]:.1f}"]) + " |", flush=True)


@contextlib.contextmanager
def directory():
    path = tempfile.mkdtemp(prefix="martlet-bench-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)
