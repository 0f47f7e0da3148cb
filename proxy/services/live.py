"""The services and routes in force: the only owner of what they are made of."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from msgspec import UNSET
from msgspec.structs import replace

from proxy.addresses.book import AddressBook
from proxy.config.own_paths import OwnPaths
from proxy.config.provider_schema import Tls
from proxy.config.schema import Config
from proxy.config.service_schema import ServerAddress, ServiceOverride
from proxy.config.timeouts import of_service
from proxy.errors import ConfigError
from proxy.services.definitions import NOTHING, Definitions, FileDefinitions, definitions, new_mistakes
from proxy.services.entries import NO_ENTRIES, Entries, EntryKey
from proxy.services.live_service import LiveService
from proxy.services.table.route import ServiceRoute
from proxy.services.table.table import RouteTable

NO_OVERRIDE: Final = ServiceOverride()
Addresses = tuple[ServerAddress, ...]


class LiveServices:
    """Inputs: ``adopt`` (the files), ``adopt_entries`` (the store), ``found`` (discovery). Outputs: ``table``,
    ``services``, ``book``. A change of one service leaves the others as they are.

    ``on_service`` hears the name of a service that was defined, changed or removed; ``on_table`` the new table.
    ``book.on_change`` hears of addresses. ``now``: monotonic seconds. ``context`` prepares TLS settings: it reads
    files, and raises OSError. ``own``: paths that no route may have.
    """

    def __init__(
        self,
        book: AddressBook,
        *,
        now: Callable[[], float],
        context: Callable[[Tls], object],
        own: OwnPaths,
        warn: Callable[..., None],
    ) -> None:
        self.book = book
        self.table = RouteTable()
        self.on_service: list[Callable[[str], None]] = []
        self.on_table: list[Callable[[RouteTable], None]] = []
        self._services: dict[str, LiveService] = {}
        self._routes: dict[str, ServiceRoute] = {}
        self._found: dict[str, dict[str, Addresses]] = {}
        self._entries = NO_ENTRIES
        self._config = Config()
        self._files = FileDefinitions.of(self._config)
        self._defined = NOTHING
        self._now = now
        self._context = context
        self._own = own
        self._warn = warn

    def __repr__(self) -> str:
        return f"<LiveServices of {len(self._services)}, {self.table!r}>"

    # -- what is in force ---------------------------------------------------------------------------

    @property
    def services(self) -> Mapping[str, LiveService]:
        """By name. A changed service is another object."""
        return self._services

    @property
    def entries(self) -> Entries:
        """The last set of the store, with those entries that are wrong."""
        return self._entries

    @property
    def mistakes(self) -> Mapping[EntryKey, tuple[str, ...]]:
        """Lines about each entry that is wrong. It is left out, unless it is a route that refuses all requests."""
        return self._defined.mistakes

    def override(self, name: str) -> ServiceOverride:
        """What an operator set of a service at run time, also of one that is not there yet."""
        return self._defined.overrides.get(name, NO_OVERRIDE)

    def discovered(self, name: str) -> Mapping[str, Addresses]:
        """The addresses that were found for a service, by source."""
        return self._found.get(name, {})

    def pick(self, route: ServiceRoute, chance: Callable[[], float]) -> LiveService | None:
        """The service for a request; ``None``: it is not defined. ``chance()``: from 0 to less than 1, for a split."""
        listed = route.services
        if len(listed) == 1:
            return self._services.get(listed[0][0])
        return self._split(listed, chance())

    def _split(self, listed: Sequence[tuple[str, float]], chance: float) -> LiveService | None:
        """Services without any address get no share, as long as another has one."""
        given = any(weight for _, weight in listed)
        weighed = [
            (service, weight if given else service.weight)
            for name, weight in listed
            if (service := self._services.get(name)) is not None
        ]
        usable = [each for each in weighed if each[0].group.addresses and each[1]] or weighed
        if not usable:
            return None
        rest = chance * sum(weight for _, weight in usable)
        for service, weight in usable:
            rest -= weight
            if rest < 0:
                return service
        return usable[-1][0]

    # -- definitions --------------------------------------------------------------------------------

    def check(self, entries: Entries) -> None:
        """Raises ConfigError for a set with mistakes that the present one does not have."""
        found = definitions(self._files, entries, self._own, self._defined)
        mistakes = [line for _, line in new_mistakes(found, self._defined)]
        most = self._config.discovery.most_services
        if len(found.services) > max(most, len(self._defined.services)):
            mistakes.append(f"there may be at most {most} services (discovery.mostServices)")
        if mistakes:
            raise ConfigError(mistakes)

    async def prepare(self, config: Config, entries: Entries) -> None:
        """Read the files of TLS settings that are new, in a thread. Raises ConfigError."""
        before = self._defined
        found = definitions(FileDefinitions.of(config), entries, self._own, before)
        if mistakes := await asyncio.to_thread(lambda: list(self._unusable(found, before))):
            raise ConfigError(mistakes)

    def adopt(self, config: Config) -> None:
        """Put the services and routes of the files in force."""
        again = config.timeouts != self._config.timeouts or config.discovery.region != self.book.region
        self.book.region = config.discovery.region
        self._config, self._files = config, FileDefinitions.of(config)
        self._apply(definitions(self._files, self._entries, self._own, self._defined), again)

    def adopt_entries(self, entries: Entries) -> None:
        """Put what the store has in force. Entries that are wrong are left out, as ``mistakes`` says."""
        self._entries = entries
        before = self._defined
        self._apply(definitions(self._files, entries, self._own, before), False)
        for (kind, name), line in new_mistakes(self._defined, before):
            refuses = kind == "route" and name in self._defined.routes and self._defined.routes[name].definer != "file"
            what = "A route of the store refuses all requests." if refuses else "An entry of the store has no effect."
            self._warn(what, entry=f"{kind} {name}", mistake=line)
        for line in self._unusable(self._defined, before):
            self._warn("The TLS settings of a service cannot be used.", mistake=line)

    def found(self, service: str, source: str, addresses: Sequence[ServerAddress]) -> None:
        """Take the addresses that a source has for a service. They replace those of this source before."""
        live, listed = self._services.get(service), tuple(addresses)
        sources = self._found.setdefault(service, {})
        if live is None or sources.get(source) == listed:
            return
        sources[source] = listed
        self._put(live)

    def _unusable(self, defined: Definitions, before: Definitions) -> Iterator[str]:
        """Prepare the TLS settings of services that are new or changed, and yield a line for each that is wrong."""
        for name, service in defined.services.items():
            if before.services.get(name) is not service and service.settings.uses_tls:
                try:
                    self._context(service.settings.tls)
                except OSError as error:
                    yield f"services.{name}.tls: the certificates cannot be used: {error}"

    def _apply(self, defined: Definitions, again: bool) -> None:
        """``again``: all services are made anew, as the clocks that they inherit changed."""
        before, self._defined = self._defined, defined
        for name in before.services.keys() - defined.services.keys():
            del self._services[name]
            self._found.pop(name, None)
            self.book.forget(name)
            self._heard(name)
        for name, service in defined.services.items():
            old = before.services.get(name)
            changed = old is not service and old != service
            if again or changed or before.overrides.get(name) != defined.overrides.get(name):
                self._define(name)
        self._apply_routes(before)

    def _define(self, name: str) -> None:
        defined, override = self._defined.services[name], self.override(name)
        settings = defined.settings
        weight = settings.weight if override.weight is UNSET else override.weight
        clocks = of_service(self._config, settings)
        live = LiveService(name, settings, clocks, defined.definer, weight, self.book)
        self._services[name] = live
        found = self._found.get(name)
        if found is not None:
            self._found[name] = {source: each for source, each in found.items() if getattr(settings, source, True)}
        self._put(live)
        self._heard(name)

    def _put(self, live: LiveService) -> None:
        """Give the book the addresses of one service: configured ones, then found ones, without duplicates."""
        override = self.override(live.name)
        listed = {each.url: each for found in self._found.get(live.name, {}).values() for each in found}
        listed.update((each.url, each) for each in live.settings.addresses)
        drained = []
        for url, each in override.addresses.items():
            if url not in listed:
                continue
            if each.weight is not UNSET:
                listed[url] = replace(listed[url], weight=each.weight)
            if each.drained:
                drained.append(url)
        self.book.put(live.name, live.settings, tuple(listed.values()), self._now(), drained)

    def _apply_routes(self, before: Definitions) -> None:
        routes = self._defined.routes
        made: dict[str, ServiceRoute] = {}
        for id_, each in routes.items():
            old = self._routes.get(id_)
            same = old is not None and before.routes.get(id_) == each
            made[id_] = (
                old if same and old is not None else ServiceRoute.of(id_, each.settings, each.definer, each.order)
            )
        if made == self._routes:
            return
        self._routes, self.table = made, RouteTable(made.values())
        for listener in self.on_table:
            listener(self.table)

    def _heard(self, name: str) -> None:
        for listener in self.on_service:
            listener(name)
