# SPDX-License-Identifier: Apache-2.0
"""The data API's headers, statuses and error bodies as they are on the wire (rest contract 9, 11, 13 to 15, 18)."""

import http.client
import json
import secrets

import pytest

from people import call, person

PRODUCTS = "/rest/v1/products?select=id&order=id"
EXPOSED = {"content-range", "preference-applied", "location", "x-request-id"}


@pytest.fixture(scope="module")
def ada(example):
    return person(example).auth.get_session().access_token


@pytest.fixture(scope="module")
def total(example) -> int:
    _, headers, _ = call(example, "GET", PRODUCTS, headers={"Prefer": "count=exact"})
    return int(headers["Content-Range"].split("/")[1])


def service(stack, method: str, path: str, body=None, **headers):
    """With the key that sees all; header names are written with `_`."""
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return call(stack, method, f"/rest/v1/{path}", body, key="service_role", headers=headers)


def refusal(answer) -> tuple:
    status, headers, body = answer
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert set(body) == {"code", "details", "hint", "message"}
    assert headers["X-Request-Id"] and headers["X-Content-Type-Options"] == "nosniff"
    return status, body["code"], body["message"], body["details"]


# MARK: Ranges and counts (9, 15)


@pytest.mark.parametrize("path, given, prefer, status, shown, first", [
    ("", "0-9", None, 200, "0-9/*", 0),
    ("", "10-19", None, 200, "10-19/*", 10),
    ("", "10-19", "count=exact", 206, "10-19/{total}", 10),
    ("", "items=5-5", "count=exact", 206, "5-5/{total}", 5),
    ("&limit=3", "2-100", "count=exact", 206, "2-2/{total}", 2),
    ("&offset=4", "0-9", "count=exact", 206, "4-9/{total}", 4),
    ("&limit=0", None, "count=exact", 206, "*/{total}", None),
    ("&limit=5", None, "count=exact", 206, "0-4/{total}", 0),
    ("&limit=5", None, "count=planned", 206, "0-4/{total}", 0),
    ("&limit=5", None, "count=estimated", 206, "0-4/{total}", 0),
    ("&limit=5", None, None, 200, "0-4/*", 0),
    ("&id=lt.0", None, None, 200, "*/*", None),
    ("&id=lt.0", None, "count=exact", 200, "*/0", None),
    ("&offset={total}", None, "count=exact", 206, "*/{total}", None),
    ("&offset=100000", None, None, 200, "*/*", None),
    ("&limit=ten&offset=-3", None, "count=exact", 200, "0-{last}/{total}", 0),
    # What is no range is ignored.
    ("&limit=2", "-5", None, 200, "0-1/*", 0),
    ("&limit=2", "a-b", None, 200, "0-1/*", 0),
    ("&limit=2", "bytes=0-5", None, 200, "0-1/*", 0),
    ("&limit=2", "1-2,4-5", None, 200, "0-1/*", 0),
    ("&limit=2", "99999999999999999999-", None, 200, "0-1/*", 0),
])
def test_pages_and_ranges(example, total, path, given, prefer, status, shown, first):
    names = {"total": total, "last": total - 1}
    headers = {name: value for name, value in (("Range", given), ("Prefer", prefer), ("Range-Unit", given and "items"))
               if value}
    got, fields, rows = call(example, "GET", PRODUCTS + path.format(**names), headers=headers)
    assert (got, fields["Content-Range"]) == (status, shown.format(**names)), rows
    assert fields["Preference-Applied"] == prefer
    begin, end = (None, None) if first is None else map(int, fields["Content-Range"].split("/")[0].split("-"))
    assert begin == first and len(rows) == (0 if first is None else end - begin + 1)
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids))


@pytest.mark.parametrize("path, headers, details, shown", [
    ("", {"Range": "9-3"}, "The lower boundary must be lower than or equal to the upper boundary in the Range header.",
     None),
    ("&limit=-1", {}, "Limit should be greater than or equal to zero.", None),
    ("&offset={beyond}", {"Prefer": "count=exact"},
     "An offset of {beyond} was requested, but there are only {total} rows.", "*/{total}"),
    ("", {"Prefer": "count=exact", "Range": "{beyond}-"},
     "An offset of {beyond} was requested, but there are only {total} rows.", "*/{total}"),
])
def test_ranges_that_cannot_be_had(example, total, path, headers, details, shown):
    names = {"total": total, "beyond": total + 1}
    headers = {name: value.format(**names) for name, value in headers.items()}
    answer = call(example, "GET", PRODUCTS + path.format(**names), headers=headers)
    assert refusal(answer) == (416, "PGRST103", "Requested range not satisfiable", details.format(**names))
    assert answer[1]["Content-Range"] == (shown and shown.format(**names))


def test_head_is_get_without_a_body(example, total):
    for path, headers, status, shown in (
            ("", {"Prefer": "count=exact"}, 200, f"0-{total - 1}/{total}"), ("&limit=5", {}, 200, "0-4/*"),
            ("&limit=5", {"Prefer": "count=exact"}, 206, f"0-4/{total}"),
            # The range is for GET alone.
            ("&limit=5", {"Range": "2-3"}, 200, "0-4/*"), ("&limit=-1", {}, 416, None)):
        got, fields, body = call(example, "HEAD", PRODUCTS + path, headers=headers)
        assert (got, fields["Content-Range"], body) == (status, shown, None)
        assert fields["Content-Type"].startswith("application/json") and fields["Content-Length"] is None
    # The connection stays in step: nothing that a client would take for the next answer follows.
    connection = http.client.HTTPConnection("127.0.0.1", example.port, timeout=20)
    for method in ("HEAD", "GET", "HEAD", "GET"):
        connection.request(method, PRODUCTS + "&limit=2", headers={"apikey": example.keys["anon"]})
        answer = connection.getresponse()
        assert answer.status == 200
        assert (answer.read() == b"") == (method == "HEAD")
    connection.close()


# MARK: Preferences (13)


def test_strict_handling_refuses_what_is_not_understood(example, ada):
    for prefer, invalid in (("handling=strict, foo, bar=x", "foo, bar=x"), ("count=many,handling=strict", "count=many"),
                            ("handling=strict,return=everything", "return=everything")):
        answer = call(example, "GET", PRODUCTS + "&limit=1", headers={"Prefer": prefer})
        assert refusal(answer) == (400, "PGRST122", "Invalid preferences given with handling=strict",
                                   f"Invalid preferences: {invalid}")
    # Nothing is written either.
    name = secrets.token_hex(8)
    answer = call(example, "POST", "/rest/v1/customers", {"name": name}, ada, headers={"Prefer": "handling=strict,foo"})
    assert refusal(answer)[:2] == (400, "PGRST122")
    assert call(example, "GET", f"/rest/v1/customers?name=eq.{name}", token=ada)[2] == []
    for prefer, applied in (("handling=lenient, foo", "handling=lenient"), ("foo", None), ("handling=maybe", None),
                            ("handling=strict, count=exact", "count=exact, handling=strict"),
                            # The first of each kind counts, and what has no meaning here is not honoured.
                            ("count=exact,count=planned,return=minimal,resolution=merge-duplicates", "count=exact")):
        status, headers, _ = call(example, "GET", PRODUCTS + "&limit=1", headers={"Prefer": prefer})
        assert status in (200, 206) and headers["Preference-Applied"] == applied, prefer


def test_more_rows_than_expected_are_not_touched(example, ada):
    prefix = secrets.token_hex(8)
    call(example, "POST", "/rest/v1/customers", [{"name": f"{prefix}{i}"} for i in range(3)], ada)
    where = f"/rest/v1/customers?name=like.{prefix}*"
    for method, body in (("PATCH", {"city": "Turin"}), ("DELETE", None)):
        answer = call(example, method, where, body, ada, headers={"Prefer": "handling=strict,max-affected=2"})
        assert refusal(answer) == (400, "PGRST124", "Query result exceeds max-affected preference constraint",
                                   "The query affects 3 rows")
    rows = call(example, "GET", where + "&select=city", token=ada)[2]
    assert rows == [{"city": None}] * 3
    prefer = "max-affected=3,handling=strict,count=exact"
    status, headers, body = call(example, "DELETE", where, token=ada, headers={"Prefer": prefer})
    assert (status, body, headers["Content-Range"]) == (204, None, "*/3")
    assert headers["Preference-Applied"] == "count=exact, handling=strict, max-affected=3"


# MARK: Writes (11)


def test_many_rows_at_once(example, ada):
    prefix = secrets.token_hex(8)
    rows = [{"name": f"{prefix}0", "city": "Turin", "colour": "red"}, {"name": f"{prefix}1"},
            {"city": "Łódź", "name": f"{prefix}2", "tags": ["a"]}]
    # Rows of different members need `columns`, which lifts the rule and leaves out the rest.
    answer = call(example, "POST", "/rest/v1/customers", rows, ada)
    assert refusal(answer) == (400, "PGRST102", "All object keys must match", None)
    shape = "columns=%22name%22,%22city%22&select=name,city,tags"
    status, headers, made = call(example, "POST", f"/rest/v1/customers?{shape}", rows, ada,
                                 headers={"Prefer": "return=representation,count=exact"})
    assert status == 201 and headers["Content-Range"] == "*/3"
    assert headers["Preference-Applied"] == "return=representation, count=exact"
    assert made == [{"name": f"{prefix}0", "city": "Turin", "tags": []}, {"name": f"{prefix}1", "city": None, "tags": []},
                    {"name": f"{prefix}2", "city": "Łódź", "tags": []}]
    # A missing member is null, or the column's default if that is asked for.
    path = "/rest/v1/customers?columns=name,tags&select=tags"
    one = [{"name": f"{prefix}3"}]
    assert refusal(call(example, "POST", path, one, ada))[:2] == (400, "23502")
    status, headers, made = call(example, "POST", path, one, ada,
                                 headers={"Prefer": "missing=default,return=representation"})
    assert (status, made) == (201, [{"tags": []}])
    assert headers["Preference-Applied"] == "missing=default, return=representation"
    for columns, status, code in (("name,nothing", 400, "PGRST204"), ("", 400, "PGRST100")):
        answer = call(example, "POST", f"/rest/v1/customers?columns={columns}", one, ada)
        assert refusal(answer)[:2] == (status, code)
    # All rows or none.
    many = [{"name": f"{prefix}{i}"} for i in (4, 5, 0)]
    assert refusal(call(example, "POST", "/rest/v1/customers", many, ada))[:2] == (409, "23505")
    where = f"/rest/v1/customers?name=like.{prefix}*&select=name&order=name"
    assert [row["name"][-1] for row in call(example, "GET", where, token=ada)[2]] == ["0", "1", "2", "3"]


def test_what_writes_answer(example, ada):
    name = secrets.token_hex(8)
    status, headers, body = call(example, "POST", "/rest/v1/customers", {"name": name}, ada,
                                 headers={"Prefer": "return=headers-only"})
    assert (status, body) == (201, None) and headers["Preference-Applied"] == "return=headers-only"
    location = headers["Location"]
    assert location.startswith("/customers?id=eq.")
    made = call(example, "GET", f"/rest/v1{location}&select=name", token=ada)[2]
    assert made == [{"name": name}]
    status, headers, body = call(example, "PATCH", f"/rest/v1{location}", {"city": "Turin"}, ada,
                                 headers={"Prefer": "count=exact"})
    assert (status, body, headers["Content-Range"]) == (204, None, "0-0/1")
    status, headers, body = call(example, "PATCH", "/rest/v1/customers?name=eq.nobody", {"city": "x"}, ada,
                                 headers={"Prefer": "return=representation"})
    assert (status, body, headers["Content-Range"]) == (200, [], "*/*")
    # A bare value is no row.
    for empty in ([], 5, None):
        status, headers, body = call(example, "POST", "/rest/v1/customers", json.dumps(empty).encode(), ada,
                                     headers={"Prefer": "return=representation"})
        assert (status, body) == (201, []), empty
    status, headers, body = call(example, "DELETE", f"/rest/v1{location}", {}, ada)
    assert (status, body, headers["Content-Range"]) == (204, None, "*/*")


# MARK: Refusals of the database (18.3)


def test_refusals_of_the_database(example):
    sku = secrets.token_hex(8)
    row = {"sku": sku, "name": "Crate", "category": "Boxes", "price": 1}
    identity = service(example, "POST", "products", row, Prefer="return=representation")[2][0]["id"]
    try:
        assert refusal(service(example, "POST", "products", row)) == (
            409, "23505", 'duplicate key value violates unique constraint "products_sku_key"',
            f"Key (sku)=({sku}) already exists.")
        assert refusal(service(example, "POST", "products", {**row, "id": identity, "sku": f"{sku}b"})) == (
            409, "23505", 'duplicate key value violates unique constraint "products_pkey"',
            f"Key (id)=({identity}) already exists.")
        status, code, message, details = refusal(service(example, "PATCH", f"products?id=eq.{identity}", {"price": -1}))
        assert (status, code) == (400, "23514")
        assert message == 'new row for relation "products" violates check constraint "products_price_check"'
        assert details.startswith(f"Failing row contains ({identity}, {sku}, Crate, Boxes, piece, -1.00, 0, {{}}, f, ")
        assert refusal(service(example, "PATCH", f"products?id=eq.{identity}", {"name": None}))[:3] == (
            400, "23502", 'null value in column "name" of relation "products" violates not-null constraint')
        order = "00000000-0000-4000-8000-000000000001"
        line = {"order_id": order, "line_no": 1, "product_id": identity, "quantity": 1, "unit_price": 1}
        assert refusal(service(example, "POST", "order_lines", line)) == (
            409, "23503",
            'insert or update on table "order_lines" violates foreign key constraint "order_lines_order_id_fkey"',
            f'Key (order_id)=({order}) is not present in table "orders".')
        for body, code, message in (
                ({"price": "dear"}, "22P02", 'invalid input syntax for type numeric: "dear"'),
                ({"stock": 1.5}, "22P02", 'invalid input syntax for type integer: "1.5"'),
                ({"stock": 3_000_000_000}, "22003", 'value "3000000000" is out of range for type integer'),
                ({"price": 123456789.5}, "22003", "numeric field overflow"),
                ({"discontinued": "perhaps"}, "22P02", 'invalid input syntax for type boolean: "perhaps"'),
                ({"updated_at": "soon"}, "22007", 'invalid input syntax for type timestamp with time zone: "soon"')):
            answer = service(example, "PATCH", f"products?id=eq.{identity}", body)
            assert refusal(answer)[:3] == (400, code, message), body
        for path, code, message in (
                ("products?stock=eq.many", "22P02", 'invalid input syntax for type integer: "many"'),
                ("orders?id=eq.1", "22P02", 'invalid input syntax for type uuid: "1"'),
                ("orders?status=eq.lost", "22P02", 'invalid input value for enum order_status: "lost"'),
                ("customers?since=gt.soon", "22007", 'invalid input syntax for type date: "soon"')):
            assert refusal(service(example, "GET", path))[:3] == (400, code, message)
    finally:
        assert service(example, "DELETE", f"products?id=eq.{identity}")[0] == 204


def test_refusals_show_nothing_of_rows_under_a_policy(example, ada):
    name = secrets.token_hex(8)
    call(example, "POST", "/rest/v1/customers", {"name": name}, ada)
    assert refusal(call(example, "POST", "/rest/v1/customers", {"name": name}, ada)) == (
        409, "23505", 'duplicate key value violates unique constraint "customers_owner_name_key"', None)
    assert refusal(call(example, "POST", "/rest/v1/customers", {"name": ""}, ada)) == (
        400, "23514", 'new row for relation "customers" violates check constraint "customers_name_check"', None)
    status, headers, body = call(example, "GET", "/rest/v1/customers")
    assert (status, body["code"], headers["WWW-Authenticate"]) == (401, "42501", "Bearer")
    status, headers, body = call(example, "DELETE", "/rest/v1/products?id=eq.1", token=ada)
    assert status in (204, 403) and headers["WWW-Authenticate"] is None
    assert call(example, "GET", "/rest/v1/products?id=eq.1&select=id")[2] == [{"id": 1}]


# MARK: Schemas (14)


def test_profiles(example, ada):
    for method, name, other in (("GET", "Accept-Profile", "Content-Profile"), ("HEAD", "Accept-Profile", None),
                                ("POST", "Content-Profile", "Accept-Profile"), ("PATCH", "Content-Profile", None),
                                ("DELETE", "Content-Profile", None)):
        body = {"name": secrets.token_hex(8)} if method in ("POST", "PATCH") else None
        path = "/rest/v1/customers?name=eq.nobody&select=name"
        prefer = {"Prefer": "return=representation"}
        status, headers, _ = call(example, method, path, body, ada, headers={name: "public", **prefer})
        assert status in (200, 201) and headers["Content-Profile"] == "public", method
        status, headers, body_of = call(example, method, path, body, ada, headers={name: "auth", **prefer})
        assert status == 406
        if method != "HEAD":
            assert body_of["code"] == "PGRST106" and body_of["message"] == "Invalid schema: auth"
            assert body_of["hint"] == "Only the following schemas are exposed: public"
        if other:
            # The other field is of the other methods.
            body = body and {"name": secrets.token_hex(8)}
            assert call(example, method, path, body, ada, headers={other: "auth"})[0] in (200, 201)
    # The tables of other schemas cannot be named either.
    for path in ("auth.users", "users", "auth%2Eusers", "information_schema.tables", "pg_class", "sqlite_master"):
        assert service(example, "GET", path)[0] == 404


# MARK: OPTIONS and CORS (15)


def test_preflight(example):
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "PATCH",
             "Access-Control-Request-Headers": "apikey,authorization,content-profile,prefer,x-client-info"}
    # A browser sends no key with it.
    for path in ("/rest/v1/customers", "/rest/v1/nothing"):
        status, headers, body = call(example, "OPTIONS", path, key=None, headers=asked)
        assert (status, body) == (200, None)
        assert headers["Access-Control-Allow-Origin"] == "*"
        assert headers["Access-Control-Allow-Methods"] == "GET, POST, PATCH, PUT, DELETE, OPTIONS, HEAD"
        allowed = {name.strip().lower() for name in headers["Access-Control-Allow-Headers"].split(",")}
        assert allowed >= set(asked["Access-Control-Request-Headers"].split(",")) | {"accept"}
        assert headers["Access-Control-Max-Age"] == "86400" and headers["X-Request-Id"]
    status, headers, _ = call(example, "OPTIONS", "/auth/v1/token", key=None, headers=asked)
    assert status == 204 and headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("path, status", [("/rest/v1/products?limit=1", 200), ("/rest/v1/nothing", 404)])
def test_scripts_of_other_origins_may_read_answers_and_refusals(example, path, status):
    got, headers, _ = call(example, "GET", path, headers={"Origin": "https://app.example.com"})
    assert got == status and headers["Access-Control-Allow-Origin"] == "*"
    assert headers.get("Access-Control-Allow-Credentials") is None
    assert {name.strip().lower() for name in headers["Access-Control-Expose-Headers"].split(",")} >= EXPOSED
    # Without an origin nothing is said about origins, and a refused key is told to scripts too.
    assert call(example, "GET", path)[1]["Access-Control-Expose-Headers"] is None
    got, headers, _ = call(example, "GET", path, key="rubbish", headers={"Origin": "https://app.example.com"})
    assert got == 401 and headers["Access-Control-Allow-Origin"] == "*"


def test_options_name_the_methods_of_a_relation(example):
    for name, allow in (("products", "OPTIONS,GET,HEAD,POST,PATCH,DELETE"), ("placed_orders", "OPTIONS,GET,HEAD")):
        status, headers, body = call(example, "OPTIONS", f"/rest/v1/{name}")
        assert (status, body, headers["Allow"]) == (200, None, allow)
        assert headers["Access-Control-Allow-Origin"] == "*"
    assert refusal(call(example, "OPTIONS", "/rest/v1/nothing"))[:2] == (404, "PGRST205")
