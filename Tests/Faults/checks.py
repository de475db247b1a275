# SPDX-License-Identifier: Apache-2.0
"""Compares the ledger with what is there: through the API, and in the database file without any of the product."""

import pathlib
import sqlite3
from decimal import Decimal

from client import Client, Request
from load import expect, same

COLUMNS = {
    "customers": ["id", "owner", "name", "city"],
    "orders": ["id", "owner", "customer_id", "status", "note"],
    "order_lines": ["order_id", "line_no", "product_id", "quantity", "unit_price"],
}
# What no two rows of the load share: the same value twice is a write that was executed twice.
MARKS = {"customers": "name", "orders": "note"}
PAGE = 500


def key_of(table: str, row: dict) -> str:
    return f"{row['order_id']}/{row['line_no']}" if table == "order_lines" else row["id"]


def over_api(client: Client, service_key: str, users: set[str]) -> dict[str, list[dict]]:
    """All rows of the load's users."""
    found = {}
    for table, columns in COLUMNS.items():
        order = "order_id,line_no" if table == "order_lines" else "id"
        rows, page = [], None
        while page is None or len(page) == PAGE:
            path = f"/rest/v1/{table}?select={','.join(columns)}&order={order}&limit={PAGE}&offset={len(rows)}"
            request = Request("GET", path, service_key)
            page = expect(client.settle(request), request, 200).json(parse_float=Decimal)
            rows += page
        found[table] = rows
    return only_of(users, found)


def integrity(path: pathlib.Path) -> str:
    """The answer of SQLite's own check, `ok` if all is well."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        return "; ".join(row[0] for row in database.execute("pragma integrity_check(20)"))
    finally:
        database.close()


def in_file(path: pathlib.Path, users: set[str]) -> tuple[str, dict[str, list[dict]]]:
    """The answer of SQLite's own check, and the rows; prices stand as whole cents."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    try:
        result = integrity(path)
        broken = database.execute("pragma foreign_key_check").fetchall()
        if broken:
            result += f"; {len(broken)} foreign keys point nowhere"
        found = {}
        for table, columns in COLUMNS.items():
            rows = database.execute(f"select {', '.join(columns)} from {table}")
            found[table] = [dict(zip(columns, row)) for row in rows]
        for row in found["order_lines"]:
            row["unit_price"] = Decimal(row["unit_price"]) / 100
        return result, only_of(users, found)
    finally:
        database.close()


def only_of(users: set[str], found: dict[str, list[dict]]) -> dict[str, list[dict]]:
    """Without what the project's seed brought."""
    found = {table: [row for row in rows if row.get("owner") in users or table == "order_lines"]
             for table, rows in found.items()}
    orders = {row["id"] for row in found["orders"]}
    found["order_lines"] = [row for row in found["order_lines"] if row["order_id"] in orders]
    return found


def compare(expected: dict[str, dict[str, dict]], found: dict[str, list[dict]], where: str) -> list[str]:
    """What is lost, changed, or there without having been acknowledged once."""
    problems = []
    for table in COLUMNS:
        wanted = expected.get(table, {})
        there = {key_of(table, row): row for row in found[table]}
        if len(there) != len(found[table]):
            problems.append(f"{where}: {table} has {len(found[table]) - len(there)} rows under a key twice")
        marks = {row[MARKS[table]] for row in wanted.values()} if table in MARKS else set()
        for key, row in wanted.items():
            if key not in there:
                problems.append(f"{where}: {table} {key} was acknowledged and is lost: {row}")
            elif not same(table, row, there[key]):
                problems.append(f"{where}: {table} {key} was acknowledged as {row} and is {there[key]}")
        for key, row in there.items():
            if key not in wanted:
                is_second = table in MARKS and row[MARKS[table]] in marks
                problems.append(f"{where}: {table} {key} {'was written twice' if is_second else 'was not acknowledged'}"
                                f": {row}")
    return problems


def sabotage(how: str, expected: dict[str, dict[str, dict]], client: Client, service_key: str):
    """Spoils one acknowledged order behind the ledger's back: the checks have to find it."""
    row = list(expected["orders"].values())[-1]
    path = f"/rest/v1/orders?id=eq.{row['id']}"
    request = {
        "lost": Request("DELETE", path, service_key),
        "changed": Request("PATCH", path, service_key, {"note": "something else"}),
        "twice": Request("POST", "/rest/v1/orders", service_key, {k: v for k, v in row.items() if k != "id"}),
    }[how]
    expect(client.settle(request), request, 201, 204)
