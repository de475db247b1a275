# SPDX-License-Identifier: Apache-2.0
"""What happened in a run, as its clients saw it: acknowledged writes, failures, outages. Knows nothing of the product."""

import dataclasses
import json
import pathlib
import threading

# How long a service may be away without any request failing.
PARKED_SECONDS = 2.5
# A killed process's connections stay open until the system has taken it down: requests may still be put on them.
TAKEN_DOWN_SECONDS = 0.25


class Ledger:
    """The acknowledged writes, in a file of their own: the last entry of a row says what must be there at the end."""

    def __init__(self, path: pathlib.Path):
        self.path = path
        self._file = open(path, "w", encoding="utf-8", buffering=1)
        self._lock = threading.Lock()
        self.count = 0

    def acknowledge(self, rows: list[tuple[str, str, dict | None]]):
        """One acknowledged write of `(table, id, content)`; no content: the row is gone."""
        lines = "".join(json.dumps([table, key, content]) + "\n" for table, key, content in rows)
        with self._lock:
            self._file.write(lines)
            self.count += 1

    def close(self):
        self._file.close()

    def rows(self) -> dict[str, dict[str, dict]]:
        """Per table what must be there, read back from the file."""
        expected: dict[str, dict[str, dict]] = {}
        for line in self.path.read_text(encoding="utf-8").splitlines():
            table, key, content = json.loads(line)
            rows = expected.setdefault(table, {})
            if content is None:
                del rows[key]
            else:
                rows[key] = content
        return expected


@dataclasses.dataclass
class Outage:
    """One kill. Times are monotonic seconds; `ready` stays None until the next process of the service is ready."""

    service: str
    killed: float
    ready: float | None = None

    def overlaps(self, begun: float, ended: float) -> bool:
        return self.killed <= ended and (self.ready is None or begun <= self.ready)

    def is_long(self) -> bool:
        return self.ready is None or self.ready - self.killed >= PARKED_SECONDS


@dataclasses.dataclass
class Failure:
    """An attempt without an answer, or with a 5xx."""

    kind: str
    request: str
    begun: float
    ended: float
    # When the connection was made: what breaks it may have happened while it was idle.
    connected: float
    # An edge answered, with a 5xx; else the connection broke.
    was_answered: bool
    # Has a key or only reads: then the product itself may repeat it, and a short outage must not be seen.
    is_repeatable: bool

    def excuse(self, outages: list[Outage]) -> str | None:
        """Why this failure may be; None when no failure was due."""
        if not self.was_answered:
            since = min(self.begun, self.connected)
            if any(outage.service == "edge" and outage.overlaps(since, self.ended) for outage in outages):
                return "edge killed"
        over = [outage for outage in outages if outage.overlaps(self.begun, self.ended)]
        if any(outage.is_long() for outage in over):
            return f"outage of {PARKED_SECONDS} s or more"
        if not self.is_repeatable and any(self.begun <= outage.killed + TAKEN_DOWN_SECONDS for outage in over):
            return "without a key, in flight at the kill"
        return None


class Journal:
    """Collects from all threads."""

    def __init__(self, ledger: Ledger):
        self.ledger = ledger
        self.failures: list[Failure] = []
        self.outages: list[Outage] = []
        # What is wrong whatever was killed.
        self.errors: list[str] = []
        self.requests = 0
        self.repeats = 0
        self.sign_ups = 0
        # Longest time from the first attempt to the answer, and what for.
        self.slowest = (0.0, "")
        self._lock = threading.Lock()

    def failed(self, failure: Failure):
        with self._lock:
            self.failures.append(failure)

    def answered(self, request: str, seconds: float):
        with self._lock:
            self.requests += 1
            self.slowest = max(self.slowest, (seconds, request))

    def wrong(self, error: str):
        with self._lock:
            self.errors.append(error)
