"""What replicas share, each as processes of their own open it: Redis, a database, Consul, or nothing."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from proxy.config.service_schema import ConsulSettings
from proxy.consul.client import ConsulClient
from proxy.consul.settings import target_of
from proxy.database.migrate import upgrade
from proxy.fleet.lease.base import LeaseStore
from proxy.fleet.lease.opening import open_leases
from proxy.redis.client import RedisClient
from tests.database.databases import address, new_database
from tests.fleet.lease.shared import Shared, lazy_engine
from tests.ledger.recorder.databases import make_file
from tests.support.consul import FakeConsul
from tests.support.patience import PATIENCE
from tests.support.services import redis_prefix, redis_url

SHARED = ("redis", "postgresql", "sqlite")
KINDS = (*SHARED, "alone")
WITH_CONSUL = (*SHARED, "consul")  # whose leases have tests of their own: no session ends within a second


Connector = Callable[[], Shared]
Opener = Callable[[], LeaseStore]


@asynccontextmanager
async def shared_by(kind: str, folder: Path) -> AsyncIterator[Connector]:
    """Connects again, as another process would."""
    async with AsyncExitStack() as stack:
        if kind == "redis":
            url = redis_url()
            prefix = await stack.enter_async_context(redis_prefix(url))

            def connect() -> Shared:
                client = RedisClient(url, prefix, PATIENCE)
                stack.push_async_callback(client.close)
                return Shared(client, None)
        elif kind == "consul":
            agent = await stack.enter_async_context(FakeConsul())

            def connect() -> Shared:
                client = ConsulClient(target_of(ConsulSettings(url=agent.url), {}), ssl.create_default_context)
                stack.push_async_callback(client.close)
                return Shared(None, None, client)
        elif kind == "alone":

            def connect() -> Shared:
                return Shared(None, None)
        else:
            where = await stack.enter_async_context(new_database(kind, folder))
            if kind == "sqlite":
                await make_file(folder / "keys.db")
            else:
                await upgrade(address(where))

            def connect() -> Shared:
                return Shared(None, lazy_engine(where, stack))

        yield connect


@asynccontextmanager
async def leases_of(kind: str, folder: Path) -> AsyncIterator[Opener]:
    """Opens the same store of leases again."""
    async with shared_by(kind, folder) as connect:
        yield lambda: open_leases(*connect())
