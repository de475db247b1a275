# SPDX-License-Identifier: Apache-2.0
"""One order through the logs of five services: what docs/operations.md shows with one `grep`."""

import json
import secrets

import pytest

from people import call, client, person, user_id
from stack import wait_until

SERVICES = {"edge", "auth", "data", "logic", "notification"}


@pytest.fixture(scope="module")
def everything(example):
    return client(example, "service_role")


@pytest.fixture(scope="module")
def ada(example):
    return person(example)


def draft(everything, owner: str) -> str:
    item = everything.table("products").insert(
        {"sku": secrets.token_hex(6), "name": "Traced", "category": "trace", "stock": 5, "price": "2.50"}).execute().data[0]
    shop = everything.table("customers").insert({"owner": owner, "name": secrets.token_hex(6)}).execute().data[0]
    order = everything.table("orders").insert({"owner": owner, "customer_id": shop["id"]}).execute().data[0]
    everything.table("order_lines").insert(
        {"order_id": order["id"], "line_no": 1, "product_id": item["id"], "quantity": 2, "unit_price": "2.50"}).execute()
    return order["id"]


def place(example, ada, order: str, **headers):
    return call(example, "PATCH", f"/rest/v1/orders?id=eq.{order}", {"status": "placed"},
                token=ada.auth.get_session().access_token, headers=headers)


def grep(example, word: str) -> list:
    """Lines of the log that hold a word, as `grep` finds them."""
    with open(example.log_path, "rb") as log:
        return [json.loads(line) for line in log if word.encode() in line]


def said(lines) -> set:
    return {(line["service"], line["message"]) for line in lines}


def mail_of(example, order: str):
    for file in (example.data / "mail").glob("*.eml"):
        text = file.read_text()
        if f"Subject: Your order {order[:8]}" in text:
            return text
    return None


def test_one_word_finds_an_order_in_five_services(example, everything, ada):
    order = draft(everything, user_id(ada))
    status, headers, _ = place(example, ada, order)
    assert status == 204
    identity = headers["X-Request-Id"]
    # Nobody gave an id or a trace: one word is both.
    expected = {
        ("edge", "Answered."), ("data", "A rule was applied."), ("logic", "A job is done."), ("auth", "Answered."),
        ("notification", "A mail was accepted."), ("notification", "A mail was delivered."),
    }
    lines = wait_until(
        lambda: expected <= said(found := grep(example, identity)) and found,
        f"the lines of five services in {example.log_path}", 60)
    assert all(line["trace.id"] == identity for line in lines), lines
    mail = wait_until(lambda: mail_of(example, order), "the order's mail", 30)
    # What the order itself caused goes by its request; the calls of the job are requests of their own.
    own = said(line for line in lines if line["request.id"] == identity)
    assert {("edge", "Answered."), ("data", "A rule was applied."), ("logic", "A job is done.")} <= own, own
    assert "Total: 5.00" in mail and "2 x Traced" in mail and "X-Request-Id: " in mail
    job, = [line for line in lines if line["message"] == "A job is done."]
    status, _, shown = call(example, "GET", f"/functions/v1/_admin/jobs/{job['job.id']}",
                            token=example.keys["service_role"])
    assert status == 200 and shown["request_id"] == identity and shown["trace_id"] == identity


def test_a_clients_own_trace_goes_on(example, everything, ada):
    order = draft(everything, user_id(ada))
    trace = secrets.token_hex(16)
    status, headers, _ = place(example, ada, order, traceparent=f"00-{trace}-{secrets.token_hex(8)}-01")
    assert status == 204 and headers["X-Request-Id"] != trace
    lines = wait_until(
        lambda: (found := grep(example, trace)) and SERVICES <= {line["service"] for line in found} and found,
        f"lines of five services in {example.log_path}", 60)
    assert all(line["trace.id"] == trace for line in lines)
    assert headers["X-Request-Id"] in {line["request.id"] for line in lines}


@pytest.mark.parametrize("rubbish", [
    "x", "00-" + "0" * 32 + "-b7ad6b7169203331-01", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\" evil=\"1",
    "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "a" * 5000,
])
def test_a_trace_that_is_none_begins_a_new_one(example, everything, ada, rubbish):
    order = draft(everything, user_id(ada))
    status, headers, _ = place(example, ada, order, **{"traceparent": rubbish, "X-Request-Id": "mine"})
    assert status == 204
    identity = headers["X-Request-Id"]
    # No proxy of ours says "mine".
    assert len(identity) == 32 and identity != "mine"
    lines = wait_until(lambda: grep(example, identity), "a line", 10)
    assert all(line["trace.id"] == identity for line in lines)


def test_a_function_of_jobs_alone_is_not_there_for_clients(example, ada):
    for role in ("anon", "service_role"):
        status, _, body = call(example, "POST", "/functions/v1/order-placed", {"record": {}}, token=example.keys[role])
        assert (status, body["code"]) == (404, "NOT_FOUND")
