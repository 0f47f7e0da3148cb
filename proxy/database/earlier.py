"""What was spent before a budget counter existed: sums of the ledger since its window began."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final
from zoneinfo import ZoneInfo

from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.columns import COSTS, TOKENS
from proxy.database.engine import Engine
from proxy.database.spend import Spent
from proxy.database.statements import is_storable
from proxy.database.tables import BUDGET_SPEND
from proxy.database.usage import TIME_LIMIT, cheapest
from proxy.database.usage_query import HOUR, UsageQuery

_UTC: Final = ZoneInfo("UTC")
# The sums must not include a row that carries the counter, as that is counted already. So one snapshot for both.
_ONE_SNAPSHOT: Final = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")


class EarlierSpend:
    """``read`` raises ``health.Unreachable`` and ``usage.TooManyRows``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def read(self, key: str, per: str, subject: str, begins: float, now: float) -> Spent | None:
        """What a counter's subject spent between two Unix times; ``None``: rows carry the counter already.

        ``key``: of the counter. ``per``: of its budget, not ``run``.
        """
        if not (is_storable(key) and is_storable(subject)):
            return Spent()
        carried = select(BUDGET_SPEND.c.process).where(BUDGET_SPEND.c.counter == key).limit(1)

        async def work(connection: AsyncConnection) -> Spent | None:
            if connection.dialect.name == "postgresql":
                await connection.execute(_ONE_SNAPSHOT)
            if (await connection.execute(carried)).first() is not None:
                return None
            total = Spent()
            for query in _queries(per, subject, begins, now):
                found = await _sum(connection, query)
                total = Spent(total.nano + found.nano, total.tokens + found.tokens)
            return total

        return await self.engine.read(work, TIME_LIMIT)


def _queries(per: str, subject: str, since: float, now: float) -> list[UsageQuery]:
    """Whole hours by their sums; the rest of the hour in which the window begins, by rows."""
    begins, end = int(since), int(now) + HOUR
    first = -(-begins // HOUR) * HOUR
    found = []
    for filters in _filters(per, subject):
        if per == "model":  # the sums of the hours have the models as clients named them
            found.append(UsageQuery((), filters, begins, end, _UTC, exact=True))
            continue
        found.append(UsageQuery((), filters, first, end, _UTC))
        if begins < first:
            found.append(UsageQuery((), filters, begins, min(first, end), _UTC, exact=True))
    return found


def _filters(per: str, subject: str) -> Sequence[dict[str, str]]:
    """Conditions of which a row fulfills one at most. An owner is the client where a row has none."""
    match per:
        case "everyone":
            return ({},)
        case "owner":
            return {"owner": subject}, {"owner": "", "client": subject}
        case "model":
            return ({"deployment": subject},)
    return ({per: subject},)


async def _sum(connection: AsyncConnection, query: UsageQuery) -> Spent:
    row: Any = (await connection.execute(await cheapest(connection, query))).one()
    return Spent(_total(row, COSTS), _total(row, TOKENS))


def _total(row: Any, names: Sequence[str]) -> int:
    return sum(int(getattr(row, name) or 0) for name in names)
