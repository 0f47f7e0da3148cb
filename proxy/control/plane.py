"""The control plane put together: the routes, the credential that they want, and what they are asked about."""

from __future__ import annotations

import asyncio
import secrets
import ssl
import time
from collections.abc import Callable, Mapping

from msgspec import Struct

from proxy.auth.credentials import Credentials
from proxy.client import tls
from proxy.config.provider_schema import Tls
from proxy.config.schema import Admin, Config
from proxy.control.access.credential import AdminCredential
from proxy.control.access.gate import Attempts, Gate
from proxy.control.access.login import Login
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.views import Clock
from proxy.control.health.monitor import Machine, Vitals
from proxy.control.health.views import Component
from proxy.control.http.bodies import Bodies
from proxy.control.http.router import Router
from proxy.control.keys.api_keys import ApiKeys
from proxy.control.openapi.document import Description
from proxy.control.operator import Engine, Operator
from proxy.control.pages.assets import Assets
from proxy.control.pages.docs import Docs
from proxy.control.pages.metrics import Pages
from proxy.control.routes import description_routes, health_routes, operator_routes, page_routes, routes
from proxy.errors import ConfigError
from proxy.net.budget import Budget
from proxy.observe.metrics import Metrics


class Subjects(Struct, frozen=True):
    """What the control plane looks at and acts on.

    ``context`` makes a provider's TLS, ``environ`` names the proxy on the way to it.
    """

    config: Callable[[], Config]
    metrics: Metrics
    budget: Budget
    credentials: Credentials
    components: Callable[[], Mapping[str, Component]]
    stopping: Callable[[], bool]
    warn: Callable[[str], None]
    engine: Engine
    context: Callable[[Tls], ssl.SSLContext] = tls.context
    environ: Mapping[str, str] = {}


class Plane:
    """``find`` is for the gateway; ``operator`` and ``vitals`` have more. ``close`` before the listener stops."""

    def __init__(self, subjects: Subjects, version: str) -> None:
        config = subjects.config()
        self.credential = _credential(config, subjects.warn)
        attempts = Attempts(
            self.credential, subjects.credentials.authenticator.address, asyncio.get_running_loop().time, asyncio.sleep
        )
        bodies = Bodies(subjects.budget, config.server.body_timeout_secs)
        pages = Pages(subjects.metrics, subjects.budget)
        login = Login(self.credential, attempts, bodies)
        keys = ApiKeys(subjects.credentials, subjects.config, bodies)
        table = routes(config.admin, pages, login, keys)
        self.operator = Operator(subjects.engine, subjects.config, bodies, version)
        self.vitals = _vitals(subjects, subjects.engine, version)
        table += operator_routes(self.operator) + page_routes(Assets())
        table += health_routes(self.vitals.health, ("/v1", config.server.base_path))
        table += description_routes(Description(lambda: self.routes, version), Docs())
        self.routes = table
        gate = Gate(self.credential, attempts)
        self.find = Router(table, gate, subjects.engine.catch_up, subjects.metrics.page).find

    def close(self) -> None:
        """Streams of the control plane end."""
        self.operator.close()
        self.vitals.close()


def _vitals(subjects: Subjects, engine: Engine, version: str) -> Vitals:
    machine = Machine(subjects.components, subjects.stopping, subjects.context, subjects.environ, subjects.warn)
    roster, clock = DeploymentIndex(engine.catalog, engine.registry, engine.now), Clock(engine.now, engine.wall)
    return Vitals(machine, roster, clock, subjects.metrics, version)


def _credential(config: Config, warn: Callable[[str], None]) -> AdminCredential:
    """Where no token can be kept, one for this run: a read-only file system is no reason not to start."""
    try:
        return AdminCredential(config.admin, config.data_dir, time.time)
    except ConfigError as error:
        for mistake in error.mistakes:
            warn(f"{mistake}; this run has a token of its own")
        found = AdminCredential(Admin(token=secrets.token_urlsafe(32)), config.data_dir, time.time)
        found.generated = True
        return found
