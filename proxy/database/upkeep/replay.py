"""What the ledger and the transfers of a period have, a page at a time, and the outbox that tells it again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from proxy.database import drivers
from proxy.database.outbox import OutboxRow, add_rows
from proxy.database.tables import OUTBOX, TRANSFERS
from proxy.database.transfers import Transaction
from proxy.database.upkeep.export import pages

OWN: Final = ":"  # begins the name of an account of the gateway itself
PAGE: Final = 1000  # transfers that are read at once


async def ledger_rows(engine: AsyncEngine, begin: float, end: float) -> AsyncIterator[list[dict[str, Any]]]:
    """Columns of attempts that began in [``begin``, ``end``), in the order of time. ``counters``: a list."""
    async for page in pages(engine, begin, end):
        yield [row | {"counters": row["counters"] or []} for row in page]


async def transfers(
    engine: AsyncEngine, begin: float, end: float, most: int = PAGE
) -> AsyncIterator[list[tuple[str, Transaction, int | None, int]]]:
    """Transfers in [``begin``, ``end``), in the order of ids, so that all are read once.

    Each with its account before it, and after it the balance and the number that its event had; ``None`` and 0: it
    had no event.
    """
    row = TRANSFERS.c
    query = select(TRANSFERS).where(row.at >= begin, row.at < end).order_by(row.id).limit(most)
    page = query
    async with engine.connect() as connection:
        while True:
            async with connection.begin():
                found = (await connection.execute(page)).all()
            if found:
                yield [_transaction(each) for each in found]
            if len(found) < most:
                return
            page = query.where(row.id > found[-1].id)


async def put(engine: AsyncEngine, rows: Sequence[OutboxRow]) -> None:
    """Add events to the outbox, in a transaction of their own."""
    async with engine.execution_options(**drivers.WRITING).begin() as connection:
        await add_rows(connection, rows)


async def waiting(engine: AsyncEngine) -> int:
    """How many events of all receivers wait in the outbox."""
    async with engine.connect() as connection, connection.begin():
        query = select(func.count()).select_from(OUTBOX).where(OUTBOX.c.dead_at.is_(None))
        return int((await connection.execute(query)).scalar_one())


def _transaction(row: Any) -> tuple[str, Transaction, int | None, int]:
    """A transfer as its account sees it, and the account. The other side is one of the gateway itself."""
    charged = not row.debit.startswith(OWN)
    amount = -row.amount if charged else row.amount
    made = Transaction(row.id, row.at, amount, row.description, row.request_id, row.usd_rate)
    return row.debit if charged else row.credit, made, row.balance, row.sequence or 0
