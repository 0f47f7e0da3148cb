"""What was spent by budget counter and process: the sums that the recorder keeps of the ledger's rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, Literal

from msgspec import Struct
from sqlalchemy import Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from proxy.database.engine import Engine
from proxy.database.statements import insert_new, is_storable
from proxy.database.tables import BUDGET_SPEND, Now

AT_ONCE: Final = 500  # keys in one statement
BEFORE: Final = ""  # the process of what was spent before a counter existed

_SPEND = BUDGET_SPEND.c


class Spent(Struct, frozen=True):
    """``nano``: nano-USD."""

    nano: int = 0
    tokens: int = 0


class WindowQuery(Struct, frozen=True):
    """Asks for the counters of a window whose key begins with ``prefix``, such as ``daily/2026-11-29/``.

    ``text``: a part of what follows the prefix; its ASCII letters are in lower case, and match those in upper case.
    ``limit``: so many of those with the highest sum of ``measure`` are found.
    """

    prefix: str
    measure: Literal["nano", "tokens"]
    text: str
    limit: int


class CounterSpend(Struct, frozen=True):
    """The sums of a counter over all processes, and ``own``: of one. In nano-USD or tokens, as it was asked."""

    key: str
    spent: int
    own: int


class SpendTable:
    """Every method raises ``health.Unreachable``."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    async def read(self, keys: Sequence[str]) -> dict[str, dict[str, Spent]]:
        """What was spent by counter, of all ``keys``, and by process: the nonce of its ledger, or ``BEFORE``."""
        found: dict[str, dict[str, Spent]] = {key: {} for key in keys}

        async def work(connection: AsyncConnection) -> None:
            for some in _parts([key for key in found if is_storable(key)]):
                for row in await connection.execute(select(BUDGET_SPEND).where(_SPEND.counter.in_(some))):
                    found[row.counter][row.process] = Spent(row.nano, row.tokens)

        if found:
            await self.engine.read(work)
        return found

    async def highest(self, queries: Sequence[WindowQuery], process: str) -> list[list[CounterSpend]]:
        """Of each query the counters with the highest sums, the highest first. ``process``: whose sums are ``own``."""

        async def work(connection: AsyncConnection) -> list[list[CounterSpend]]:
            found = []
            for query in queries:
                rows = await connection.execute(_highest(query, process))
                found.append([CounterSpend(row.counter, int(row.spent), int(row.own)) for row in rows])
            return found

        asked = all(is_storable(query.prefix + query.text) for query in queries)
        return await self.engine.read(work) if queries and asked else [[] for _ in queries]

    async def begin(self, key: str, nano: int, tokens: int) -> None:
        """Insert what was spent before the counter existed, unless that was done. Raises ValueError as to its name."""
        if not is_storable(key):
            raise ValueError(f"No database can store the name of the counter {key!r}.")
        new = {"counter": key, "process": BEFORE, "nano": nano, "tokens": tokens, "last": Now()}

        async def work(connection: AsyncConnection) -> None:
            await insert_new(connection, BUDGET_SPEND, new)

        await self.engine.write(work)


def _highest(query: WindowQuery, process: str) -> Select[tuple[str, int, int]]:
    prefix, amount = query.prefix, _SPEND.nano if query.measure == "nano" else _SPEND.tokens
    spent = func.sum(amount).label("spent")
    own = func.sum(case((_SPEND.process == process, amount), else_=0)).label("own")
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    found = select(_SPEND.counter, spent, own).where(_SPEND.counter >= prefix, _SPEND.counter < after)
    if query.text:
        rest = func.lower(func.substr(_SPEND.counter, len(prefix) + 1))
        found = found.where(rest.contains(query.text, autoescape=True))
    return found.group_by(_SPEND.counter).order_by(spent.desc(), _SPEND.counter).limit(query.limit)


def _parts(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for begin in range(0, len(keys), AT_ONCE):
        yield keys[begin : begin + AT_ONCE]
