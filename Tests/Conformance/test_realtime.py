# SPDX-License-Identifier: Apache-2.0
"""Channels with the Python SDK (first serializer) and a raw client of the second, side by side (realtime contract)."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
import uuid

import pytest
from supabase import acreate_client
from websockets.sync.client import connect

from people import address, call, person


def topic() -> str:
    return f"room-{uuid.uuid4().hex[:8]}"


def token(stack, role: str, life: float, **claims) -> str:
    """A token under the project's own secret, as an application may mint one."""
    def encoded(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
    body = {"role": role, "sub": str(uuid.uuid4()), "session_id": str(uuid.uuid4()), "exp": int(time.time() + life), **claims}
    signed = ".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, body))
    mac = hmac.new(stack.keys["jwt_secret"].encode(), signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{encoded(mac)}"


class Raw:
    """A client of the second serializer without any SDK."""

    def __init__(self, stack, key: str = "anon", version: str = "2.0.0"):
        address = f"ws://127.0.0.1:{stack.port}/realtime/v1/websocket?apikey={stack.keys[key]}&vsn={version}"
        self.socket = connect(address, max_size=None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def say(self, *message):
        self.socket.send(json.dumps(message))

    def hear(self, seconds: float = 5):
        answer = self.socket.recv(timeout=seconds)
        return answer if isinstance(answer, bytes) else json.loads(answer)

    def silence(self, seconds: float = 0.5):
        with pytest.raises(TimeoutError):
            print(self.hear(seconds))

    def join(self, name: str, config: dict | None = None, **more):
        self.say("1", "1", f"realtime:{name}", "phx_join", {"config": config or {}, **more})
        return self.hear()[4]


async def until(fact, seconds: float = 10):
    deadline = time.monotonic() + seconds
    while not fact():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


def test_two_sdk_clients_and_a_raw_one_share_a_room(example):
    name = topic()
    heard, raw_frame = [], None

    async def play():
        one, two = [await acreate_client(example.url, example.keys["anon"]) for _ in range(2)]
        sender, receiver = one.channel(name), two.channel(name)
        states = []
        receiver.on_broadcast("greeting", lambda message: heard.append(message))
        for channel in (sender, receiver):
            await channel.subscribe(lambda state, _: states.append(state.value))
        await until(lambda: states == ["SUBSCRIBED"] * 2)
        await sender.send_broadcast("greeting", {"n": 1, "text": "hé"})
        await until(lambda: heard)
        await one.remove_all_channels()
        await two.remove_all_channels()

    with Raw(example) as raw:
        assert raw.join(name) == {"status": "ok", "response": {"postgres_changes": []}}
        asyncio.run(play())
        raw_frame = raw.hear()
    assert [message["payload"] for message in heard] == [{"n": 1, "text": "hé"}]
    head = f"realtime:{name}".encode()
    assert raw_frame[:5] == bytes([4, len(head), len(b"greeting"), 0, 1])
    assert raw_frame[5:].startswith(head + b"greeting")
    assert json.loads(raw_frame[5 + len(head) + 8:]) == {"n": 1, "text": "hé"}


def test_acknowledgement_echo_order_and_binary(example):
    name = topic()
    head = f"realtime:{name}".encode()
    with Raw(example) as raw, Raw(example) as other:
        raw.join(name, {"broadcast": {"ack": True, "self": True}})
        other.join(name)
        for number in range(50):
            raw.socket.send(bytes([3, 1, 2, len(head), 1, 0, 0]) + b"1" + b"%02d" % number + head + b"e" + bytes([number]))
        echoes, replies = [], []
        for _ in range(100):
            answer = raw.hear()
            (echoes if isinstance(answer, bytes) else replies).append(answer)
        expected = [bytes([4, len(head), 1, 0, 0]) + head + b"e" + bytes([number]) for number in range(50)]
        assert echoes == expected and [other.hear() for _ in range(50)] == expected
        assert [reply[:4] for reply in replies] == [
            ["1", f"{number:02d}", f"realtime:{name}", "phx_reply"] for number in range(50)]
        other.silence()


def test_broadcast_over_http_and_private_rooms(example):
    name = topic()
    with Raw(example) as raw, Raw(example, "service_role") as private:
        refusal = raw.join(name, {"private": True})["response"]["reason"]
        assert refusal == f"Unauthorized: You do not have permissions to read from this Channel topic: {name}"
        assert raw.join(name)["status"] == "ok" and private.join(name, {"private": True})["status"] == "ok"
        messages = [{"topic": name, "event": "e", "payload": {"n": 1}},
                    {"topic": name, "event": "p", "payload": {"n": 2}, "private": True}]
        status, _, body = call(example, "POST", "/realtime/v1/api/broadcast", {"messages": messages})
        assert status == 202 and not body
        assert raw.hear().endswith(b'e{"n": 1}')
        private.silence()
        status, _, _ = call(example, "POST", "/realtime/v1/api/broadcast", {"messages": messages},
                            key=example.keys["service_role"])
        assert status == 202
        assert private.hear().endswith(b'p{"n": 2}')
        assert raw.hear().endswith(b'e{"n": 1}')
        status, _, body = call(example, "POST", "/realtime/v1/api/broadcast", {"messages": [{"topic": name}]})
        assert status == 422 and "payload" in body["errors"]["messages"][0]


def test_presence_between_sdk_clients(example):
    name = topic()

    async def play():
        one, two = [await acreate_client(example.url, example.keys["anon"]) for _ in range(2)]
        joined, left, states = [], [], []
        first = one.channel(name, {"config": {"presence": {"key": "first", "enabled": True}}})
        second = two.channel(name, {"config": {"presence": {"key": "second", "enabled": True}}})
        second.on_presence_join(lambda key, _, new: joined.append((key, new)))
        second.on_presence_leave(lambda key, _, old: left.append((key, old)))
        for channel in (first, second):
            await channel.subscribe(lambda state, _: states.append(state.value))
        await until(lambda: states == ["SUBSCRIBED"] * 2)
        await first.track({"mood": "well"})
        await until(lambda: joined)
        assert joined[0][0] == "first" and joined[0][1][0]["mood"] == "well"
        assert list(second.presence_state()) == ["first"]
        await one.realtime.close()
        await until(lambda: left)
        assert left[0][0] == "first" and not second.presence_state()
        await two.remove_all_channels()

    asyncio.run(play())


def test_a_token_that_ends_while_connected(example):
    name = topic()
    with Raw(example) as raw:
        joined = raw.join(name, access_token=token(example, "authenticated", 3))
        assert joined["status"] == "ok"
        begin = time.monotonic()
        system, close = raw.hear(10), raw.hear()
        assert time.monotonic() - begin < 8
        assert system[3] == "system" and system[4]["message"].startswith("Token has expired ")
        assert system[4]["status"] == "error" and close[:4] == ["1", "1", f"realtime:{name}", "phx_close"]
        # The connection and other topics live on.
        assert raw.join(topic())["status"] == "ok"


def test_a_new_token_in_time_keeps_the_channel(example):
    name = topic()
    with Raw(example) as raw:
        raw.join(name, {"broadcast": {"self": True}}, access_token=token(example, "authenticated", 3))
        raw.say("1", "2", f"realtime:{name}", "access_token", {"access_token": token(example, "authenticated", 60)})
        raw.silence(5)
        raw.say("1", "3", f"realtime:{name}", "broadcast", {"type": "broadcast", "event": "e", "payload": 1})
        assert raw.hear().endswith(b"e1")
        raw.say("1", "4", f"realtime:{name}", "access_token", {"access_token": token(example, "authenticated", 60)[:-6]})
        assert raw.hear()[3] == "system" and raw.hear()[3] == "phx_close"


def test_bad_tokens_and_topics(example):
    with Raw(example) as raw:
        for topic_name, more, reason in [
            ("other:x", {}, "unmatched topic"),
            ("realtime:", {}, "TopicNameRequired: You must provide a topic name"),
            ("realtime:x", {"access_token": "x"}, "MalformedJWT: The token provided is not a valid JWT"),
            ("realtime:x", {"access_token": token(example, "authenticated", 9)[:-8] + "AAAAAAAA"},
             "JwtSignatureError: Failed to validate JWT signature"),
        ]:
            raw.say("1", "1", topic_name, "phx_join", {"config": {}, **more})
            assert raw.hear() == ["1", "1", topic_name, "phx_reply",
                                  {"status": "error", "response": {"reason": reason}}]
        raw.say("1", "1", "realtime:x", "phx_join", {"access_token": token(example, "authenticated", -100)})
        assert raw.hear()[4]["response"]["reason"].startswith("InvalidJWTToken: Token has expired 10")


def test_a_signed_in_person_joins_with_their_own_token(example):
    someone = person(example, address())
    with Raw(example) as raw:
        assert raw.join(topic(), access_token=someone.auth.get_session().access_token)["status"] == "ok"


def test_changes_of_rows_reach_who_may_see_them(example):
    name = topic()
    entries = [{"event": "*", "schema": "public", "table": "orders"},
               {"event": "UPDATE", "schema": "public", "table": "orders", "filter": "note=eq.urgent"}]
    owner, stranger = person(example), person(example)
    with Raw(example) as raw, Raw(example) as other:
        for socket, somebody in ((raw, owner), (other, stranger)):
            joined = socket.join(name, {"postgres_changes": entries},
                                 access_token=somebody.auth.get_session().access_token)
            given = joined["response"]["postgres_changes"]
            assert [{key: entry[key] for key in entry if key != "id"} for entry in given] == entries
            ids = [entry["id"] for entry in given]
            assert socket.hear()[3:] == ["system", {
                "extension": "postgres_changes", "status": "ok", "message": "Subscribed to PostgreSQL",
                "channel": name}]
        customer = owner.table("customers").insert({"name": "Corner shop"}).execute().data[0]["id"]
        row = owner.table("orders").insert({"customer_id": customer}).execute().data[0]
        insert = raw.hear()[4]
        assert insert["ids"] == ids[:1] and insert["data"]["type"] == "INSERT" and insert["data"]["record"] == row
        assert "old_record" not in insert["data"] and insert["data"]["errors"] is None
        assert {"name": "placed_at", "type": "timestamptz"} in insert["data"]["columns"]
        owner.table("orders").update({"note": "urgent"}).eq("id", row["id"]).execute()
        update = raw.hear()[4]
        assert update["ids"] == ids and update["data"]["record"]["note"] == "urgent"
        assert update["data"]["old_record"] == {"id": row["id"]}
        owner.table("orders").delete().eq("id", row["id"]).execute()
        assert raw.hear()[4]["data"]["old_record"] == {"id": row["id"]}
        # The stranger saw neither row, only the key that went: what was deleted is nobody's to judge any more.
        seen = other.hear()[4]["data"]
        assert (seen["type"], seen["old_record"]) == ("DELETE", {"id": row["id"]})
        other.silence()


def test_who_may_read_no_column_hears_of_a_change_and_is_shown_nothing(example):
    """The example's visitors have no right to orders, and no policy lets a row through to them."""
    owner = person(example)
    with Raw(example) as visitor:
        assert visitor.join(topic(), {"postgres_changes": [{"table": "orders"}]})["status"] == "ok"
        assert visitor.hear()[4]["status"] == "ok"
        customer = owner.table("customers").insert({"name": "Corner shop"}).execute().data[0]["id"]
        row = owner.table("orders").insert({"customer_id": customer}).execute().data[0]["id"]
        owner.table("orders").delete().eq("id", row).execute()
        # The insertion came first, and they heard nothing of it.
        data = visitor.hear()[4]["data"]
        assert data["type"] == "DELETE" and data["errors"] == ["Error 401: Unauthorized"] and data["columns"] == []
        assert "record" not in data and "old_record" not in data and row not in json.dumps(data)


def test_a_subscription_of_the_sdk_with_a_filter(example):
    heard, states = [], []
    prices = [str(uuid.uuid4()) for _ in range(3)]

    async def play():
        somebody = await acreate_client(example.url, example.keys["anon"])
        channel = somebody.channel(topic())
        channel.on_postgres_changes("INSERT", heard.append, table="products",
                                    filter=f"sku=in.({prices[1]},{prices[2]})")
        channel.on_system(lambda message: states.append(message.status))
        await channel.subscribe()
        await until(lambda: states == ["ok"])
        for sku in prices:
            status, _, _ = await asyncio.to_thread(
                call, example, "POST", "/rest/v1/products",
                {"sku": sku, "name": "Tea", "category": "drinks", "price": 1.5}, key="service_role")
            assert status == 201
        # Changes come in their order: with the last one everything before it was sent, or is not.
        await until(lambda: len(heard) == 2)
        await somebody.remove_all_channels()

    asyncio.run(play())
    assert [message["data"]["record"]["sku"] for message in heard] == prices[1:]


def test_what_cannot_be_subscribed_to(example):
    with Raw(example) as raw:
        for entry, reason in [
            ({"table": "customers"}, "Unable to subscribe to changes with given parameters: "),
            ({"table": "orders", "filter": "note=like.x"}, "Error parsing `filter` params: "),
            ({"table": "orders", "filter": "id=eq.x,nothing=eq.1"}, "Error parsing `filter` params: "),
        ]:
            name = topic()
            assert raw.join(name, {"postgres_changes": [entry]})["status"] == "ok"
            system = raw.hear()
            assert system[3] == "system" and system[4]["status"] == "error"
            assert system[4]["message"].startswith(reason)
