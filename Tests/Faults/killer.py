# SPDX-License-Identifier: Apache-2.0
"""Kills one service after the other and watches the supervisor bring it back."""

import collections
import json
import os
import pathlib
import random
import signal
import threading
import time

from journal import Journal, Outage
from stack import SERVICES

# Nothing is killed while another service is away, and who does not come back within this time is an error.
RETURN_SECONDS = 60


class Log:
    """The log of `martlet up`, read as it grows."""

    def __init__(self, path: pathlib.Path):
        self._file = open(path, encoding="utf-8", errors="replace")
        self._rest = ""
        self.ready = collections.Counter()
        self.ends: list[tuple[str, str]] = []
        self.severe = collections.Counter()
        self.foreign: list[str] = []

    def read(self):
        *lines, self._rest = (self._rest + self._file.read()).split("\n")
        for line in lines:
            try:
                entry = json.loads(line)
                service, message = entry["service"], entry["message"]
            except (ValueError, TypeError, KeyError):
                # The summary for people, or the last words of a process that trapped.
                if "Fatal error" in line or "Thread 0 crashed" in line:
                    self.foreign.append(line)
                continue
            if message == "Ready.":
                self.ready[service] += 1
            elif message == "A service has ended and starts again.":
                self.ends.append((entry["process.service"], entry["process.end"]))
            if entry["level"] in ("error", "critical"):
                self.severe[f"{service}: {message}"] += 1


def children(parent: int) -> dict[str, int]:
    """The service processes of `martlet up`, by service."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            # The name in parentheses may hold anything; the parent is the second field after it.
            if int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1]) != parent:
                continue
            # A build during the run replaces the file.
            name = os.path.basename(os.readlink(folder / "exe")).removesuffix(" (deleted)")
        except (OSError, IndexError):
            continue
        if name.startswith("martlet-"):
            found[name.removeprefix("martlet-")] = int(folder.name)
    return found


def plan(seed: int, kills: int) -> list[str]:
    """Who is killed, in order: every service in each round, data twice, so that none is left out by chance."""
    order = random.Random(f"{seed}/kills")
    planned = []
    while len(planned) < kills:
        a_round = SERVICES + ["data"]
        order.shuffle(a_round)
        planned += a_round
    return planned[:kills]


class Killer(threading.Thread):
    def __init__(self, supervisor: int, log: Log, journal: Journal, seed: int, kills: int, seconds: float,
                 services: list[str] | None = None):
        """`services`: whom to kill, in order; all of them in rounds by default."""
        super().__init__(name="killer")
        self._supervisor = supervisor
        self._log = log
        self._journal = journal
        self._random = random.Random(f"{seed}/times")
        self._plan = services or plan(seed, kills)
        self._interval = seconds / max(kills, 1)
        self.abandoned = threading.Event()

    def run(self):
        begin = time.monotonic()
        for number, service in enumerate(self._plan):
            due = begin + self._interval * (number + self._random.uniform(0.2, 0.8))
            if self.abandoned.wait(max(0, due - time.monotonic())):
                return
            process = children(self._supervisor).get(service)
            self._log.read()
            if process is None:
                return self._journal.wrong(f"{service} does not run, and nobody killed it")
            before = self._log.ready[service]
            outage = Outage(service, time.monotonic())
            self._journal.outages.append(outage)
            os.kill(process, signal.SIGKILL)
            while self._log.ready[service] == before:
                if time.monotonic() - outage.killed > RETURN_SECONDS:
                    return self._journal.wrong(f"{service} did not come back within {RETURN_SECONDS} s")
                time.sleep(0.01)
                self._log.read()
            outage.ready = time.monotonic()

    def check(self):
        """Nobody died but by our hand."""
        self._log.read()
        killed = collections.Counter((outage.service, "signal 9") for outage in self._journal.outages)
        ended = collections.Counter(self._log.ends)
        for (service, end), count in (ended - killed).items():
            self._journal.wrong(f"{service} died by itself {count} time(s): {end}")
        for (service, _), count in (killed - ended).items():
            self._journal.wrong(f"{service} was killed {count} time(s) without the supervisor saying so")
        for line in self._log.foreign:
            self._journal.wrong(f"a process trapped: {line[:300]}")
