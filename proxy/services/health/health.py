"""The health of the addresses of services: checks, their results in the book, and views of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import inf
from random import Random

from proxy.addresses.book import AddressBook
from proxy.config.service_schema import ServiceSettings
from proxy.fleet.lease.lease import end
from proxy.observe.log import Log
from proxy.services.health.checker import GAP_SECS, CheckCounters, HealthChecker
from proxy.services.health.history import AddressHealth
from proxy.services.health.probe import Probe
from proxy.services.health.sharing import CLOSE_SECS, HealthSharing


class ServiceHealth:
    """Checks from the first service on that has checks; without one it costs nothing.

    ``settings_of`` returns what is in force for a service; ``None``: there is none of this name. ``now`` is the clock
    of the book, ``wall`` Unix time.
    """

    def __init__(
        self,
        book: AddressBook,
        settings_of: Callable[[str], ServiceSettings | None],
        probe: Probe,
        sharing: HealthSharing,
        log: Log,
        *,
        now: Callable[[], float],
        wall: Callable[[], float],
        random: Random,
        counters: CheckCounters | None = None,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._book = book
        self._settings_of = settings_of
        self._sharing = sharing
        self._checker = HealthChecker(
            book,
            settings_of,
            probe,
            log,
            replicas=sharing,
            wake=self._wake,
            now=now,
            wall=wall,
            random=random,
            counters=counters,
        )
        self._starting: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._turn_at = inf  # the next one
        self._turned_at = -inf  # the last one
        self._running = self._closing = False
        book.on_change.append(self._changed)
        for service in book:
            self._changed(service)

    @property
    def checks(self) -> bool:
        """Whether this process checks for all replicas."""
        return self._running and self._sharing.checks

    @property
    def checked_addresses(self) -> int:
        """Number of addresses that have checks, by this process or another one."""
        return self._checker.checked_addresses

    def of(self, service: str) -> list[AddressHealth]:
        """The health of each address that is checked."""
        return [each.view() for each in self._checker.of(service).values()]

    async def close(self) -> None:
        """End the checks, and let another replica make them."""
        self._book.on_change.remove(self._changed)
        self._closing, self._running = True, False
        self._end_timer()
        if self._starting is not None:
            await end(self._starting, CLOSE_SECS)
        await self._checker.close()
        await self._sharing.close()

    def _changed(self, service: str) -> None:
        if self._starting is None:
            settings = self._settings_of(service)
            if settings is None or not settings.health.path:
                return
            self._starting = self._loop.create_task(self._start(), name="start of health checks")
            for each in self._book:
                self._checker.changed(each)
        self._checker.changed(service)

    async def _start(self) -> None:
        await self._sharing.start(self._checker)
        if not self._closing:
            self._running = True
            self._turn()

    def _wake(self) -> None:
        """Let a turn come soon, but not right after the last one."""
        if self._running:
            self._schedule(max(0.0, self._turned_at + GAP_SECS - self._loop.time()))

    def _schedule(self, secs: float) -> None:
        due = self._loop.time() + secs
        if due < self._turn_at:
            self._end_timer()
            self._turn_at = due
            self._timer = self._loop.call_at(due, self._turn)

    def _end_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._turn_at = None, inf

    def _turn(self) -> None:
        self._end_timer()
        self._turned_at = self._loop.time()
        wait = self._checker.turn()
        if wait is not None:
            self._schedule(wait)
