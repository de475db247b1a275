# SPDX-License-Identifier: Apache-2.0
"""The checker of `run_log` is held against logs that are right, and against every way to spoil one."""

import json
import sys
import unittest

sys.dont_write_bytecode = True

from log_check import Change, Transaction, check, sabotage  # noqa: E402


def line(sequence, transaction, operation, key, token, old=None, n=None):
    count = {} if n is None else {"n": n}
    body = {}
    if operation != "delete":
        body["record"] = {"id": key, "token": token, **count}
    if operation != "insert":
        body["old_record"] = {"id": key, "token": old or token, **({} if n is None else {"n": n - 1})}
    return json.dumps({"epoch": 7, "sequence": sequence, "type": f"row.{operation}", "transaction": transaction,
                       "key": [key], "headers": {"table": "t"}, "body": body})


def change(operation, key, token):
    return Change("t", (key,), operation, token)


# Two writers, one transaction of two steps, one row that comes and goes.
LINES = [
    line(1, "x1", "insert", 1, "a"),
    line(2, "x2", "insert", 2, "b"),
    line(3, "x2", "update", 1, "c", old="a"),
    line(4, "x3", "update", 1, "d", old="c"),
    line(5, "x4", "insert", 3, "e"),
    line(6, "x5", "delete", 3, "e"),
    line(7, "x6", "insert", 4, "f"),
]
DONE = [
    Transaction("one", ((change("insert", 1, "a"),),)),
    Transaction("two", ((change("insert", 2, "b"),), (change("update", 1, "c"),))),
    Transaction("one", ((change("update", 1, "d"),),)),
    Transaction("two", ((change("insert", 3, "e"),),)),
    Transaction("two", ((change("delete", 3, "e"),),)),
    Transaction("one", ((change("insert", 4, "f"),),)),
]
TABLES = {"t": {(1,): {"id": 1, "token": "d"}, (2,): {"id": 2, "token": "b"}, (4,): {"id": 4, "token": "f"}}}


class CheckTests(unittest.TestCase):
    def found(self, lines, words, done=DONE, tables=TABLES):
        problems = check(done, lines, tables)
        self.assertTrue(any(words in problem for problem in problems), problems)

    def test_what_is_right_has_no_problem(self):
        self.assertEqual(check(DONE, LINES, TABLES), [])

    def test_every_line_can_be_lost_doubled_or_swapped_and_is_missed(self):
        for how, places in [("lost", range(7)), ("twice", range(7)), ("swapped", [2, 3, 5])]:
            for place in places:
                with self.subTest(how, place=place):
                    self.assertNotEqual(check(DONE, sabotage(how, LINES, place, place - 1), TABLES), [])

    def test_a_loss_is_called_one(self):
        self.found(sabotage("lost", LINES, 6, 5), "missing: insert of t [4] (f)")

    def test_a_line_that_stands_there_twice_is_called_so(self):
        self.found(sabotage("twice", LINES, 0, -1), "twice: insert of t [1] (a)")

    def test_changes_of_one_row_in_another_order(self):
        self.found(sabotage("swapped", LINES, 3, 2), "the row before it was")

    def test_steps_of_a_transaction_in_another_order(self):
        self.found(sabotage("swapped", LINES, 2, 1), "reordered in a transaction")

    def test_what_a_writer_did_one_after_the_other(self):
        moved = LINES[:3] + LINES[6:] + LINES[3:6]
        self.found(moved, "stands before what one had done before")

    def test_others_within_a_transaction(self):
        moved = [LINES[0], LINES[1], LINES[4], LINES[2], LINES[3], *LINES[5:]]
        self.found(moved, "scattered")

    def test_a_change_that_nobody_was_promised(self):
        self.found(LINES, "never acknowledged: insert of t [4] (f)", done=DONE[:-1])

    def test_a_hole_in_the_numbers(self):
        self.found(LINES[:3] + LINES[4:], "has the sequence 5, due is 4")

    def test_two_epochs(self):
        self.found(LINES[:6] + [LINES[6].replace('"epoch": 7', '"epoch": 8')], "2 epochs")

    def test_a_line_that_is_cut_and_one_that_tells_of_a_gap(self):
        self.found(LINES + [LINES[6][:20]], "line 8 is no entry")
        self.found(LINES + ['{"epoch":8,"sequence":4,"type":"log.gap"}'], "line 8 says that entries are lost")

    def test_a_transaction_in_two_parts(self):
        self.found([entry.replace('"x2"', '"x9"') if number == 2 else entry for number, entry in enumerate(LINES)],
                   "torn")

    def test_a_table_that_is_not_what_the_log_leaves(self):
        self.found(LINES, "the log leaves", tables={"t": {**TABLES["t"], (5,): {"id": 5}}})

    def test_a_counter_that_runs_backwards(self):
        first, second = change("update", 1, "a"), change("update", 1, "b")
        done = [Transaction("one", ((first,),), ((first, 2),)), Transaction("two", ((second,),), ((second, 3),))]
        lines = [line(1, "x1", "update", 1, "b", n=3), line(2, "x2", "update", 1, "a", n=2)]
        self.found(lines, "reordered in t [1]", done=done, tables={})


if __name__ == "__main__":
    unittest.main()
