"""The routes of usage on a real database with three rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from msgspec import structs

from proxy.config.schema import Config, Database
from proxy.control.clock import WallClock
from proxy.control.usage.handlers import UsageHandlers
from proxy.control.usage.metrics import AnalyticsMetrics
from proxy.control.usage.store import UsageStore
from proxy.database.opening import LazyEngine
from tests.control.server import ControlServer
from tests.ledger.rows import ROW
from tests.ledger.store import put

NOW = 1_700_000_000.0  # the FakeClock's


class Plane:
    """The routes with a ledger of three rows; ``config`` may be replaced."""

    def __init__(self, folder: Path) -> None:
        self.config = Config(database=Database(url=f"sqlite:///{folder}/ledger.db"))
        self._engine = LazyEngine(self.config.database, folder, print, print)
        self.server = ControlServer(self._routes)

    def _routes(self, server: ControlServer) -> Sequence[Any]:
        live: Any = self
        clock = WallClock(server.clock.now, server.clock.wall)
        store = UsageStore(self._engine, live)
        return (*UsageHandlers(store, clock).routes(), *AnalyticsMetrics(store, clock).routes())

    async def close(self) -> None:
        await self._engine.close()


@asynccontextmanager
async def ledger_plane(folder: Path) -> AsyncIterator[Plane]:
    """Two attempts of alice, one of unknown usage, and an estimated one of a client without an owner."""
    plane = Plane(folder)
    async with plane.server:
        at = plane.server.clock.wall() - 60
        mine = structs.replace(
            ROW, id="a", at=at, client="key:a", owner="alice", usage_source="provider", cost=1_500_000_000
        )
        rows = [
            mine,
            structs.replace(mine, id="b", model="=2+3", usage_source="unknown", cost=None, cost_source="unpriced"),
            structs.replace(mine, id="c", client="key:c", owner="", answered=True, usage_source="estimated", cost=7),
        ]
        await put(plane.config.database.url, rows)
        yield plane
    await plane.close()
