# SPDX-License-Identifier: Apache-2.0
"""Signed-in clients, as an application makes them."""

import json
import secrets
import urllib.error
import urllib.request

from supabase import Client, create_client
from supabase.lib.client_options import SyncClientOptions

PASSWORD = "correct horse battery"


def client(stack, key: str = "anon") -> Client:
    return create_client(
        stack.url, stack.keys[key], SyncClientOptions(auto_refresh_token=False, persist_session=False))


def address() -> str:
    return f"{secrets.token_hex(6)}@example.com"


def person(stack, email: str | None = None) -> Client:
    """Somebody new, signed up and signed in."""
    made = client(stack)
    made.auth.sign_up({"email": email or address(), "password": PASSWORD})
    return made


def user_id(signed_in: Client) -> str:
    return signed_in.auth.get_session().user.id


def call(stack, method: str, path: str, body=None, token: str | None = None, key: str | None = "anon", headers=None):
    """A plain request: status, headers, parsed body."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(stack.url + path, data=data, method=method)
    if key:
        request.add_header("apikey", stack.keys.get(key, key))
    if token:
        request.add_header("Authorization", f"Bearer {token}")
    if data is not None:
        request.add_header("Content-Type", "application/json")
    for name, value in (headers or {}).items():
        request.add_header(name, value)
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return answer.status, answer.headers, parsed(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, error.headers, parsed(error.read())


def parsed(raw: bytes):
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return raw
