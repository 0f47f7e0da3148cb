"""Recorders of several machines, and gateways, that write the same accounts in PostgreSQL at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from proxy.database.accounts import AccountTable
from proxy.database.address import Address
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.ledger.recorder.postgres import PostgresLedger
from proxy.ledger.row import Row
from tests.ledger.recorder.databases import migrated, query
from tests.ledger.rows import ROW

NAMES = [f"o{number}" for number in range(8)]
DEFAULT = 1_000


@pytest.fixture
async def where(tmp_path: Path) -> AsyncIterator[Address]:
    async with migrated("postgresql", tmp_path) as found:
        yield found


def row(process: str, number: int, name: str) -> Row:
    return structs.replace(
        ROW,
        id=f"{process * 16}{number}",
        at=1_790_000_000.0 + number,
        answered=True,
        cost=number,
        counters=[f"balance/total/{name}", "all/total/", f"m/2026-09/{name}"],
    )


async def test_recorders_and_posts_at_once_never_deadlock_and_lose_nothing(where: Address) -> None:
    expected: Counter[str] = Counter()
    posted: Counter[str] = Counter()

    async def record(number: int) -> None:
        chance, ledger = Random(number), PostgresLedger(where.target, DEFAULT)
        for begin in range(1, 200, 20):
            rows = [row(f"{number}", each, chance.choice(NAMES)) for each in range(begin, begin + 20)]
            for each in rows:
                expected[each.counters[0].rpartition("/")[2]] += each.cost or 0
            await ledger.write(rows)  # raises DatabaseUnavailable after a deadlock
        await ledger.close()

    async def post() -> None:
        engine = Engine(where, DatabaseHealth(), time_limit=20.0)
        table = AccountTable(engine)
        for _ in range(3):
            for name in reversed(NAMES):
                await table.post(name, 7, "Top-up", default_nano=DEFAULT)
                posted[name] += 7
        await engine.close()

    await asyncio.gather(*map(record, range(3)), post())
    assert await query(where, "SELECT id, credits, charges FROM accounts ORDER BY id") == [
        (name, DEFAULT + posted[name], expected[name]) for name in NAMES
    ]
    assert await sums(where, "SELECT counter, sum(nano) FROM budget_spend GROUP BY counter") == {
        "all/total/": expected.total(),
        **{f"{kind}/{name}": expected[name] for name in NAMES for kind in ("balance/total", "m/2026-09")},
    }
    openings = "SELECT credit, count(*) FROM transfers WHERE description = 'Opening balance' GROUP BY credit"
    assert await sums(where, openings) == dict.fromkeys(NAMES, 1)


async def sums(where: Address, statement: str) -> dict[Any, int]:
    return {name: int(value) for name, value in await query(where, statement)}
