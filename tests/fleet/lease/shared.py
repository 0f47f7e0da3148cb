"""What a replica shares with others. A process of its own imports this: no pytest, and SQLAlchemy only if needed."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, NamedTuple, cast

from proxy.config.schema import Database
from proxy.consul.client import ConsulClient
from proxy.database.address import address_of
from proxy.database.health import DatabaseHealth
from proxy.database.opening import LazyEngine
from proxy.redis.client import RedisClient
from tests.support.patience import PATIENCE

if TYPE_CHECKING:
    from proxy.database.engine import Engine


class Shared(NamedTuple):
    redis: RedisClient | None
    database: LazyEngine | None
    consul: ConsulClient | None = None


def lazy_engine(url: str, stack: AsyncExitStack) -> LazyEngine:
    """As ``LazyEngine``, but patient: a busy machine takes longer than a gateway waits."""
    return cast(LazyEngine, PatientEngine(url, stack))


class PatientEngine:
    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = url
        self._engine: Engine | None = None
        stack.push_async_callback(self._close)  # after everything that is opened later, and uses it while it ends

    def get(self) -> Engine:
        if self._engine is None:
            from proxy.database.engine import Engine

            address = address_of(Database(url=self._url), "")
            self._engine = Engine(address, DatabaseHealth(), time_limit=PATIENCE)
        return self._engine

    async def _close(self) -> None:
        if self._engine is not None:
            await self._engine.close()
