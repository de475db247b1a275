# SPDX-License-Identifier: Apache-2.0
"""Live changes when the process that serves them dies: clients come back by themselves and hear what happens then."""

import asyncio
import json
import os
import shutil
import signal
import uuid

import pytest
from supabase import acreate_client
from websockets.exceptions import ConnectionClosed

from conftest import TOPOLOGY, run
from people import call
from stack import ROOT, wait_until
from test_realtime import Raw, topic, until


@pytest.fixture
def own(postgres, tmp_path):
    """A stack that a test may break."""
    project = tmp_path / "project"
    shutil.copytree(ROOT / "compose/example", project, ignore=shutil.ignore_patterns(".martlet"))
    stack = run(project, postgres)
    yield stack
    stack.stop()
    stack.remove()


def process(stack) -> int:
    return json.loads((stack.data / "run" / "ports.json").read_text())["notification"]["pid"]


def kill_notification(stack):
    """SIGKILL, and nobody asks it first. In one process everything dies, and a person starts it again."""
    dying = process(stack)
    os.kill(dying, signal.SIGKILL)
    if TOPOLOGY == "one":
        stack.process.wait()
        stack.start()
    wait_until(lambda: process(stack) != dying and stack.ready(), "another notification service")


def insert(stack) -> str:
    sku = str(uuid.uuid4())
    status, _, _ = call(stack, "POST", "/rest/v1/products",
                        {"sku": sku, "name": "Tea", "category": "drinks", "price": 1.5}, key="service_role")
    assert status == 201
    return sku


def test_clients_come_back_when_notification_was_killed(own):
    heard, states = [], []
    entries = [{"event": "INSERT", "schema": "public", "table": "products"}]

    def skus() -> list[str]:
        return [message["data"]["record"]["sku"] for message in heard]

    async def play():
        somebody = await acreate_client(own.url, own.keys["anon"])
        channel = somebody.channel(topic())
        channel.on_postgres_changes("INSERT", heard.append, table="products")
        channel.on_system(lambda message: states.append(message.status))
        await channel.subscribe()
        await until(lambda: states == ["ok"])
        before = await asyncio.to_thread(insert, own)
        await until(lambda: skus() == [before])
        await asyncio.to_thread(kill_notification, own)
        await until(lambda: states == ["ok", "ok"], 30)
        with Raw(own) as raw:
            assert raw.join(topic(), {"postgres_changes": entries})["status"] == "ok"
            assert raw.hear()[4]["status"] == "ok"
            after = await asyncio.to_thread(insert, own)
            assert raw.hear()[4]["data"]["record"]["sku"] == after
        # What was heard before is not heard again.
        await until(lambda: len(heard) > 1)
        assert skus() == [before, after]
        await somebody.remove_all_channels()

    with Raw(own) as raw:
        assert raw.join(topic(), {"postgres_changes": entries})["status"] == "ok"
        assert raw.hear()[4]["status"] == "ok"
        asyncio.run(play())
        raw.hear()
        with pytest.raises(ConnectionClosed) as closed:
            raw.hear()
    # The edge lives on and says that it is worth coming back.
    assert TOPOLOGY == "one" or closed.value.rcvd.code == 1012
