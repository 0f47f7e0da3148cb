"""Attention put together: the sources of troubles, and their route."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from msgspec import Struct

from proxy.addresses.book import AddressBook
from proxy.auth.credentials import Credentials
from proxy.budgets.book import Book
from proxy.config.schema import Config
from proxy.control.attention.budgets import BudgetTroubles
from proxy.control.attention.components import ComponentTroubles
from proxy.control.attention.deployments import DeploymentTroubles
from proxy.control.attention.events import EventTroubles
from proxy.control.attention.expiry import ExpiryTroubles
from proxy.control.attention.ledger import LedgerTroubles
from proxy.control.attention.services import ServiceTroubles
from proxy.control.attention.settings import ConfigTroubles
from proxy.control.attention.trouble import Source, Trouble, urgency
from proxy.control.clock import WallClock
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.samples import SamplesByDeployment
from proxy.control.health.monitor import HealthMonitor
from proxy.control.http.operation import Operation
from proxy.control.http.responses import send_json
from proxy.control.http.router import ControlRoute
from proxy.control.live import LiveConfig, ReloadResult
from proxy.database.opening import LazyEngine
from proxy.providers.credential_source import CredentialSource
from proxy.server.request import Request
from proxy.services.health.history import AddressHealth

MOST: Final = 200


class AttentionView(Struct):
    """The worst first; ``total`` counts those beyond the first 200 as well."""

    now: float
    total: int
    troubles: list[Trouble]


class Attention:
    """``adopt`` after each load of the configuration, and ``reloaded`` with each outcome of a reload.

    ``credential_failure`` returns why an issued credential cannot be fetched, ``""`` if it can.
    ``accounts`` is the database that balances are in. ``addresses`` are those of services, and ``checks`` returns what
    health checks say of those of one service.
    """

    def __init__(
        self,
        live: LiveConfig,
        index: DeploymentIndex,
        samples: SamplesByDeployment,
        clock: WallClock,
        *,
        health: HealthMonitor,
        credentials: Credentials,
        credential_failure: Callable[[CredentialSource], str],
        book: Book,
        accounts: LazyEngine,
        addresses: AddressBook,
        checks: Callable[[str], Sequence[AddressHealth]],
    ) -> None:
        self._clock = clock
        self._expiry = ExpiryTroubles(credentials, lambda: "database" in health.components(), clock.wall)
        self._settings = ConfigTroubles(live, clock.wall)
        self._sources: tuple[Source, ...] = (
            DeploymentTroubles(index, samples, clock, credential_failure).find,
            ComponentTroubles(live, health.components, health.probes_of).find,
            LedgerTroubles(live, health.components).find,
            EventTroubles(live).find,
            ServiceTroubles(addresses, checks, clock).find,
            BudgetTroubles(book, index, live, accounts).find,
            self._settings.find,
            self._expiry.find,
        )

    def adopt(self, config: Config) -> None:
        self._expiry.adopt(config)

    def reloaded(self, result: ReloadResult) -> None:
        self._settings.reloaded(result)

    def routes(self) -> Sequence[ControlRoute]:
        operation = Operation("operator", "Show what needs attention, the worst first", AttentionView)
        return (ControlRoute("GET", "/admin/attention", "admin", self.show, operation),)

    async def show(self, request: Request) -> None:
        """GET /admin/attention."""
        found = await asyncio.gather(*(source() for source in self._sources))
        troubles = sorted((trouble for each in found for trouble in each), key=urgency)
        now = self._clock.unix(self._clock.now())
        send_json(request, 200, AttentionView(now, len(troubles), troubles[:MOST]))
