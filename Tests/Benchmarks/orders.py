# SPDX-License-Identifier: Apache-2.0
"""Orders of the example placed through its rule in Deno, and plain writes beside them. Called by `run orders`.

Triggers are taken out of the example, so that what follows an order does not run beside the next one.
"""

import pathlib
import re
import secrets
import shutil
import subprocess

import bench

IN_FLIGHT = {1: 300, 8: 1200, 64: 2400}
# A write of a table with a rule touches at most as many rows.
BULK = 100
STOCK = 1_000_000_000


def deno() -> str:
    beside = bench.ROOT / ".build/conformance-venv/bin/deno"
    if beside.exists():
        return str(beside)
    return shutil.which("deno") or subprocess.check_output([bench.ROOT / "compose/scripts/deno.sh"], text=True).strip()


def example(triggers: bool = True) -> pathlib.Path:
    folder = bench.project({})
    shutil.copytree(bench.ROOT / "compose/example", folder, dirs_exist_ok=True,
                    ignore=shutil.ignore_patterns(".martlet"))
    if not triggers:
        file = folder / "config.toml"
        file.write_text(re.sub(r"(?ms)^\[martlet\.triggers\..*?(?=^\[|\Z)", "", file.read_text()))
    return folder


class Buyer:
    def __init__(self, stack):
        made = bench.call(stack, "POST", "/auth/v1/signup",
                          {"email": f"{secrets.token_hex(6)}@example.com", "password": "correct horse battery"})
        self.stack, self.id, self.token = stack, made["user"]["id"], made["access_token"]
        self.shop = self._insert("customers", [{"owner": self.id, "name": secrets.token_hex(6)}])[0]["id"]

    def _insert(self, table: str, rows: list, select: str = "id"):
        return bench.call(self.stack, "POST", f"/rest/v1/{table}?select={select}", rows,
                          more={"Prefer": "return=representation"})

    def drafts(self, count: int, products: list) -> list:
        """Orders of one line each, over all products in turn."""
        made = []
        while len(made) < count:
            orders = self._insert("orders", [{"owner": self.id, "customer_id": self.shop}
                                             for _ in range(min(BULK, count - len(made)))])
            self._insert("order_lines", [
                {"order_id": order["id"], "line_no": 1, "product_id": products[(len(made) + number) % len(products)],
                 "quantity": 1, "unit_price": "1.00"} for number, order in enumerate(orders)], "line_no")
            made += [order["id"] for order in orders]
        return made

    def customers(self, count: int) -> list:
        made = []
        while len(made) < count:
            made += [row["id"] for row in self._insert("customers", [
                {"owner": self.id, "name": secrets.token_hex(8)} for _ in range(min(BULK, count - len(made)))])]
        return made

    def patch(self, path: str, body: dict) -> bytes:
        return bench.raw(self.stack, "PATCH", f"/rest/v1/{path}", body, self.token, "anon", ["Prefer: return=minimal"])


def stocked(stack) -> list:
    bench.call(stack, "PATCH", "/rest/v1/products?id=gt.0", {"stock": STOCK})
    return [row["id"] for row in bench.call(stack, "GET", "/rest/v1/products?select=id&order=id")]


def measure(stack, load, in_flight, requests, directory) -> dict:
    with bench.Watch(stack) as watch:
        result = bench.http_load(load, stack.port, in_flight, 0, requests, directory, stack)
        bench.settle(stack)
    result.update(cpu=watch.cpu, cpu_us=watch.per(len(requests)), worker_us=watch.worker_cpu / len(requests) * 1e6)
    return result


def main():
    parser = bench.parser("orders", __doc__)
    parser.add_argument("--verbose", action="store_true", help="processor time of an order by process")
    options = parser.parse_args()
    bench.begin(options, "orders")
    table = bench.Table("engine", "processes", "in flight", "orders/s", "p50 ms", "p99 ms", "CPU µs", "Deno CPU µs",
                        "plain writes/s", "p50 ms", "p99 ms", "CPU µs", "orders ÷ writes")
    with bench.directory() as directory:
        load = bench.compiled("http_load", directory)
        for engine, topology, server in bench.configurations(options):
            folder = example(triggers=False)
            with bench.running(folder, topology, server, {"MARTLET_LOGIC_DENO": deno()}) as stack:
                buyer, products = Buyer(stack), stocked(stack)
                bench.http_load(load, stack.port, 1, 0, [buyer.patch(f"orders?id=eq.{order}", {"status": "placed"})
                                                         for order in buyer.drafts(50, products)], directory)
                for in_flight, count in IN_FLIGHT.items():
                    rounds = []
                    for _ in range(options.rounds):
                        orders = [buyer.patch(f"orders?id=eq.{order}", {"status": "placed"})
                                  for order in buyer.drafts(count, products)]
                        writes = [buyer.patch(f"customers?id=eq.{customer}", {"city": "Turin"})
                                  for customer in buyer.customers(count)]
                        rounds.append([measure(stack, load, in_flight, requests, directory)
                                       for requests in (orders, writes)])
                    placed, plain = [{key: bench.median([result[key] for result in results])
                                      for key in ("per_s", "p50_us", "p99_us", "cpu_us", "worker_us", "foreign")}
                                     for results in zip(*rounds)]
                    ratio = bench.median([order["per_s"] / write["per_s"] for order, write in rounds])
                    table.line(engine, topology, in_flight, *(text for one, names in (
                        (placed, ("cpu_us", "worker_us")), (plain, ("cpu_us",))) for text in (
                        f"{one['per_s']:.0f}", f"{one['p50_us'] / 1000:.2f}", f"{one['p99_us'] / 1000:.2f}",
                        *(f"{one[name]:.0f}" for name in names))), f"{ratio:.2f}", foreign=placed["foreign"])
                    if options.verbose:
                        for kind, result in zip(("order", "write"), rounds[-1]):
                            print(kind, {name: f"{value / count * 1e6:.0f}" for name, value in result["cpu"].items()})
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
