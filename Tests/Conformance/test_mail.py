# SPDX-License-Identifier: Apache-2.0
"""Mails through a real SMTP server that is down, slow, unwilling or dies, and through the development catcher."""

import datetime
import ipaddress
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
import uuid

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from conftest import TOPOLOGY
from postbox import MailServer, body, wait_for_mail
from stack import Stack, wait_until


class Shop:
    """A stack on an empty project whose mails go to a port."""

    def __init__(self, folder: pathlib.Path, postgres, smtp_port: int | None = None, **settings):
        (folder / "templates").mkdir(parents=True, exist_ok=True)
        (folder / "config.toml").write_text("")
        (folder / "templates/receipt.subject").write_text("Your order {{ .id }}\n")
        (folder / "templates/receipt.txt").write_text("Dear {{name}},\n{{#lines}}- {{.}}\n{{/lines}}")
        if smtp_port:
            settings = {
                "MARTLET_NOTIFICATION_SMTP_HOST": "127.0.0.1", "MARTLET_NOTIFICATION_SMTP_PORT": smtp_port,
                "MARTLET_NOTIFICATION_SMTP_SECURITY": "none", "MARTLET_NOTIFICATION_SMTP_FROM": "shop@example.com",
                "MARTLET_NOTIFICATION_SMTP_FROM_NAME": "The Shop", "MARTLET_NOTIFICATION_SMTP_TIMEOUT": "2s",
            } | settings
        if postgres:
            settings["MARTLET_NOTIFICATION_ENGINE"] = postgres.database()
        self.stack = Stack(folder, postgres.database() if postgres else None, TOPOLOGY, settings)
        self.stack.start()

    def send(self, mail: dict, key: str | None = None, role: str = "service_role"):
        """The status and the JSON of an answer."""
        secret = self.stack.keys[role]
        headers = {"apikey": secret, "Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
        if key:
            headers["Idempotency-Key"] = key
        request = urllib.request.Request(
            f"{self.stack.url}/notification/v1/mail", json.dumps(mail).encode(), headers, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=15) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.load(error)

    def accept(self, to: str, key: str | None = None) -> str:
        """Sends until the mail is accepted, always with the same key, as a good client does; gives its Message-ID."""
        key = key or str(uuid.uuid4())

        def attempt():
            try:
                status, answer = self.send({"to": to, "subject": f"To {to}", "text": "Words"}, key)
            except OSError:
                return None
            return f"<{answer['message_id']}>" if status == 202 else None

        return wait_until(attempt, f"the acceptance of a mail to {to}")

    def kill_notification(self):
        """SIGKILL, wherever it is now; it is started again by its supervisor, or here where there is none."""
        process = wait_until(self.notification, "a running notification")
        os.kill(process, signal.SIGKILL)
        if TOPOLOGY == "one":
            self.stack.process.wait()
            self.stack.start()

    def notification(self) -> int | None:
        """The process that runs notification now; None while there is none."""
        ports = json.loads((pathlib.Path(self.stack.data) / "run/ports.json").read_text())
        process = ports.get("notification", {}).get("pid")
        return process if process and pathlib.Path(f"/proc/{process}").exists() else None

    def metric(self, name: str) -> float:
        ports = json.loads((pathlib.Path(self.stack.data) / "run/ports.json").read_text())
        with urllib.request.urlopen(f"{ports['notification']['admin']}/metrics", timeout=5) as answer:
            lines = answer.read().decode().splitlines()
        return float(next(line.split()[-1] for line in lines if line.split("{")[0].split(" ")[0] == name))

    def mails(self, *words: str) -> str:
        """What `martlet mails` prints."""
        command = [str(pathlib.Path(os.environ["MARTLET_TEST_BINARIES"]) / "martlet"), "mails", *words,
                   "--project", str(self.stack.project)]
        return subprocess.run(
            command, env=self.stack.environment, check=True, stdout=subprocess.PIPE, text=True).stdout

    def stop(self):
        self.stack.stop()
        self.stack.remove()


@pytest.fixture
def shop(postgres, tmp_path):
    """Makes stacks, and stops what was made."""
    made = []

    def make(smtp_port: int | None = None, **settings) -> Shop:
        made.append(Shop(tmp_path / f"shop{len(made)}", postgres, smtp_port, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def server():
    made = []

    def make(*arguments, **named) -> MailServer:
        made.append(MailServer(*arguments, **named))
        return made[-1]

    yield make
    for one in made:
        one.stop()


def has(server: MailServer, expected: set, seconds: float = 40):
    wait_until(lambda: expected <= set(server.taken), f"{len(expected)} mails at the server", seconds)


def test_a_mail_is_what_was_asked_for(shop, server):
    post = server()
    it = shop(post.port)
    status, answer = it.send({"to": "ada@example.org", "template": "receipt",
                              "variables": {"id": 7, "name": "Ada <3", "lines": ["tea", "Köln"]}})
    assert status == 202
    has(post, {f"<{answer['message_id']}>"})
    message = post.messages[0]
    assert message["Subject"] == "Your order 7"
    assert message["To"] == "ada@example.org"
    assert message["From"] == "The Shop <shop@example.com>"
    assert body(message).splitlines() == ["Dear Ada <3,", "- tea", "- Köln"]

    status, _ = it.send({"to": "ada@example.org", "subject": "Größe & <Form>", "html": "<p>" + "ä" * 500 + "</p>",
                         "text": ".\n..dots\n.\n\nend"})
    assert status == 202
    wait_until(lambda: len(post.messages) == 2, "the second mail")
    assert post.messages[1]["Subject"] == "Größe & <Form>"
    assert body(post.messages[1]).splitlines() == [".", "..dots", ".", "", "end"]
    assert body(post.messages[1], "html").strip() == "<p>" + "ä" * 500 + "</p>"

    for mail, code in [({"to": "a@b.example, c@d.example", "subject": "s", "text": "t"}, "bad_recipient"),
                       ({"to": "a@b.example", "template": "nowhere"}, "unknown_template"),
                       ({"to": "a@b.example", "subject": "s"}, "bad_mail")]:
        status, answer = it.send(mail)
        assert (status, answer["code"]) == (400, code)
    assert it.send({"to": "a@b.example", "subject": "s", "text": "t"}, role="anon")[0] == 403


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A certificate for 127.0.0.1 that nobody else trusts, and the server's side of it."""
    folder = tmp_path_factory.mktemp("certificate")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
            .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), True).sign(key, hashes.SHA256()))
    (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
    return folder / "certificate.pem", context


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mails_go_over_tls_with_a_sign_in(shop, server, certificate, tmp_path, security):
    file, context = certificate
    (tmp_path / "password").write_text("pass word\n")
    post = server(security=security, context=context, login=("shop", "pass word"))
    it = shop(post.port, MARTLET_NOTIFICATION_SMTP_SECURITY=security, MARTLET_NOTIFICATION_SMTP_USER="shop",
              MARTLET_NOTIFICATION_SMTP_PASSWORD_FILE=tmp_path / "password", MARTLET_NOTIFICATION_SMTP_CA_FILE=file)
    has(post, {it.accept("ada@example.org")})


@pytest.mark.parametrize("fault", ["no_tls", "unknown_certificate", "wrong_password"])
def test_nothing_is_said_to_a_server_that_is_not_the_right_one(shop, server, certificate, fault):
    file, context = certificate
    trusted = {} if fault == "unknown_certificate" else {"MARTLET_NOTIFICATION_SMTP_CA_FILE": file}
    tls = {} if fault == "no_tls" else {"security": "starttls", "context": context}
    post = server(login=("shop", "secret"), **tls)
    it = shop(post.port, MARTLET_NOTIFICATION_SMTP_SECURITY="starttls", MARTLET_NOTIFICATION_SMTP_USER="shop",
              MARTLET_NOTIFICATION_SMTP_PASSWORD="wrong" if fault == "wrong_password" else "secret", **trusted)
    it.accept("ada@example.org")
    # Tried more than once: the mail is not at fault.
    wait_until(lambda: it.metric("martlet_notification_mail_failures_total") >= 2, "two failures")
    assert it.metric("martlet_notification_mails_dead_total") == 0
    assert post.attempts == 0


def test_a_repeated_key_is_one_mail(shop, server):
    post = server()
    it = shop(post.port)
    one = it.accept("ada@example.org", "k")
    has(post, {one})
    assert it.accept("ada@example.org", "k") == one
    status, answer = it.send({"to": "bob@example.org", "subject": "s", "text": "t"}, "k")
    assert (status, answer["code"]) == (422, "idempotency_key_reused")
    has(post, {it.accept("ada@example.org", "k2")})
    assert sum(post.taken.values()) == 2


def test_a_server_that_is_down_gets_the_mails_later(shop, server):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        it = shop(port)
        due = {it.accept(f"p{number}@example.org") for number in range(5)}
        time.sleep(1)
    post = server(port=port)
    has(post, due)
    assert sum(post.taken.values()) == 5


def test_answers_for_now_are_tried_again_and_those_for_ever_are_not(shop, server):
    # The first three attempts fail for now, the fourth for ever.
    post = server(lambda count: "451 later" if count <= 3 else "554 never" if count == 4 else None)
    it = shop(post.port)
    due = [it.accept(f"p{number}@example.org") for number in range(5)]
    wait_until(lambda: len(post.taken) == 4, "four of five mails", 40)
    time.sleep(2)
    assert set(post.taken) < set(due)
    assert sum(post.taken.values()) == 4
    # What was given up is listed, and a command sends it again.
    dead, = it.mails("list", "--state", "dead").splitlines()
    assert "554" in dead and dead.split()[1] == "dead"
    assert it.mails("retry", dead.split()[0]).split()[1] in {"queued", "sending", "sent"}
    has(post, set(due))
    assert it.mails("list", "--state", "dead") == "" and len(it.mails("list").splitlines()) == 5
    assert set(post.taken.values()) == {1}


def test_a_slow_server_gets_each_mail(shop, server):
    # The second attempt takes longer than the client waits: nobody knows then, and the mail may come twice.
    post = server(lambda count: 4 if count == 2 else 0.3)
    it = shop(post.port)
    due = {it.accept(f"p{number}@example.org") for number in range(6)}
    has(post, due)
    time.sleep(4)
    assert set(post.taken) == due
    assert sum(post.taken.values()) <= len(due) + 1


def test_a_server_that_dies_after_the_mail_repeats_at_most_those(shop, server):
    post = server(lambda count: "die" if count % 4 == 0 else None)
    it = shop(post.port)
    due = {it.accept(f"p{number}@example.org") for number in range(12)}
    has(post, due)
    wait_until(lambda: post.deaths >= 3, "three deaths")
    time.sleep(3)
    assert set(post.taken) == due
    assert sum(post.taken.values()) - len(due) <= post.deaths


def test_a_hundred_mails_survive_ten_kills(shop, server):
    post = server(lambda count: 0.02)
    it = shop(post.port)
    due = set()
    for number in range(100):
        due.add(it.accept(f"p{number}@example.org"))
        if number % 10 == 5:
            it.kill_notification()
    has(post, due, 60)
    assert len(due) == 100
    assert set(post.taken) == due
    assert sum(post.taken.values()) - 100 <= 10


def test_development_catches_mails_and_shows_them(shop):
    it = shop()
    it.accept("ada@example.org")
    mails = wait_for_mail(it.stack, "ada@example.org")
    assert mails[0]["Subject"] == "To ada@example.org"
    secret = it.stack.keys["service_role"]
    with urllib.request.urlopen(f"{it.stack.url}/notification/v1/mails?apikey={secret}", timeout=10) as page:
        assert "To ada@example.org" in page.read().decode()
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{it.stack.url}/notification/v1/mails?apikey={it.stack.keys['anon']}", timeout=10)
    assert refused.value.code == 403
