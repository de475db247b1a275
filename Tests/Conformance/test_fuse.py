# SPDX-License-Identifier: Apache-2.0
"""The edge's fuse: requests a second from one client address."""

import concurrent.futures

from conftest import TOPOLOGY
from people import call
from stack import Stack


def test_the_fuse_is_for_the_public_key_alone(postgres, tmp_path):
    (tmp_path / "config.toml").write_text("")
    stack = Stack(tmp_path, postgres.database() if postgres else None, TOPOLOGY,
                  {"MARTLET_EDGE_CLIENT_REQUESTS_PER_SECOND": 5}).start()
    try:
        def statuses(key: str) -> list:
            with concurrent.futures.ThreadPoolExecutor(8) as pool:
                return list(pool.map(lambda _: call(stack, "GET", "/auth/v1/settings", key=key)[0], range(60)))

        assert 429 in statuses("anon")
        # Back ends and functions call for many from one address.
        assert set(statuses("service_role")) == {200}
        assert set(statuses("secret")) == {200}
        # What only looks like the key counts.
        forged = stack.keys["service_role"][:-3] + "abc"
        assert 429 in statuses(forged)
    finally:
        stack.stop()
        stack.remove()
