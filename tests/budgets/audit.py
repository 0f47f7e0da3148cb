"""What the ledger's database says of budgets and balances."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from msgspec import Struct
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database import drivers
from proxy.database.accounts import Account
from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.tables import ACCOUNTS, BUDGET_SPEND, LEDGER, TRANSFERS
from tests.database.databases import address


class Books(Struct, frozen=True):
    """Nano-USD. ``rows``: of the ledger's rows; ``attempts``: how many there are. ``charged``: by transfers.

    ``counters``: by key.
    """

    attempts: int
    rows: int
    counters: dict[str, int]
    accounts: dict[str, Account]
    charged: int


async def books(url: str) -> Books:
    engine = drivers.open_single(address(url), 5.0)
    try:
        async with engine.connect() as connection:
            return await _books(connection)
    finally:
        await engine.dispose()


async def _books(connection: AsyncConnection) -> Books:
    rows = (await connection.execute(select(func.count(), func.coalesce(func.sum(LEDGER.c.cost), 0)))).one()
    spend = select(BUDGET_SPEND.c.counter, func.sum(BUDGET_SPEND.c.nano)).group_by(BUDGET_SPEND.c.counter)
    account = select(ACCOUNTS.c.id, ACCOUNTS.c.credits, ACCOUNTS.c.charges)
    usage = select(func.coalesce(func.sum(TRANSFERS.c.amount), 0)).where(TRANSFERS.c.credit == ":usage")
    return Books(
        rows[0],
        int(rows[1]),
        {key: int(nano) for key, nano in await connection.execute(spend)},
        {row.id: Account(*row) for row in await connection.execute(account)},
        int((await connection.execute(usage)).scalar_one()),
    )


@asynccontextmanager
async def engine_of(url: str) -> AsyncIterator[Engine]:
    engine = Engine(address(url), DatabaseHealth(), time_limit=10.0)
    try:
        yield engine
    finally:
        await engine.close()
