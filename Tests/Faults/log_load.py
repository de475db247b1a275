# SPDX-License-Identifier: Apache-2.0
"""Writers of three tables, over HTTP and on PostgreSQL also in SQL transactions, each of which notes what it was promised."""

import json
import subprocess
import threading
import time

from client import Client, Request
from journal import Journal
from load import Unexpected, Worker, expect
from log_check import Change, Transaction

CONFIGURATION = '[api]\nmax_rows = 1000000\n[auth]\nsite_url = "http://localhost"\n'
HOT_ROWS = 3
MIGRATION = """
create table crates (
    id bigint primary key, token text not null, amount integer not null check (amount >= 0));
create table parts (
    crate bigint not null references crates (id) on delete cascade, no integer not null, token text not null,
    primary key (crate, no));
create table hot (id bigint primary key, token text not null, n bigint not null);
insert into hot (id, token, n) values (1, 'seed', 0), (2, 'seed', 0), (3, 'seed', 0);
alter table crates enable row level security;
alter table parts enable row level security;
alter table hot enable row level security;
grant all on crates, parts, hot to service_role;
alter publication supabase_realtime add table crates, parts, hot;
"""
KEYS = {"crates": ["id"], "parts": ["crate", "no"], "hot": ["id"]}
# Places of one writer's crates; no two writers share one.
RANGE = 1_000_000


class Promises:
    """The acknowledged transactions; each writer's in its order."""

    def __init__(self):
        self._lock = threading.Lock()
        self.transactions: list[Transaction] = []
        self.changes = 0
        self.refused = 0
        self.rolled_back = 0

    def add(self, transaction: Transaction):
        with self._lock:
            self.transactions.append(transaction)
            self.changes += sum(len(step) for step in transaction.steps)

    def count(self, refused: int = 0, rolled_back: int = 0):
        with self._lock:
            self.refused += refused
            self.rolled_back += rolled_back


class Rows(Worker):
    """What both kinds of writers know: their crates, the parts in them, and the token that each row has now."""

    def __init__(self, number: int, seed: int, client: Client, journal: Journal, promises: Promises):
        super().__init__(f"{type(self).__name__.lower()}{number}", seed, client, journal)
        self.promises = promises
        self.crates: dict[int, str] = {}
        self.parts: dict[int, dict[int, str]] = {}
        self._next = number * RANGE
        self._tokens = 0

    def number(self) -> int:
        self._next += 1
        return self._next

    def token(self) -> str:
        self._tokens += 1
        return f"{self.name}-{self._tokens}"

    def some_crate(self) -> int:
        return self.random.choice(list(self.crates))


class Requests(Rows):
    """A request is a transaction."""

    def __init__(self, number: int, seed: int, client: Client, journal: Journal, promises: Promises, key: str):
        super().__init__(number, seed, client, journal, promises)
        self.key = key

    def work(self):
        if len(self.crates) < 3:
            return self.add()
        return self.random.choices([self.add, self.fill, self.change, self.change_parts, self.remove_part, self.remove,
                                    self.heat, self.fail], [25, 25, 20, 10, 5, 5, 10, 10])[0]()

    def write(self, method: str, path: str, body, status: int, *changes: Change):
        key = f"{self.name}-{self.random.getrandbits(64):x}"
        request = Request(method, f"/rest/v1/{path}", self.key, body, key, "return=minimal")
        first = expect(self.client.settle(request), request, status)
        if changes:
            self.promises.add(Transaction(self.name, (changes,)))
        if self.random.random() < 0.1:
            again = self.client.settle(request)
            self.journal.repeats += 1
            if (again.status, again.body) != (first.status, first.body):
                raise Unexpected(f"{request} was answered {first.status}, its repetition {again.status}")

    def add(self):
        rows = [{"id": self.number(), "token": self.token(), "amount": self.random.randint(0, 9)}
                for _ in range(self.random.randint(1, 5))]
        self.write("POST", "crates", rows, 201,
                   *(Change("crates", (row["id"],), "insert", row["token"]) for row in rows))
        self.crates.update({row["id"]: row["token"] for row in rows})
        self.parts.update({row["id"]: {} for row in rows})

    def fill(self):
        crate = self.some_crate()
        rows = [{"crate": crate, "no": self.number() % RANGE, "token": self.token()}
                for _ in range(self.random.randint(1, 5))]
        self.write("POST", "parts", rows, 201,
                   *(Change("parts", (crate, row["no"]), "insert", row["token"]) for row in rows))
        self.parts[crate].update({row["no"]: row["token"] for row in rows})

    def change(self):
        crate, token = self.some_crate(), self.token()
        self.write("PATCH", f"crates?id=eq.{crate}", {"token": token}, 204, Change("crates", (crate,), "update", token))
        self.crates[crate] = token

    def change_parts(self):
        crate, token = self.some_crate(), self.token()
        self.write("PATCH", f"parts?crate=eq.{crate}", {"token": token}, 204,
                   *(Change("parts", (crate, no), "update", token) for no in self.parts[crate]))
        self.parts[crate] = dict.fromkeys(self.parts[crate], token)

    def remove_part(self):
        crate = self.some_crate()
        if not self.parts[crate]:
            return
        no = self.random.choice(list(self.parts[crate]))
        self.write("DELETE", f"parts?crate=eq.{crate}&no=eq.{no}", None, 204,
                   Change("parts", (crate, no), "delete", self.parts[crate].pop(no)))

    def remove(self):
        """The parts go with their crate."""
        crate = self.some_crate()
        self.write("DELETE", f"crates?id=eq.{crate}", None, 204,
                   Change("crates", (crate,), "delete", self.crates.pop(crate)),
                   *(Change("parts", (crate, no), "delete", token) for no, token in self.parts.pop(crate).items()))

    def heat(self):
        """A row that everybody changes."""
        row, token = self.random.randint(1, HOT_ROWS), self.token()
        self.write("PATCH", f"hot?id=eq.{row}", {"token": token}, 204, Change("hot", (row,), "update", token))

    def fail(self):
        """The second row breaks a rule: the first is undone, and neither is a change."""
        rows = [{"id": self.number(), "token": self.token(), "amount": amount} for amount in (1, -1)]
        self.write("POST", "crates", rows, 400)
        self.promises.count(refused=1)


class Psql:
    """A session of one's own, as an application has it that speaks SQL."""

    def __init__(self, url: str):
        self._process = subprocess.Popen(["psql", "-XqAt", "-v", "ON_ERROR_STOP=1", url], stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self, sql: str) -> list[str]:
        """The lines that a statement returns."""
        self._process.stdin.write(f"{sql};\n\\echo @@done\n")
        self._process.stdin.flush()
        lines = []
        for line in self._process.stdout:
            if line == "@@done\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise Unexpected(f"psql ended at {sql!r}: {lines}")

    def close(self):
        self._process.stdin.close()
        self._process.wait()


class Statements(Rows):
    """Transactions of several statements, held open for a while: they commit in another order than they began."""

    def __init__(self, number: int, seed: int, client: Client, journal: Journal, promises: Promises, url: str):
        super().__init__(number, seed, client, journal, promises)
        self._session = Psql(url)

    def work(self):
        crates, parts = dict(self.crates), {crate: dict(found) for crate, found in self.parts.items()}
        steps, counts = [], []
        # In one order, or two writers would wait for each other.
        heated = sorted(self.random.sample(range(1, HOT_ROWS + 1), self.random.randint(0, 2)))
        run = self._session.run
        run("begin")
        for _ in range(self.random.randint(1, 4)):
            kind = self.random.choice(["add", "fill", "change", "remove", "heat", "undone"])
            token = self.token()
            if kind == "add" or not self.crates:
                crate = self.number()
                run(f"insert into crates values ({crate}, '{token}', 1)")
                self.crates[crate], self.parts[crate] = token, {}
                steps.append((Change("crates", (crate,), "insert", token),))
            elif kind == "fill":
                crate, no = self.some_crate(), self.number() % RANGE
                run(f"insert into parts values ({crate}, {no}, '{token}')")
                self.parts[crate][no] = token
                steps.append((Change("parts", (crate, no), "insert", token),))
            elif kind == "change":
                crate = self.some_crate()
                run(f"update crates set token = '{token}' where id = {crate}")
                self.crates[crate] = token
                steps.append((Change("crates", (crate,), "update", token),))
            elif kind == "remove":
                crate = self.some_crate()
                run(f"delete from crates where id = {crate}")
                steps.append((Change("crates", (crate,), "delete", self.crates.pop(crate)),
                              *(Change("parts", (crate, no), "delete", old)
                                for no, old in self.parts.pop(crate).items())))
            elif kind == "heat" and heated:
                row = heated.pop(0)
                count = int(run(f"update hot set n = n + 1, token = '{token}' where id = {row} returning n")[0])
                change = Change("hot", (row,), "update", token)
                steps.append((change,))
                counts.append((change, count))
            elif kind == "undone":
                run(f"savepoint undone; insert into crates values ({self.number()}, '{token}', 1); rollback to undone")
            time.sleep(self.random.choice([0, 0, 0.002, 0.02]))
        if self.random.random() < 0.1:
            run("rollback")
            self.crates, self.parts = crates, parts
            self.promises.count(rolled_back=1)
            return
        run("commit")
        if steps:
            self.promises.add(Transaction(self.name, tuple(steps), tuple(counts)))

    def finish_session(self):
        self._session.close()


def tables(client: Client, key: str) -> dict[str, dict[tuple, dict]]:
    """What is there at the end, by key."""
    found = {}
    for table, columns in KEYS.items():
        request = Request("GET", f"/rest/v1/{table}", key)
        rows = json.loads(expect(client.settle(request), request, 200, 206).body)
        found[table] = {tuple(row[column] for column in columns): row for row in rows}
    return found
