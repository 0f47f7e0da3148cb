"""Puts the parts of services together: what is in force, where it comes from, and what answers requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from proxy.services.discovery.runner import DiscoveryRunner
from proxy.services.live import LiveServices
from proxy.services.store.follower import EntryFollower
from proxy.services.store.opening import open_entries

if TYPE_CHECKING:
    from proxy.addresses.book import AddressBook
    from proxy.client.dial import Dialer
    from proxy.config.own_paths import OwnPaths
    from proxy.config.schema import Config
    from proxy.database.opening import LazyEngine
    from proxy.observe.log import Log
    from proxy.runtime.shutdown import ShutdownStack

FIRST_LOOK_SECS: Final = 5.0  # that the start waits for the store


class ServiceParts:
    """``start`` puts the first configuration in force; ``adopt`` another one at a reload.

    ``live``: what is in force. ``follower``: the store, and changes of it. ``discovery``: finds addresses.
    """

    def __init__(
        self,
        config: Config,
        book: AddressBook,
        *,
        dialer: Dialer,
        database: LazyEngine,
        now: Callable[[], float],
        own: OwnPaths,
        log: Log,
    ) -> None:
        self._config = config
        self._log = log
        self.live = LiveServices(book, now=now, context=dialer.context, own=own, warn=log.warning)
        self.discovery = DiscoveryRunner(self.live, config.discovery, warn=log.warning, info=log.info)
        self.follower = EntryFollower(open_entries(config, database), self.live.adopt_entries, log.warning, log.info)
        self.live.on_service.append(self._discover)

    async def start(self, shutdown: ShutdownStack) -> None:
        """Raises nothing: without its store the gateway serves what the files have."""
        self.live.adopt(self._config)
        self._start_discovery(shutdown)
        await self._start_following(shutdown)

    def adopt(self, config: Config) -> None:
        """Put the services and routes of another configuration in force."""
        self.live.adopt(config)
        self.discovery.adopt(config.discovery)

    # -- each part, with its end --------------------------------------------------------------------

    def _start_discovery(self, shutdown: ShutdownStack) -> None:
        shutdown.push("discovery of services", self.discovery.close)
        self.discovery.start()

    async def _start_following(self, shutdown: ShutdownStack) -> None:
        try:
            async with asyncio.timeout(FIRST_LOOK_SECS):
                await self.follower.look()
        except TimeoutError:
            self._log.warning("The store of services and routes does not answer; the gateway starts without it.")
        if not self.follower.store.durable:
            return  # no other process changes it
        following = asyncio.create_task(self.follower.run(), name="services and routes of the store")
        shutdown.push("services and routes of the store", lambda: _cancel(following))

    def _discover(self, name: str) -> None:
        service = self.live.services.get(name)
        if service is None:
            self.discovery.forget(name)
        else:
            self.discovery.put(name, service.settings)


async def _cancel(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.wait((task,))
