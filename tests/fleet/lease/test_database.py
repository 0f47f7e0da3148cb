"""Leases in the database, beyond what every store promises."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.fleet.lease.base import LeaseUnavailable
from proxy.fleet.lease.database import DatabaseLeases
from tests.database.databases import KINDS, Forwarder, address, new_database
from tests.fleet.lease.shared import lazy_engine
from tests.ledger.recorder.databases import query
from tests.support.services import postgres_database

SECS = 600.0


@pytest.mark.parametrize("kind", KINDS)
async def test_a_lease_that_ends_too_late_is_free_as_the_clock_was_set_back(kind: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(new_database(kind, tmp_path))
        store = DatabaseLeases(lazy_engine(url, stack))
        assert await store.take("checks", "one", SECS)
        await query(address(url), f"UPDATE leases SET until = until + {0.9 * SECS} RETURNING 1")
        assert not await store.take("checks", "two", SECS)
        await query(address(url), f"UPDATE leases SET until = until + {SECS} RETURNING 1")
        assert await store.take("checks", "two", SECS)


async def test_a_database_that_is_away_is_told_and_found_again() -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(postgres_database())
        way = await stack.enter_async_context(Forwarder(url))
        store = DatabaseLeases(lazy_engine(way.url, stack))
        assert await store.take("checks", "one", SECS)
        await way.cut()
        for call in (store.take("checks", "one", SECS), store.release("checks", "one")):
            with pytest.raises(LeaseUnavailable):
                await call
        await way.restore()
        assert await store.take("checks", "one", SECS)


async def test_a_file_without_tables_gets_them(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        store = DatabaseLeases(lazy_engine(f"sqlite:///{tmp_path}/new.db", stack))
        assert await store.take("checks", "one", SECS)
