"""The routes of balances on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from proxy.config.billing_schema import Billing
from proxy.config.schema import Config, Database
from proxy.control.billing.handlers import BillingHandlers
from proxy.control.billing.store import AccountStore
from proxy.database.accounts import AccountTable
from proxy.database.opening import LazyEngine
from tests.control.server import ControlServer
from tests.support import Answer

ALICE = [("x-test-client", "1"), ("x-test-owner", "alice")]
TOP_UP = {"user_id": "alice", "amount": 12.5, "description": "Top-up"}


class BillingPlane:
    """``config`` may be replaced. ``credited`` are the accounts and credits that the gateway was told."""

    def __init__(self, url: str, folder: Path, **billing: Any) -> None:
        self.config = Config(database=Database(url=url), billing=Billing(enabled=True, **billing))
        self.engine = LazyEngine(self.config.database, folder, print, print)
        self.credited: list[tuple[str, int]] = []
        self.server = ControlServer(self._routes)

    def _routes(self, server: ControlServer) -> Sequence[Any]:
        live: Any = self
        store = AccountStore(self.engine, live, lambda *change: self.credited.append(change))
        return BillingHandlers(store, live, server.bodies).routes()

    def bill(self, **changed: Any) -> None:
        """Change the section ``billing``."""
        self.config = structs.replace(self.config, billing=structs.replace(self.config.billing, **changed))

    @property
    def table(self) -> AccountTable:
        return AccountTable(self.engine.get())

    async def post(self, body: Mapping[str, Any] = TOP_UP, key: str | None = None, **changed: Any) -> Answer:
        """As the admin."""
        headers = [] if key is None else [("Idempotency-Key", key)]
        return await self.server.ask("POST", "/billing/transaction", *headers, json={**body, **changed})

    async def balance(self, user: str = "alice") -> float:
        """As the admin sees it."""
        answer = await self.server.ask("GET", f"/billing/balance/{user}")
        assert answer.status == 200, answer.body
        found: float = answer.json["balance"]
        return found


@asynccontextmanager
async def billing_plane(url: str, folder: Path, **billing: Any) -> AsyncIterator[BillingPlane]:
    plane = BillingPlane(url, folder, **billing)
    async with plane.server:
        try:
            yield plane
        finally:
            await plane.engine.close()
