"""A replica that checks the address of one service: in this process, or ``python -m tests.services.health.replica``."""

from __future__ import annotations

import asyncio
import sys
from contextlib import AsyncExitStack
from types import TracebackType

import uvloop

from proxy.addresses.book import AddressBook
from proxy.client.plain_get import PlainGet
from proxy.client.tls import context
from proxy.config.service_schema import HealthCheck, ServerAddress, ServiceSettings
from proxy.redis.client import RedisClient
from proxy.runtime.loop import Loop
from proxy.services.health.history import AddressHealth
from proxy.services.health.opening import open_health
from tests.fleet.lease.shared import Shared, lazy_engine
from tests.services.health.rig import Counts, log_of
from tests.support.patience import PATIENCE

NAME = "s"
CHECK = HealthCheck(path="/health", interval_secs=0.1, timeout_secs=PATIENCE, healthy=1, unhealthy=1)


class HealthReplica:
    """``async with HealthReplica(shared, url)``."""

    def __init__(self, shared: Shared, *urls: str, lease_secs: float = 600.0, check: HealthCheck = CHECK) -> None:
        loop = asyncio.get_running_loop()
        self._now = loop.time
        self.lines: list[str] = []
        self.counts = Counts()
        self.book = AddressBook()
        self.settings: dict[str, ServiceSettings] = {}
        self.check = check
        self.health = open_health(
            self.book,
            self.settings.get,
            PlainGet(context, {}),
            log_of(self.lines),
            now=self._now,
            redis=shared.redis,
            database=shared.database,
            consul=shared.consul,
            counters=self.counts,
            lease_secs=lease_secs,
        )
        self.put(*urls)

    def put(self, *urls: str, name: str = NAME) -> None:
        addresses = [ServerAddress(url) for url in urls]
        self.settings[name] = ServiceSettings(addresses=addresses, health=self.check)
        self.book.put(name, self.settings[name], addresses, self._now())

    @property
    def checked(self) -> int:
        """How many checks it has made."""
        return sum(self.counts.passed.values())

    def view(self, number: int = 0) -> AddressHealth | None:
        found = self.health.of(NAME)
        return found[number] if number < len(found) else None

    def knows(self, healthy: bool, *, here: bool) -> bool:
        """Whether it knows of the first address, by its own checks or by those of another replica."""
        view = self.view()
        return view is not None and (view.healthy, view.here) == (healthy, here)

    async def __aenter__(self) -> HealthReplica:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.health.close()


async def main(kind: str, where: str, prefix: str, url: str, lease_secs: float) -> None:
    """Until it is killed. Writes a line when it has the lease, and has checked."""
    async with AsyncExitStack() as stack:
        if kind == "redis":
            shared = Shared(RedisClient(where, prefix, PATIENCE), None)
        else:
            shared = Shared(None, lazy_engine(where, stack))
        async with HealthReplica(shared, url, lease_secs=lease_secs) as replica:
            while not (replica.health.checks and replica.checked):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            print("checks", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(*sys.argv[1:5], float(sys.argv[5])), loop_factory=Loop)
