"""Which address is checked when, and what its checks change."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from itertools import islice
from random import Random
from typing import Final, Protocol

from proxy.addresses.book import AddressBook
from proxy.addresses.group import AddressGroup
from proxy.addresses.live import LiveAddress
from proxy.config.service_schema import ServiceSettings
from proxy.observe.log import Log
from proxy.services.health.address import CheckedAddress, CheckResult
from proxy.services.health.history import HealthChange
from proxy.services.health.probe import Probe

# A turn is short, so that no request waits: it begins few checks, and looks at few services that changed.
CHECKS: Final = 4
SERVICES: Final = 50
LOOKS: Final = 200  # at addresses that are due
GAP_SECS: Final = 0.01  # between two turns with more to do: at most 400 checks a second
MOST_RUNNING: Final = 200
JITTER: Final = 0.1


class CheckCounters(Protocol):
    """Metrics of checks."""

    def checked(self, service: str, passed: bool, seconds: float) -> None: ...


class Replicas(Protocol):
    """The other replicas: ``HealthSharing``."""

    def leaves(self, address: CheckedAddress, now: float) -> bool:
        """Whether another one checks the address."""
        ...

    def joined(self, address: CheckedAddress) -> None:
        """The address is new here."""
        ...

    def checked(self, address: CheckedAddress) -> None:
        """This process has checked it."""
        ...


class HealthChecker:
    """``settings_of`` returns what is in force for a service; ``None``: there is none of this name.

    ``changed`` is a listener of the book. ``now`` is the clock of the book, ``wall`` Unix time. ``turn`` is called
    again after the seconds that it returns; ``wake`` lets it be called soon.
    """

    def __init__(
        self,
        book: AddressBook,
        settings_of: Callable[[str], ServiceSettings | None],
        probe: Probe,
        log: Log,
        *,
        replicas: Replicas,
        wake: Callable[[], None],
        now: Callable[[], float],
        wall: Callable[[], float],
        random: Random,
        counters: CheckCounters | None = None,
    ) -> None:
        self._book = book
        self._settings_of = settings_of
        self._probe = probe
        self._log = log
        self._replicas = replicas
        self._wake = wake
        self._now = now
        self._wall = wall
        self._random = random
        self._counters = counters
        self._changed: dict[str, None] = {}  # services, in order
        self._groups: dict[str, AddressGroup] = {}  # of services that are checked
        self._addresses: dict[str, dict[str, CheckedAddress]] = {}  # by service and URL
        self._due: list[tuple[float, int, CheckedAddress]] = []
        self._number = 0
        self._new: list[CheckedAddress] = []
        self._running: set[asyncio.Task[None]] = set()

    @property
    def checked_addresses(self) -> int:
        """Number of addresses that have checks, by this process or another one."""
        return sum(map(len, self._addresses.values()))

    def of(self, service: str) -> dict[str, CheckedAddress]:
        """The addresses of a service that are checked, by URL."""
        return self._addresses.get(service, {})

    def find(self, service: str, url: str) -> CheckedAddress | None:
        return self._addresses.get(service, {}).get(url)

    @property
    def running(self) -> int:
        """How many checks run now."""
        return len(self._running)

    def changed(self, service: str) -> None:
        """Look at the service in one of the next turns, if its set of addresses has changed, and not their health."""
        if self._book.group(service) is not self._groups.get(service):
            self._changed[service] = None
            self._wake()

    def turn(self) -> float | None:
        """Begin the checks that are due. Returns the seconds until the next turn; ``None``: it waits for a change."""
        for service in list(islice(self._changed, SERVICES)):
            del self._changed[service]
            self._adopt(service)
        self._begin()
        if self._changed:
            return GAP_SECS
        if len(self._running) >= MOST_RUNNING or not self._due:
            return None  # the end of a check wakes it
        return max(self._due[0][0] - self._now(), GAP_SECS)

    async def close(self) -> None:
        for task in self._running:
            task.cancel()
        if self._running:
            await asyncio.wait(self._running)
        await self._probe.close()

    # -- which addresses there are -------------------------------------------------------------------

    def _adopt(self, service: str) -> None:
        settings, group = self._settings_of(service), self._book.group(service)
        if settings is None or not settings.health.path:
            self._leave(service, exists=settings is not None)
            return
        now = self._now()
        self._groups[service] = group
        before = self._addresses.pop(service, {})
        after: dict[str, CheckedAddress] = {}
        for live in group.addresses:
            known = before.pop(live.url, None)
            after[live.url] = self._kept(known, live, settings, now) or self._joined(live, settings, now)
        for each in before.values():
            each.gone = True
        self._addresses[service] = after
        while self._new:
            self._replicas.joined(self._new.pop())

    def _kept(
        self, known: CheckedAddress | None, live: LiveAddress, settings: ServiceSettings, now: float
    ) -> CheckedAddress | None:
        if known is None:
            return None
        if known.live is not live:  # it had left, and is back
            known.gone = True
            return None
        if (known.check, known.tls) != (settings.health, settings.tls):
            known.check, known.tls, known.streak = settings.health, settings.tls, 0
            if not known.running:
                self._plan(known, now)
        return known

    def _joined(self, live: LiveAddress, settings: ServiceSettings, now: float) -> CheckedAddress:
        made = CheckedAddress(live, settings.health, settings.tls, now)
        self._plan(made, now)
        self._new.append(made)
        return made

    def _leave(self, service: str, *, exists: bool) -> None:
        """It is gone, or not checked any more. In that case nothing is known of its addresses."""
        self._groups.pop(service, None)
        for each in self._addresses.pop(service, {}).values():
            each.gone = True
            if exists:
                self.note(each, None, "it is not checked any more")

    def _plan(self, address: CheckedAddress, due: float) -> None:
        address.due = due
        self._number += 1
        heapq.heappush(self._due, (due, self._number, address))

    # -- checks ------------------------------------------------------------------------------------------

    def _begin(self) -> None:
        begun, looks, now, due = 0, 0, self._now(), self._due
        while due and due[0][0] <= now and begun < CHECKS and looks < LOOKS and len(self._running) < MOST_RUNNING:
            planned, _, address = heapq.heappop(due)
            looks += 1
            if address.gone or address.running or address.due != planned:
                continue
            if self._replicas.leaves(address, now):
                # If no result comes, it is checked here.
                self._plan(address, max(min(now + self._interval(address), address.elsewhere_until), now + GAP_SECS))
                continue
            if address.stale(now):
                self.note(address, None, "no replica has checked it for too long")
            begun += 1
            address.running = True
            task = asyncio.get_running_loop().create_task(self._check(address), name="check of an address")
            self._running.add(task)
            task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._wake()

    async def _check(self, address: CheckedAddress) -> None:
        began, check, first = self._now(), address.check, address.last is None
        try:
            why = await self._probe.check(address)
        except Exception as error:  # of any kind: the address is checked again
            why = type(error).__name__
        now = self._now()
        address.running = False
        if address.gone:
            return
        if address.check is not check:  # other settings are in force
            self._plan(address, now)
            return
        # After the first check so many seconds that checks which began together spread over the interval.
        wait = check.interval_secs * self._random.random() if first else self._interval(address)
        self._plan(address, max(began + wait, now))
        self._settle(address, CheckResult(not why, self._wall(), now - began, why))

    def _settle(self, address: CheckedAddress, result: CheckResult) -> None:
        address.last = result
        self.note(address, address.judge(result.passed), result.why)
        self._replicas.checked(address)
        if self._counters is not None:
            self._counters.checked(address.live.service, result.passed, result.seconds or 0.0)

    def note(self, address: CheckedAddress, healthy: bool | None, why: str, at: float | None = None) -> None:
        """Set the health of an address. ``at``: since when, in Unix seconds, if not now."""
        live = address.live
        if live.healthy == healthy:
            return
        before = live.healthy
        address.history.add(HealthChange(self._wall() if at is None else at, healthy, why))
        self._book.note_health(live, healthy, self._now())
        if healthy is False:
            self._log.warning("An address fails its health checks.", service=live.service, address=live.url, why=why)
        elif healthy and before is False:
            self._log.info("An address passes its health checks again.", service=live.service, address=live.url)

    def _interval(self, address: CheckedAddress) -> float:
        """Seconds until its next check."""
        return address.check.interval_secs * (1 + JITTER * (2 * self._random.random() - 1))
