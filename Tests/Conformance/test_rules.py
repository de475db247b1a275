# SPDX-License-Identifier: Apache-2.0
"""The example's rule: orders get their total, take their stock, and are refused beyond it (docs/guides/rules.md)."""

import concurrent.futures
import decimal
import secrets

import pytest

from people import call, client, person, user_id

STOCK = 100
BUYERS = 500
# Requests that are on their way at the same time.
CONCURRENT = 50


@pytest.fixture(scope="module")
def everything(example):
    return client(example, "service_role")


@pytest.fixture(scope="module")
def ada(example):
    return person(example)


def product(everything, stock: int, price: str) -> dict:
    sku = f"RULE-{secrets.token_hex(4)}"
    return everything.table("products").insert(
        {"sku": sku, "name": f"Rule {sku}", "category": "rules", "stock": stock, "price": price}).execute().data[0]


def stock_of(everything, item: dict) -> int:
    return everything.table("products").select("stock").eq("id", item["id"]).single().execute().data["stock"]


def drafts(everything, owner: str, item: dict, quantities: list) -> list:
    """Drafts with one line each, made in bulk."""
    shop = everything.table("customers").insert({"owner": owner, "name": secrets.token_hex(6)}).execute().data[0]
    orders = everything.table("orders").insert(
        [{"owner": owner, "customer_id": shop["id"]} for _ in quantities]).execute().data
    everything.table("order_lines").insert(
        [{"order_id": order["id"], "line_no": 1, "product_id": item["id"], "quantity": quantity, "unit_price": "0.01"}
         for order, quantity in zip(orders, quantities)]).execute()
    return [order["id"] for order in orders]


def place(example, ada, order: str, status: str = "placed", **headers):
    return call(example, "PATCH", f"/rest/v1/orders?id=eq.{order}", {"status": status},
                token=ada.auth.get_session().access_token, headers={"Prefer": "return=representation", **headers})


def test_a_placed_order_has_its_total_and_its_stock(example, everything, ada):
    item = product(everything, 10, "0.70")
    order, = drafts(everything, user_id(ada), item, [3])
    key = {"Idempotency-Key": secrets.token_hex(8)}
    status, _, rows = place(example, ada, order, **key)
    assert (status, rows[0]["status"], rows[0]["total"]) == (200, "placed", 2.1)
    assert stock_of(everything, item) == 7
    # The same request again takes nothing again.
    assert place(example, ada, order, **key)[2] == rows
    assert stock_of(everything, item) == 7
    # Called off, it gives back what it took.
    assert place(example, ada, order, "cancelled")[0] == 200
    assert stock_of(everything, item) == 10


def test_an_order_beyond_the_stock_is_refused_and_changes_nothing(example, everything, ada):
    item = product(everything, 2, "5.00")
    order, = drafts(everything, user_id(ada), item, [3])
    status, _, error = place(example, ada, order)
    assert (status, error["code"]) == (409, "out_of_stock")
    assert error["message"] == f'There are not 3 of "{item["name"]}" in stock.'
    assert stock_of(everything, item) == 2
    row = everything.table("orders").select("status,total").eq("id", order).single().execute().data
    assert row == {"status": "draft", "total": 0}


def test_nobody_sets_a_total_or_places_an_empty_order(example, everything, ada):
    item = product(everything, 2, "5.00")
    order, = drafts(everything, user_id(ada), item, [1])
    token = ada.auth.get_session().access_token
    status, _, error = call(example, "PATCH", f"/rest/v1/orders?id=eq.{order}", {"total": 0}, token=token)
    assert (status, error["code"]) == (403, "42501")
    shop = ada.table("customers").insert({"name": secrets.token_hex(6)}).execute().data[0]
    status, _, error = call(example, "POST", "/rest/v1/orders", {"customer_id": shop["id"], "status": "placed"},
                            token=token)
    assert (status, error["code"]) == (409, "order_is_empty")


def test_lines_of_a_placed_order_stay_as_they_are(example, everything, ada):
    item = product(everything, 10, "2.00")
    placed, draft = drafts(everything, user_id(ada), item, [2, 1])
    assert place(example, ada, placed)[0] == 200
    token = ada.auth.get_session().access_token
    line = f"/rest/v1/order_lines?order_id=eq.{placed}"
    more = {"order_id": placed, "line_no": 2, "product_id": item["id"], "quantity": 1, "unit_price": "2.00"}
    shown = {"Prefer": "return=representation"}

    status, _, error = call(example, "POST", "/rest/v1/order_lines", more, token=token)
    assert (status, error["code"]) == (403, "42501")
    for method, body in [("PATCH", {"quantity": 9}), ("PATCH", {"order_id": draft, "line_no": 7}), ("DELETE", None)]:
        assert call(example, method, line, body, token=token, headers=shown)[::2] == (200, [])
    # Nor does a line of a draft become one of a placed order.
    status, _, error = call(example, "PATCH", f"/rest/v1/order_lines?order_id=eq.{draft}",
                            {"order_id": placed, "line_no": 2}, token=token)
    assert (status, error["code"]) == (403, "42501")
    lines = everything.table("order_lines").select("order_id,line_no,quantity").in_("order_id", [placed, draft]) \
        .order("quantity").execute().data
    assert lines == [{"order_id": draft, "line_no": 1, "quantity": 1}, {"order_id": placed, "line_no": 1, "quantity": 2}]

    # Of a draft they may change, and of an order that is a draft again.
    assert place(example, ada, placed, "draft")[0] == 200
    assert stock_of(everything, item) == 10
    for order in (placed, draft):
        rows = call(example, "PATCH", f"/rest/v1/order_lines?order_id=eq.{order}", {"quantity": 3}, token=token,
                    headers=shown)[2]
        assert [row["quantity"] for row in rows] == [3]
    assert place(example, ada, placed)[2][0]["total"] == 6
    assert stock_of(everything, item) == 7
    assert call(example, "DELETE", f"/rest/v1/order_lines?order_id=eq.{draft}", None, token=token)[0] == 204


def test_five_hundred_buyers_of_a_hundred_things(example, everything, ada):
    """Exactly a hundred are sold, the stock is 0, and the total of every order is right."""
    item = product(everything, STOCK, "1.10")
    orders = [order for _ in range(BUYERS // 100) for order in drafts(everything, user_id(ada), item, [1] * 100)]
    with concurrent.futures.ThreadPoolExecutor(CONCURRENT) as pool:
        answers = list(pool.map(lambda order: place(example, ada, order), orders))
    outcomes = [(status, None if status == 200 else body.get("code")) for status, _, body in answers]
    # A rule may be asked in vain: whoever was turned away for that comes back, as a shop's page would.
    again = [order for order, (status, code) in zip(orders, outcomes) if status != 200 and code != "out_of_stock"]
    assert all(code == "rule_conflict" for status, code in outcomes if status != 200 and code != "out_of_stock"), outcomes
    for order in again:
        status, _, body = place(example, ada, order)
        outcomes.append((status, None if status == 200 else body.get("code")))
    assert sum(status == 200 for status, _ in outcomes) == STOCK
    assert sum(code == "out_of_stock" for _, code in outcomes) == BUYERS - STOCK
    assert stock_of(everything, item) == 0
    lines = everything.table("order_lines").select("quantity,orders(status,total)").eq("product_id", item["id"]) \
        .execute().data
    assert len(lines) == BUYERS
    for line in lines:
        total = decimal.Decimal(str(line["orders"]["total"]))
        right = decimal.Decimal("1.10") * line["quantity"] if line["orders"]["status"] == "placed" else 0
        assert total == right, line
    assert sum(line["orders"]["status"] == "placed" for line in lines) == STOCK
