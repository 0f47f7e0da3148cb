"""Numbers of transfers in a SQLite file. What rows spend is in test_spending.py, for both databases."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest
from msgspec import structs

from proxy.ledger.recorder import sqlite_spending
from proxy.ledger.row import Row
from tests.ledger.recorder.databases import make_file
from tests.ledger.rows import ROW


@pytest.fixture
async def cursor(tmp_path: Path) -> AsyncIterator[sqlite3.Cursor]:
    await make_file(tmp_path / "ledger.db")
    with closing(sqlite3.connect(tmp_path / "ledger.db")) as connection:
        yield connection.cursor()


def charged(number: int, account: str = "ann") -> Row:
    return structs.replace(ROW, id=f"{number:016}1", cost=100 * number, counters=[f"balance/total/{account}"])


async def test_transfers_of_an_account_are_numbered_in_the_order_of_their_rows(cursor: sqlite3.Cursor) -> None:
    rows = [charged(1), charged(2, "bob"), charged(3)]
    first = sqlite_spending.add(cursor, rows, 1_000, numbered=True)
    assert [(each.account, each.sequence, each.amount, each.balance) for each in first] == [
        *(("ann", 1, 1_000, 1_000), ("bob", 1, 1_000, 1_000)),
        *(("ann", 2, -100, 900), ("ann", 3, -300, 600), ("bob", 2, -200, 800)),
    ]
    second = sqlite_spending.add(cursor, [charged(3), charged(4)], 1_000, numbered=True)
    assert [(each.account, each.sequence, each.amount, each.balance) for each in second] == [("ann", 4, -400, 200)]
    assert cursor.execute("SELECT id, sequence FROM accounts ORDER BY id").fetchall() == [("ann", 4), ("bob", 2)]


async def test_transfers_that_nobody_is_told_have_no_number(cursor: sqlite3.Cursor) -> None:
    assert sqlite_spending.add(cursor, [charged(1)], 1_000) == []
    assert cursor.execute("SELECT id, sequence, charges FROM accounts").fetchall() == [("ann", 0, 100)]


async def test_an_account_without_an_opening_balance_begins_with_its_first_charge(cursor: sqlite3.Cursor) -> None:
    (transfer,) = sqlite_spending.add(cursor, [charged(1)], 0, numbered=True)
    assert (transfer.sequence, transfer.balance, transfer.amount) == (1, -100, -100)
