"""The sums by hour against the rows, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database.columns import DIMENSIONS, digest
from proxy.database.tables import LEDGER, LEDGER_HOURS
from proxy.database.upkeep.verify import Difference, complete, differences, repair
from proxy.ledger.recorder.databases import open_ledger
from tests.database.databases import KINDS, address
from tests.database.test_usage import some_rows
from tests.database.upkeep.ledgers import HOUR, NOW, attempt, hours_of, ledger, run

KEEP_DAYS = 90
FIRST = int(NOW // HOUR * HOUR) - 50 * HOUR
ROWS = [attempt(number, FIRST + 1000.5 * number, model="ab"[number % 2]) for number in range(1, 60)]


@pytest.fixture(params=KINDS)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with ledger(request.param, tmp_path, ROWS) as (_, engine):
        yield engine


async def found(engine: AsyncEngine, now: float = NOW, keep_days: float = KEEP_DAYS) -> list[Difference]:
    period = await complete(engine, keep_days, now)
    return [each async for each in differences(engine, period)]


def dimensions(**changes: str) -> dict[str, str]:
    row = ROW_OF_FIRST | changes
    return {name: row[name] for name in DIMENSIONS}


ROW_OF_FIRST = {name: getattr(ROWS[0], name) for name in DIMENSIONS}


async def test_sums_as_the_recorder_keeps_them_are_right(engine: AsyncEngine) -> None:
    assert await found(engine) == []


@pytest.mark.parametrize("kind", KINDS)
async def test_what_the_recorder_writes_is_right(kind: str, tmp_path: Path) -> None:
    async with ledger(kind, tmp_path, []) as (url, engine):
        recorder = open_ledger(address(url))
        assert await recorder.write(some_rows(150)) == 150
        await recorder.close()
        assert (await complete(engine, KEEP_DAYS, NOW)).hours > 150
        assert await found(engine) == []


async def test_each_figure_that_differs_is_told(engine: AsyncEngine) -> None:
    sums = LEDGER_HOURS.c
    await run(
        engine,
        update(LEDGER_HOURS)
        .where(sums.hour == FIRST, sums.model == "b")
        .values(cost=sums.cost + 7, input=sums.input - 1),
    )
    was = sum(row.cost or 0 for row in ROWS if row.at < FIRST + HOUR and row.model == "b")
    tokens = 1001 * sum(row.at < FIRST + HOUR and row.model == "b" for row in ROWS)
    assert await found(engine) == [
        Difference(FIRST, dimensions(model="b"), "input", tokens - 1, tokens),
        Difference(FIRST, dimensions(model="b"), "cost", was + 7, was),
    ]


async def test_a_sum_without_rows_and_rows_without_a_sum_differ(engine: AsyncEngine) -> None:
    second = FIRST + HOUR
    await run(engine, delete(LEDGER_HOURS).where(LEDGER_HOURS.c.hour == FIRST, LEDGER_HOURS.c.model == "a"))
    await run(engine, delete(LEDGER).where(LEDGER.c.at >= second, LEDGER.c.at < second + HOUR))
    attempts = {
        (each.hour, each.dimensions["model"]): (each.kept, each.found)
        for each in await found(engine)
        if each.name == "attempts" and "model" in each.dimensions
    }
    assert attempts[FIRST, "a"] == (0, 1)
    assert {key for key in attempts if key[0] == second} == {(second, "a"), (second, "b")}
    assert all(theirs == 0 for (hour, _), (_, theirs) in attempts.items() if hour == second)


async def test_a_digest_that_the_recorder_would_not_find_differs(engine: AsyncEngine) -> None:
    sums = LEDGER_HOURS.c
    await run(engine, update(LEDGER_HOURS).where(sums.hour == FIRST, sums.model == "a").values(digest="0" * 32))
    right = digest([*dimensions(model="a").values()])
    assert await found(engine) == [Difference(FIRST, dimensions(model="a"), "digest", "0" * 32, right)]


async def test_repair_writes_the_sums_of_an_hour_anew(engine: AsyncEngine) -> None:
    before = await hours_of(engine)
    sums = LEDGER_HOURS.c
    await run(engine, update(LEDGER_HOURS).where(sums.hour == FIRST, sums.model == "a").values(digest="0" * 32, cost=1))
    await run(engine, delete(LEDGER_HOURS).where(sums.hour == FIRST + HOUR))
    await run(
        engine,
        insert(LEDGER_HOURS).values(hour=FIRST + 2 * HOUR, digest="1" * 32, **dimensions(model="none"), attempts=4),
    )
    await repair(engine, {each.hour for each in await found(engine)})
    assert await hours_of(engine) == before
    assert await found(engine) == []


async def test_hours_whose_rows_retention_may_have_deleted_are_left_alone(engine: AsyncEngine) -> None:
    await run(engine, delete(LEDGER).where(LEDGER.c.at < FIRST + 2 * HOUR + 2000))
    period = await complete(engine, 2, NOW)  # from 47 hours ago, half an hour after an hour's begin
    assert (period.first, period.bare) == (FIRST + 4 * HOUR, 4)
    assert await found(engine, keep_days=2) == []


async def test_hours_before_the_oldest_row_are_not_missing_rows(engine: AsyncEngine) -> None:
    """Retention kept less in the past, so the hour of the oldest row may lack some."""
    await run(engine, delete(LEDGER).where(LEDGER.c.at < FIRST + 2 * HOUR + 2000))
    period = await complete(engine, KEEP_DAYS, NOW)
    assert (period.first, period.bare) == (FIRST + 3 * HOUR, 3)
    assert await found(engine) == []


async def test_without_rows_nothing_is_compared(engine: AsyncEngine) -> None:
    await run(engine, delete(LEDGER))
    period = await complete(engine, KEEP_DAYS, NOW)
    assert period.hours == 0
    assert period.bare == len({row.at // HOUR for row in ROWS})
    assert await found(engine) == []
