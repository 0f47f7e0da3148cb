"""The control plane put together: its credential, and the table of all its routes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from proxy.auth.credentials import Credentials
from proxy.breakers.breaker import Breaker, State
from proxy.budgets.recent import RecentAccounts
from proxy.cache.cache import ResponseCache
from proxy.client.get_models import ModelsRequest
from proxy.config.schema import Config
from proxy.control.access.credential import AdminCredential
from proxy.control.access.gate import Gate
from proxy.control.access.login import Login
from proxy.control.access.throttle import LoginThrottle
from proxy.control.activity.activity import Activity
from proxy.control.attention.attention import Attention
from proxy.control.billing.handlers import BillingHandlers
from proxy.control.billing.store import AccountStore
from proxy.control.budgets.handlers import BudgetHandlers
from proxy.control.budgets.standing import BudgetSurvey
from proxy.control.clock import WallClock
from proxy.control.deployments.breaker_events import BreakerEvents
from proxy.control.deployments.handlers import DeploymentHandlers
from proxy.control.deployments.index import DeploymentIndex
from proxy.control.deployments.models import ModelListHandler, ModelListSource
from proxy.control.deployments.try_it import BeginAs, TryItHandler
from proxy.control.events.handlers import EventHandlers
from proxy.control.events.letters import BrokerLetters
from proxy.control.events.receivers import ReceiverSurvey
from proxy.control.events.store import EventStore
from proxy.control.health.components import ComponentState
from proxy.control.health.monitor import HealthMonitor
from proxy.control.http.requests import RequestBodies
from proxy.control.http.router import ControlRoute, Router
from proxy.control.keys.handlers import KeyHandlers
from proxy.control.live import LiveConfig, ReloadResult
from proxy.control.openapi.document import OpenApiHandler
from proxy.control.pages.dashboard import DashboardPages
from proxy.control.pages.docs import DocsPages
from proxy.control.pages.metrics import MetricsPage
from proxy.control.services.routes import service_routes
from proxy.control.settings.cache import CacheHandler
from proxy.control.settings.config import ConfigHandler
from proxy.control.settings.log_level import LogLevelHandler
from proxy.control.settings.rate_limits import RateLimitHandler
from proxy.control.settings.reload import ReloadHandler
from proxy.control.usage.estimate import EstimateHandler
from proxy.control.usage.handlers import UsageHandlers
from proxy.control.usage.metrics import AnalyticsMetrics
from proxy.control.usage.models import PricedModelsHandler
from proxy.control.usage.store import UsageStore
from proxy.database.opening import LazyEngine
from proxy.events.base import Announcer
from proxy.events.receivers import EventReceivers
from proxy.exchange import Exchange
from proxy.ledger.recorder.status import RecorderStatus
from proxy.limits.limiter import Limiter
from proxy.net.budget import Budget
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.providers.credential_source import CredentialSource
from proxy.services.opening import ServiceParts
from proxy.serving import Serving


class ControlPlane:
    """``router`` is the handler of all routes.

    ``begin_as`` begins a request of the model API. ``clock`` has the time of breakers. ``ledger`` is where pages read
    what was used, ``accounts`` where balances are, and ``recorder`` returns the recorder's last status. ``receivers``
    get events, ``events`` takes those of breakers, and ``process`` is random. ``connections`` returns the state of what
    the gateway reaches over a network, by name.
    ``breaker_changed`` at each change of a breaker. ``credential_failure`` returns why an issued credential cannot be
    fetched. ``close`` before the listener stops: it ends the event streams.
    """

    def __init__(
        self,
        live: LiveConfig,
        serving: Serving,
        *,
        begin_as: BeginAs,
        version: str,
        clock: WallClock,
        credentials: Credentials,
        limiter: Limiter,
        cache: ResponseCache,
        ledger: LazyEngine,
        accounts: LazyEngine,
        receivers: EventReceivers,
        recorder: Callable[[], RecorderStatus | None],
        events: Announcer,
        process: str,
        services: ServiceParts,
        lists: ModelListSource,
        models_request: ModelsRequest,
        credential_failure: Callable[[CredentialSource], str],
        connections: Callable[[], Mapping[str, ComponentState]],
        budget: Budget,
        metrics: Metrics,
        observers: Observers,
        log: Log,
    ) -> None:
        config = live.config
        self.credential = AdminCredential.open(config.admin, config.data_dir, log.warning)
        throttle = LoginThrottle(
            self.credential, credentials.authenticator.address, asyncio.get_running_loop().time, asyncio.sleep
        )
        usage = UsageStore(ledger, live)
        balances = AccountStore(accounts, live, limiter.book.credited, receivers.transfers)
        outbox = EventStore(accounts, ledger, live)
        bodies = RequestBodies(budget, config.server.body_timeout_secs)
        index = DeploymentIndex(live, clock.now)
        later, shared = asyncio.get_running_loop().call_later, config.circuit_breaker.shared
        self._breaker_events = BreakerEvents(index, clock, receivers, events, process, later, shared=shared)
        self.activity = activity = Activity(live, serving, index, clock, metrics, observers, version)
        self._recent = RecentAccounts(limiter.book)
        metrics.balances = self._recent.balances
        self.health = HealthMonitor(
            live, serving, connections, index, clock, models_request, metrics, log.warning, version
        )
        self.attention = Attention(
            live,
            index,
            activity.recorder.samples,
            clock,
            health=self.health,
            credentials=credentials,
            credential_failure=credential_failure,
            book=limiter.book,
            accounts=accounts,
            addresses=services.live.book,
            checks=services.health,
        )
        self.routes: tuple[ControlRoute, ...] = (
            *MetricsPage(metrics, budget, protected=config.admin.protect_metrics).routes(),
            *Login(self.credential, throttle, bodies).routes(),
            *KeyHandlers(credentials, live, bodies).routes(),
            *DeploymentHandlers(index, activity.recorder.samples, clock).routes(),
            *ModelListHandler(index, lists).routes(),
            *TryItHandler(serving, begin_as, bodies).routes(),
            *activity.routes(),
            *self.attention.routes(),
            *ConfigHandler(live).routes(),
            *ReloadHandler(live).routes(),
            *LogLevelHandler(log, bodies).routes(),
            *RateLimitHandler(live, limiter).routes(),
            *CacheHandler(cache, live, bodies).routes(),
            *UsageHandlers(usage, clock).routes(),
            *AnalyticsMetrics(usage, clock).routes(),
            *EstimateHandler(live, clock, bodies).routes(),
            *PricedModelsHandler(index, clock).routes(),
            *BudgetHandlers(limiter.book, BudgetSurvey(limiter.book, ledger, live)).routes(),
            *BillingHandlers(balances, live, bodies).routes(),
            *service_routes(services, live, self.credential, credentials.authenticator.address, clock, bodies),
            *EventHandlers(
                ReceiverSurvey(outbox, live, recorder, clock.wall), outbox, BrokerLetters(live), bodies
            ).routes(),
            *self.health.routes(("/v1", config.server.base_path)),
            *DashboardPages().routes(),
            *DocsPages().routes(),
            *OpenApiHandler(lambda: self.routes, version).routes(),
        )
        gate = Gate(self.credential, throttle)
        self.router = Router(
            self.routes,
            gate,
            log,
            identify=credentials.authenticator.identify,
            flush=observers.flush,
            count=metrics.page,
        )

    def settle(self, ended: Sequence[Exchange]) -> None:
        """Take in exchanges that ended."""
        self.activity.settle(ended)
        self._recent.settle(ended)

    def breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        self.activity.breaker_changed(breaker, old, now)
        self.health.breaker_changed(breaker, old, now)
        self._breaker_events.changed(breaker, old, now)

    def adopt(self, config: Config) -> None:
        """After each load of the configuration."""
        self.health.adopt(config)
        self.attention.adopt(config)

    def reloaded(self, result: ReloadResult) -> None:
        """After each reload, whatever its outcome."""
        self.attention.reloaded(result)
        self.activity.reloaded(result)

    def close(self) -> None:
        self._breaker_events.close()
        self.activity.close()
        self.health.close()
