"""Sums of what was spent, by counter and process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database import spend
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.spend import CounterSpend, SpendTable, Spent, WindowQuery
from proxy.database.tables import BUDGET_SPEND
from tests.database.databases import KINDS, address, new_database


@pytest.fixture(params=KINDS)
async def table(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SpendTable]:
    async with new_database(request.param, tmp_path) as url:
        engine = Engine(address(url), DatabaseHealth(), time_limit=10.0)
        yield SpendTable(engine)
        await engine.close()


async def add(table: SpendTable, counter: str, process: str, nano: int, tokens: int) -> None:
    row = {"counter": counter, "process": process, "nano": nano, "tokens": tokens, "last": 1.0}
    await table.engine.write(lambda connection: connection.execute(insert(BUDGET_SPEND).values(row)))


async def test_spend_is_read_by_counter_and_process(table: SpendTable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spend, "AT_ONCE", 2)
    await add(table, "daily/2026-11-29/ann", "p1", 5, 50)
    await add(table, "daily/2026-11-29/ann", "p2", 7, 70)
    await add(table, "daily/2026-11-29/bob", "p1", 1, 10)
    await add(table, "daily/2026-11-28/ann", "p1", 9, 90)
    keys = ("daily/2026-11-29/ann", "daily/2026-11-29/bob", "daily/2026-11-29/none")
    assert await table.read(keys) == {
        "daily/2026-11-29/ann": {"p1": Spent(5, 50), "p2": Spent(7, 70)},
        "daily/2026-11-29/bob": {"p1": Spent(1, 10)},
        "daily/2026-11-29/none": {},
    }
    assert await table.read(()) == {}


async def test_what_was_spent_before_a_counter_is_inserted_once(table: SpendTable) -> None:
    await table.begin("m/2026-11/ann", 2**60, 2**50)
    await table.begin("m/2026-11/ann", 4, 5)
    await add(table, "m/2026-11/ann", "p", 1, 1)
    found = await table.read(["m/2026-11/ann"])
    assert found == {"m/2026-11/ann": {"": Spent(2**60, 2**50), "p": Spent(1, 1)}}


@pytest.mark.parametrize("name", ["a\0b", "\ud800"])
async def test_a_counter_that_no_database_can_name_has_no_spend(table: SpendTable, name: str) -> None:
    assert await table.read([name]) == {name: {}}
    with pytest.raises(ValueError, match="No database can store"):
        await table.begin(name, 1, 1)


async def test_the_counters_of_a_window_are_found_the_highest_first(table: SpendTable) -> None:
    await add(table, "daily/2026-11-29/ann", "p1", 5, 50)
    await add(table, "daily/2026-11-29/ann", "p2", 7, 70)
    await add(table, "daily/2026-11-29/Bob", "p1", 20, 1)
    await add(table, "daily/2026-11-29/", "p1", 1, 1)
    for other in ("daily/2026-11-28/ann", "daily/2026-11-290/ann", "daily-more/2026-11-29/ann", "daily"):
        await add(table, other, "p1", 99, 99)
    day = "daily/2026-11-29/"
    bob, ann = CounterSpend(f"{day}Bob", 20, 20), CounterSpend(f"{day}ann", 12, 5)
    by_cost = WindowQuery(day, "nano", "", 2)
    by_tokens = WindowQuery(day, "tokens", "", 9)
    assert await table.highest([by_cost, by_tokens], "p1") == [
        [bob, ann],
        [CounterSpend(f"{day}ann", 120, 50), CounterSpend(day, 1, 1), CounterSpend(f"{day}Bob", 1, 1)],
    ]
    assert await table.highest([WindowQuery(day, "nano", "bo", 9), WindowQuery(day, "nano", "_", 9)], "p1") == [
        [bob],
        [],
    ]
    assert await table.highest([WindowQuery(day, "nano", "a\0b", 9)], "p1") == [[]]
    assert await table.highest([], "p1") == []


async def test_the_index_finds_the_counters_of_a_window(table: SpendTable) -> None:
    async def work(connection: AsyncConnection) -> str:
        if connection.dialect.name == "postgresql":
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = "EXPLAIN" if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN"
        where = "counter >= 'd/2026-11/' AND counter < 'd/2026-110'"
        rows = await connection.execute(text(f"{explain} SELECT * FROM budget_spend WHERE {where}"))
        return str([*rows])

    plan = await table.engine.read(work)
    assert "Index Cond" in plan or "USING PRIMARY KEY (counter>? AND counter<?)" in plan
