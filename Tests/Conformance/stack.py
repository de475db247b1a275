# SPDX-License-Identifier: Apache-2.0
"""Runs the real executables for a test session, as a person would: `martlet up` on a project folder."""

import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
SERVICES = ["edge", "auth", "data", "logic", "notification"]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def folder_of_binaries() -> str:
    """Where the executables are; ends the program with status 2 if they are not built."""
    folder = pathlib.Path(os.environ.get("MARTLET_TEST_BINARIES", ROOT / ".build" / "debug"))
    missing = [name for name in ["martlet", *(f"martlet-{service}" for service in SERVICES)]
               if not (folder / name).exists()]
    if missing:
        print(f"Not built: {', '.join(missing)} in {folder}. `swift build` makes them.", file=sys.stderr)
        sys.exit(2)
    return str(folder)


def deno() -> str:
    """The Deno that requirements.txt brought beside this interpreter, or another on PATH."""
    beside = pathlib.Path(sys.executable).parent / "deno"
    found = str(beside) if beside.exists() else shutil.which("deno")
    assert found, "Deno is missing: Tests/Conformance/run installs it"
    return found


class Hopeless(AssertionError):
    """What is waited for cannot come any more."""


def wait_until(fact, what: str, seconds: float = 30):
    """Polls `fact` with a deadline and says what it saw last; ends at once when it throws `Hopeless`."""
    deadline = time.monotonic() + seconds
    seen = None
    while time.monotonic() < deadline:
        try:
            seen = fact()
            if seen:
                return seen
        except Hopeless:
            raise
        except Exception as error:  # the last error is the message
            seen = error
        time.sleep(0.05)
    raise AssertionError(f"{what} did not happen within {seconds} s; last seen: {seen!r}")


class PostgreSQL:
    """A throw-away server on a Unix socket."""

    def __init__(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="martlet-pg-"))
        self.binaries = self._binaries()
        self.prefix = []
        if os.getuid() == 0:
            self.prefix = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
            shutil.chown(self.folder, "postgres", "postgres")
        self._run("initdb", "-D", str(self.folder / "data"), "-U", "postgres", "-A", "trust", "-E", "UTF8",
                  "--locale=C.UTF-8", "--no-sync")
        options = f"-k {self.folder} -c listen_addresses='' -c fsync=off -c max_connections=200"
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-w", "-l", str(self.folder / "log"), "-o", options, "start")
        self.count = 0

    @staticmethod
    def _binaries() -> pathlib.Path:
        found = shutil.which("initdb")
        candidates = [pathlib.Path(found).resolve().parent] if found else []
        candidates += sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
        for folder in candidates:
            if (folder / "postgres").exists():
                return folder
        raise AssertionError("PostgreSQL's server is not installed: compose/scripts/setup.sh --test installs it")

    def _run(self, program: str, *arguments: str):
        done = subprocess.run([*self.prefix, str(self.binaries / program), *arguments], cwd="/",
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        assert done.returncode == 0, done.stdout

    def database(self) -> str:
        """Makes an empty database and returns its URL."""
        self.count += 1
        name = f"test_{self.count}"
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgres://postgres@/{name}?host={self.folder}"

    def stop(self):
        self._run("pg_ctl", "-D", str(self.folder / "data"), "-m", "immediate", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)


class Stack:
    """`martlet up` on a project, in one process or in five."""

    def __init__(self, project: pathlib.Path, engine_url: str | None, topology: str, settings: dict | None = None,
                 data: pathlib.Path | None = None):
        """`data`: a data directory that the caller made; the log then stands beside it."""
        self.project = project
        self.data = data or pathlib.Path(tempfile.mkdtemp(prefix="martlet-data-"))
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.topology = topology
        self.log_path = (data.parent if data else self.data) / "stack.log"
        self.environment = {
            **os.environ, "MARTLET_DATA_DIR": str(self.data), "MARTLET_API_PORT": str(self.port),
            **{f"MARTLET_{name}_ADMIN_PORT": "0" for name in ("EDGE", "AUTH", "DATA", "LOGIC", "NOTIFICATION")},
            **{key: str(value) for key, value in (settings or {}).items()},
        }
        if engine_url:
            self.environment["MARTLET_DATA_ENGINE"] = engine_url
        self.process = None

    def start(self):
        binaries = pathlib.Path(os.environ["MARTLET_TEST_BINARIES"])
        command = [str(binaries / "martlet"), "up", "--project", str(self.project)]
        if self.topology == "five":
            command.append("--processes")
        self.log = open(self.log_path, "ab")
        self.process = subprocess.Popen(command, stdout=self.log, stderr=self.log, env=self.environment, cwd="/",
                                        start_new_session=True)
        wait_until(self.ready, f"a ready stack (log: {self.log_path})", 60)
        self.keys = json.loads(subprocess.run(
            [str(binaries / "martlet"), "keys", "--json", "--project", str(self.project)], env=self.environment,
            check=True, stdout=subprocess.PIPE, text=True).stdout)
        return self

    def ready(self) -> bool:
        if self.process.poll() is not None:
            raise Hopeless(f"martlet up ended with {self.process.returncode}: {self.tail()}")
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def stop(self):
        """Ctrl-C, and a clean end."""
        if self.process and self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGINT)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                raise AssertionError(f"martlet up did not stop on Ctrl-C:\n{self.tail()}")
            assert self.process.returncode == 0, f"martlet up ended with {self.process.returncode}:\n{self.tail()}"
        self.log.close()

    def kill(self):
        """The whole process group, without a word; for a run that has failed."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def remove(self):
        shutil.rmtree(self.data, ignore_errors=True)
