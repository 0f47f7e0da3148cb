"""The sums by hour and label against the rows, and those of older rows, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, update
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database.tables import LEDGER_LABELS, LEDGER_LABELS_BEGIN
from proxy.database.upkeep.forget import forget
from proxy.database.upkeep.labels import begin_of, fill, label_sums, names_of, unfilled
from proxy.database.upkeep.verify import Difference, complete, differences, repair
from tests.database.databases import KINDS
from tests.database.test_usage import some_rows
from tests.database.upkeep.ledgers import HOUR, NOW, attempt, labels_of, ledger, run
from tests.ledger.store import labels

FIRST = int(NOW // HOUR * HOUR) - 20 * HOUR
ROWS = [
    attempt(number, FIRST + 1000.5 * number, run=f"run-{number // 10}", labels={"app.x": "ab"[number % 2], 'q"': ""})
    for number in range(1, 60)
]
LAST = int(ROWS[-1].at // HOUR * HOUR)


@pytest.fixture(params=KINDS)
async def engine(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    async with ledger(request.param, tmp_path, ROWS) as (_, engine):
        yield engine


async def found(engine: AsyncEngine) -> list[Difference]:
    return [each async for each in differences(engine, await complete(engine, 90, NOW))]


@pytest.mark.parametrize("kind", KINDS)
async def test_sums_are_made_of_rows_of_every_kind(kind: str, tmp_path: Path) -> None:
    rows = some_rows(150)
    async with ledger(kind, tmp_path, rows) as (_, engine), engine.connect() as connection:
        made = await label_sums(connection)
        assert sorted(made, key=repr) == sorted((dict(sorted_like(each, made[0])) for each in labels(rows)), key=repr)
        assert await names_of(connection) == ["", "label:app", "run"]


def sorted_like(values: dict[str, object], order: dict[str, object]) -> list[tuple[str, object]]:
    return [(name, values[name]) for name in order]


async def test_each_figure_that_differs_is_found_and_repaired(engine: AsyncEngine) -> None:
    before, table = await labels_of(engine), LEDGER_LABELS.c
    assert await found(engine) == []
    await run(engine, update(LEDGER_LABELS).where(table.name == "run", table.hour == FIRST).values(cost=table.cost + 7))
    await run(engine, delete(LEDGER_LABELS).where(table.name == "", table.hour == FIRST + HOUR))
    await run(engine, update(LEDGER_LABELS).where(table.name == "label:app.x", table.hour == LAST).values(value="c"))
    wrong = await found(engine)
    assert [(each.name, each.kept - each.found) for each in wrong if each.hour == FIRST] == [("cost", 7)]
    assert wrong[0].dimensions == {"run": "run-0", "owner": "o", "team": "", "project": ""}
    missing = {each.name for each in wrong if each.hour == FIRST + HOUR and each.kept == 0}
    assert missing == {each.name for each in wrong if each.hour == FIRST + HOUR} >= {"attempts", "with_duration"}
    assert {each.dimensions["label"] for each in wrong if each.hour == FIRST + HOUR} == {"any"}
    assert "digest" in {each.name for each in wrong if each.hour == LAST}
    await repair(engine, {each.hour for each in wrong})
    assert await labels_of(engine) == before
    assert await found(engine) == []


async def test_hours_that_are_older_than_the_sums_are_filled_from_the_last_to_the_first(engine: AsyncEngine) -> None:
    before = await labels_of(engine)
    await run(engine, delete(LEDGER_LABELS).where(LEDGER_LABELS.c.hour < LAST - HOUR))
    await run(engine, insert(LEDGER_LABELS_BEGIN).values(hour=int(NOW) // HOUR * HOUR + 2 * HOUR))
    assert await found(engine) == []  # nothing is missed
    period = await complete(engine, 90, NOW)
    hours = (int(NOW) // HOUR * HOUR + HOUR - period.first) // HOUR
    assert await unfilled(engine, period.first, NOW) == hours
    filled = []
    async for hour in fill(engine, period.first, NOW):
        filled.append(hour)
        async with engine.connect() as connection:
            assert await begin_of(connection) == hour
        assert await found(engine) == []
        if len(filled) == 3:  # stopped
            break
    filled += [hour async for hour in fill(engine, period.first, NOW)]
    assert filled == [*range(filled[0], period.first - HOUR, -HOUR)]
    assert len(filled) == hours
    assert await labels_of(engine) == before
    async with engine.connect() as connection:
        assert await begin_of(connection) == 0
    assert await unfilled(engine, period.first, NOW) == 0
    assert [hour async for hour in fill(engine, period.first, NOW)] == []


async def test_an_owner_is_forgotten_before_its_hours_are_filled(engine: AsyncEngine) -> None:
    await run(engine, delete(LEDGER_LABELS).where(LEDGER_LABELS.c.hour < LAST))
    await run(engine, insert(LEDGER_LABELS_BEGIN).values(hour=LAST))
    await forget(engine, "o", "gone-1", NOW)
    assert {(row.name, row.hour, row.owner) for row in await labels_of(engine)} == {("", LAST, "gone-1")}
    period = await complete(engine, 90, NOW)
    assert [hour async for hour in fill(engine, period.first, NOW)]
    assert {(row.name, row.owner) for row in await labels_of(engine)} == {("", "gone-1")}
    assert sum(row.attempts for row in await labels_of(engine)) == len(ROWS)
    assert await found(engine) == []
