# SPDX-License-Identifier: Apache-2.0
"""The same on a schema whose names nobody can have foreseen."""

import pytest
from postgrest.exceptions import APIError

from people import client, person, user_id


def test_rows_policies_and_types_on_drawn_names(drawn):
    stack, schema = drawn
    ada, bob = person(stack), person(stack)
    made = ada.table(schema.parent).insert(
        {schema.title: "One", schema.amount: "12.5", schema.extra: {"b": 1, "a": [None, "x"]}}).execute().data[0]
    assert made[schema.owner] == user_id(ada) and made[schema.id] == 1
    assert made[schema.amount] == 12.5 and made[schema.extra] == {"a": [None, "x"], "b": 1}
    assert made[schema.moment].endswith("+00:00")
    ada.table(schema.child).insert({schema.parent_id: made[schema.id], schema.text: "below"}).execute()

    assert bob.table(schema.parent).select("*").execute().data == []
    assert bob.table(schema.child).select("*", count="exact").execute().count == 0
    assert bob.table(schema.parent).update({schema.title: "Mine"}).eq(schema.id, 1).execute().data == []
    with pytest.raises(APIError) as caught:
        bob.table(schema.child).insert({schema.parent_id: made[schema.id]}).execute()
    assert caught.value.code == "42501"
    # A drawn table keeps the default grants: anonymous callers may ask, and see nothing.
    assert client(stack).table(schema.parent).select("*").execute().data == []

    both = ada.table(schema.parent).select(f"{schema.title},{schema.child}({schema.text})").execute().data
    assert both == [{schema.title: "One", schema.child: [{schema.text: "below"}]}]
    up = ada.table(schema.child).select(f"{schema.text},{schema.parent}({schema.title})").execute().data
    assert up == [{schema.text: "below", schema.parent: {schema.title: "One"}}]


def test_deleting_a_user_takes_the_rows_along(drawn):
    stack, schema = drawn
    somebody = person(stack)
    row = somebody.table(schema.parent).insert({schema.title: "Short life"}).execute().data[0]
    everything = client(stack, "service_role")
    assert len(everything.table(schema.parent).select("*").eq(schema.id, row[schema.id]).execute().data) == 1
    everything.auth.admin.delete_user(user_id(somebody))
    assert everything.table(schema.parent).select("*").eq(schema.id, row[schema.id]).execute().data == []


def test_restart_keeps_everything(drawn):
    stack, schema = drawn
    somebody = person(stack)
    session = somebody.auth.get_session()
    somebody.table(schema.parent).insert({schema.title: "Stays"}).execute()
    stack.stop()
    stack.start()
    again = client(stack)
    again.auth.set_session(session.access_token, session.refresh_token)
    assert [row[schema.title] for row in again.table(schema.parent).select("*").execute().data] == ["Stays"]
    assert again.auth.refresh_session().session
