# SPDX-License-Identifier: Apache-2.0
"""An SMTP server whose manners the test chooses, and a reader of what the development catcher keeps."""

import asyncio
import email
import email.policy
import pathlib
import threading
import time
from collections import Counter

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult

from stack import free_port


class MailServer:
    """Keeps what it took by Message-ID. `manner(count)` says what becomes of a mail: None takes it, a text is the
    answer, "die" takes it and cuts the connection instead of answering, a number is seconds of thought before it is taken.
    With `login`, user and password, nobody else may send."""

    def __init__(self, manner=lambda count: None, port: int = 0, security: str = "none", context=None, login=None):
        self.manner = manner
        self.lock = threading.Lock()
        self.taken = Counter()
        self.attempts = 0
        self.deaths = 0
        self.messages = []
        outer = self

        class Server(SMTP):
            """Dying is not answering: the transport is closed under the session."""

            async def push(self, status):
                if str(status).startswith("die"):
                    self.transport.abort()
                    return
                await super().push(status)

        class Handler:
            async def handle_DATA(self, server, session, envelope):
                return await outer.take(envelope)

        class Here(Controller):
            def factory(self):
                def check(server, session, envelope, mechanism, data):
                    return AuthResult(success=login == (data.login.decode(), data.password.decode()))

                return Server(
                    self.handler, hostname="mail.test", tls_context=context if security == "starttls" else None,
                    require_starttls=security == "starttls", authenticator=check, auth_required=login is not None,
                    auth_require_tls=security == "starttls")

        # The controller connects to itself once, so that port 0 will not do.
        self.port = port or free_port()
        self.controller = Here(Handler(), hostname="127.0.0.1", port=self.port,
                               ssl_context=context if security == "tls" else None)
        self.controller.start()

    async def take(self, envelope) -> str:
        with self.lock:
            self.attempts += 1
            count = self.attempts
        manner = self.manner(count)
        if isinstance(manner, (int, float)):
            await asyncio.sleep(manner)
            manner = None
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        if manner is None or manner == "die":
            with self.lock:
                self.taken[message["Message-ID"]] += 1
                self.messages.append(message)
                self.deaths += manner == "die"
        return "250 taken" if manner is None else manner

    def stop(self):
        self.controller.stop()


def caught(stack) -> list:
    """What the catcher has, oldest first."""
    folder = pathlib.Path(stack.data) / "mail"
    files = sorted(folder.glob("*.eml"), key=lambda file: file.stat().st_mtime_ns)
    return [email.message_from_bytes(file.read_bytes(), policy=email.policy.default) for file in files]


def body(message, kind: str = "plain") -> str:
    return message.get_body((kind,)).get_content()


def wait_for_mail(stack, to: str, count: int = 1, seconds: float = 20):
    """The mails to an address, when there are so many."""
    deadline = time.monotonic() + seconds
    while True:
        mails = [mail for mail in caught(stack) if mail["To"] == to]
        if len(mails) >= count:
            return mails
        assert time.monotonic() < deadline, f"{len(mails)} mails to {to} within {seconds} s, not {count}"
        time.sleep(0.05)
