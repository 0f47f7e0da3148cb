"""Sums by run and label, compared with a plain model in Python, over both databases."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from msgspec import structs
from sqlalchemy import delete, insert, update

from proxy.database.tables import LEDGER, LEDGER_LABELS, LEDGER_LABELS_BEGIN
from proxy.database.usage import UsageTable
from proxy.ledger.row import Row
from tests.database.databases import KINDS, new_database
from tests.database.test_usage import FIRST, HOUR, UTC_ZONE, by, local, model, some_rows
from tests.ledger.store import engine_of, put

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(params=KINDS, scope="module", loop_scope="module")
async def table(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[UsageTable]:
    """Without rows, so that only the sums can answer."""
    folder: Path = tmp_path_factory.mktemp("usage")
    async with new_database(request.param, folder) as url:
        await put(url, some_rows(400))
        async with engine_of(url) as engine:
            await engine.write(lambda connection: connection.execute(delete(LEDGER)))
            yield UsageTable(engine)


@pytest.mark.parametrize("value", ["x", "", "no row has it"])
@pytest.mark.parametrize("name", ["label:app", "run"])
@pytest.mark.parametrize("groups", [("team",), ("day", "team"), ("team", "label:app"), ("team", "run")])
async def test_sums_of_a_label_are_filtered_as_rows_are(
    table: UsageTable, groups: tuple[str, ...], name: str, value: str
) -> None:
    query = by(*groups, **{name: value, "owner": "alice"})

    def of(row: Row, group: str) -> str:
        if group == "day":
            return local(row, UTC_ZONE, "%Y-%m-%d")
        return row.labels.get("app", "") if group == "label:app" else str(getattr(row, group))

    if query.label is None:  # a run, or two labels
        return
    rows = [row for row in some_rows(400) if row.owner == "alice" and of(row, name) == value]
    found = await table.sums(query, 10_000)
    assert {each.group: each for each in found} == model(
        query, lambda row: tuple(of(row, each) for each in groups), rows
    )


async def test_hours_before_the_sums_of_labels_are_read_from_the_rows(tmp_path: Path) -> None:
    async with new_database("sqlite", tmp_path) as url:
        await put(url, some_rows(400))
        async with engine_of(url) as engine:
            wrong = update(LEDGER_LABELS).values(attempts=LEDGER_LABELS.c.attempts + 1000)
            await engine.write(lambda connection: connection.execute(wrong))
            for begin in (by().first, by().first + 1):
                for change in (delete(LEDGER_LABELS_BEGIN), insert(LEDGER_LABELS_BEGIN).values(hour=begin)):
                    await engine.write(lambda connection, change=change: connection.execute(change))
                found = await UsageTable(engine).sums(by("run"), 10)
                assert (found[0].measures["attempts"] > 1000) == (begin == by().first)


async def test_the_last_hour_of_rows_without_the_label_is_theirs(tmp_path: Path) -> None:
    row = structs.replace(some_rows(1)[0], labels={}, run="")
    rows = [
        *(structs.replace(row, id=f"a{number}", at=FIRST + number * HOUR + 1.0) for number in range(3)),
        structs.replace(row, id="b", at=FIRST + 5 * HOUR + 1.0, run="run-1"),
    ]
    async with new_database("sqlite", tmp_path) as url:
        await put(url, rows)
        async with engine_of(url) as engine:
            found = await UsageTable(engine).sums(by("run"), 10)
            assert {each.group: each.last_hour for each in found} == {
                ("",): FIRST + 2 * HOUR,
                ("run-1",): FIRST + 5 * HOUR,
            }
            await engine.write(lambda connection: connection.execute(delete(LEDGER_LABELS)))
            assert await UsageTable(engine).sums(by("run"), 10) == []
            [nothing] = await UsageTable(engine).sums(by(run=""), 10)
            assert (nothing.last_hour, nothing.measures["attempts"]) == (None, 0)
