# SPDX-License-Identifier: Apache-2.0
"""Confirmation, resend, recovery, magic links and codes through the client library, with mails from the catcher's files."""

import re
import urllib.error
import urllib.parse
import urllib.request

import pytest
from supabase import create_client
from supabase.lib.client_options import SyncClientOptions
from supabase_auth.errors import AuthApiError

from conftest import TOPOLOGY
from people import PASSWORD, address, call, client
from postbox import body, wait_for_mail
from stack import Stack

CONFIGURATION = """
[auth]
site_url = "https://app.example.test"
additional_redirect_urls = ["https://*.example.test/**"]
[auth.email]
enable_confirmations = true
max_frequency = "0s"
[auth.email.template.recovery]
subject = "New password for {{ .Email }}"
content_path = "./templates/recovery.html"
[auth.rate_limit]
email_sent = 1000
"""


@pytest.fixture(scope="module")
def stack(postgres, tmp_path_factory):
    project = tmp_path_factory.mktemp("confirming")
    (project / "templates").mkdir()
    (project / "config.toml").write_text(CONFIGURATION)
    (project / "templates/recovery.html").write_text('<a href="{{ .ConfirmationURL }}">go</a> {{ .TokenHash }}')
    settings = {"MARTLET_AUTH_ENGINE": postgres.database(), "MARTLET_NOTIFICATION_ENGINE": postgres.database()} \
        if postgres else {}
    made = Stack(project, postgres.database() if postgres else None, TOPOLOGY, settings)
    made.environment["MARTLET_AUTH_EXTERNAL_URL"] = f"{made.url}/auth/v1"
    made.start()
    yield made
    made.stop()
    made.remove()


def code(mail) -> str:
    return re.search(r"\b\d{6}\b", body(mail)).group()


def link(mail) -> str:
    return re.search(r"https?://\S+/verify\?\S+", body(mail)).group()


class Unfollowed(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


def follow(url: str) -> str:
    """Where a mail's link leads, as a browser without keys sees it."""
    with pytest.raises(urllib.error.HTTPError) as answer:
        urllib.request.build_opener(Unfollowed).open(url, timeout=10)
    assert answer.value.code == 303
    return answer.value.headers["Location"]


def parameters(location: str) -> dict:
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).fragment, keep_blank_values=True))


def test_a_sign_up_is_confirmed_by_its_code(stack):
    email = address()
    somebody = client(stack)
    made = somebody.auth.sign_up({"email": email, "password": PASSWORD, "options": {"data": {"name": "Ada"}}})
    assert made.session is None and made.user.email == email
    with pytest.raises(AuthApiError) as refused:
        somebody.auth.sign_in_with_password({"email": email, "password": PASSWORD})
    assert refused.value.code == "email_not_confirmed"
    (mail,) = wait_for_mail(stack, email)
    assert mail["Subject"] == "Confirm your e-mail address"
    signed_in = somebody.auth.verify_otp({"email": email, "token": code(mail), "type": "signup"})
    assert signed_in.session and signed_in.user.id == made.user.id
    assert somebody.auth.get_user().user.email_confirmed_at
    assert client(stack).auth.sign_in_with_password({"email": email, "password": PASSWORD}).session


def implicit(stack):
    """A client whose links carry the tokens; those of the others carry a code."""
    return create_client(stack.url, stack.keys["anon"], SyncClientOptions(
        auto_refresh_token=False, persist_session=False, flow_type="implicit"))


def test_a_sign_up_is_confirmed_by_its_link(stack):
    email = address()
    somebody = implicit(stack)
    somebody.auth.sign_up(
        {"email": email, "password": PASSWORD, "options": {"email_redirect_to": "https://shop.example.test/in"}})
    (mail,) = wait_for_mail(stack, email)
    location = follow(link(mail))
    assert location.startswith("https://shop.example.test/in#")
    found = parameters(location)
    assert found["type"] == "signup" and found["token_type"] == "bearer"
    somebody.auth.set_session(found["access_token"], found["refresh_token"])
    assert somebody.auth.get_user().user.email == email
    assert parameters(follow(link(mail)))["error_code"] == "otp_expired"


def test_a_link_of_a_pkce_flow_is_for_the_client_that_began_it(stack):
    email = address()
    somebody = client(stack)
    somebody.auth.sign_up({"email": email, "password": PASSWORD})
    (mail,) = wait_for_mail(stack, email)
    location = follow(link(mail))
    assert location.startswith("https://app.example.test?code=")
    found = urllib.parse.parse_qs(urllib.parse.urlsplit(location).query)["code"][0]
    with pytest.raises(AuthApiError) as refused:
        client(stack).auth.exchange_code_for_session({"auth_code": found, "code_verifier": "x" * 43})
    assert refused.value.code == "bad_code_verifier"
    assert somebody.auth.exchange_code_for_session({"auth_code": found}).user.email == email
    assert somebody.auth.get_user().user.email_confirmed_at


def test_a_redirect_to_elsewhere_ends_at_the_site(stack):
    email = address()
    implicit(stack).auth.sign_up(
        {"email": email, "password": PASSWORD, "options": {"email_redirect_to": "https://evil.example.net/"}})
    (mail,) = wait_for_mail(stack, email)
    assert follow(link(mail)).startswith("https://app.example.test#access_token=")


def test_a_confirmation_can_be_sent_again(stack):
    email = address()
    somebody = client(stack)
    somebody.auth.sign_up({"email": email, "password": PASSWORD})
    (first,) = wait_for_mail(stack, email)
    somebody.auth.resend({"type": "signup", "email": email})
    _, second = wait_for_mail(stack, email, 2)
    assert parameters(follow(link(first)))["error_code"] == "otp_expired"
    assert somebody.auth.verify_otp({"email": email, "token": code(second), "type": "email"}).session
    # Nothing to confirm any more, and nobody of this name: the same answer, and no mail.
    somebody.auth.resend({"type": "signup", "email": email})
    somebody.auth.resend({"type": "signup", "email": address()})
    assert len(wait_for_mail(stack, email, 2)) == 2


def test_a_taken_address_shows_as_a_user_without_identities(stack):
    email = address()
    somebody = client(stack)
    made = somebody.auth.sign_up({"email": email, "password": PASSWORD})
    somebody.auth.verify_otp({"email": email, "token": code(wait_for_mail(stack, email)[0]), "type": "signup"})
    again = client(stack).auth.sign_up({"email": email, "password": PASSWORD})
    assert again.session is None and again.user.identities == [] and again.user.id != made.user.id


def test_a_forgotten_password_is_replaced(stack):
    email = address()
    somebody = client(stack)
    somebody.auth.sign_up({"email": email, "password": PASSWORD})
    somebody.auth.verify_otp({"email": email, "token": code(wait_for_mail(stack, email)[0]), "type": "signup"})
    forgetful = client(stack)
    forgetful.auth.reset_password_for_email(email, {"redirect_to": "https://app.example.test/new"})
    _, mail = wait_for_mail(stack, email, 2)
    assert mail["Subject"] == f"New password for {email}"
    secret = body(mail, "html").split("</a>")[1].strip()
    forgetful.auth.verify_otp({"token_hash": secret, "type": "recovery"})
    forgetful.auth.update_user({"password": "quite another battery"})
    assert client(stack).auth.sign_in_with_password({"email": email, "password": "quite another battery"}).session
    with pytest.raises(AuthApiError):
        client(stack).auth.sign_in_with_password({"email": email, "password": PASSWORD})
    client(stack).auth.reset_password_for_email(address())


def test_a_magic_link_signs_in(stack):
    email = address()
    somebody = client(stack)
    somebody.auth.sign_in_with_otp({"email": email})
    (mail,) = wait_for_mail(stack, email)
    made = somebody.auth.verify_otp({"email": email, "token": code(mail), "type": "email"})
    assert made.session
    again = implicit(stack)
    again.auth.sign_in_with_otp({"email": email, "options": {"should_create_user": False}})
    _, mail = wait_for_mail(stack, email, 2)
    assert mail["Subject"] == "Your sign-in link"
    found = parameters(follow(link(mail)))
    again.auth.set_session(found["access_token"], found["refresh_token"])
    assert again.auth.get_user().user.id == made.user.id
    with pytest.raises(AuthApiError) as refused:
        client(stack).auth.sign_in_with_otp({"email": address(), "options": {"should_create_user": False}})
    assert refused.value.code == "otp_disabled"


def test_a_wrong_code_is_refused(stack):
    email = address()
    somebody = client(stack)
    somebody.auth.sign_in_with_otp({"email": email})
    (mail,) = wait_for_mail(stack, email)
    wrong = "000000" if code(mail) != "000000" else "000001"
    with pytest.raises(AuthApiError) as refused:
        somebody.auth.verify_otp({"email": email, "token": wrong, "type": "email"})
    assert refused.value.code == "otp_expired"
    status, headers, _ = call(stack, "HEAD", link(mail).removeprefix(stack.url), key=None)
    assert status == 200 and "Location" not in headers
    assert somebody.auth.verify_otp({"email": email, "token": code(mail), "type": "email"}).session
