"""Recorders of several machines, and gateways, that write the same accounts in PostgreSQL at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import pytest
from msgspec import structs

from proxy.database.accounts import AccountTable
from proxy.database.address import Address
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.events.base import BROKER, EventReceiver
from proxy.events.receivers import EventReceivers
from proxy.ledger.recorder.announced import EventRoutes
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


async def test_recorders_and_posts_at_once_number_transfers_without_gaps(where: Address) -> None:
    """Two recorders write each row, as if one had been killed after its commit."""
    receivers, chance = [EventReceiver(BROKER)], Random(7)
    rows = [row("0", number, chance.choice(NAMES)) for number in range(1, 200)]

    async def record(step: int) -> None:
        ledger = PostgresLedger(where.target, DEFAULT, EventRoutes(receivers))
        for begin in range(0, len(rows), step):
            await ledger.write(rows[begin : begin + step])  # raises DatabaseUnavailable after a deadlock
        await ledger.close()

    async def post() -> None:
        engine = Engine(where, DatabaseHealth(), time_limit=20.0)
        table = AccountTable(engine, EventReceivers(receivers).transfers())
        for _ in range(3):
            for name in reversed(NAMES):
                await table.post(name, 7, "Top-up", default_nano=DEFAULT)
        await engine.close()

    await asyncio.gather(record(20), record(30), post())
    side = "CASE WHEN debit = ':funding' THEN {} ELSE {} END"
    columns = f"{side.format('credit', 'debit')}, sequence, {side.format('amount', '-amount')}, balance, id"
    found = await query(where, f"SELECT {columns} FROM transfers")
    assert len(found) == len(rows) + 4 * len(NAMES)
    for name in NAMES:
        mine = sorted(each[1:] for each in found if each[0] == name)
        assert [number for number, *_ in mine] == [*range(1, len(mine) + 1)]
        assert [balance for _, _, balance, _ in mine] == [*accumulate(amount for _, amount, _, _ in mine)]
    told = await query(where, "SELECT id FROM outbox WHERE type = 'transaction_created'")
    assert sorted(told) == sorted((f"txn_{each[-1]}",) for each in found)


async def sums(where: Address, statement: str) -> dict[Any, int]:
    return {name: int(value) for name, value in await query(where, statement)}
