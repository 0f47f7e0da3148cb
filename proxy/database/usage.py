"""Reads what was used: grouped sums of the ledger."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from sqlalchemy import Row, Select, desc, func, text
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.columns import DIMENSIONS, RUN
from proxy.database.engine import Engine
from proxy.database.tables import LEDGER_HOURS
from proxy.database.usage_labels import has_labels, label_statement
from proxy.database.usage_query import HOUR, SUMS, TIMES, UsageQuery, statement

TIME_LIMIT: Final = 10.0  # seconds
MOST_ROWS: Final = 3_000_000  # that a query may read: a million takes 1 to 2 s

# Compiling such a query takes up to 0.15 s, more than running it. Its groups fit into memory: PostgreSQL expects many
# more of them, and would sort all rows on the disk.
SETTINGS: Final = text("SELECT set_config('jit', 'off', true), set_config('work_mem', '32MB', true)")


class Sums(Struct, frozen=True):
    """``group``: a text for each of the query's groups; times in ISO 8601 in the query's zone. ``last_hour``: Unix
    seconds of the latest hour with an attempt; ``None`` without any. ``measures``: by the names of ``SUMS``.
    """

    group: tuple[str, ...]
    last_hour: int | None
    measures: dict[str, int]


class TooManyRows(Exception):
    """A query would read ``count`` rows."""

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} rows")
        self.count = count


class UsageTable:
    """``sums`` raises ``health.Unreachable`` and ``TooManyRows``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def sums(self, query: UsageQuery, limit: int) -> list[Sums]:
        """At most ``limit`` groups: by time, if a time is asked for; then the dearest first."""

        async def work(connection: AsyncConnection) -> list[Row[Any]]:
            if connection.dialect.name == "postgresql":
                await connection.execute(SETTINGS)
            found = await cheapest(connection, query)
            if query.groups:
                times = [f"group_{place}" for place, name in enumerate(query.groups) if name in TIMES]
                found = found.order_by(*times, desc("cost"), desc("attempts"), *_names(query)).limit(limit)
            return [*await connection.execute(found)]

        return [_sums(row, query) for row in await self.engine.read(work, TIME_LIMIT)]


async def cheapest(connection: AsyncConnection, query: UsageQuery) -> Select[Any]:
    """The statement that answers the query from the smallest table. Raises TooManyRows."""
    if query.by_dimensions:
        return statement(query)
    if await has_labels(connection, query):
        return label_statement(query)
    if not query.filters.get(RUN):  # of a run there are few, and an index
        await _require_few(connection, query)
    return statement(query)


async def _require_few(connection: AsyncConnection, query: UsageQuery) -> None:
    """Raises TooManyRows. The sums by hour tell quickly how many attempts there were."""
    filters = {name: value for name, value in query.filters.items() if name in DIMENSIONS}
    counted = statement(
        replace(query, groups=(), filters=filters, start=query.first // HOUR * HOUR, exact=False)
    ).with_only_columns(func.sum(LEDGER_HOURS.c.attempts))
    count = int((await connection.execute(counted)).scalar_one() or 0)
    if count > MOST_ROWS:
        raise TooManyRows(count)


def _names(query: UsageQuery) -> list[str]:
    return [f"group_{place}" for place in range(len(query.groups))]


def _sums(row: Row[Any], query: UsageQuery) -> Sums:
    count = len(query.groups)
    group = tuple(_text(name, value, query) for name, value in zip(query.groups, row[:count], strict=True))
    measures = {name: int(value or 0) for name, value in zip(SUMS, row[count + 1 :], strict=True)}
    return Sums(group, row[count], measures)


def _text(name: str, value: Any, query: UsageQuery) -> str:
    if name == "hour":
        return datetime.fromtimestamp(value, query.zone).isoformat()
    if name in TIMES:
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d" if name == "day" else "%Y-%m")
    return str(value)
