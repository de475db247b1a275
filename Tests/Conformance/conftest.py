# SPDX-License-Identifier: Apache-2.0
"""One stack on the example for the session, one on a schema whose names are drawn for the run."""

import json
import os
import pathlib
import shutil
import tempfile
import types
import urllib.parse

import pytest

from schema import RandomSchema
from stack import ROOT, PostgreSQL, Stack, deno

ENGINE = os.environ.get("MARTLET_TEST_ENGINE", "sqlite")
TOPOLOGY = os.environ.get("MARTLET_TEST_TOPOLOGY", "one")


@pytest.fixture(scope="session")
def postgres():
    """The server, or nothing on SQLite."""
    if ENGINE == "sqlite":
        yield None
        return
    server = PostgreSQL()
    yield server
    server.stop()


def run(project: pathlib.Path, postgres):
    return Stack(project, postgres.database() if postgres else None, TOPOLOGY, {"MARTLET_LOGIC_DENO": deno()}).start()


@pytest.fixture(scope="session")
def example(postgres, tmp_path_factory):
    """A stack on the example: one of our own, or the one that runs at MARTLET_TEST_URL with the keys of `martlet keys`."""
    if "MARTLET_TEST_URL" in os.environ:
        url = os.environ["MARTLET_TEST_URL"]
        yield types.SimpleNamespace(
            url=url, port=urllib.parse.urlsplit(url).port, keys=json.loads(os.environ["MARTLET_TEST_KEYS"]))
        return
    project = tmp_path_factory.mktemp("example") / "project"
    shutil.copytree(ROOT / "compose/example", project, ignore=shutil.ignore_patterns(".martlet"))
    stack = run(project, postgres)
    yield stack
    stack.stop()
    stack.remove()


@pytest.fixture(scope="session")
def drawn(postgres):
    """A stack on a drawn schema, and the schema. The seed stands in the folder's name, so that a failure can be repeated."""
    schema = RandomSchema(int(os.environ.get("MARTLET_TEST_SCHEMA_SEED", "0")) or int.from_bytes(os.urandom(4)))
    print(f"schema seed: MARTLET_TEST_SCHEMA_SEED={schema.seed}")
    project = pathlib.Path(tempfile.mkdtemp(prefix=f"martlet-schema-{schema.seed}-"))
    schema.write(project)
    stack = run(project, postgres)
    yield stack, schema
    stack.stop()
    stack.remove()
    shutil.rmtree(project)
