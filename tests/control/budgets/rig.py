"""The routes of budgets on a real database, with a book whose clock stands still."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec.structs import replace
from sqlalchemy import insert

from proxy.budgets.base import BudgetCounter
from proxy.budgets.book import Book
from proxy.budgets.rules import BudgetRules
from proxy.config.schema import Database, LedgerSettings
from proxy.control.budgets.handlers import BudgetHandlers
from proxy.control.budgets.standing import BudgetSurvey
from proxy.database.opening import LazyEngine
from proxy.database.tables import BUDGET_SPEND
from proxy.exchange import Exchange
from proxy.identity import Client
from tests.budgets.rig import NOON, config, exchange
from tests.control.server import ControlServer

ALICE = Client("key:1", owner="alice")
ALICE_HEADERS = [("x-test-client", "1"), ("x-test-owner", "alice")]
DAY = "2026-11-29"


class BudgetPlane:
    """``balances``: accounts have one."""

    def __init__(
        self, url: str, folder: Path, *budgets: Mapping[str, Any], balances: bool = False, **billing: Any
    ) -> None:
        made = config(*budgets, **billing)
        enabled = bool(url)
        self.config = replace(
            made,
            billing=replace(made.billing, enabled=balances),
            database=Database(url=url, enabled=enabled),
            ledger=LedgerSettings(enabled=enabled),
        )
        self.engine = LazyEngine(self.config.database, folder, print, print)
        self.book = Book(BudgetRules.of(self.config), "own", lambda: NOON)
        self.server = ControlServer(self._routes)

    def _routes(self, server: ControlServer) -> Sequence[Any]:
        live: Any = self
        return BudgetHandlers(self.book, BudgetSurvey(self.book, self.engine, live)).routes()

    def use(self, call: Exchange | None = None, *, spent: int = 0, held: int = 0, base: int = 0) -> BudgetCounter:
        """Count in the first counter of a call, which is Alice's unless it is given."""
        counter = self.book.of_call(exchange(ALICE) if call is None else call, NOON)[0]
        counter.spent, counter.held, counter.base = spent, held, base
        return counter

    async def record(self, counter: str, process: str, nano: int, tokens: int = 0) -> None:
        """What the recorder writes."""
        row = {"counter": counter, "process": process, "nano": nano, "tokens": tokens, "last": NOON}
        await self.engine.get().write(lambda connection: connection.execute(insert(BUDGET_SPEND).values(row)))

    async def show(self, query: str = "") -> dict[str, Any]:
        answer = await self.server.ask("GET", f"/admin/budgets{query}")
        assert answer.status == 200, answer.body
        found: dict[str, Any] = answer.json
        return found

    async def sums(self, query: str = "") -> list[tuple[str, float, list[int]]]:
        """Of the first budget: key, percent, and cap, spent, held, base and left of each counter."""
        [first, *_] = (await self.show(query))["budgets"]
        return [(each["key"], each["percent"], [*each["sums"].values()]) for each in first["counters"]]

    async def own(self, *headers: tuple[str, str]) -> list[dict[str, Any]]:
        answer = await self.server.fetch("GET", "/billing/budgets", *ALICE_HEADERS, *headers)
        assert answer.status == 200, answer.body
        found: list[dict[str, Any]] = answer.json["data"]
        return found


@asynccontextmanager
async def budget_plane(
    url: str, folder: Path, *budgets: Mapping[str, Any], **billing: Any
) -> AsyncIterator[BudgetPlane]:
    """``url``: ``""``: without a database."""
    plane = BudgetPlane(url, folder, *budgets, **billing)
    async with plane.server:
        try:
            yield plane
        finally:
            await plane.engine.close()
