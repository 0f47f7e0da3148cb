"""What budgets spent and what accounts have, against rows and transfers, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import text, update
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database.accounts import AccountTable
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.tables import LEDGER
from proxy.database.upkeep.balances import Mismatch, mismatches, repair_sums
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.row import Row
from tests.database.databases import KINDS, address
from tests.database.upkeep.ledgers import HOUR, NOW, ledger, run
from tests.ledger.rows import ROW

ONE, TWO = "1" * 16, "2" * 16
FIRST = int(NOW) - 50 * HOUR
DAILY, BALANCE, RUN = "daily/2026-11-27/o", "balance/total/o", "runs/run/r1"


def row(process: str, number: int, **changes: Any) -> Row:
    values = {
        "at": FIRST + number * 60.0,
        "answered": True,
        "end": "ok",
        "usage_source": "provider",
        "cost": 100,
        "counters": [DAILY, BALANCE],
    }
    return structs.replace(ROW, id=f"{process}{number}", **values | changes)


ROWS = [
    *(row(ONE, number, cost=number) for number in range(1, 5)),
    row(ONE, 5, cost=None, input=None),
    row(ONE, 6, cost=0),
    row(ONE, 7, counters=[]),
    row(TWO, 2, counters=[DAILY]),  # its first row has expired
    row(TWO, 3, counters=['daily/2026-11-27/a"/balance/total/x', "balance/total/:usage"]),
    row(TWO, 4, at=NOW - HOUR, counters=[RUN, BALANCE]),
]


@pytest.fixture(params=KINDS)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with ledger(request.param, tmp_path, []) as (url, engine):
        recorder = open_ledger(address(url), 1_000)
        assert await recorder.write(ROWS) == len(ROWS)
        await recorder.close()
        kept = Engine(address(url), DatabaseHealth(), time_limit=20.0)
        table = AccountTable(kept)
        await table.post("o", 500, "Top-up")
        await table.post("p", -7, "Correction")
        await kept.close()
        yield engine


async def found(engine: AsyncEngine, now: float = NOW) -> list[Mismatch]:
    return await mismatches(engine, FIRST - HOUR, now)


async def change(engine: AsyncEngine, statement: str, **values: Any) -> None:
    await run(engine, text(statement).bindparams(**values))


async def test_what_the_recorder_and_posts_write_is_right(engine: AsyncEngine) -> None:
    assert await found(engine) == []


async def test_sums_of_counters_that_differ_are_found_and_repaired(engine: AsyncEngine) -> None:
    await change(engine, "UPDATE budget_spend SET nano = nano + 3, tokens = tokens - 1 WHERE process = :p", p=ONE)
    tokens = 6 * 1004 - 1001
    wrong = await found(engine)
    assert sorted(wrong, key=str) == [
        Mismatch("counter", key, column, kept, right, ONE)
        for key in (BALANCE, DAILY)
        for column, kept, right in (("nano", 13, 10), ("tokens", tokens - 1, tokens))
    ]
    assert str(wrong[0]).startswith("budget counter ")
    assert await repair_sums(engine, wrong) == 4
    assert await found(engine) == []


async def test_sums_that_are_missing_or_have_no_rows_are_found_and_repaired(engine: AsyncEngine) -> None:
    await change(engine, "DELETE FROM budget_spend WHERE counter = :key", key=DAILY)
    await change(engine, "INSERT INTO budget_spend VALUES ('daily/2026-11-28/z', :p, 5, 0, 0)", p=ONE)
    wrong = await found(engine)
    assert {(each.name, each.process, each.column, each.kept, each.found) for each in wrong} == {
        (DAILY, ONE, "nano", 0, 10),
        (DAILY, ONE, "tokens", 0, 6 * 1004 - 1001),
        (DAILY, TWO, "nano", 0, 100),
        (DAILY, TWO, "tokens", 0, 1004),
        ("daily/2026-11-28/z", ONE, "nano", 5, 0),
    }
    await repair_sums(engine, wrong)
    assert await found(engine) == []


async def test_a_process_without_its_first_row_may_have_spent_more(engine: AsyncEngine) -> None:
    await change(engine, "UPDATE budget_spend SET nano = nano + 3 WHERE process = :p", p=TWO)
    assert await found(engine) == []
    await change(engine, "UPDATE budget_spend SET nano = nano - 4 WHERE process = :p", p=TWO)
    assert {(each.name, each.kept, each.found) for each in await found(engine)} >= {(DAILY, 99, 100), (RUN, 99, 100)}


async def test_what_was_spent_before_a_counter_is_not_compared(engine: AsyncEngine) -> None:
    await change(engine, "INSERT INTO budget_spend VALUES (:key, '', 5, 5, 0)", key=DAILY)
    assert await found(engine) == []


async def test_runs_and_windows_that_have_expired_are_not_missed(engine: AsyncEngine) -> None:
    await change(engine, "DELETE FROM budget_spend WHERE counter = :key", key=RUN)
    assert len(await found(engine)) == 2
    assert await found(engine, NOW + 48 * HOUR) == []
    await change(engine, "DELETE FROM budget_spend")
    assert len(await found(engine, NOW + 30 * 24 * HOUR)) > 2
    assert await found(engine, NOW + 62 * 24 * HOUR) == []


async def test_accounts_that_differ_from_their_transfers_are_found_and_repaired(engine: AsyncEngine) -> None:
    await change(engine, "UPDATE accounts SET credits = credits - 1, charges = charges + 2 WHERE id = 'o'")
    await change(engine, "DELETE FROM accounts WHERE id = 'p'")
    await change(engine, "INSERT INTO accounts VALUES ('q', 4, 0, 0, 0)")
    wrong = await found(engine)
    assert {(each.name, each.column, each.kept, each.found) for each in wrong} == {
        ("o", "credits", 1_499, 1_500),
        ("o", "charges", 112, 110),
        ("p", "credits", 0, -7),
        ("q", "credits", 4, 0),
    }
    assert str(wrong[0]).startswith("account ")
    assert await repair_sums(engine, wrong) == 4
    assert await found(engine) == []


async def test_a_charge_without_its_row_and_a_row_without_its_charge_are_found(engine: AsyncEngine) -> None:
    await change(
        engine, "INSERT INTO transfers VALUES ('x1', :at, 'o', :to, 7, 'd', 'r', NULL, 3, 9)", at=NOW, to=":usage"
    )
    await change(engine, "UPDATE accounts SET charges = charges + 7 WHERE id = 'o'")
    await change(engine, "UPDATE ledger SET cost = cost + 1 WHERE id = :id", id=f"{ONE}4")
    await run(engine, update(LEDGER).where(LEDGER.c.id == f"{ONE}7").values(counters=[BALANCE]))
    wrong = [each for each in await found(engine) if each.kind == "charge"]
    assert {(each.name, each.kept, each.found) for each in wrong} == {
        ("x1", 7, 0),
        (f"{ONE}4", 4, 5),
        (f"{ONE}7", 0, 100),
    }
    assert "the account paid 7 nano-USD, the row says 0" in {str(each).partition(": ")[2] for each in wrong}
    assert await repair_sums(engine, wrong) == 0


async def test_charges_whose_rows_may_have_expired_are_not_compared(engine: AsyncEngine) -> None:
    at = FIRST + 20 * HOUR
    await change(
        engine, "INSERT INTO transfers VALUES ('x1', :at, 'o', :to, 7, 'd', 'r', NULL, 3, 9)", at=at, to=":usage"
    )
    await change(engine, "UPDATE accounts SET charges = charges + 7 WHERE id = 'o'")
    assert await found(engine) == []
