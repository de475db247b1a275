# SPDX-License-Identifier: Apache-2.0
"""The load: writers of an order desk, each of which knows what it was promised, and people who sign up and in."""

import random
import threading
import uuid
from decimal import Decimal

from client import Answer, Client, GaveUp, Request
from journal import Journal

PASSWORD = "correct horse battery"
STATUSES = ["draft", "placed", "shipped", "cancelled"]


class Unexpected(Exception):
    """An answer that this request cannot have."""


def expect(answer: Answer, request: Request, *statuses: int) -> Answer:
    if answer.status not in statuses:
        raise Unexpected(f"{request}: {answer.status} {answer.body[:300]!r}")
    return answer


def sign_up(client: Client, email: str) -> tuple[str, str]:
    """Somebody new: id and token. An earlier attempt whose answer was lost may have made the user: then they sign in."""
    credentials = {"email": email, "password": PASSWORD}
    request = Request("POST", "/auth/v1/signup", "", credentials)
    answer = expect(client.settle(request), request, 200, 422)
    if answer.status == 422:
        if answer.code() != "user_already_exists":
            raise Unexpected(f"{request}: {answer.body[:300]!r}")
        return sign_in(client, email)
    return person(answer)


def sign_in(client: Client, email: str) -> tuple[str, str]:
    request = Request("POST", "/auth/v1/token?grant_type=password", "", {"email": email, "password": PASSWORD})
    return person(expect(client.settle(request), request, 200))


def person(answer: Answer) -> tuple[str, str]:
    session = answer.json()
    return session["user"]["id"], session["access_token"]


class Worker(threading.Thread):
    """Works until told to stop; an answer that cannot be ends it and is an error."""

    def __init__(self, name: str, seed: int, client: Client, journal: Journal):
        super().__init__(name=name)
        self.random = random.Random(f"{seed}/{name}")
        self.client = client
        self.journal = journal
        self._stop_now = threading.Event()

    def finish(self):
        self._stop_now.set()

    def run(self):
        try:
            while not self._stop_now.wait(self.pause()):
                self.work()
        except (GaveUp, Unexpected) as error:
            self.journal.wrong(f"{self.name}: {error}")
        except Exception as error:  # an answer that cannot even be read
            self.journal.wrong(f"{self.name}: {type(error).__name__}: {error}")
        finally:
            self.client.close()

    def pause(self) -> float:
        return 0


class Writer(Worker):
    """Customers, orders and lines of one buyer. What was acknowledged goes to the ledger before the next request."""

    KEPT_FOR_REPEATS = 200

    def __init__(self, name: str, seed: int, client: Client, journal: Journal, user: str, token: str, products: int):
        super().__init__(name, seed, client, journal)
        self.user = user
        self.token = token
        self.products = products
        self.customers: list[str] = []
        self.orders: dict[str, dict] = {}
        self.lines: dict[str, dict[int, dict]] = {}
        self.answered: list[tuple[Request, Answer]] = []
        self.steps = 0
        self.acknowledged = 0

    def work(self):
        self.steps += 1
        if not self.customers:
            return self.add_customer()
        if not self.orders:
            return self.add_order()
        step = self.random.choices(
            [self.add_customer, self.add_order, self.add_lines, self.change_order, self.remove_line, self.repeat,
             self.read], [10, 30, 30, 15, 5, 8, 10])[0]
        return step()

    def write(self, method: str, path: str, body, status: int, representation: bool = False) -> Answer:
        prefer = "return=representation" if representation else "return=minimal"
        key = str(uuid.UUID(int=self.random.getrandbits(128), version=4))
        request = Request(method, f"/rest/v1/{path}", self.token, body, key, prefer)
        answer = expect(self.client.settle(request), request, status)
        self.acknowledged += 1
        self.answered.append((request, answer))
        del self.answered[:-self.KEPT_FOR_REPEATS]
        return answer

    def add_customer(self):
        row = {"id": str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
               "name": f"{self.name} customer {self.steps}", "city": self.random.choice(["Åbo", "Łódź", "京都", None])}
        self.write("POST", "customers", row, 201)
        self.journal.ledger.acknowledge([("customers", row["id"], {**row, "owner": self.user})])
        self.customers.append(row["id"])

    def add_order(self):
        """The server draws the id: a second execution would be a second row."""
        content = {"customer_id": self.random.choice(self.customers), "note": f"{self.name} order {self.steps}"}
        made = self.write("POST", "orders", content, 201, representation=True).json()
        if len(made) != 1 or {key: made[0][key] for key in content} != content:
            raise Unexpected(f"an order {content} came back as {made}")
        row = {"id": made[0]["id"], "owner": self.user, "status": "draft", **content}
        self.journal.ledger.acknowledge([("orders", row["id"], row)])
        self.orders[row["id"]] = row
        self.lines[row["id"]] = {}

    def drafts(self) -> list[str]:
        """Orders whose lines may still change."""
        return [order for order, row in self.orders.items() if row["status"] == "draft"]

    def add_lines(self):
        drafts = self.drafts()
        if not drafts:
            return self.add_order()
        order = self.random.choice(drafts)
        first = 1000 * self.steps
        rows = [{"order_id": order, "line_no": first + offset, "product_id": self.random.randint(1, self.products),
                 "quantity": self.random.randint(1, 99), "unit_price": f"{self.random.randint(0, 99999) / 100:.2f}"}
                for offset in range(self.random.randint(1, 4))]
        self.write("POST", "order_lines", rows, 201)
        self.journal.ledger.acknowledge([("order_lines", f"{order}/{row['line_no']}", row) for row in rows])
        self.lines[order].update({row["line_no"]: row for row in rows})

    def change_order(self):
        order = self.random.choice(list(self.orders))
        change = {"status": self.random.choice(STATUSES), "note": f"{self.name} change {self.steps}"}
        changed = self.write("PATCH", f"orders?id=eq.{order}", change, 200, representation=True).json()
        if [row["id"] for row in changed] != [order]:
            raise Unexpected(f"the change of {order} brought {changed}")
        self.orders[order] = {**self.orders[order], **change}
        self.journal.ledger.acknowledge([("orders", order, self.orders[order])])

    def remove_line(self):
        orders = [order for order in self.drafts() if self.lines[order]]
        if not orders:
            return
        order = self.random.choice(orders)
        line = self.random.choice(list(self.lines[order]))
        self.write("DELETE", f"order_lines?order_id=eq.{order}&line_no=eq.{line}", None, 204)
        self.journal.ledger.acknowledge([("order_lines", f"{order}/{line}", None)])
        del self.lines[order][line]

    def repeat(self):
        """The same key again, maybe long after: the first answer, whatever has changed since."""
        request, first = self.random.choice(self.answered)
        again = self.client.settle(request)
        self.journal.repeats += 1
        if again != first:
            self.journal.wrong(f"{request} was answered {first.status} {first.body[:200]!r}, "
                               f"its repetition {again.status} {again.body[:200]!r}")

    def read(self):
        """What was acknowledged to this writer is there at once."""
        order = self.random.choice(list(self.orders))
        path = f"/rest/v1/orders?select=id,owner,customer_id,status,note&id=eq.{order}"
        request = Request("GET", path, self.token)
        found = expect(self.client.settle(request), request, 200).json()
        if found != [self.orders[order]]:
            self.journal.wrong(f"order {order} was acknowledged as {self.orders[order]} and is read as {found}")


class People(Worker):
    """One after the other signs up, signs in, and asks who they are."""

    def __init__(self, name: str, seed: int, client: Client, journal: Journal):
        super().__init__(name, seed, client, journal)
        self.known: dict[str, str] = {}

    def pause(self) -> float:
        return self.random.uniform(0.2, 1)

    def work(self):
        email = f"{self.name}{len(self.known)}-{self.random.getrandbits(48):x}@example.com"
        made, _ = sign_up(self.client, email)
        self.known[email] = made
        self.journal.ledger.acknowledge([("users", made, {"id": made, "email": email})])
        self.journal.sign_ups += 1
        email = self.random.choice(list(self.known))
        user, token = sign_in(self.client, email)
        if user != self.known[email]:
            raise Unexpected(f"{email} signed up as {self.known[email]} and in as {user}")
        request = Request("GET", "/auth/v1/user", token)
        seen = expect(self.client.settle(request), request, 200).json()["id"]
        if seen != user:
            raise Unexpected(f"{email} is {user}, and is told to be {seen}")


def same(table: str, wanted: dict, found: dict) -> bool:
    """Whether a row has the content that was acknowledged; prices by value, not by form."""
    if table == "order_lines":
        wanted = {**wanted, "unit_price": Decimal(wanted["unit_price"])}
        found = {**found, "unit_price": Decimal(str(found["unit_price"]))}
    return wanted == found
