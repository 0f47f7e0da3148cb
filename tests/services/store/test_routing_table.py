"""Writers of PostgreSQL that meet in the same transaction."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.tables import ROUTING_CHANGES
from proxy.services.entries import Entries
from proxy.services.store.base import EntriesChanged, EntryChange
from proxy.services.store.routing_table import RoutingTable
from tests.database.databases import address
from tests.support.patience import within
from tests.support.services import postgres_database

LIMIT = 20.0  # seconds: a transaction that waits must not end by its time limit
CHANGES = [EntryChange("service", "a", {"addresses": []})]
FIRST = {"seq": 1, "kind": "service", "name": "b", "after": "{}", "at": 0.0, "by": "another"}
WAITS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
async def engine() -> AsyncIterator[Engine]:
    async with postgres_database() as url:
        engine = Engine(address(url), DatabaseHealth(), time_limit=LIMIT)
        await engine.ready()
        yield engine
        await engine.close()


async def waits_for_lock(engine: Engine) -> None:
    async def look(connection: AsyncConnection) -> int:
        found: int = (await connection.execute(text(WAITS))).scalar_one()
        return found

    # A new transaction each time: in one, the activity is read once.
    while not await engine.read(look):  # noqa: ASYNC110
        await asyncio.sleep(0.005)


@pytest.mark.parametrize("commits", [True, False])
async def test_the_second_writer_waits_for_the_first_and_is_refused_if_that_one_commits(
    engine: Engine, commits: bool
) -> None:
    table = RoutingTable(engine)
    second: list[asyncio.Task[int]] = []

    async def first(connection: AsyncConnection) -> None:
        await connection.execute(insert(ROUTING_CHANGES).values(FIRST))
        second.append(asyncio.create_task(table.put(CHANGES, "admin", 0)))
        await within(waits_for_lock(engine), "the second writer to wait")
        if not commits:
            raise KeyError

    if commits:
        await engine.write(first)
        with pytest.raises(EntriesChanged):
            await second[0]
        assert await table.load() == Entries(1)
    else:
        with pytest.raises(KeyError):
            await engine.write(first)
        assert await second[0] == 1
        assert list((await table.load()).by_key) == [("service", "a")]
