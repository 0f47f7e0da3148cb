"""A pseudonym in the place of an owner in budgets and accounts, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database.accounts import Account, AccountTable
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.upkeep import forget as forgetting
from proxy.database.upkeep.balances import mismatches
from proxy.database.upkeep.forget import forget
from proxy.ledger.recorder.databases import open_ledger
from proxy.ledger.row import Row
from tests.database.databases import KINDS, address
from tests.database.upkeep.ledgers import HOUR, NOW, ledger, rows_of, run
from tests.ledger.rows import ROW

ONE = "1" * 16
GONE = "gone-0123456789abcdef"
FIRST = int(NOW) - 50 * HOUR


def row(number: int, owner: str, **changes: Any) -> Row:
    values = {
        "at": FIRST + number * 60.0,
        "owner": owner,
        "client": f"key:{owner}",
        "key": f"k-{owner}",
        "run": f"run-{owner}",
        "labels": {"user": f"u-{owner}"},
        "team": "red",
        "answered": True,
        "usage_source": "provider",
        "cost": number,
        "counters": [
            f"daily/2026-11-27/{owner}",
            f"keys/2026-11/k-{owner}",
            f"runs/run/{owner}/run-{owner}",
            f"users/2026-W48/u-{owner}",
            "teams/total/red",
            "all/total/",
            f"balance/total/{owner}",
        ],
    }
    return structs.replace(ROW, id=f"{ONE}{number}", **values | changes)


ROWS = [*(row(number, ("alice", "bob")[number % 2]) for number in range(1, 40)), row(40, "alice", counters=[])]
ALICE = sum(range(2, 40, 2))


@pytest.fixture(params=KINDS)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[AsyncEngine, AccountTable]]:
    async with ledger(request.param, tmp_path, []) as (url, engine):
        recorder = open_ledger(address(url), 1_000)
        await recorder.write(ROWS)
        await recorder.close()
        kept = Engine(address(url), DatabaseHealth(), time_limit=20.0)
        table = AccountTable(kept)
        await table.post("alice", 500, "Top-up", idempotency=("k", "d"))
        await table.post("alice", -20, "Correction")
        yield engine, table
        await kept.close()


async def spends(engine: AsyncEngine) -> dict[str, int]:
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT counter, nano FROM budget_spend"))
        return {row.counter: row.nano for row in found}


async def names(engine: AsyncEngine) -> str:
    """All texts of all tables that a person could be named in."""
    queries = ("SELECT counter FROM budget_spend", "SELECT id FROM accounts", "SELECT account FROM idempotency")
    found: list[object] = [each.counters for each in await rows_of(engine)]
    async with engine.connect() as connection:
        for query in (*queries, "SELECT id, debit, credit FROM transfers"):
            found += [tuple(each) for each in await connection.execute(text(query))]
    return str(found)


async def test_counters_and_accounts_name_the_owner_no_more(opened: tuple[AsyncEngine, AccountTable]) -> None:
    engine, table = opened
    before = await spends(engine)
    listed = await table.transactions("alice", 100)
    done = await forget(engine, "alice", GONE, NOW)
    assert (done.rows, done.transfers, done.spends) == (20, 3, 0)  # the charges go with their rows
    assert "alice" not in await names(engine)
    assert await table.read("alice") is None
    assert await table.read(GONE) == Account(GONE, 1_480, ALICE)
    assert await table.transactions(GONE, 100) == listed
    renamed = {key.replace("k-alice", "alice").replace("alice/run-alice", "alice/").replace("u-alice", "alice"): value
               for key, value in before.items()}  # fmt: skip
    assert await spends(engine) == {key.replace("alice", GONE): value for key, value in renamed.items()}
    assert await mismatches(engine, FIRST - HOUR, NOW) == []


async def test_all_is_right_after_each_batch(
    opened: tuple[AsyncEngine, AccountTable], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, _ = opened
    monkeypatch.setattr(forgetting, "BATCH", 3)
    steps = 0

    async def look(_: float) -> None:
        nonlocal steps
        steps += 1
        assert await mismatches(engine, FIRST - HOUR, NOW) == []

    monkeypatch.setattr("proxy.database.upkeep.forget.asyncio.sleep", look)
    await forget(engine, "alice", GONE, NOW)
    assert steps > 7
    assert "alice" not in await names(engine)


async def test_what_has_no_rows_any_more_is_renamed_too(opened: tuple[AsyncEngine, AccountTable]) -> None:
    engine, table = opened
    await run(engine, text("DELETE FROM ledger WHERE owner = 'alice'"))
    await run(engine, text("INSERT INTO budget_spend VALUES ('m/total/x/alice', '', 1, 1, 0)"))
    await run(engine, text("INSERT INTO budget_spend VALUES ('m/total/alice', '', 7, 7, 0)"))
    await run(engine, text("INSERT INTO budget_spend VALUES ('runs/run/alice/r2', '1111111111111111', 2, 2, 0)"))
    await run(engine, text("INSERT INTO budget_spend VALUES ('runs/run/alice%2Fb/r', 'p', 5, 5, 0)"))
    done = await forget(engine, "alice", GONE, NOW)
    assert (done.rows, done.transfers, done.spends) == (0, 3 + 19, 5)
    assert await table.read(GONE) == Account(GONE, 1_480, ALICE)
    found = await spends(engine)
    assert (found[f"runs/run/{GONE}/"], found["runs/run/alice%2Fb/r"]) == (ALICE + 2, 5)
    assert (found[f"m/total/{GONE}"], found["m/total/x/alice"], found[f"balance/total/{GONE}"]) == (7, 1, ALICE)


async def test_a_second_run_adds_to_the_same_account(opened: tuple[AsyncEngine, AccountTable]) -> None:
    engine, table = opened
    await forget(engine, "alice", GONE, NOW)
    await table.post("alice", 9, "Late")
    assert (await forget(engine, "alice", GONE, NOW)).transfers == 1
    assert await table.read(GONE) == Account(GONE, 1_489, ALICE)
    assert await table.read("alice") is None


async def test_sums_of_a_window_that_is_deleted_are_not_made_again(opened: tuple[AsyncEngine, AccountTable]) -> None:
    engine, _ = opened
    await run(engine, text("DELETE FROM budget_spend WHERE counter LIKE 'daily/%'"))
    await forget(engine, "alice", GONE, NOW)
    assert not [key for key in await spends(engine) if key.startswith("daily/")]
