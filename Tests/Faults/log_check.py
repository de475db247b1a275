# SPDX-License-Identifier: Apache-2.0
"""Holds the lines of `martlet events --into` against what writers were promised. Knows nothing of the product."""

import collections
import dataclasses
import json

OPERATIONS = {"row.insert": "insert", "row.update": "update", "row.delete": "delete"}


@dataclasses.dataclass(frozen=True)
class Change:
    """One change of one row. `token` is the value that only this change gave the row; of a deletion, the last one."""

    table: str
    key: tuple
    operation: str
    token: str

    def __str__(self) -> str:
        return f"{self.operation} of {self.table} {list(self.key)} ({self.token})"


@dataclasses.dataclass(frozen=True)
class Transaction:
    """What was acknowledged at once: steps one after the other, each with changes in any order."""

    writer: str
    steps: tuple[tuple[Change, ...], ...]
    # What counters held after it, by change: an order that the database itself told.
    counts: tuple[tuple[Change, int], ...] = ()


@dataclasses.dataclass
class Entry:
    place: int
    epoch: int
    sequence: int
    transaction: str
    change: Change | None
    record: dict | None
    old: dict | None


def read(lines: list[str]) -> tuple[list[Entry], list[str]]:
    """The lines in order; what is no entry is a problem."""
    entries, problems = [], []
    for place, line in enumerate(lines):
        try:
            value = json.loads(line)
            kind = value["type"]
            if kind == "log.gap":
                problems.append(f"line {place + 1} says that entries are lost: {line[:200]}")
                continue
            change = record = old = None
            if kind in OPERATIONS:
                record, old = value["body"].get("record"), value["body"].get("old_record")
                change = Change(value["headers"]["table"], tuple(value["key"]), OPERATIONS[kind],
                                (record or old)["token"])
            elif kind != "data.schema.changed":
                problems.append(f"line {place + 1} is of type {kind}")
            entries.append(Entry(place, value["epoch"], value["sequence"], value.get("transaction", ""), change, record,
                                 old))
        except (ValueError, KeyError, TypeError) as error:
            problems.append(f"line {place + 1} is no entry ({type(error).__name__}): {line[:200]}")
    return entries, problems


def check(transactions: list[Transaction], lines: list[str], tables: dict[str, dict[tuple, dict]],
          before: dict[str, dict[tuple, dict]] | None = None) -> list[str]:
    """Every acknowledged change once, nothing else, in order per row, per transaction and per writer; and the rows that
    come of replaying the lines on those of `before` are the tables'."""
    entries, problems = read(lines)
    return (problems + numbers(entries) + promises(transactions, entries)
            + replay(entries, tables, before or {}))


def numbers(entries: list[Entry]) -> list[str]:
    problems = []
    if len({entry.epoch for entry in entries}) > 1:
        problems.append(f"{len({entry.epoch for entry in entries})} epochs where nothing was restored")
    for number, entry in enumerate(entries, start=1):
        if entry.sequence != number:
            problems.append(f"line {entry.place + 1} has the sequence {entry.sequence}, due is {number}")
            break
    return problems


def promises(transactions: list[Transaction], entries: list[Entry]) -> list[str]:
    problems = []
    found = collections.defaultdict(list)
    for entry in entries:
        if entry.change:
            found[entry.change].append(entry)
    due = collections.Counter(change for transaction in transactions for step in transaction.steps for change in step)
    for change, count in due.items():
        times = len(found[change])
        if times < count:
            problems.append(f"missing: {change}")
        elif times > count:
            problems.append(f"twice: {change}, at lines {[entry.place + 1 for entry in found[change]]}")
    for change, places in list(found.items()):
        if places and change not in due:
            problems.append(f"never acknowledged: {change}, at line {places[0].place + 1}")
    # Places of what stands there once; the rest is told above.
    at = {change: places[0] for change, places in found.items() if len(places) == 1 and due[change] == 1}
    members = collections.defaultdict(list)
    for entry in entries:
        if entry.change:
            members[entry.transaction].append(entry)
    last_of_writer: dict[str, tuple[int, Transaction]] = {}
    for transaction in transactions:
        steps = [[at[change] for change in step if change in at] for step in transaction.steps]
        own = [entry for step in steps for entry in step]
        if not own:
            continue
        for earlier, later in zip(steps, steps[1:]):
            if earlier and later and max(e.place for e in earlier) > min(e.place for e in later):
                problems.append(f"reordered in a transaction: {earlier[-1].change} after {later[0].change}")
        if len({entry.transaction for entry in own}) > 1:
            problems.append(f"torn: {own[0].change} and {own[-1].change} have different transactions")
        together = members[own[0].transaction]
        if len(together) != sum(len(step) for step in transaction.steps):
            problems.append(f"mixed: the transaction of {own[0].change} has {len(together)} changes, "
                            f"{sum(len(step) for step in transaction.steps)} were acknowledged")
        places = [entry.place for entry in together]
        if max(places) - min(places) + 1 != len(places):
            problems.append(f"scattered: the transaction of {own[0].change} has others' changes within")
        before = last_of_writer.get(transaction.writer)
        if before and min(entry.place for entry in own) < before[0]:
            problems.append(f"reordered: {own[0].change} stands before what {transaction.writer} had done before")
        last_of_writer[transaction.writer] = (max(entry.place for entry in own), transaction)
    return problems + counters(transactions, at)


def counters(transactions: list[Transaction], at: dict[Change, Entry]) -> list[str]:
    """Rows that several writers count up: in the order in which the database let them."""
    problems = []
    by_row = collections.defaultdict(list)
    for transaction in transactions:
        for change, count in transaction.counts:
            if change in at:
                by_row[change.table, change.key].append((count, at[change]))
    for (table, key), counts in by_row.items():
        counts.sort(key=lambda pair: pair[0])
        for count, entry in counts:
            if entry.record["n"] != count:
                problems.append(f"{entry.change} was acknowledged with n = {count} and has {entry.record['n']}")
        for (_, earlier), (_, later) in zip(counts, counts[1:]):
            if earlier.place > later.place:
                problems.append(f"reordered in {table} {list(key)}: {later.change} before {earlier.change}")
    return problems


def replay(entries: list[Entry], tables: dict[str, dict[tuple, dict]],
           before: dict[str, dict[tuple, dict]]) -> list[str]:
    """Every change begins with the row that the one before it left."""
    problems = []
    rows = {(table, key): row for table, content in before.items() for key, row in content.items()}
    for entry in entries:
        change = entry.change
        if not change:
            continue
        name = (change.table, change.key)
        if rows.get(name) != (None if change.operation == "insert" else entry.old):
            problems.append(f"line {entry.place + 1}, {change}: the row before it was {rows.get(name)}, "
                            f"it says {entry.old}")
        if change.operation == "delete":
            rows.pop(name, None)
        else:
            rows[name] = entry.record
    there = {(table, key): row for table, content in tables.items() for key, row in content.items()}
    for name in rows.keys() | there.keys():
        if rows.get(name) != there.get(name):
            problems.append(f"{name[0]} {list(name[1])} is {there.get(name)}, the log leaves {rows.get(name)}")
    return problems


def sabotage(how: str, lines: list[str], place: int, other: int) -> list[str]:
    """The lines without the one at `place`, with it twice, or swapped with that at `other`. The numbers are dense again:
    they do not tell."""
    spoilt = list(lines)
    if how == "lost":
        del spoilt[place]
    elif how == "twice":
        spoilt.insert(place, spoilt[place])
    elif how == "swapped":
        spoilt[other], spoilt[place] = spoilt[place], spoilt[other]
    numbered = []
    for number, line in enumerate(spoilt, start=1):
        numbered.append(json.dumps({**json.loads(line), "sequence": number}))
    return numbered
