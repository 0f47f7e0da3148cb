"""A ledger in memory, as budget counters read it, and a book that is seeded from it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from msgspec.structs import replace

from proxy.budgets.base import BudgetCounter
from proxy.budgets.book import Book, SeedsUnavailable
from proxy.budgets.ledger_spend import Earlier
from proxy.budgets.seeding import LedgerSeeds
from proxy.database.spend import BEFORE, Spent
from proxy.identity import Client
from tests.budgets.rig import NOON, exchange, rules

DAILY = {"name": "daily", "per": "owner", "usd": 5, "window": "day", "timezone": "Europe/Berlin"}
TOKENS = {"name": "tokens", "per": "owner", "tokens": 500, "window": "total"}
ALICE = "daily/2026-11-29/alice"


class MemoryLedger:
    """A ``SeedSource``. ``spend``: by counter and process; ``earlier``: of windows before their counter.

    ``open`` lets reads through; ``down``: they fail.
    """

    def __init__(self) -> None:
        self.spend: dict[str, dict[str, Spent]] = {}
        self.earlier: dict[str, Spent] = {}
        self.credited: dict[str, int] = {}
        self.default = 0
        self.down = False
        self.open = asyncio.Event()
        self.open.set()
        self.reads: list[list[str]] = []
        self.asked: list[Earlier] = []

    def add(self, counter: str, process: str, nano: int, tokens: int = 0) -> None:
        before = self.spend.setdefault(counter, {}).get(process, Spent())
        self.spend[counter][process] = Spent(before.nano + nano, before.tokens + tokens)

    async def spent(self, keys: Sequence[str]) -> Mapping[str, Mapping[str, Spent]]:
        self.reads.append(list(keys))
        found = {key: dict(self.spend.get(key, {})) for key in keys}
        await self._answer()
        return found

    async def begin(self, asked: Sequence[Earlier], now: float) -> Mapping[str, Mapping[str, Spent]]:
        await self._answer()
        self.asked += asked
        for each in asked:
            if each.key not in self.spend and each.key in self.earlier:
                self.spend[each.key] = {BEFORE: self.earlier[each.key]}
        return {each.key: dict(self.spend.get(each.key, {})) for each in asked}

    async def credits(self, accounts: Sequence[str], *, opens: bool) -> Mapping[str, int]:
        found = {name: self.credited[name] for name in accounts if name in self.credited}
        await self._answer()
        if opens:
            found |= {name: self.credited.setdefault(name, self.default) for name in accounts if name not in found}
        return found

    async def _answer(self) -> None:
        await self.open.wait()
        if self.down:
            raise SeedsUnavailable("it is down")


class SeededBook:
    """A book that is seeded from a ledger in memory; ``now`` is its clock."""

    def __init__(self, *budgets: Mapping[str, Any], began: float = NOON - 86400, balances: bool = False) -> None:
        self.now = began
        self.ledger = MemoryLedger()
        self.lines: list[str] = []
        found = replace(rules(*budgets), balances=balances)
        self.book = Book(found, "p1", lambda: self.now)
        self.behind: Callable[[], bool] = lambda: False
        self.seeds = LedgerSeeds(
            self.ledger, self.book, is_behind=lambda: self.behind(), warn=self.lines.append, wall=lambda: self.now
        )
        self.book.seeder = self.seeds
        self.now = NOON

    def counters(self, owner: str = "alice", run: str = "") -> tuple[BudgetCounter, ...]:
        client = Client(f"key:{owner}", key=owner, owner=owner)
        return self.book.of_call(exchange(client, run=run), self.now)

    async def seeded(self, owner: str = "alice", run: str = "") -> tuple[BudgetCounter, ...]:
        found = self.counters(owner, run)
        await self.book.seed(found)
        return found


@asynccontextmanager
async def seeded_books() -> AsyncIterator[Callable[..., SeededBook]]:
    """Makes them, and closes them at the end."""
    made: list[SeededBook] = []

    def make(*budgets: Mapping[str, Any], **more: Any) -> SeededBook:
        made.append(SeededBook(*budgets, **more))
        return made[-1]

    yield make
    for each in made:
        await each.seeds.close()
