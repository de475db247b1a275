# SPDX-License-Identifier: Apache-2.0
"""The table of bad requests: the bytes, and what must be answered."""

import base64
import dataclasses
import json

# Default limits of the edge (docs/configuration.md) and its own (docs/errors.md).
BODY_BYTES_MAX = 1 << 20


@dataclasses.dataclass(frozen=True)
class Names:
    key: str
    token: str


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    dialect: str
    status: int
    code: str
    parts: list[bytes]
    # The connection is of no more use.
    ends: bool = False


def head(names: Names | None, method: str, path: str, *lines: str, token: str | None = None) -> bytes:
    """The head of a request, with the project's key and a token unless told otherwise."""
    fields = ["Host: localhost"]
    if names:
        fields += [f"apikey: {names.key}", f"Authorization: Bearer {names.token if token is None else token}"]
    return "\r\n".join([f"{method} {path} HTTP/1.1", *fields, *lines, "", ""]).encode("latin-1")


def post(names: Names, path: str, body: bytes, *lines: str, length: int | None = None, method: str = "POST") -> bytes:
    length = len(body) if length is None else length
    return head(names, method, path, "Content-Type: application/json", f"Content-Length: {length}", *lines) + body


def halves(names: Names, head_seconds: float, body_seconds: float):
    """What begins and does not go on: name, dialect, bytes, seconds until it is cut."""
    chunked = head(names, "POST", "/rest/v1/customers", "Transfer-Encoding: chunked")
    yield "half a request line", "plain", b"GET /rest/v1/prod", head_seconds
    yield "half a head", "plain", head(names, "GET", "/rest/v1/products")[:-2], head_seconds
    yield "half a body", "rest", post(names, "/rest/v1/customers", b'{"name":', length=100), body_seconds
    yield "no body at all", "auth", post(names, "/auth/v1/signup", b"", length=100), body_seconds
    yield "half a chunk", "rest", chunked + b"a\r\nabc", body_seconds
    yield "no last chunk", "rest", chunked + b"2\r\n{}\r\n", body_seconds


def cases(names: Names) -> list[Case]:
    return [*bodies(names), *addresses(names), *credentials(names), *heads(names)]


def bodies(names: Names):
    def rest(name: str, body: bytes, code: str, status: int = 400, path: str = "/rest/v1/customers", method="POST"):
        return Case(f"rest, {name}", "rest", status, code, [post(names, path, body, method=method)])

    def auth(name: str, body: bytes, code: str = "bad_json", status: int = 400, path: str = "/auth/v1/signup"):
        return Case(f"auth, {name}", "auth", status, code, [post(names, path, body)])

    deep = b"[" * 100_000
    malformed = {
        "no JSON": b"{", "text behind": b'{"name":"a"} x', "two values": b"{}{}", "a word": b"name", "no bytes": b"",
        "single quotes": b"{'name':'a'}", "a trailing comma": b'{"name":"a",}', "a comment": b'{/**/"name":"a"}',
        "not a number": b'{"name":NaN}', "a bare minus": b'{"name":-}', "a control character": b'{"name":"a\x01"}',
        "an unknown escape": b'{"name":"\\x41"}', "half a surrogate": b'{"name":"\\ud800"}',
        "no UTF-8": b'{"name":"\xff\xfe"}', "overlong UTF-8": b'{"name":"\xc0\xaf"}', "deep arrays": deep,
        "deep arrays, closed": deep + b"]" * 100_000, "deep objects": b'{"a":' * 100_000, "UTF-16": "{}".encode("utf-16"),
        "a byte order mark": b'\xef\xbb\xbf{"name":"a"}',
    }
    for name, body in malformed.items():
        yield rest(name, body, "PGRST102")
        yield auth(name, body)
    # The data API takes a bare value for no rows (rest.md 11.1), auth for no object.
    for name, body in {"a number": b"5", "a text": b'"a"', "true": b"true"}.items():
        yield auth(name, body)
    yield rest("an array of numbers", b"[1,2]", "PGRST102")
    yield rest("rows of different members", b'[{"name":"a"},{"city":"b"}]', "PGRST102")
    yield rest("an unknown column", b'{"nothing":1}', "PGRST204")
    yield rest("a number for a uuid", b'{"name":"a","id":5}', "22P02")
    yield rest("an object for a uuid", b'{"name":"a","id":{"a":1}}', "22P02")
    yield rest("a text for an array", b'{"name":"a","tags":"x"}', "22P02")
    yield rest("no day", b'{"name":"a","since":"yesterday-ish"}', "22007")
    yield rest("a NUL in a text", b'{"name":"a\\u0000b"}', "22P05")
    yield rest("an empty name", b'{"name":""}', "23514")
    yield rest("no name", b'{"name":null}', "23502")
    yield rest("a far too long name", json.dumps({"name": "x" * 900_000}).encode(), "23514")
    yield rest("text for a number", b'{"order_id":"00000000-0000-4000-8000-000000000000","line_no":"one"}', "22P02",
               path="/rest/v1/order_lines")
    yield rest("too large a number", b'{"line_no":99999999999}', "22003", path="/rest/v1/order_lines")
    yield rest("a number without end", b'{"line_no":1e999999999}', "22P02", path="/rest/v1/order_lines")
    yield rest("a hundred thousand digits", b'{"line_no":' + b"9" * 100_000 + b"}", "22003",
               path="/rest/v1/order_lines")
    yield rest("a wrong enum", b'{"status":"lost"}', "22P02", path="/rest/v1/orders?note=eq.x", method="PATCH")
    yield auth("an array", b"[]")
    yield auth("a number for the address", b'{"email":5,"password":"correct horse"}')
    yield auth("an object for the password", b'{"email":"a@example.com","password":{}}')
    yield auth("a list for the data", b'{"email":"a@example.com","password":"correct horse","data":[]}')
    yield auth("a NUL in the address", b'{"email":"a\\u0000@example.com","password":"correct horse"}')
    yield auth("no address", b'{"email":"nobody","password":"correct horse battery"}', "validation_failed")
    yield auth("nothing to sign in with", b"{}", "validation_failed", path="/auth/v1/token?grant_type=password")
    yield auth("an unknown grant", b"{}", "invalid_credentials", path="/auth/v1/token?grant_type=magic")
    for name, dialect, path in (("rest", "rest", "/rest/v1/customers"), ("auth", "auth", "/auth/v1/signup"),
                                ("no prefix", "plain", "/")):
        yield Case(f"{name}, a body over the limit, announced", dialect, 413, "request_entity_too_large",
                   [post(names, path, b"", length=BODY_BYTES_MAX + 1)])
        yield Case(f"{name}, a body over the limit, sent", dialect, 413, "request_entity_too_large",
                   [post(names, path, b" " * (BODY_BYTES_MAX + 1))])
        chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
        yield Case(f"{name}, a body over the limit, in chunks", dialect, 413, "request_entity_too_large",
                   [head(names, "POST", path, "Transfer-Encoding: chunked"), chunk * 17])
    yield Case("a length beyond every number", "plain", 400, "bad_request",
               [post(names, "/rest/v1/customers", b"", length=1 << 70)], ends=True)


def addresses(names: Names):
    def get(name: str, dialect: str, status: int, code: str, path: str, *lines: str, method: str = "GET"):
        return Case(name, dialect, status, code, [head(names, method, path, *lines)])

    yield get("no such page", "plain", 404, "not_found", "/nothing")
    yield get("no such prefix", "plain", 404, "not_found", "/rest/v2/products")
    yield get("no such table", "rest", 404, "PGRST205", "/rest/v1/nothing")
    yield get("a table's name with a quote", "rest", 404, "PGRST205", "/rest/v1/products%22%3B--")
    yield get("too long a path", "rest", 404, "PGRST125", "/rest/v1/products/1")
    yield get("no such auth route", "auth", 404, "validation_failed", "/auth/v1/nothing")
    yield get("a page that cannot be deleted", "plain", 405, "method_not_allowed", "/", method="DELETE")
    yield get("health that cannot be written", "plain", 405, "method_not_allowed", "/health", method="POST")
    yield get("a method that tables do not have", "rest", 405, "PGRST117", "/rest/v1/products", method="TRACE")
    yield get("a method that sign-up does not have", "auth", 405, "validation_failed", "/auth/v1/signup",
              method="DELETE")
    yield get("a method of another protocol", "rest", 405, "PGRST117", "/rest/v1/products", method="COPY")
    yield get("out of the site", "plain", 404, "not_found", "/../config.toml")
    yield get("out of the site, escaped", "plain", 404, "not_found", "/%2e%2e/config.toml")
    yield get("out of the site, slashes escaped", "plain", 404, "not_found", "/..%2fconfig.toml")
    yield get("a hidden file", "plain", 404, "not_found", "/.env")
    yield get("a NUL escape in a page", "plain", 404, "not_found", "/index.html%00.png")
    yield get("a broken escape in a page", "plain", 404, "not_found", "/%zz")
    yield get("half an escape in a page", "plain", 404, "not_found", "/%2")
    yield get("an escape that is no UTF-8 in a page", "plain", 404, "not_found", "/%ff%fe")
    yield get("a NUL escape in a table", "rest", 404, "PGRST205", "/rest/v1/products%00")
    yield get("a NUL escape in a filter", "rest", 400, "22021", "/rest/v1/products?name=eq.a%00b")
    yield get("a broken escape in a table", "rest", 404, "PGRST205", "/rest/v1/%zz")
    yield get("a broken escape in a filter", "rest", 400, "22P02", "/rest/v1/products?id=eq.%zz")
    yield get("an escape that is no UTF-8 in a filter", "rest", 400, "22P02", "/rest/v1/products?id=eq.%ff%fe")
    yield get("a filter without end", "rest", 400, "PGRST100",
              "/rest/v1/products?or=" + "(id.eq.1,or" * 2_000)
    yield get("deep logic", "rest", 400, "PGRST100",
              "/rest/v1/products?or=" + "(or" * 2_000 + "(id.eq.1,id.eq.2)" + ")" * 2_000)
    yield get("a deep select", "rest", 400, "PGRST100", "/rest/v1/products?select=" + "order_lines(" * 2_000)
    yield get("an unknown operator", "rest", 400, "PGRST100", "/rest/v1/products?id=wrong.1")
    yield get("SQL in a filter", "rest", 400, "22P02", "/rest/v1/products?id=eq.1;drop%20table%20products")
    yield get("a negative limit", "rest", 416, "PGRST103", "/rest/v1/products?limit=-1")
    yield get("an offset behind the end", "rest", 416, "PGRST103", "/rest/v1/products?offset=9000000000000000000",
              "Prefer: count=exact")
    yield Case("a star", "plain", 400, "bad_request", [head(names, "OPTIONS", "*")], ends=True)


def credentials(names: Names):
    for dialect, path, none, wrong in (("rest", "/rest/v1/products", "no_api_key", "invalid_api_key"),
                                       ("auth", "/auth/v1/user", "no_authorization", "no_authorization")):
        yield Case(f"{dialect}, no key", dialect, 401, none, [head(None, "GET", path)])
        yield Case(f"{dialect}, a wrong key", dialect, 401, wrong, [head(None, "GET", path, "apikey: rubbish")])
        yield Case(f"{dialect}, half a key", dialect, 401, wrong, [head(None, "GET", path, f"apikey: {names.key[:-9]}")])
        yield Case(f"{dialect}, a huge key", dialect, 401, wrong, [head(None, "GET", path, f"apikey: {'a' * 30_000}")])
    unsigned = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode()
                        for part in (b'{"alg":"none"}', b'{"role":"service_role","sub":"x"}')) + "."
    deep = base64.urlsafe_b64encode(b"[" * 9_000).decode()
    for name, token in {
        "rubbish": "rubbish", "no signature": names.token.rsplit(".", 1)[0] + ".", "unsigned": unsigned,
        "two parts": "a.b", "nine parts": "a." * 8 + "a", "not base64": "!!!.???.###", "deep": f"{deep}.{deep}.a",
        "changed": names.token[:-4] + ("AAAA" if not names.token.endswith("AAAA") else "BBBB"),
        "too long": "a" * 20_000, "high bytes": "\xff\xfe.\xff.\xff",
    }.items():
        yield Case(f"rest, token: {name}", "rest", 401, "PGRST301",
                   [head(names, "GET", "/rest/v1/customers", token=token)])
        yield Case(f"auth, token: {name}", "auth", 403, "bad_jwt", [head(names, "GET", "/auth/v1/user", token=token)])


def heads(names: Names):
    def bad(name: str, *parts: bytes, status: int = 400, code: str = "bad_request", dialect: str = "plain"):
        return Case(name, dialect, status, code, list(parts), ends=True)

    table = "/rest/v1/customers"
    plain = head(names, "POST", table)
    yield bad("no HTTP", b"hello\r\n\r\n")
    yield bad("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200))
    yield bad("HTTP/2 as known beforehand", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
    yield bad("an unknown version", b"GET / HTTP/9.9\r\n\r\n")
    yield bad("an unknown method", b"FROBNICATE / HTTP/1.1\r\n\r\n")
    yield bad("a NUL in the path", b"GET /a\x00b HTTP/1.1\r\nHost: x\r\n\r\n")
    yield bad("a blank in the path", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n")
    yield bad("a NUL in a field", b"GET / HTTP/1.1\r\nHost: x\r\nX: a\x00b\r\n\r\n")
    yield bad("a field without a name", b"GET / HTTP/1.1\r\n: x\r\n\r\n")
    yield bad("a blank before the colon", b"GET / HTTP/1.1\r\nHost : x\r\n\r\n")
    yield bad("a folded field", b"GET / HTTP/1.1\r\nHost: x\r\nX: a\r\n b\r\n\r\n")
    yield bad("a length that is no number", plain[:-2] + b"Content-Length: ten\r\n\r\n")
    yield bad("a negative length", plain[:-2] + b"Content-Length: -5\r\n\r\n")
    yield bad("two lengths", plain[:-2] + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef")
    yield bad("a length twice", plain[:-2] + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}")
    yield bad("a list of lengths", plain[:-2] + b"Content-Length: 2, 2\r\n\r\n{}")
    yield bad("a length and chunks", plain[:-2] + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")
    yield bad("an encoding that is not chunked", plain[:-2] + b"Transfer-Encoding: gzip\r\n\r\nabc", dialect="rest")
    chunked = plain[:-2] + b"Transfer-Encoding: chunked\r\n\r\n"
    yield bad("a chunk without a size", chunked + b"zz\r\nabc\r\n", dialect="rest")
    yield bad("a chunk of another size", chunked + b"2\r\nabcdef\r\n", dialect="rest")
    yield bad("a chunk larger than every number", chunked + b"fffffffffffffffff\r\nabc", dialect="rest")
    large = {"status": 431, "code": "request_head_too_large"}
    yield bad("a huge target", head(names, "GET", "/rest/v1/products?id=in.(" + "1," * 40_000 + "1)"), **large)
    yield bad("a huge field", head(names, "GET", "/", "X-Huge: " + "a" * 100_000), **large)
    yield bad("a field without end", head(names, "GET", "/", "X-Huge: ")[:-4], *[b"a" * 65_536] * 40, **large)
    yield bad("many large fields", head(names, "GET", "/", *(f"X-{i}: {'a' * 8_000}" for i in range(6))), **large)
    yield bad("many fields", head(names, "GET", "/", *(f"X-{i}: a" for i in range(1_000))), **large)
    yield bad("a field with a name without end", b"GET / HTTP/1.1\r\n" + b"x" * 100_000, **large)
