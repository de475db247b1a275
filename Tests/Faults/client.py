# SPDX-License-Identifier: Apache-2.0
"""A client that keeps its connection and repeats a request until somebody has answered it."""

import dataclasses
import http.client
import json
import time

from journal import Failure, Journal

# An edge gives up after 10 s; a client that waits longer has found a request that nobody finishes.
ANSWER_SECONDS = 20
# A request that was repeated for so long is given up, and an error.
SETTLE_SECONDS = 60


class GaveUp(Exception):
    """No answer, however often the request was repeated."""


@dataclasses.dataclass(frozen=True)
class Request:
    method: str
    path: str
    token: str
    body: object = None
    key: str | None = None
    prefer: str | None = None

    @property
    def is_repeatable(self) -> bool:
        return self.key is not None or self.method == "GET"

    def __str__(self) -> str:
        return f"{self.method} {self.path.split('?')[0]}" + (f" (key {self.key})" if self.key else "")


@dataclasses.dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: http.client.HTTPMessage = dataclasses.field(compare=False, repr=False)

    def json(self, **options):
        return json.loads(self.body, **options)

    def code(self) -> str:
        try:
            body = self.json()
            return str(body.get("error_code") or body.get("code")) if isinstance(body, dict) else ""
        except ValueError:
            return ""


class Client:
    """For one thread."""

    def __init__(self, port: int, api_key: str, journal: Journal):
        self._port = port
        self._api_key = api_key
        self._journal = journal
        self._connection = None
        self._connected = 0.0

    def close(self):
        if self._connection:
            self._connection.close()
            self._connection = None

    def settle(self, request: Request) -> Answer:
        """The first answer below 500; every attempt before it is written down."""
        first = time.monotonic()
        while True:
            begun = time.monotonic()
            was_answered = False
            try:
                answer = self.attempt(request)
                if answer.status < 500:
                    self._journal.answered(str(request), time.monotonic() - first)
                    return answer
                was_answered = True
                kind = f"{answer.status} {answer.code()}"
            except (OSError, http.client.HTTPException) as error:
                self.close()
                kind = type(error).__name__
            ended = time.monotonic()
            connected = self._connected or begun
            self._journal.failed(
                Failure(kind, str(request), begun, ended, connected, was_answered, request.is_repeatable))
            if ended - first > SETTLE_SECONDS:
                raise GaveUp(f"{request} was not answered within {SETTLE_SECONDS} s, last: {kind}")
            time.sleep(0.05)

    def attempt(self, request: Request) -> Answer:
        """The answer to one attempt, whatever it is."""
        if not self._connection:
            self._connected = 0.0
            self._connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=ANSWER_SECONDS)
            self._connection.connect()
            self._connected = time.monotonic()
        headers = {"apikey": self._api_key, "Authorization": f"Bearer {request.token or self._api_key}"}
        body = None
        if request.body is not None:
            body = json.dumps(request.body).encode()
            headers["Content-Type"] = "application/json"
        if request.key:
            headers["Idempotency-Key"] = request.key
        if request.prefer:
            headers["Prefer"] = request.prefer
        self._connection.request(request.method, request.path, body, headers)
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read(), answer.headers)
