"""What is in force, for the views of services, addresses and routes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from msgspec import UNSET

from proxy.control.clock import WallClock
from proxy.control.live import LiveConfig
from proxy.control.services.faults import unknown_service
from proxy.control.services.preconditions import Preconditions
from proxy.control.services.route_plans import RoutePlans
from proxy.control.services.route_views import RouteView, route_view
from proxy.control.services.service_plans import ServicePlans
from proxy.control.services.views import (
    AddressView,
    MistakeView,
    RoutingStoreView,
    ServiceView,
    WeightView,
    address_view,
    service_view,
)
from proxy.services.discovery.base import SourceState
from proxy.services.entries import Entries
from proxy.services.live import LiveServices
from proxy.services.live_service import LiveService
from proxy.services.store.follower import EntryFollower

SETTINGS = "settings"  # the source of addresses that a service's settings list


class ServiceSurvey:
    """``states`` returns the states of a service's sources of addresses, by technology."""

    def __init__(
        self,
        services: LiveServices,
        follower: EntryFollower,
        live: LiveConfig,
        states: Callable[[str], Mapping[str, SourceState]],
        clock: WallClock,
    ) -> None:
        self._services = services
        self._follower = follower
        self._live = live
        self._states = states
        self.clock = clock

    # -- plans over entries ---------------------------------------------------------------------------

    def service_plans(self, entries: Entries, given: Preconditions) -> ServicePlans:
        return ServicePlans(entries, self._live.config.services, given)

    def route_plans(self, entries: Entries, given: Preconditions) -> RoutePlans:
        in_file = {each.id: each.settings for each in self._services.table if each.definer == "file"}
        return RoutePlans(entries, in_file, self.most, given)

    @property
    def most(self) -> int:
        return self._live.config.discovery.most_services

    # -- services -----------------------------------------------------------------------------------

    @property
    def names(self) -> Sequence[str]:
        return sorted(self._services.services)

    def find(self, name: str) -> LiveService:
        """Raises ClientFault (404)."""
        found = self._services.services.get(name)
        if found is None:
            raise unknown_service(name)
        return found

    def version(self, name: str) -> int:
        """Of a service in force; 0: of one in the file, without overrides."""
        return self.service_plans(self._services.entries, Preconditions()).version(name) or 0

    def service(self, name: str, routes: Mapping[str, Sequence[str]], notice: str = "") -> ServiceView:
        """``routes``: those of ``routes_by_service``. Raises ClientFault (404)."""
        found, override = self.find(name), self._services.entries.get("override", name)
        return service_view(
            found,
            version=self.version(name),
            override={} if override is None else override.body,
            addresses=self.addresses(name),
            sources=self._states(name),
            routes=routes.get(name, ()),
            notice=notice,
        )

    def addresses(self, name: str) -> list[AddressView]:
        """Raises ClientFault (404)."""
        service, sources = self.find(name), self.sources(name)
        return [address_view(each, sources.get(each.url, SETTINGS), self.clock) for each in service.group.addresses]

    def sources(self, name: str) -> Mapping[str, str]:
        """Where each address comes from, by its URL. The settings go before what was found."""
        service = self._services.services.get(name)
        listed = () if service is None else service.settings.addresses
        found = {each.url: source for source, some in self._services.discovered(name).items() for each in some}
        return found | {each.url: SETTINGS for each in listed}

    def has_weight(self, name: str) -> bool:
        """Whether there is such a service, or a weight that was set for it."""
        return name in self._services.services or self._services.entries.get("override", name) is not None

    def weight(self, name: str, notice: str = "") -> WeightView:
        """Also of a name that is not there yet: 1 unless another one was set."""
        service, override = self._services.services.get(name), self._services.override(name)
        kept = self._services.entries.get("override", name)
        weight = 1.0 if override.weight is UNSET else override.weight
        later = {url: each.weight for url, each in override.addresses.items() if each.weight is not UNSET}
        if service is not None:
            weight = service.weight
            later |= {each.url: each.settings.weight for each in service.group.addresses}
        version = max(self.version(name), 0 if kept is None else kept.version)
        return WeightView(name, weight, later, service is not None, version, notice or UNSET)

    # -- routes -------------------------------------------------------------------------------------

    @property
    def route_ids(self) -> Sequence[str]:
        return sorted(self._services.table.by_id)

    def route(self, id_: str, notice: str = "") -> RouteView | None:
        found = self._services.table.by_id.get(id_)
        if found is None:
            return None
        entry = self._services.entries.get("route", id_)
        version = 0 if entry is None or found.definer == "file" else entry.version
        return route_view(found, version, self._services.services, notice)

    def routes_by_service(self) -> Mapping[str, Sequence[str]]:
        """Ids of the routes that lead to a service, by its name."""
        found: dict[str, list[str]] = {}
        for route in self._services.table:
            for name, _ in route.services:
                found.setdefault(name, []).append(route.id)
        return found

    # -- the store ----------------------------------------------------------------------------------

    def store(self) -> RoutingStoreView:
        store, state = self._follower.store, self._follower.state
        kind = self._live.config.discovery.store if store.durable else "memory"
        return RoutingStoreView(kind, store.durable, state.version, state.error)

    def mistakes(self) -> list[MistakeView]:
        return [MistakeView(kind, name, list(lines)) for (kind, name), lines in self._services.mistakes.items()]
