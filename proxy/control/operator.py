"""The operator's side of the control plane: what it remembers and tells of the gateway that runs, put together."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence

from msgspec import Struct

from proxy.breakers.breaker import Breaker, State
from proxy.config.schema import Config
from proxy.control.activity.counters import Counters
from proxy.control.activity.events import Events
from proxy.control.activity.feed import Feed
from proxy.control.activity.news import News
from proxy.control.activity.recorder import Recorder
from proxy.control.activity.requests import Requests
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.models import Models
from proxy.control.deployments.state import States
from proxy.control.deployments.try_it import ServeAs, TryIt
from proxy.control.deployments.views import Clock
from proxy.control.http.bodies import Bodies
from proxy.control.settings.config import ConfigPage
from proxy.control.settings.log_level import LogLevels
from proxy.control.settings.rate_limits import RateLimits
from proxy.control.settings.reload import Reload, Reloaded
from proxy.dialects.call import Call
from proxy.exchange import Exchange
from proxy.limits.limiter import Limiter
from proxy.observe.log import Level
from proxy.observe.metrics import Metrics
from proxy.providers.provider import Provider
from proxy.routing.catalog import Catalog
from proxy.routing.live import Registry


class Engine(Struct, frozen=True):
    """The gateway that runs, as far as the operator looks at it and acts on it.

    ``now`` is the clock of breakers, ``wall`` the time in Unix seconds that goes with it; ``active`` tells how many
    exchanges run, ``catch_up`` hands over those that have ended. ``wait_for_lists`` lets the providers' own lists of
    models come. ``reload`` loads the configuration again (``None``: it came from no file), ``path`` is that of its
    file, and ``waits`` are the changed keys that wait for the next start.
    """

    catalog: Callable[[], Catalog]
    wait_for_lists: Callable[[Iterable[Provider]], Awaitable[None]]
    registry: Registry
    limiter: Limiter
    metrics: Metrics
    now: Callable[[], float]
    wall: Callable[[], float]
    active: Callable[[], int]
    catch_up: Callable[[], None]
    serve_as: ServeAs
    admit_log: Callable[[Level], None]
    secrets: Callable[[], Iterable[str]]
    reload: Callable[[], Awaitable[Reloaded]] | None
    path: Callable[[], str]
    waits: Callable[[], Sequence[str]]


class Operator:
    """``settle`` and ``capture`` are for the gateway, ``breaker_changed`` for the registry."""

    def __init__(self, engine: Engine, config: Callable[[], Config], bodies: Bodies, version: str) -> None:
        loop = asyncio.get_running_loop()
        self._config = config
        self.recorder = recorder = Recorder(loop, engine.active, engine.catch_up, config().observe.keep_requests)
        self.feed = feed = Feed(secrets.token_hex(4), loop.time)
        roster = DeploymentIndex(engine.catalog, engine.registry, engine.now)
        clock, loop_clock = Clock(engine.now, engine.wall), Clock(loop.time, engine.wall)
        self.states = States(roster, recorder.deployments, clock)
        self.counters = counters = Counters(recorder, engine.metrics, roster, loop_clock)
        self.requests = Requests(recorder, loop_clock, engine.secrets)
        self.rate_limits = RateLimits(config, engine.limiter)
        self.config_page = ConfigPage(config, engine.path, engine.waits)
        self.reload = Reload(engine.reload)
        self.log_levels = LogLevels(engine.admit_log, bodies)
        self.try_it = TryIt(engine.serve_as, bodies)
        self.models = Models(engine.catalog, engine.now, engine.wait_for_lists)
        self.events = Events(feed, version, engine.wall, engine.catch_up)
        self._news = news = News(feed, roster, clock, loop_clock, counters.event)
        self.settle = recorder.settle
        recorder.on_records, recorder.on_second = news.records, news.second
        recorder.start()

    @property
    def capture(self) -> Callable[[Exchange, Call], None] | None:
        """What sees each call before it is sent; ``None``: prompts are nobody's business."""
        return self.recorder.capture if self._config().observe.capture_prompts else None

    def breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        self._news.breaker(breaker, old, now)

    def reloaded(self, what: Reloaded) -> None:
        """The configuration was loaded again, or could not be, whoever wanted it."""
        self._news.reloaded(what)

    def close(self) -> None:
        """The dashboards' streams end: there is nothing more to tell."""
        self.recorder.stop()
        self.feed.close()
