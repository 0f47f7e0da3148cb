"""Finding the addresses of all services, while services come, change and go."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from random import Random
from typing import Final, Protocol

from proxy.config.service_schema import DiscoverySettings, ServerAddress, ServiceSettings
from proxy.services.discovery import table
from proxy.services.discovery.base import Discovery, SourceState
from proxy.services.discovery.following import FollowedSource
from proxy.services.discovery.reports import SourceReports

SLICE_SECS: Final = 0.002  # how long changes are applied before the loop may do other work
SLICE_CHANGES: Final = 40  # at most, as the task of a new source takes 30 us in the next turn of the loop
REPORT_SECS: Final = 1.0


class AddressReceiver(Protocol):
    """Takes what was found: all addresses of a service by one technology."""

    def found(self, service: str, source: str, addresses: Sequence[ServerAddress]) -> None: ...


class DiscoveryRunner:
    """``put`` and ``forget`` follow the set of services, ``adopt`` the settings of discovery; all return at once.

    Changes and findings are applied in slices by a task: of several for the same service the last one counts. A source
    whose settings stay the same goes on when other settings of its service change. Addresses stay while their source
    fails or is replaced, and are withdrawn when the service no longer names it.
    """

    def __init__(
        self,
        receiver: AddressReceiver,
        settings: DiscoverySettings,
        *,
        warn: Callable[..., None],
        info: Callable[..., None],
        environ: Mapping[str, str],
        open_discovery: Callable[[str, DiscoverySettings, Mapping[str, str]], Discovery] = table.open_discovery,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        chance: Random | None = None,
    ) -> None:
        """``environ``: with the variables of ``.env``."""
        self._receiver = receiver
        self._environ = environ
        self._settings = settings
        self._next_settings = settings
        self._warn = warn
        self._open_discovery = open_discovery
        self._clock = clock
        self._sleep = sleep
        self._chance = chance or Random()
        self._reports = SourceReports(warn, info)
        self._services: dict[str, ServiceSettings] = {}  # those with sources
        self._sources: dict[str, dict[str, FollowedSource]] = {}  # by service and technology
        self._discoveries: dict[str, Discovery] = {}
        # A dict would scan over removed entries to find its first one.
        self._changes: OrderedDict[str, ServiceSettings | None] = OrderedDict()
        self._news: OrderedDict[tuple[str, str], Sequence[ServerAddress]] = OrderedDict()
        self._wake = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._ending: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._run(), name="addresses of services"),
            asyncio.create_task(self._report(), name="states of sources"),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        for sources in self._sources.values():
            for each in sources.values():
                self._end(each)
        await asyncio.gather(*self._tasks, *self._ending, return_exceptions=True)
        self._services, self._sources = {}, {}
        for discovery in self._discoveries.values():
            await discovery.close()
        self._discoveries = {}

    def put(self, service: str, settings: ServiceSettings) -> None:
        """A service that is new or has changed."""
        if table.wanted(settings) or service in self._services or service in self._changes:
            self._changes[service] = settings
            self._wake.set()

    def forget(self, service: str) -> None:
        """A service that is gone. Nothing is handed over for it any more."""
        if service in self._services or service in self._changes:
            self._changes[service] = None
            self._wake.set()

    def adopt(self, settings: DiscoverySettings) -> None:
        """Use other settings. Sources of a technology whose own settings have changed begin anew."""
        self._next_settings = settings
        self._wake.set()

    def states(self, service: str) -> Mapping[str, SourceState]:
        """The states of a service's sources, by technology."""
        return {name: each.state for name, each in self._sources.get(service, {}).items()}

    def sources(self) -> Iterator[FollowedSource]:
        """All that are followed now."""
        for sources in self._sources.values():
            yield from sources.values()

    # -- applying changes in slices -----------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._next_settings != self._settings:
                await self._reopen()
            while self._changes or self._news:
                self._apply_slice()
                await asyncio.sleep(0)

    def _apply_slice(self) -> None:
        """At least one change, and more until the slice's time is over. Findings wait for all changes of services."""
        until = self._clock() + SLICE_SECS
        for _ in range(min(SLICE_CHANGES, len(self._changes))):
            self._change(*self._changes.popitem(last=False))
            if self._clock() >= until:
                return
        if self._changes:
            return
        while self._news:
            (service, name), addresses = self._news.popitem(last=False)
            self._hand_over(service, name, addresses)
            if self._clock() >= until:
                return

    def _change(self, service: str, settings: ServiceSettings | None) -> None:
        present = self._sources.get(service, {})
        wanted = {} if settings is None else table.wanted(settings)
        for name, each in [*present.items()]:
            if wanted.get(name) != each.wanted:
                self._end(each)
                self._news.pop((service, name), None)
                del present[name]
                if settings is not None and name not in wanted:
                    self._hand_over(service, name, ())
        if settings is None or not wanted:
            self._services.pop(service, None)
            self._sources.pop(service, None)
            return
        self._services[service] = settings
        self._sources[service] = present
        for name, what in wanted.items():
            if name not in present:
                present[name] = self._begin(service, name, what, settings)

    def _begin(self, service: str, name: str, wanted: object, settings: ServiceSettings) -> FollowedSource:
        made = FollowedSource(
            service,
            name,
            wanted,
            lambda: self._discovery(name).source(service, settings),
            chance=self._chance,
            sleep=self._sleep,
        )
        made.start(partial(self._note, made))
        return made

    def _discovery(self, name: str) -> Discovery:
        found = self._discoveries.get(name)
        if found is None:
            found = self._discoveries[name] = self._open_discovery(name, self._settings, self._environ)
        return found

    def _note(self, source: FollowedSource, addresses: Sequence[ServerAddress]) -> None:
        """Addresses that a source has found. One that was replaced meanwhile is not listened to."""
        if self._sources.get(source.service, {}).get(source.technology) is source:
            self._news[source.service, source.technology] = addresses
            self._wake.set()

    def _hand_over(self, service: str, name: str, addresses: Sequence[ServerAddress]) -> None:
        try:
            self._receiver.found(service, name, addresses)
        except Exception as error:  # of any kind: other services are not affected
            self._warn("Addresses of a service cannot be used.", service=service, source=name, why=repr(error))

    def _end(self, source: FollowedSource) -> None:
        task = source.stop()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _reopen(self) -> None:
        """Begin anew with each technology whose own settings have changed. Its sources follow as changes."""
        before, self._settings = self._settings, self._next_settings
        changed = {
            name
            for name in self._discoveries
            if table.own_section(name, before) != table.own_section(name, self._settings)
        }
        for service, sources in self._sources.items():
            for name in changed & sources.keys():
                self._end(sources.pop(name))
                self._changes.setdefault(service, self._services[service])
        await asyncio.gather(*self._ending, return_exceptions=True)
        for name in changed:
            await self._discoveries.pop(name).close()

    async def _report(self) -> None:
        while True:
            await self._sleep(REPORT_SECS)
            self._reports.look(self.sources())
