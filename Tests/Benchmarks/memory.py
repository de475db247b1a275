# SPDX-License-Identifier: Apache-2.0
"""Anonymous memory and PSS of each process on the example: idle, after a load, and with the rule's worker running; and
the largest mappings of one. Called by `run memory`."""

import re
import shutil
import time
import uuid

import bench
import orders

HEADER = re.compile(r"^[0-9a-f]+-[0-9a-f]+ (\S+) \S+ \S+ \S+ *(.*)$")
SETTLE_SECONDS = 10
SUBSCRIBERS = 200


def largest(number: int, count: int) -> list:
    """(file or kind, permissions, size, resident, PSS, anonymous in KiB), by resident memory."""
    found = []
    with open(f"/proc/{number}/smaps") as file:
        for line in file:
            header = HEADER.match(line)
            if header:
                found.append({"permissions": header[1], "name": header[2] or "[anonymous]"})
            elif line.split()[-1] == "kB":
                name, value = line.split(":")
                found[-1][name] = int(value.split()[0])
    return sorted(found, key=lambda each: each["Rss"], reverse=True)[:count]


def work(stack, load, subscribers, directory, options):
    """Reads, writes, sign-ups, subscribers with changes. Nothing that asks the rule."""
    buyer, products = orders.Buyer(stack), orders.stocked(stack)
    reads = [bench.raw(stack, "GET", f"/rest/v1/products?id=eq.{product}", None, buyer.token, "anon")
             for product in products]
    bench.http_load(load, stack.port, 64, options.seconds, reads, directory)
    lists = [bench.raw(stack, "GET", f"/rest/v1/products?order=name&limit=20&offset={offset}", None, buyer.token,
                       "anon") for offset in range(0, 160, 20)]
    bench.http_load(load, stack.port, 16, options.seconds / 2, lists, directory)
    joins = [bench.join(f"desk-{number}", "products", bench.token(stack, str(uuid.uuid4())))
             for number in range(SUBSCRIBERS)]
    sockets = bench.Subscribers(subscribers, stack, joins, directory)
    writes = [buyer.patch(f"customers?id=eq.{customer}", {"city": "Turin"}) for customer in buyer.customers(300)]
    bench.http_load(load, stack.port, 16, options.seconds / 2, writes, directory)
    sockets.expect(200 * SUBSCRIBERS, 60)
    bench.http_load(load, stack.port, 4, 0, [
        bench.raw(stack, "PATCH", f"/rest/v1/products?id=eq.{product}", {"stock": orders.STOCK - 1},
                  more=["Prefer: return=minimal"]) for product in products[:200]], directory)
    heard = sockets.answer()
    if heard["changes"] < 200 * SUBSCRIBERS:
        raise SystemExit(f"changes were lost: {heard}")
    sockets.close()
    for _ in range(20):
        orders.Buyer(stack)
    return buyer, products


def ordered(stack, load, directory, buyer, products):
    for in_flight, count in ((1, 50), (16, 1000)):
        placed = [buyer.patch(f"orders?id=eq.{order}", {"status": "placed"}) for order in buyer.drafts(count, products)]
        bench.http_load(load, stack.port, in_flight, 0, placed, directory)


def seen(stack) -> dict:
    named = bench.processes(stack)
    found = {name: bench.memory(number) for name, number in named.items()}
    for number in {child for parent in named.values() for child in bench.family(parent)} - set(named.values()):
        with open(f"/proc/{number}/comm") as file:
            found[f"its {file.read().strip()}"] = bench.memory(number)
    return found


def main():
    parser = bench.parser("memory", __doc__)
    parser.add_argument("--seconds", type=float, default=10, help="how long the load reads")
    parser.add_argument("--mappings", type=int, default=10)
    options = parser.parse_args()
    bench.begin(options, "memory")
    table = bench.Table("engine", "processes", "state", "process", "anonymous MB", "PSS MB")
    mappings = {}
    with bench.directory() as directory:
        load, subscribers = bench.compiled("http_load", directory), bench.compiled("subscribers", directory)
        for engine, topology, server in bench.configurations(options):
            states = {"idle": [], "after a load": [], "after orders": []}
            for _ in range(options.rounds):
                folder = orders.example()
                with bench.running(folder, topology, server, {"MARTLET_LOGIC_DENO": orders.deno()}) as stack:
                    time.sleep(SETTLE_SECONDS)
                    states["idle"].append(seen(stack))
                    mappings[engine, topology] = {
                        name: largest(number, options.mappings) for name, number in bench.processes(stack).items()}
                    buyer, products = work(stack, load, subscribers, directory, options)
                    time.sleep(SETTLE_SECONDS)
                    states["after a load"].append(seen(stack))
                    ordered(stack, load, directory, buyer, products)
                    time.sleep(SETTLE_SECONDS)
                    states["after orders"].append(seen(stack))
                shutil.rmtree(folder)
            for state, rounds in states.items():
                # The worker of the rule ends when it is idle, so it may be absent in some rounds.
                names = [name for name in rounds[0] if all(name in each for each in rounds)]
                lines = [(name, *(bench.median([each[name][field] for each in rounds]) / 1e6
                                  for field in ("Anonymous", "Pss"))) for name in names]
                own = [line for line in lines if not line[0].startswith("its ")]
                if len(own) > 1:
                    lines.append(("the suite together", *(sum(line[index] for line in own) for index in (1, 2))))
                for name, anonymous, pss in lines:
                    table.line(engine, topology, state, name, f"{anonymous:.1f}", f"{pss:.1f}")
    for (engine, topology), named in mappings.items():
        for name, found in named.items():
            if name not in ("martlet", "data"):
                continue
            print(f"\nLargest mappings of {name}, {engine}, {topology} process(es), idle:\n")
            print("| mapping | permissions | size KiB | resident KiB | PSS KiB | anonymous KiB |")
            print("|---|---|---|---|---|---|")
            for each in found:
                short = each["name"].rsplit("/", 1)[-1]
                cells = [short, each["permissions"], *(each[name] for name in ("Size", "Rss", "Pss", "Anonymous"))]
                print("| " + " | ".join(map(str, cells)) + " |")


if __name__ == "__main__":
    main()
