"""The routes of services and routes over real sockets, with a store in memory and what it puts in force."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

from proxy.addresses.book import AddressBook
from proxy.config.own_paths import OwnPaths
from proxy.config.schema import Config
from proxy.control.clock import WallClock
from proxy.control.http.router import ControlRoute
from proxy.control.services.address_handlers import AddressHandlers
from proxy.control.services.change_handlers import ChangeHandlers
from proxy.control.services.handlers import ServiceHandlers
from proxy.control.services.route_handlers import RouteHandlers
from proxy.control.services.survey import ServiceSurvey
from proxy.control.services.writer import RoutingWriter
from proxy.services.discovery.base import SourceState
from proxy.services.health.history import AddressHealth
from proxy.services.live import LiveServices
from proxy.services.store.base import EntryStore
from proxy.services.store.follower import EntryFollower
from proxy.services.store.memory import MemoryEntries
from tests.control.server import ControlServer


class Routing:
    """``config``: of the file. ``states``: of sources, ``checked``: of addresses, by service."""

    def __init__(self, config: Config, store: EntryStore | None = None) -> None:
        self.config = config
        self.states: dict[str, Mapping[str, SourceState]] = {}
        self.checked: dict[str, Sequence[AddressHealth]] = {}
        self.time = 1000.0
        self.book = AddressBook()
        self.services = LiveServices(
            self.book,
            now=lambda: self.time,
            context=lambda tls: None,
            own=OwnPaths("/api/v1"),
            warn=lambda message, **fields: None,
        )
        self.services.adopt(config)
        self.follower = EntryFollower(store or MemoryEntries(), self.services.adopt_entries, str, str)

    def plane(self) -> ControlServer:
        return ControlServer(self.routes)

    def routes(self, plane: ControlServer) -> Sequence[ControlRoute]:
        live: Any = SimpleNamespace(config=self.config)
        clock = WallClock(lambda: self.time, lambda: self.time + 1_700_000_000)
        survey = ServiceSurvey(self.services, self.follower, live, lambda name: self.states.get(name, {}), clock)
        address = lambda request: request.headers.get("x-test-address", "")  # noqa: E731
        writer = RoutingWriter(self.services, self.follower, plane.credential, address)
        return (
            *ServiceHandlers(survey, writer, plane.bodies).routes(),
            *AddressHandlers(survey, writer, plane.bodies, lambda name: self.checked.get(name, ())).routes(),
            *RouteHandlers(survey, writer, plane.bodies).routes(),
            *ChangeHandlers(self.follower).routes(),
        )
