"""Stores of leases, each as processes of their own open it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

from proxy.database.engine import Engine
from proxy.database.health import DatabaseHealth
from proxy.database.opening import LazyEngine
from proxy.fleet.lease.base import LeaseStore
from proxy.fleet.lease.opening import open_leases
from proxy.redis import RedisClient
from tests.database.databases import address, new_database
from tests.ledger.recorder.databases import make_file
from tests.support.patience import PATIENCE
from tests.support.services import redis_prefix, redis_url

SHARED = ("redis", "postgresql", "sqlite")
KINDS = (*SHARED, "alone")
REDIS_SECS = 10.0

Opener = Callable[[], LeaseStore]


@asynccontextmanager
async def leases_of(kind: str, folder: Path) -> AsyncIterator[Opener]:
    """Opens the same store again, as another process would."""
    async with AsyncExitStack() as stack:
        if kind == "redis":
            url = redis_url()
            prefix = await stack.enter_async_context(redis_prefix(url))

            def opener() -> LeaseStore:
                client = RedisClient(url, prefix, REDIS_SECS)
                stack.push_async_callback(client.close)
                return open_leases(client, None)
        elif kind == "alone":

            def opener() -> LeaseStore:
                return open_leases(None, None)
        else:
            where = await stack.enter_async_context(new_database(kind, folder))
            if kind == "sqlite":
                await make_file(folder / "keys.db")

            def opener() -> LeaseStore:
                return open_leases(None, lazy_engine(where, stack))

        yield opener


def lazy_engine(url: str, stack: AsyncExitStack) -> LazyEngine:
    """As ``LazyEngine``, but patient: migrations of a busy machine take longer than a gateway waits."""
    engine = Engine(address(url), DatabaseHealth(), time_limit=PATIENCE)
    stack.push_async_callback(engine.close)
    return cast(LazyEngine, SimpleNamespace(get=lambda: engine))
