# SPDX-License-Identifier: Apache-2.0
"""The example through the client library: the catalogue, one's own customers and orders, nobody else's."""

import pytest
from postgrest.exceptions import APIError

from people import call, client, person, user_id


@pytest.fixture(scope="module")
def ada(example):
    return person(example)


@pytest.fixture(scope="module")
def bob(example):
    return person(example)


def customer(owner, name: str) -> dict:
    return owner.table("customers").insert({"name": name}).execute().data[0]


def test_the_catalogue_is_open_and_large(example):
    anonymous = client(example)
    answer = anonymous.table("products").select("id,name", count="exact").limit(5).execute()
    assert len(answer.data) == 5 and answer.count >= 200
    assert set(answer.data[0]) == {"id", "name"}


def test_filters_order_and_pages(example):
    products = client(example).table("products")
    rows = products.select("id,price,category").order("price", desc=True).order("id").limit(50).execute().data
    assert [row["price"] for row in rows] == sorted((row["price"] for row in rows), reverse=True)
    some = rows[7]
    where = lambda: client(example).table("products").select("id,price,category,name")
    assert where().eq("id", some["id"]).single().execute().data["price"] == some["price"]
    assert all(row["price"] > 10 for row in where().gt("price", 10).execute().data)
    assert all(row["price"] <= 10 for row in where().lte("price", 10).execute().data)
    assert all(row["category"] != some["category"] for row in where().neq("category", some["category"]).execute().data)
    assert len(where().in_("id", [row["id"] for row in rows[:3]]).execute().data) == 3
    assert where().is_("category", "null").execute().data == []
    either = where().or_(f"id.eq.{rows[0]['id']},id.eq.{rows[1]['id']}").execute().data
    assert {row["id"] for row in either} == {rows[0]["id"], rows[1]["id"]}
    name = where().eq("id", some["id"]).single().execute().data["name"]
    assert some["id"] in {row["id"] for row in where().ilike("name", name.upper()[:4] + "%").execute().data}
    assert where().not_.like("name", "%").execute().data == []
    pages = [where().order("id").range(start, start + 9).execute().data for start in (0, 10)]
    ids = [row["id"] for page in pages for row in page]
    assert len(ids) == 20 and ids == sorted(set(ids))


def test_writing_and_reading_ones_own(ada):
    made = customer(ada, "Own shop")
    assert made["owner"] == user_id(ada) and made["tags"] == [] and made["city"] is None
    changed = ada.table("customers").update({"city": "Turin", "tags": ["a", "b"]}).eq("id", made["id"]).execute().data
    assert changed[0]["city"] == "Turin" and changed[0]["tags"] == ["a", "b"]
    many = ada.table("customers").insert([{"name": "Many 1"}, {"name": "Many 2"}]).execute().data
    assert [row["name"] for row in many] == ["Many 1", "Many 2"]
    gone = ada.table("customers").delete().eq("id", many[0]["id"]).execute().data
    assert [row["id"] for row in gone] == [many[0]["id"]]
    with pytest.raises(APIError) as caught:
        ada.table("customers").select("*").eq("id", many[0]["id"]).single().execute()
    assert caught.value.code == "PGRST116"


def test_an_order_with_its_lines(example, ada):
    shop = customer(ada, "Order shop")
    product = client(example).table("products").select("*").limit(1).execute().data[0]
    order = ada.table("orders").insert({"customer_id": shop["id"]}).execute().data[0]
    assert order["status"] == "draft"
    line = {"order_id": order["id"], "line_no": 1, "product_id": product["id"], "quantity": 3,
            "unit_price": product["price"]}
    ada.table("order_lines").insert(line).execute()
    ada.table("orders").update({"status": "placed"}).eq("id", order["id"]).execute()
    seen = ada.table("placed_orders").select("*").eq("id", order["id"]).execute().data
    assert [row["customer"] for row in seen] == ["Order shop"]
    embedded = ada.table("orders").select("id,customers(name),order_lines(quantity,products(sku))") \
        .eq("id", order["id"]).single().execute().data
    assert embedded["customers"] == {"name": "Order shop"}
    assert embedded["order_lines"] == [{"quantity": 3, "products": {"sku": product["sku"]}}]


def test_nobody_reads_changes_counts_or_embeds_anothers(example, ada, bob):
    shop = customer(ada, "Ada's secret")
    order = ada.table("orders").insert({"customer_id": shop["id"], "note": "hush"}).execute().data[0]
    for other in (bob, client(example)):
        token = other.auth.get_session()
        if token is None:
            with pytest.raises(APIError) as caught:
                other.table("customers").select("*").execute()
            assert caught.value.code == "42501"
            continue
        assert other.table("customers").select("*").eq("id", shop["id"]).execute().data == []
        assert other.table("customers").select("*", count="exact").eq("id", shop["id"]).execute().count == 0
        assert other.table("customers").update({"name": "mine"}).eq("id", shop["id"]).execute().data == []
        assert other.table("customers").delete().eq("id", shop["id"]).execute().data == []
        assert other.table("placed_orders").select("*").eq("id", order["id"]).execute().data == []
        assert other.table("products").select("id,order_lines(order_id)").limit(3).execute().data[0]["order_lines"] == []
        with pytest.raises(APIError) as caught:
            other.table("orders").insert({"customer_id": shop["id"]}).execute()
        assert caught.value.code == "42501"
        with pytest.raises(APIError) as caught:
            other.table("customers").insert({"name": "for her", "owner": user_id(ada)}).execute()
        assert caught.value.code == "42501"
        with pytest.raises(APIError) as caught:
            other.table("order_lines").insert(
                {"order_id": order["id"], "line_no": 9, "product_id": 1, "quantity": 1, "unit_price": 1}).execute()
        assert caught.value.code == "42501"
    still = ada.table("customers").select("name").eq("id", shop["id"]).single().execute().data
    assert still == {"name": "Ada's secret"}
    everybody = client(example, "service_role").table("customers").select("name").eq("id", shop["id"]).execute().data
    assert everybody == [still]


def test_ones_own_rows_cannot_be_given_away(ada, bob):
    shop = customer(ada, "Not a present")
    with pytest.raises(APIError) as caught:
        ada.table("customers").update({"owner": user_id(bob)}).eq("id", shop["id"]).execute()
    assert caught.value.code == "42501"


@pytest.mark.parametrize("row, code", [
    ({"name": ""}, "23514"),
    ({"name": None}, "23502"),
    ({"name": "x", "since": "not a day"}, "22007"),
    ({"name": "x", "id": "no uuid"}, "22P02"),
    ({"name": "x", "colour": "red"}, "PGRST204"),
    ({"name": "x", "owner": "00000000-0000-4000-8000-000000000001"}, "42501"),
])
def test_bad_rows_get_the_databases_codes(ada, row, code):
    with pytest.raises(APIError) as caught:
        ada.table("customers").insert(row).execute()
    assert caught.value.code == code


def test_constraints_across_rows(ada):
    shop = customer(ada, "Only once")
    with pytest.raises(APIError) as caught:
        customer(ada, "Only once")
    assert caught.value.code == "23505"
    ada.table("orders").insert({"customer_id": shop["id"]}).execute()
    with pytest.raises(APIError) as caught:
        ada.table("customers").delete().eq("id", shop["id"]).execute()
    assert caught.value.code == "23503"
    with pytest.raises(APIError) as caught:
        ada.table("products").update({"price": 0}).eq("id", 1).execute()
    assert caught.value.code == "42501"


@pytest.mark.parametrize("path, status, code", [
    ("/rest/v1/nothing", 404, "PGRST205"),
    ("/rest/v1/products?select=nothing", 400, "42703"),
    ("/rest/v1/products?nothing=eq.1", 400, "42703"),
    ("/rest/v1/products?id=eq.x", 400, "22P02"),
    ("/rest/v1/products?id=wrong.1", 400, "PGRST100"),
    ("/rest/v1/products?select=id(", 400, "PGRST100"),
    ("/rest/v1/products?order=id.up", 400, "PGRST100"),
    ("/rest/v1/products?select=id,nothing(id)", 400, "PGRST200"),
])
def test_bad_requests(example, path, status, code):
    got, _, body = call(example, "GET", path)
    assert (got, body["code"]) == (status, code), body
    assert set(body) == {"code", "details", "hint", "message"}


def test_bad_bodies_methods_and_addresses(example, ada):
    token = ada.auth.get_session().access_token
    for body in (b"{", b"[1]", b'{"name":"a"}{', b"[" * 5_000, b"\xff\xfe"):
        status, _, answer = call(example, "POST", "/rest/v1/customers", body, token)
        assert status == 400 and answer["code"], answer
    status, _, answer = call(example, "POST", "/rest/v1/customers", b" " * 2_000_000, token)
    assert status == 413, answer
    assert call(example, "GET", "/nothing")[0] == 404
    assert call(example, "DELETE", "/")[0] == 405
    status, headers, _ = call(example, "GET", "/auth/v1/nothing")
    assert status == 404 and headers["X-Request-Id"]


def test_count_range_and_head(example):
    status, headers, rows = call(example, "GET", "/rest/v1/products?select=id&order=id&limit=10",
                                 headers={"Prefer": "count=exact"})
    total = int(headers["Content-Range"].split("/")[1])
    assert status == 206 and headers["Content-Range"] == f"0-9/{total}" and len(rows) == 10
    status, headers, rows = call(example, "HEAD", "/rest/v1/products?select=id", headers={"Prefer": "count=exact"})
    assert status in (200, 206) and rows is None and headers["Content-Range"].endswith(f"/{total}")


def test_the_page(example):
    status, headers, body = call(example, "GET", "/", key=None)
    assert status == 200 and headers["Content-Type"].startswith("text/html") and b"desk.js" in body
    status, headers, _ = call(example, "GET", "/desk.js", key=None)
    assert status == 200 and headers["Content-Type"].startswith("text/javascript")
    assert call(example, "GET", "/desk.js", key=None, headers={"If-None-Match": headers["ETag"]})[0] == 304
    assert call(example, "GET", "/.well-known/martlet.json", key=None)[2] == {"anon_key": example.keys["anon"]}
    assert call(example, "GET", "/../config.toml", key=None)[0] == 404
