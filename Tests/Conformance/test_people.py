# SPDX-License-Identifier: Apache-2.0
"""Sign-up, sign-in, refresh, sign-out, and tokens that are no good (auth contract)."""

import base64
import concurrent.futures
import hashlib
import hmac
import json
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from supabase_auth.errors import AuthApiError, AuthWeakPasswordError

from people import PASSWORD, address, call, client, person, user_id


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> dict:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def refresh(stack, token: str):
    return call(stack, "POST", "/auth/v1/token?grant_type=refresh_token", {"refresh_token": token})


def test_sign_up_in_and_out(example):
    email = address()
    somebody = client(example)
    made = somebody.auth.sign_up(
        {"email": email, "password": PASSWORD, "options": {"data": {"full_name": "Ada"}}})
    assert made.session and made.user.email == email
    assert made.user.user_metadata["full_name"] == "Ada"
    assert made.user.app_metadata["provider"] == "email"
    assert somebody.auth.get_user().user.id == made.user.id

    again = client(example)
    session = again.auth.sign_in_with_password({"email": email.upper(), "password": PASSWORD}).session
    assert session.user.id == made.user.id and session.token_type == "bearer"
    assert decoded(session.access_token.split(".")[0])["alg"] == "ES256"
    claims = decoded(session.access_token.split(".")[1])
    assert claims["role"] == "authenticated" and claims["sub"] == made.user.id and claims["aud"] == "authenticated"

    token = session.access_token
    again.auth.sign_out()
    status, _, body = call(example, "GET", "/auth/v1/user", token=token)
    assert (status, body["error_code"]) == (403, "session_not_found")
    assert refresh(example, session.refresh_token)[0] == 400


def test_wrong_password_and_unknown_user_look_the_same(example):
    email = address()
    person(example, email)
    answers = []
    for login in ({"email": email, "password": "wrong"}, {"email": address(), "password": PASSWORD}):
        with pytest.raises(AuthApiError) as caught:
            client(example).auth.sign_in_with_password(login)
        answers.append((caught.value.status, caught.value.code, caught.value.message))
    assert answers[0] == answers[1] == (400, "invalid_credentials", "Invalid login credentials")


def test_sign_up_twice_and_weak_passwords(example):
    email = address()
    person(example, email)
    with pytest.raises(AuthApiError) as caught:
        client(example).auth.sign_up({"email": email, "password": PASSWORD})
    assert (caught.value.status, caught.value.code) == (422, "user_already_exists")
    with pytest.raises(AuthWeakPasswordError) as caught:
        client(example).auth.sign_up({"email": address(), "password": "short"})
    assert caught.value.status == 422 and caught.value.reasons == ["length"]


def test_update_user_and_password(example):
    email = address()
    somebody = person(example, email)
    changed = somebody.auth.update_user({"password": "another long one", "data": {"city": "Turin"}})
    assert changed.user.user_metadata["city"] == "Turin"
    assert client(example).auth.sign_in_with_password({"email": email, "password": "another long one"}).session
    with pytest.raises(AuthApiError):
        client(example).auth.sign_in_with_password({"email": email, "password": PASSWORD})


def test_refresh_rotates_and_reuse_ends_the_session(example):
    somebody = person(example)
    first = somebody.auth.get_session()
    second = somebody.auth.refresh_session().session
    assert second.refresh_token != first.refresh_token
    third = somebody.auth.refresh_session().session
    assert third.user.id == first.user.id
    # The grandparent of the living token, long used: somebody stole it.
    deadline = time.monotonic() + 30
    while refresh(example, first.refresh_token)[0] == 200 and time.monotonic() < deadline:
        time.sleep(1)
    status, _, body = refresh(example, first.refresh_token)
    assert (status, body["error_code"]) in {(400, "refresh_token_already_used"), (400, "refresh_token_not_found")}
    assert refresh(example, third.refresh_token)[0] == 400


def test_ten_parallel_refreshes_converge(example):
    somebody = person(example)
    token = somebody.auth.get_session().refresh_token
    with concurrent.futures.ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: refresh(example, token), range(10)))
    assert [status for status, _, _ in answers] == [200] * 10, answers
    successors = {body["refresh_token"] for _, _, body in answers}
    assert len(successors) == 1
    assert refresh(example, successors.pop())[0] == 200


def test_keys_are_needed_and_checked(example):
    assert call(example, "GET", "/rest/v1/products?limit=1", key=None)[0] == 401
    assert call(example, "GET", "/rest/v1/products?limit=1", key="rubbish")[0] == 401
    assert call(example, "POST", "/auth/v1/signup", {}, key=None)[0] == 401
    assert call(example, "GET", "/auth/v1/health", key=None)[0] == 200
    assert call(example, "GET", "/rest/v1/products?limit=1", key="publishable")[0] == 200
    status, _, keys = call(example, "GET", "/auth/v1/.well-known/jwks.json", key=None)
    assert status == 200 and keys["keys"][0]["alg"] == "ES256" and "d" not in keys["keys"][0]


def forged(stack) -> dict[str, str]:
    """Tokens for somebody real that must not be believed."""
    somebody = person(stack)
    genuine = somebody.auth.get_session().access_token
    head, payload, signature = genuine.split(".")
    header, claims = decoded(head), decoded(payload)

    def token(header: dict, claims: dict, sign) -> str:
        signed = f"{encoded(json.dumps(header).encode())}.{encoded(json.dumps(claims).encode())}"
        return f"{signed}.{encoded(sign(signed.encode()))}"

    stranger = ec.generate_private_key(ec.SECP256R1())

    def elliptic(data: bytes) -> bytes:
        r, s = utils.decode_dss_signature(stranger.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32) + s.to_bytes(32)

    _, _, keys = call(stack, "GET", "/auth/v1/.well-known/jwks.json", key=None)
    public = json.dumps(keys["keys"][0]).encode()
    secret = stack.keys["jwt_secret"].encode()
    other = dict(claims, sub="00000000-0000-4000-8000-000000000000")

    def hs256(key: bytes):
        return lambda data: hmac.new(key, data, hashlib.sha256).digest()

    return {
        "none": token({"alg": "none", "typ": "JWT"}, claims, lambda _: b""),
        "none with kid": token({**header, "alg": "none"}, claims, lambda _: b""),
        "wrong key": token(header, claims, elliptic),
        "unknown kid": token({**header, "kid": "nobody"}, claims, elliptic),
        "algorithm swapped, public key as secret": token({**header, "alg": "HS256"}, claims, hs256(public)),
        "claims changed": f"{head}.{encoded(json.dumps(other).encode())}.{signature}",
        "role raised": f"{head}.{encoded(json.dumps(dict(claims, role='service_role')).encode())}.{signature}",
        "expired": token({"alg": "HS256", "typ": "JWT"}, dict(claims, exp=int(time.time()) - 3600), hs256(secret)),
        "no signature": f"{head}.{payload}.",
        "two parts": f"{head}.{payload}",
        "rubbish": "rubbish",
    }


def test_forged_tokens_get_the_contracts_answers(example):
    for name, token in forged(example).items():
        status, headers, body = call(example, "GET", "/rest/v1/customers?select=id", token=token)
        assert status == 401, (name, status, body)
        assert body["code"] == ("PGRST303" if name == "expired" else "PGRST301"), (name, body)
        assert headers["WWW-Authenticate"].startswith("Bearer"), name
        status, _, body = call(example, "GET", "/auth/v1/user", token=token)
        assert (status, body["error_code"]) == (403, "bad_jwt"), (name, status, body)


def minted(stack, claims: dict) -> str:
    """A token that an application mints itself, under the project's secret."""
    secret = stack.keys["jwt_secret"].encode()
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return f"{signed}.{encoded(hmac.new(secret, signed.encode(), hashlib.sha256).digest())}"


def test_a_token_must_be_of_our_issuer_or_say_nothing(example):
    somebody = person(example)
    genuine = decoded(somebody.auth.get_session().access_token.split(".")[1])
    assert genuine["iss"].endswith("/auth/v1")
    path = "/rest/v1/customers?select=id"
    anonymous = {name: value for name, value in genuine.items() if name != "iss"}
    for claims in (genuine, anonymous):
        assert call(example, "GET", path, token=minted(example, claims))[0] == 200
    for issuer in ("https://elsewhere.example/auth/v1", genuine["iss"] + "/", ""):
        token = minted(example, {**genuine, "iss": issuer})
        status, headers, body = call(example, "GET", path, token=token)
        assert (status, body["code"]) == (401, "PGRST303"), (issuer, body)
        assert headers["WWW-Authenticate"].startswith("Bearer")
        status, _, body = call(example, "GET", "/auth/v1/user", token=token)
        assert (status, body["error_code"]) == (403, "bad_jwt"), (issuer, body)
    # A key of the project is no user: who issued it does not matter.
    key = minted(example, {"role": "service_role", "iss": "supabase", "iat": 1, "exp": genuine["exp"]})
    assert call(example, "GET", path, key=key)[0] == 200


def test_what_is_wrong_with_a_token_is_said(example):
    for token, code, message in (
            ("", "PGRST301", "Empty JWT is sent in Authorization header"),
            ("rubbish", "PGRST301", "Expected 3 parts in JWT; got 1"),
            ("a.b.c.d", "PGRST301", "Expected 3 parts in JWT; got 4"),
            ("a.b.c", "PGRST301", "JWT cryptographic operation failed"),
            (minted(example, {"role": "authenticated", "exp": "soon"}), "PGRST303",
             "The JWT 'exp' claim must be a number"),
            (minted(example, {"role": "authenticated", "exp": 1}), "PGRST303", "JWT expired"),
            (minted(example, {"role": "authenticated", "exp": time.time() + 900, "nbf": time.time() + 600}), "PGRST303",
             "JWT not yet valid"),
            (minted(example, {"role": "authenticated", "exp": time.time() + 900, "aud": 5}), "PGRST303",
             "The JWT 'aud' claim must be a string or an array of strings")):
        status, headers, body = call(example, "GET", "/rest/v1/customers", token=token,
                                     headers={"Authorization": f"Bearer {token}"})
        assert (status, body["code"], body["message"]) == (401, code, message)
        assert headers["WWW-Authenticate"] == f'Bearer error="invalid_token", error_description="{message}"'


def test_a_token_for_another_audience_is_no_user(example):
    claims = {"aud": "elsewhere", "role": "authenticated", "sub": user_id(person(example)),
              "exp": int(time.time()) + 600, "session_id": "00000000-0000-4000-8000-000000000000"}
    status, _, body = call(example, "GET", "/auth/v1/user", token=minted(example, claims))
    assert status in (401, 403), body


def test_administration(example):
    admin = client(example, "service_role").auth.admin
    email = address()
    made = admin.create_user({"email": email, "password": PASSWORD, "email_confirm": True}).user
    assert client(example).auth.sign_in_with_password({"email": email, "password": PASSWORD}).user.id == made.id
    assert made.id in {user.id for user in admin.list_users(per_page=1000)}
    admin.update_user_by_id(made.id, {"app_metadata": {"plan": "gold"}})
    assert admin.get_user_by_id(made.id).user.app_metadata["plan"] == "gold"
    admin.delete_user(made.id)
    with pytest.raises(AuthApiError):
        admin.get_user_by_id(made.id)
    status, _, body = call(example, "GET", "/auth/v1/admin/users", token=person(example).auth.get_session().access_token)
    assert (status, body["error_code"]) == (403, "not_admin")
