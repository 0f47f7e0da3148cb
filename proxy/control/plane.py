"""The control plane put together: the routes, the credential that they want, and what they are asked about."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from msgspec import Struct

from proxy.auth.apikey import ApiKey
from proxy.config.schema import Admin, Config
from proxy.control.apikeys import ApiKeys
from proxy.control.bodies import Bodies
from proxy.control.credential import AdminCredential
from proxy.control.gate import Attempts, Gate
from proxy.control.login import Login
from proxy.control.pages import Component, Pages
from proxy.control.router import Page, Router
from proxy.control.routes import routes
from proxy.errors import ConfigError
from proxy.observe.metrics import Metrics
from proxy.transport.body import Budget
from proxy.transport.server import Request

if TYPE_CHECKING:  # with it comes SQLAlchemy
    from proxy.auth.keystore import DatabaseKeys


class Subjects(Struct, frozen=True):
    """What the control plane looks at and acts on. ``address`` tells where a request comes from."""

    config: Callable[[], Config]
    metrics: Metrics
    budget: Budget
    address: Callable[[Request], str]
    keys: Callable[[], Awaitable[DatabaseKeys]]
    configured: Callable[[], Sequence[ApiKey]]
    changed: Callable[[Sequence[str]], None]
    components: Callable[[], Mapping[str, Component]]
    stopping: Callable[[], bool]
    warn: Callable[[str], None]


class Plane:
    """``find`` is for the gateway."""

    def __init__(self, subjects: Subjects, version: str) -> None:
        config = subjects.config()
        self.credential = _credential(config, subjects.warn)
        attempts = Attempts(subjects.address, asyncio.get_running_loop().time, asyncio.sleep)
        bodies = Bodies(subjects.budget, config.server.body_timeout_secs)
        pages = Pages(subjects.metrics, version, subjects.components, subjects.stopping)
        login = Login(self.credential, attempts, bodies)
        keys = ApiKeys(subjects.keys, subjects.config, subjects.configured, subjects.changed, bodies)
        self._router = Router(routes(config.admin, pages, login, keys), Gate(self.credential, attempts))

    def find(self, path: str) -> Page | None:
        return self._router.find(path)


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
