"""Results of checks in the database, beyond what every board promises."""

from __future__ import annotations

from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from proxy.services.health.board.base import KEEP_SECS
from proxy.services.health.board.database import DatabaseBoard
from tests.database.databases import KINDS, address, new_database
from tests.fleet.lease.shared import lazy_engine
from tests.ledger.recorder.databases import query
from tests.services.health.board.test_base import A, B, latest, result


@pytest.mark.parametrize("kind", KINDS)
async def test_rows_are_found_after_the_clock_was_set_back(kind: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(new_database(kind, tmp_path))
        here, there = (DatabaseBoard(lazy_engine(url, stack)) for _ in range(2))
        await here.publish([result(A), result(B)])
        assert len(await latest(there)) == 2
        there._read = (there._read[0] + 7200.0, "", "")  # what it would be if the clock had been ahead
        await here.publish([result(B, False, "x")])
        assert (await latest(there))["s", B] == result(B, False, "x")


@pytest.mark.parametrize("kind", KINDS)
async def test_old_rows_are_removed_and_ages_are_the_databases(kind: str, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(new_database(kind, tmp_path))
        here, there = (DatabaseBoard(lazy_engine(url, stack)) for _ in range(2))
        await here.publish([result(A), result(B)])
        await query(
            address(url), f"UPDATE address_health SET checked_at = checked_at - 1000 WHERE url = '{A}' RETURNING 1"
        )
        ages = {each.url: each.age for each in await there.read()}
        assert 1000 <= ages[A] < 4600
        assert ages[B] < 3600
        await query(
            address(url),
            f"UPDATE address_health SET checked_at = checked_at - {KEEP_SECS} WHERE url = '{A}' RETURNING 1",
        )
        await here.publish([result(B)])  # removes none, as it did so lately
        assert len(await query(address(url), "SELECT 1 FROM address_health")) == 2
        await there.publish([result(B)])
        assert await query(address(url), "SELECT url FROM address_health") == [(B,)]
