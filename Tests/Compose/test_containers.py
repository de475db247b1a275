# SPDX-License-Identifier: Apache-2.0
"""How the containers of a running stack are made, and what has to go from one to the other: functions, jobs, mails.
`Tests/Compose/run` calls it with the stack's address and keys; docker is the engine that it runs in."""

import json
import os
import pathlib
import subprocess
import time
import types
import urllib.parse
import uuid

import pytest

from people import address, call, client, person
from stack import SERVICES, wait_until

PROJECT = os.environ["COMPOSE_PROJECT_NAME"]
DATABASE = ["postgres"] if os.environ.get("COMPOSE_PROFILES") == "postgres" else []
# What the example's rule is asked about an order without lines.
ORDER = {"record": {"status": "placed"}, "old_record": None, "reads": {"lines": []}, "rows": [{}]}


def docker(*arguments: str) -> str:
    return subprocess.run(["docker", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


@pytest.fixture(scope="module")
def stack():
    url = os.environ["MARTLET_TEST_URL"]
    return types.SimpleNamespace(
        url=url, port=urllib.parse.urlsplit(url).port, keys=json.loads(os.environ["MARTLET_TEST_KEYS"]))


@pytest.fixture(scope="module")
def containers() -> dict:
    """What the engine knows of each container, by the service's name; `prepare`, which has ended, too."""
    ids = docker("ps", "-aq", "--filter", f"label=com.docker.compose.project={PROJECT}").split()
    found = {it["Config"]["Labels"]["com.docker.compose.service"]: it for it in json.loads(docker("inspect", *ids))}
    assert sorted(found) == sorted([*SERVICES, *DATABASE, "prepare"])
    return found


def inside(containers: dict, name: str, script: str) -> subprocess.CompletedProcess:
    return subprocess.run(["docker", "exec", containers[name]["Id"], "sh", "-c", script],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.parametrize("name", [*SERVICES, *DATABASE])
def test_nothing_has_more_rights_than_it_needs(containers, name):
    it = containers[name]
    host = it["HostConfig"]
    assert host["ReadonlyRootfs"] and not host["Privileged"]
    assert host["CapDrop"] == ["ALL"] and not host["CapAdd"]
    assert "no-new-privileges:true" in host["SecurityOpt"]
    assert host["RestartPolicy"]["Name"] == "unless-stopped"
    assert it["State"]["Health"]["Status"] == "healthy"
    # Every process, the engine's init aside: who it is, and what it could do.
    for line in docker("top", it["Id"], "-eo", "uid,pid,args").splitlines()[1:]:
        assert line.split()[0] != "0", line
    rights = inside(containers, name, "grep -hE '^(CapEff|CapBnd|NoNewPrivs):' /proc/1/status").stdout.split()
    assert rights == ["CapEff:", "0" * 16, "CapBnd:", "0" * 16, "NoNewPrivs:", "1"]
    assert inside(containers, name, "touch /usr/local/bin/x").returncode != 0
    # What is written lies in volumes with names; the project is the host's folder, read-only.
    for mount in it["Mounts"]:
        named = mount["Type"] == "volume" and mount["Name"].startswith(f"{PROJECT}_")
        assert named or (mount["Type"] == "bind" and not mount["RW"]), mount


def test_networks_and_ports(containers):
    networks = {name: sorted(network.removeprefix(f"{PROJECT}_") for network in it["NetworkSettings"]["Networks"])
                for name, it in containers.items() if name != "prepare"}
    assert networks == {"edge": ["bus", "front"], "logic": ["bus", "front"], "notification": ["bus", "front"],
                        "auth": ["bus"], "data": ["bus"]} | {name: ["bus"] for name in DATABASE}
    assert json.loads(docker("network", "inspect", f"{PROJECT}_bus"))[0]["Internal"]
    published = {name: it["HostConfig"]["PortBindings"] for name, it in containers.items()
                 if it["HostConfig"]["PortBindings"]}
    assert list(published) == ["edge"]
    assert [binding["HostIp"] for bindings in published["edge"].values() for binding in bindings] == ["127.0.0.1"]


def test_each_has_its_own_secrets_alone_and_as_files(stack, containers):
    secrets = [value for name, value in stack.keys.items() if name in ("service_role", "secret")]
    for name in SERVICES:
        own = inside(containers, name, "ls /data/keys/curve/*.key").stdout.split()
        assert own == [f"/data/keys/curve/{name}.key"]
        loose = inside(containers, name, "find /data/keys -type f ! -name '*.pub' -perm /077").stdout
        assert loose == "", loose
        engine = inside(containers, name, "cat /data/keys/engine").stdout.strip()
        assert name == "edge" or engine.startswith("postgres://" if DATABASE else "sqlite")
        if engine.startswith("postgres://"):
            secrets.append(urllib.parse.urlsplit(engine).password)
        mail = inside(containers, name, "cat /run/secrets/smtp_password")
        assert (mail.returncode == 0) == (name == "notification"), mail.stdout
        if name == "notification":
            assert mail.stdout == pathlib.Path(os.environ["MARTLET_SMTP_PASSWORD_FILE"]).read_text()
            secrets.append(mail.stdout.strip())
    assert len(secrets) == 3 + 4 * len(DATABASE) and all(secrets)
    shown = docker("inspect", *(it["Id"] for it in containers.values()), "martlet:local")
    shown += "".join(inside(containers, name, "cat /proc/[0-9]*/cmdline /proc/1/environ | tr '\\0' '\\n'").stdout
                     for name in SERVICES)
    assert [secret for secret in secrets if secret in shown] == []


def test_a_function_answers(stack):
    """TypeScript, in the container's Deno, on a read-only root."""
    status, headers, answer = call(stack, "POST", "/functions/v1/place-order", ORDER, key="service_role",
                                   token=stack.keys["service_role"])
    assert status == 200, (status, answer)
    assert answer["error"]["code"] == "order_is_empty" and "x-relay-error" not in headers


def test_a_job_runs(stack):
    job = admit(stack, {"function": "place-order", "body": ORDER, "key": uuid.uuid4().hex})
    wait_until(lambda: state(stack, job) == "done", "a job that is done")


def admit(stack, job: dict) -> str:
    status, _, made = call(stack, "POST", "/functions/v1/_admin/jobs", job, key="service_role",
                           token=stack.keys["service_role"])
    assert status == 201, (status, made)
    return made["id"]


def state(stack, job: str) -> str:
    return call(stack, "GET", f"/functions/v1/_admin/jobs/{job}", key="service_role",
                token=stack.keys["service_role"])[2]["state"]


def caught(stack) -> str:
    status, _, page = call(stack, "GET", "/notification/v1/mails", key="service_role",
                           token=stack.keys["service_role"])
    assert status == 200
    return page.decode() if isinstance(page, bytes) else json.dumps(page)


def test_a_mail_is_caught(stack):
    to = address()
    status, _, answer = call(
        stack, "POST", "/notification/v1/mail", {"to": to, "subject": "Your order", "text": "It is on its way."},
        key="service_role", token=stack.keys["service_role"], headers={"Idempotency-Key": uuid.uuid4().hex})
    assert status == 202, answer
    wait_until(lambda: to in caught(stack), "the mail in the catcher")


def test_auth_hands_its_mails_to_notification(stack):
    """From one service's outbox to the other's, over the bus between two containers."""
    to = address()
    person(stack, to)
    client(stack).auth.reset_password_for_email(to)
    wait_until(lambda: to in caught(stack), "the mail of a recovery in the catcher")


def test_a_buyer_gets_a_mail_of_their_order(stack):
    """The order desk's whole way: rule, write, change log, trigger, a function that calls back through the edge, mail."""
    email = address()
    ada = person(stack, email)
    item = client(stack, "service_role").table("products").insert(
        {"sku": uuid.uuid4().hex[:12], "name": "Compass", "category": "test", "stock": 5, "price": "1.50"}
    ).execute().data[0]
    shop = ada.table("customers").insert({"name": uuid.uuid4().hex}).execute().data[0]
    order = ada.table("orders").insert({"customer_id": shop["id"]}).execute().data[0]
    ada.table("order_lines").insert(
        {"order_id": order["id"], "line_no": 1, "product_id": item["id"], "quantity": 2, "unit_price": "1.50"}).execute()
    placed = ada.table("orders").update({"status": "placed"}).eq("id", order["id"]).execute().data[0]
    assert placed["total"] == 3
    wait_until(lambda: email in caught(stack), "the mail of the order in the catcher")


def test_a_job_and_a_mail_outlive_a_kill_of_every_service(stack, containers):
    """What was accepted before the kills is done after them."""
    to = address()
    jobs = [admit(stack, {"function": "place-order", "body": ORDER, "key": uuid.uuid4().hex,
                          "run_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))})
            for _ in range(5)]
    assert call(stack, "POST", "/notification/v1/mail", {"to": to, "subject": "Kept", "text": "Kept."},
                key="service_role", token=stack.keys["service_role"])[0] == 202
    for name in SERVICES:
        os.kill(json.loads(docker("inspect", containers[name]["Id"]))[0]["State"]["Pid"], 9)
    wait_until(lambda: call(stack, "GET", "/health")[0] == 200, "health after the kills", 60)
    wait_until(lambda: [state(stack, job) for job in jobs] == ["done"] * 5, "five jobs that are done", 60)
    wait_until(lambda: to in caught(stack), "the mail in the catcher")
