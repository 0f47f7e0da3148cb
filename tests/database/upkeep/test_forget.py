"""A pseudonym in the place of an owner, over both databases."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Row, delete, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from proxy.database.tables import API_KEYS, LEDGER
from proxy.database.upkeep import forget as forgetting
from proxy.database.upkeep.forget import Forgotten, forget, keys_of, new_pseudonym
from proxy.database.upkeep.verify import complete, differences
from proxy.database.usage_query import MEASURES
from tests.database.databases import KINDS
from tests.database.upkeep.ledgers import HOUR, NOW, attempt, hours_of, labels_of, ledger, rows_of, run
from tests.ledger.store import put

OWNER = "alice@example.com"
GONE = "gone-0123456789abcdef"
BEGIN = NOW - 40 * 24 * HOUR  # in another month


def some_attempts() -> list[Any]:
    """Of Alice, with two keys, and of others; at the end an hour that is not over."""
    owners = (OWNER, "bob", OWNER, "")
    return [
        attempt(
            number,
            BEGIN + number * HOUR / 4 if number < 100 else NOW - 200 + number,
            owner=owners[number % 4],
            client=f"key:{owners[number % 4]}-{number % 3}",
            key=f"key-{number % 3}",
            run="session",
            team="team",
            project="project",
        )
        for number in range(110)
    ]


ROWS = some_attempts()


@pytest.fixture(params=KINDS)
async def opened(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[str, AsyncEngine]]:
    async with ledger(request.param, tmp_path, ROWS) as found:
        yield found


@pytest.fixture
def engine(opened: tuple[str, AsyncEngine]) -> AsyncEngine:
    return opened[1]


def named(rows: Iterable[Row]) -> list[Row]:
    """Those in which something still names Alice."""
    return [row for row in rows if "alice" in repr(tuple(row))]


async def all_named(engine: AsyncEngine) -> list[Row]:
    return named([*await rows_of(engine), *await hours_of(engine), *await labels_of(engine)])


def totals(hours: Iterable[Row]) -> Counter[str]:
    found: Counter[str] = Counter()
    for hour in hours:
        found.update({name: hour._mapping[name] for name in MEASURES})
    return found


async def differing(engine: AsyncEngine) -> int:
    return len([each async for each in differences(engine, await complete(engine, 90, NOW))])


async def test_rows_and_sums_name_the_owner_no_more(engine: AsyncEngine) -> None:
    before = await hours_of(engine)
    others = [row for row in await rows_of(engine) if row.owner != OWNER]
    done = await forget(engine, OWNER, GONE, NOW)
    rows, hours, labels = await rows_of(engine), await hours_of(engine), await labels_of(engine)
    assert done == Forgotten(rows=sum(row.owner == OWNER for row in ROWS), sums=0)
    assert named(rows) == named(hours) == named(labels) == []
    assert {row.name for row in labels if row.owner == GONE} == {""}
    gone = [row for row in rows if row.owner == GONE]
    assert len(gone) == done.rows
    assert {(row.client, row.key, row.run, str(row.labels)) for row in gone} == {(GONE, "", "", "{}")}
    assert {(row.team, row.project) for row in gone} == {("team", "project")}
    assert [row for row in rows if row.owner != GONE] == others
    assert totals(hours) == totals(before)
    assert len(hours) < len(before)  # those of her keys are one
    assert await differing(engine) == 0


async def test_sums_are_right_after_each_batch_and_a_stopped_run_goes_on(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 15)
    original, batches = forgetting._forget_rows, 0

    async def counted(*args: Any) -> Any:
        nonlocal batches
        batches += 1
        if batches == 3:
            raise KeyError("stopped")
        return await original(*args)

    monkeypatch.setattr(forgetting, "_forget_rows", counted)
    with pytest.raises(KeyError):
        await forget(engine, OWNER, GONE, NOW)
    assert await differing(engine) == 0
    assert sum(row.owner == GONE for row in await rows_of(engine)) == 30
    await forget(engine, OWNER, GONE, NOW)
    assert await all_named(engine) == []
    assert await differing(engine) == 0


async def test_sums_whose_rows_are_gone_are_renamed_and_added_up(engine: AsyncEngine) -> None:
    before, labels_before = await hours_of(engine), await labels_of(engine)
    await run(engine, delete(LEDGER).where(LEDGER.c.at < NOW - 24 * HOUR))
    done = await forget(engine, OWNER, GONE, NOW)
    hours, labels = await hours_of(engine), await labels_of(engine)
    old = [row for row in (*before, *labels_before) if row.owner == OWNER and row.hour < NOW - 24 * HOUR]
    assert done.sums == len(old)
    assert named(hours) == named(labels) == []
    assert totals(hours) == totals(before)
    assert {row.name for row in labels if row.owner == GONE} == {""}
    assert totals(row for row in labels if not row.name) == totals(before)
    assert [row for row in labels if row.owner not in (OWNER, GONE)] == [
        row for row in labels_before if row.owner not in (OWNER, GONE)
    ]
    assert await differing(engine) == 0


async def test_what_comes_later_is_forgotten_by_a_second_run(opened: tuple[str, AsyncEngine]) -> None:
    url, engine = opened
    await forget(engine, OWNER, GONE, NOW)
    await put(url, [attempt(500, BEGIN, owner=OWNER), attempt(501, NOW + 1, owner=OWNER)])
    assert await forget(engine, OWNER, GONE, NOW) == Forgotten(rows=1)
    assert [row.id for row in await rows_of(engine) if row.owner == OWNER] == ["n501"]
    assert await forget(engine, OWNER, GONE, NOW + 2) == Forgotten(rows=1)
    assert await differing(engine) == 0


async def test_rows_that_are_written_meanwhile_stay_in_their_sums(
    opened: tuple[str, AsyncEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, engine = opened
    monkeypatch.setattr(forgetting, "BATCH", 5)
    new = [attempt(600 + number, BEGIN + number, owner=OWNER, model=f"new-{number}") for number in range(6)]

    async def write() -> None:
        for each in new:
            await put(url, [each])

    await asyncio.gather(forget(engine, OWNER, GONE, NOW), write())
    await forget(engine, OWNER, GONE, NOW)
    assert await all_named(engine) == []
    assert await differing(engine) == 0


async def test_an_old_row_that_is_written_meanwhile_is_found_by_its_sum(
    opened: tuple[str, AsyncEngine], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, engine = opened
    monkeypatch.setattr(forgetting, "BATCH", 20)
    original, times = forgetting.alone, 0

    @asynccontextmanager
    async def alone(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        nonlocal times
        times += 1
        if times == 3:
            await put(url, [attempt(700, BEGIN, owner=OWNER)])
        async with original(engine) as connection:
            yield connection

    monkeypatch.setattr(forgetting, "alone", alone)
    done = await forget(engine, OWNER, GONE, NOW)
    assert done == Forgotten(rows=1 + sum(row.owner == OWNER for row in ROWS))
    assert await all_named(engine) == []
    assert await differing(engine) == 0


async def test_keys_of_the_owner_are_counted_and_left_alone(engine: AsyncEngine) -> None:
    key = {"name": "n", "enabled": True, "models": [], "providers": [], "scopes": [], "created_at": 1, "changed_at": 1}
    for number, (owner, deleted) in enumerate([(OWNER, False), (OWNER, True), ("bob", False)]):
        row = key | {"id": f"k{number}", "hash": f"h{number}", "owner": owner, "deleted": deleted, "revision": 1}
        await run(engine, insert(API_KEYS).values(row))
    await forget(engine, OWNER, GONE, NOW)
    assert await keys_of(engine, OWNER) == 1


async def test_an_owner_without_rows_is_no_error(engine: AsyncEngine) -> None:
    assert await forget(engine, "nobody", GONE, NOW) == Forgotten()


def test_a_pseudonym_is_random_and_says_nothing() -> None:
    assert re.fullmatch(r"gone-[0-9a-f]{16}", new_pseudonym())
    assert new_pseudonym() != new_pseudonym()
