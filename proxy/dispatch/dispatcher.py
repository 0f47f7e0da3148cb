"""What all exchanges of the process share: clock, random numbers, origins."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Protocol

from proxy.client import tls
from proxy.client.credentials.refresher import CredentialRefresher
from proxy.client.dial import Origin
from proxy.config.provider_schema import Tls
from proxy.fetch.fetcher import ContentFetcher
from proxy.ledger.ledger import Ledger
from proxy.providers.provider import Site
from proxy.relay.context import TransportContext
from proxy.responder import Responder
from proxy.routing.catalog import Catalog


class Clock(Protocol):
    """Monotonic and wall time in seconds; tests replace it."""

    def now(self) -> float: ...
    def wall(self) -> float: ...
    async def sleep(self, seconds: float) -> None: ...


class LoopClock:
    """The loop's clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.now = loop.time
        self.wall = time.time

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Origins(dict[Site, Origin]):
    """The origin of each site of the current catalog. Running exchanges may use sites of an older one."""

    def __missing__(self, site: Site) -> Origin:
        return _origin(site)


class Dispatcher:
    """Shared state of all exchanges.

    ``warn`` writes to the log; ``clock`` is the loop's unless a test sets one. ``credentials`` are those that clouds
    issue. ``contents`` fetches content of requests by its address. ``ledger``: ``None`` keeps no account.
    """

    def __init__(
        self,
        context: TransportContext,
        clock: Clock | None = None,
        chance: random.Random | None = None,
        warn: Callable[..., None] | None = None,
        credentials: CredentialRefresher | None = None,
        contents: ContentFetcher | None = None,
        ledger: Ledger | None = None,
    ) -> None:
        clock = clock or LoopClock(context.loop)
        self.context = context
        self.warn = warn or _nothing
        self.random = chance or random.Random()
        self.now = clock.now
        self.wall = clock.wall
        self._sleep = clock.sleep
        self.origins = Origins()
        self.credentials = credentials or CredentialRefresher({})
        self.ledger = ledger
        self.contents = contents or ContentFetcher({}, lambda: tls.context(Tls()))

    def adopt(self, catalog: Catalog) -> None:
        """Use the sites of this catalog from now on. Connections to addresses that left are closed."""
        before = self.origins
        sites = [
            site
            for provider in catalog.providers.values()
            for main in provider.sites
            if main.address.present
            for site in (main, *main.speaking.values())
        ]
        self.origins = Origins((site, before.get(site) or _origin(site)) for site in sites)
        for origin in {*before.values()} - {*self.origins.values()}:
            self.context.pool.leave(origin)

    def open_connections(self) -> dict[str, int]:
        """Open upstream connections by provider, for the metrics."""
        opened = self.context.pool.open_by_origin()
        found: dict[str, int] = {}
        for site, origin in self.origins.items():
            name = site.provider.name
            found[name] = found.get(name, 0) + opened.pop(origin, 0)
        return found

    async def wait(self, seconds: float, responder: Responder, *, pings: bool) -> None:
        """Sleep; ``pings``: the client waits for a stream, and is pinged meanwhile."""
        until, first = self.now() + seconds, responder.exchange.began + self.context.ping_after
        if not pings or not self.context.ping_after:
            await self._sleep(seconds)
            return
        while (left := until - self.now()) > 0:
            ahead = first - self.now() if first > self.now() else self.context.ping_every
            await self._sleep(min(left, ahead))
            if until > self.now() >= first:
                responder.ping()


def _nothing(message: str, /, **fields: object) -> None:
    """Ignore a warning: there is no log."""


def _origin(site: Site) -> Origin:
    return Origin.of(site.base_url, site.provider.settings.tls)
