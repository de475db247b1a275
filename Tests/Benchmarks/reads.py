# SPDX-License-Identifier: Apache-2.0
"""The read by id under a policy, edge → bus → data → SQLite, against the same chain in C; and the edge's shortest
answers against the HTTP server of that program. Called by `run reads`.

The chain in C is chain_limit.c, which is not part of this repository: --rod names the program. Without it the figures
stand alone.
"""

import os
import random
import shutil
import sqlite3
import subprocess
import time
import types
import uuid

import bench

ROWS = 10_000
SECRET = "martlet-bench-secret-of-32-bytes-or-more"
OWNER = str(uuid.UUID(int=1))
HELLO = "hello, world"
FILES = {
    "config.toml": '[api]\n[martlet.data]\nengine = "sqlite"\n',
    "site/hello.txt": HELLO,
    "migrations/20260101000000_items.sql": """
create table items (id text primary key, owner uuid not null, title text not null, body text not null,
    done boolean not null default false, created timestamptz not null default now());
alter table items enable row level security;
create policy "own items" on items for all to authenticated using (owner = auth.uid()) with check (owner = auth.uid());
""",
}


def identifiers(draw) -> list:
    return [f"i{number:014d}" for number in draw.sample(range(ROWS), 2000)]


def item(number: int, owner: str) -> dict:
    return {"id": f"i{number:014d}", "owner": owner, "title": f"Item {number}", "body": "lorem ipsum " * 8}


def fill(stack):
    for start in range(0, ROWS, 500):
        bench.call(stack, "POST", "/rest/v1/items", [item(number, OWNER) for number in range(start, start + 500)])


class Rod:
    """chain_limit on rows of the same form; stands in for a stack where one is measured."""

    def __init__(self, program: str, directory: str, mode: str):
        self.port, self.topology, self.server = bench.free_port(), "one", None
        self.keys = {"anon": "k", "service_role": "k", "jwt_secret": SECRET}
        path = os.path.join(directory, f"{mode}.db")
        with sqlite3.connect(path) as database:
            database.execute(
                "create table items (id text primary key, owner text, title text, body text, done int, created text)")
            database.executemany(
                "insert into items values (:id, :owner, :title, :body, 0, '2026-01-01 00:00:00.000000Z')",
                [item(number, "owner-1") for number in range(ROWS)])
        database.close()
        arguments = ["-e", f"ipc://{directory}/chain.socket", "-c"] if mode == "bus" else []
        self.process = subprocess.Popen([program, mode, "-f", path, "-l", str(self.port), "-k", SECRET, *arguments],
                                        stderr=subprocess.DEVNULL)
        bench.wait_until(lambda: bench.listens(self.port), "the chain in C", 10)
        time.sleep(0.5)

    def processes(self) -> dict:
        return {str(number): number for number in bench.family(self.process.pid)}

    def stop(self):
        self.process.terminate()
        self.process.wait()


def reads(target, token: str, ids: list) -> list:
    return [bench.raw(target, "GET", f"/rest/v1/items?id=eq.{identifier}", None, token, "anon") for identifier in ids]


def compare(options, load, directory, cases, table):
    """Interleaves the cases in each round; the first is what the others are compared with, if the rod is there."""
    for in_flight in (1, 64):
        results = {name: [] for name, *_ in cases}
        for number in range(options.rounds):
            for name, target, requests, status in cases if number % 2 == 0 else reversed(cases):
                results[name].append(bench.http_load(load, target.port, in_flight, options.seconds, requests, directory,
                                                     target, status))
        first = results[cases[0][0]]
        for name, *_ in cases:
            middle = {key: bench.median([result[key] for result in results[name]])
                      for key in ("per_s", "p50_us", "p99_us", "cpu_us", "foreign")}
            against = [bench.median([mine[key] / theirs[key] for mine, theirs in zip(results[name], first)])
                       for key in ("per_s", "cpu_us")]
            ratio = [f"{value:.2f}" for value in against] if isinstance(cases[0][1], Rod) else ["–", "–"]
            table.line(name, in_flight, f"{middle['per_s']:.0f}", f"{middle['p50_us'] / 1000:.2f}",
                       f"{middle['p99_us'] / 1000:.2f}", f"{middle['cpu_us']:.1f}", *ratio, foreign=middle["foreign"])
            if options.verbose:
                print({process: f"{value / results[name][-1]['requests'] * 1e6:.1f}"
                       for process, value in results[name][-1]["cpu"].items()})


def main():
    parser = bench.parser("reads", __doc__)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rod", help="path of chain_limit")
    parser.add_argument("--verbose", action="store_true", help="processor time of a request by process")
    options = parser.parse_args()
    bench.begin(options, "reads")
    draw = random.Random(1)
    ids = identifiers(draw)
    with bench.directory() as directory:
        load = bench.compiled("http_load", directory)
        folder = bench.project(FILES)
        rods = {mode: Rod(options.rod, directory, mode) for mode in ("bus", "direct")} if options.rod else {}
        with bench.running(folder, "one") as one, \
                bench.running(folder, "five", settings={"MARTLET_TRANSPORT": "ipc"}) as five:
            cases, shortest = [], []
            if rods:
                cases.append(("chain in C, two processes", rods["bus"], reads(rods["bus"], bench.token(
                    rods["bus"], "owner-1"), ids), "200"))
                shortest.append(("HTTP server of the chain in C", rods["direct"],
                                 [bench.raw(rods["direct"], "GET", "/health")], "200"))
            for name, stack in (("one process", one), ("five processes", five)):
                fill(stack)
                cases.append((name, stack, reads(stack, bench.token(stack, OWNER), ids), "200"))
            hello = types.SimpleNamespace(keys={"anon": "", "service_role": ""})
            shortest += [
                ("edge: a file of 12 bytes", five, [bench.raw(hello, "GET", "/hello.txt")], "200"),
                ("edge: a refusal (no key)", five, [bench.raw(hello, "GET", "/rest/v1/items")], "401"),
            ]
            columns = ("in flight", "requests/s", "p50 ms", "p99 ms", "CPU µs", "rate ÷ C", "CPU ÷ C")
            compare(options, load, directory, cases, bench.Table("read by id", *columns))
            compare(options, load, directory, shortest, bench.Table("GET", *columns))
        for rod in rods.values():
            rod.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
