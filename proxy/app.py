"""The composition root: what the gateway is made of, in the order in which it starts. It stops in reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from secrets import token_hex

from proxy import __version__
from proxy.addresses.book import AddressBook
from proxy.admission import open_admission
from proxy.auth.credentials import Credentials
from proxy.cache.cache import ResponseCache
from proxy.cache.counters import BYPASS
from proxy.cache.opening import open_cache
from proxy.client.dial import Dialer
from proxy.config.left_out import LeftOutModel
from proxy.config.listening import own_settings
from proxy.config.price_document import PriceDocument
from proxy.config.schema import Config, ServerSettings
from proxy.config.source import Source
from proxy.control.clock import WallClock
from proxy.control.health.components import states_of
from proxy.control.health.events import EventsHealth
from proxy.control.health.services import ServicesHealth
from proxy.control.own_listener import handlers_at_api, handlers_at_own
from proxy.control.plane import ControlPlane
from proxy.dispatch.choice import dispatch_call
from proxy.dispatch.dispatcher import Clock
from proxy.fleet.breakers import SharedBreakers
from proxy.fleet.runs import SharedLineage
from proxy.gateway import Gateway
from proxy.hooks import RequestHook, ResponseHook
from proxy.hooks import load as load_hooks
from proxy.ledger.opening import require_broker
from proxy.limits.limiter import Limiter
from proxy.listeners import Listeners
from proxy.net.outbox import Outbox
from proxy.observe.log import Log
from proxy.observe.log import close as close_log
from proxy.observe.log import opened as open_log
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.reporting import open_reporting
from proxy.routing.catalog import Catalog
from proxy.routing.live import policy_of, window_of
from proxy.running_config import RunningConfig
from proxy.runtime.shutdown import ShutdownStack
from proxy.server.listener import CLEANUP_SECS
from proxy.services.opening import ServiceParts
from proxy.serving import Serving
from proxy.storage import open_storage
from proxy.upstream import UpstreamParts, open_upstream

LAST_REQUESTS_SECS = 2.0  # after shutdownDelaySecs, for requests on connections that were accepted last
CONSUL_SECS = 3.0  # for Consul to learn of the stop
ABORT_SECS = 1.0  # for handlers to end once they are canceled
DRAIN_END_SECS = 10.0  # after drainSecs, for requests that end only when they are canceled


class Application:
    """One process, one gateway. ``start`` listens, ``stop`` drains and closes.

    With ``follows`` the configuration is read again when its files change; ``running.follow.wake`` reads it at once.
    ``left_out`` are models of the files that are not in ``config``, as their provider is not usable. ``prices`` are
    those at ``pricesUrl``. ``clock`` and ``chance`` replace time and random numbers in the choice between deployments.
    """

    # Set by ``start``, each by the step that opens it.
    credentials: Credentials
    limiter: Limiter
    upstream: UpstreamParts
    cache: ResponseCache
    gateway: Gateway
    services: ServiceParts
    serving: Serving
    plane: ControlPlane
    listeners: Listeners

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        log: Log | None = None,
        left_out: Sequence[LeftOutModel] = (),
        prices: PriceDocument | None = None,
        follows: Source | None = None,
        clock: Clock | None = None,
        chance: Random | None = None,
    ) -> None:
        self._environ = environ
        self._clock = clock
        self._chance = chance
        self.log = log or open_log(config.observe.log_file, config.logging.level)
        self.metrics = Metrics(version=__version__)
        self.observers = Observers()
        self._dialer = Dialer(environ)
        # Random: two gateways in a row are no loop, and providers learn nothing about this machine.
        self._pseudonym = f"sluice-{token_hex(8)}"
        self._book = AddressBook(config.discovery.region)
        self.running = RunningConfig(
            config,
            left_out,
            follows,
            log=self.log,
            metrics=self.metrics,
            observers=self.observers,
            dialer=self._dialer,
            pseudonym=self._pseudonym,
            book=self._book,
            prices=prices,
        )
        self._shutdown = ShutdownStack(self.log.warning)
        self._shared: SharedBreakers | None = None

    async def start(self) -> None:
        """Raises ConfigError, and OSError if an address is not available; then everything is closed again."""
        try:
            await self._start()
        except BaseException:
            await self._shutdown.close()
            raise

    async def stop(self) -> None:
        """Drain, then close everything."""
        await self._shutdown.close()

    async def abort(self) -> None:
        """End all requests and record them, within ``ABORT_SECS``. The process must exit then."""
        await self.serving.end(ABORT_SECS)
        self._outbox.flush()
        if self._storage.ledger is not None:
            self._storage.ledger.close()
        await asyncio.sleep(0)  # the loop writes to sockets at the end of a turn

    async def _start(self) -> None:
        on_request, on_response = load_hooks(self.config.hooks)
        self._open_log()
        await self._prepare_config()
        await self._open_admission()
        self._open_upstream()
        await self._share_breakers()
        self._reporting = open_reporting(self.config.observe, self._environ, __version__, self.log, self._shutdown)
        self._open_gateway(on_request, on_response)
        self._open_control()
        self._observe_exchanges()
        await self.services.start(self._shutdown)
        self.running.renew()  # with the addresses of services that are known by now
        await self._listen()
        server = self.config.server
        self.services.register("" if server.unix_socket else server.host, self.port)
        self._shutdown.push("running requests", self._drain, lambda: drain_limit(self.config.server))
        if self.running.follow is not None:
            self._shutdown.push_task("configuration files", self.running.follow.run())

    # -- the parts, in the order in which they start ------------------------------------------------

    def _open_log(self) -> None:
        """The log closes last, after everything that writes to it."""
        loop = asyncio.get_running_loop()
        self.log.attach(loop)
        self._shutdown.push("log", lambda: close_log(self.log, CLEANUP_SECS))
        self.observers.attach(loop)
        self._shutdown.push("observers", lambda: self.observers.attach(None))
        self.log.catch_up = self.observers.flush

    async def _prepare_config(self) -> None:
        self._shutdown.push("demo provider", self.running.demo.stop)
        await self.running.start()
        self.running.adopt = self._adopt

    async def _open_admission(self) -> None:
        """What a call is checked by, and the storage that it needs."""
        self._outbox = Outbox(asyncio.get_running_loop())
        self._storage = open_storage(
            self.config, self._environ, self.metrics, self.log, self._outbox.precede, self._shutdown
        )
        self._admission = admission = await open_admission(
            self.running, self._environ, self._storage, self.metrics, self.log, self._shutdown
        )
        self.credentials, self.limiter = admission.credentials, admission.limiter

    def _open_upstream(self) -> None:
        self.upstream = open_upstream(
            self.config,
            self._environ,
            self._dialer,
            self.running.lists,
            self.running.catalog,
            ledger=self._storage.ledger,
            outbox=self._outbox,
            metrics=self.metrics,
            log=self.log,
            shutdown=self._shutdown,
            clock=self._clock,
            chance=self._chance,
        )

    async def _share_breakers(self) -> None:
        if not self.config.circuit_breaker.shared:
            return
        assert self._storage.redis is not None
        registry, dispatcher = self.running.registry, self.upstream.dispatcher
        self._shared = shared = SharedBreakers(
            self._storage.redis, registry.breaker, dispatcher.wall, dispatcher.now, self.log
        )
        self._shutdown.push("shared breakers", shared.close)
        await shared.start()
        registry.on_change.append(shared.changed)

    def _open_gateway(self, on_request: RequestHook | None, on_response: ResponseHook | None) -> None:
        tracing = self._reporting.tracing
        self.gateway = Gateway(
            self.config.server,
            self.running.catalog,
            self.upstream.dispatcher,
            self.log,
            self.upstream.fetcher,
            self.observers,
            self.credentials.authenticator.wrap,
            self.limiter.wrap,
            on_request=on_request,
            on_response=on_response,
            trace=None if tracing is None else tracing.begin,
        )
        storage = self._storage
        self.cache = open_cache(self.config, storage.redis, dispatch_call, storage.ledger, self.log)
        self._use_cache(self.config)
        self.metrics.cache = self.cache.sample
        if self._storage.redis is not None:
            self.gateway.learn_run = SharedLineage(self._storage.redis, self.limiter.book, self.log).learn
        self.gateway.renew = self.running.renew
        self.running.on_catalog += (self.gateway.adopt, self.upstream.follower.adopt)
        self.serving = serving = self._serving(self.config.server)
        self.metrics.running = lambda: serving.running
        self.services = ServiceParts(
            self.config,
            self.running.book,
            dialer=self._dialer,
            environ=self._environ,
            transport=self.upstream.dispatcher.context,
            pseudonym=self._pseudonym,
            database=self._storage.database,
            redis=self._storage.redis,
            authenticator=self.credentials.authenticator,
            limiter=self.limiter,
            metrics=self.metrics,
            log=self.log,
        )

    def _use_cache(self, config: Config) -> None:
        """Answer calls by way of the cache if it is on."""
        self.cache.adopt(config)
        answers = (self.cache.answer, BYPASS) if config.cache.enabled else (dispatch_call, b"")
        self.gateway.dispatch_call, self.gateway.uncached_lines = answers

    def _open_control(self) -> None:
        events = EventsHealth(self._storage.recorder, lambda: bool(self._storage.receivers))
        upstream, dispatcher = self.upstream, self.upstream.dispatcher
        clock = WallClock(dispatcher.now, dispatcher.wall)
        addresses = ServicesHealth(self.running.book, clock)
        self.plane = plane = ControlPlane(
            self.running,
            self.serving,
            begin_as=self.gateway.begin_as,
            version=__version__,
            clock=clock,
            credentials=self.credentials,
            limiter=self.limiter,
            cache=self.cache,
            ledger=self._storage.reader,
            accounts=self._storage.database,
            receivers=self._storage.receivers,
            recorder=self._storage.recorder_status,
            events=self._storage.events,
            process=self._admission.process,
            services=self.services,
            lists=upstream.fetcher,
            models_request=upstream.models_request,
            credential_failure=upstream.issued.failure,
            connections=lambda: states_of(
                limiter=self.limiter,
                database=self._storage.database,
                breakers=self._shared,
                ledger=self._storage.ledger,
                recorder=self._storage.recorder,
                events=events,
                services=addresses,
            ),
            budget=dispatcher.context.budget,
            metrics=self.metrics,
            observers=self.observers,
            log=self.log,
        )
        self._shutdown.push("control plane", plane.close)
        self.running.hide({plane.credential.token})
        self.running.on_reload = plane.reloaded
        self.running.registry.on_change.append(plane.breaker_changed)
        self._admission.thresholds.listeners.append(plane.activity.budget_reached)
        plane.adopt(self.config)

    def _observe_exchanges(self) -> None:
        self.gateway.capture = self.plane.activity.capture
        if self._storage.ledger is not None:
            self.observers.exact = (self._storage.ledger,)
        self.observers.lossy = (self.metrics.settle, self.plane.settle, self.log.exchanges)
        if self._reporting.tracing is not None:
            self.observers.lossy += (self._reporting.tracing.settle,)

    async def _listen(self) -> None:
        """Accept requests at the API's address, and at the control plane's if it has one of its own."""
        server, admin, router = self.config.server, self.config.admin, self.plane.router
        pages = handlers_at_api(router, server.base_path) if admin.listen else (router,)
        # A route may have the path /, which is a page, too. All other pages are owned: no route gets their requests.
        self.serving.use(self.services.handler, *pages, self.gateway)
        self.listeners = listeners = Listeners(
            self.config, self.log, self.metrics, self._outbox, self.upstream.flushing
        )
        listeners.api = listeners.make(server, self.serving)
        self._shutdown.push("listener", listeners.api.stop)
        await listeners.api.start()
        if admin.listen:
            serving = self._serving(own_settings(admin, server))
            serving.use(*handlers_at_own(router))
            listeners.own = listeners.make(own_settings(admin, server), serving)
            self._shutdown.push("admin.listen", listeners.own.stop)
            await listeners.own.start()

    def _serving(self, settings: ServerSettings) -> Serving:
        """What every request of one listener passes."""
        sentry = self._reporting.sentry
        return Serving(
            settings,
            (),
            self.log,
            reject=self.metrics.reject,
            pseudonym=self._pseudonym,
            report=None if sentry is None else sentry.report,
            protect_metrics=self.config.admin.protect_metrics,
        )

    # -- stopping -----------------------------------------------------------------------------------

    async def _drain(self) -> None:
        """Let running requests finish, then cancel them. Event streams of dashboards end last.

        During a shutdown delay requests are served as before, so that balancers can react to /ready. Then the sockets
        are closed: a balancer without health checks goes to another gateway, as its connection is refused. On open
        connections requests are still served for a moment, as a balancer cannot repeat what it has sent.
        Consul is told before that, if the gateway is registered there.
        """
        server = self.config.server
        self.serving.announce_stop()
        await self.services.drain()
        if server.shutdown_delay_secs:
            await asyncio.sleep(server.shutdown_delay_secs)
            await self.listeners.api.stop_accepting()
            await asyncio.sleep(LAST_REQUESTS_SECS)
        await self.serving.drain(server.drain_secs)
        self.observers.flush()  # before the dashboards' streams end
        self.plane.close()

    # -- what the process and the control plane ask --------------------------------------------------

    @property
    def config(self) -> Config:
        """The configuration in force."""
        return self.running.config

    @property
    def port(self) -> int:
        """The port that was bound, 0 for a unix socket."""
        return self.listeners.api.port

    # -- a reload -------------------------------------------------------------------------------------

    def _adopt(self, config: Config, catalog: Catalog) -> None:
        """Put ``config`` in force everywhere. Raises ConfigError before anything has changed."""
        require_broker(config)
        self._admission.adopt(config)
        self._storage.adopt(config, self._environ)
        self.listeners.renew_certificates()
        circuit, now = config.circuit_breaker, asyncio.get_running_loop().time()
        self.running.registry.adopt(policy_of(circuit), window_of(circuit), now)
        self.gateway.adopt(catalog)
        self._use_cache(config)
        self.services.adopt(config)
        self.upstream.adopt(config, catalog)
        if self._shared is not None:
            self._shared.refresh()
        self.plane.adopt(config)
        self.log.admit(config.logging.level)


def drain_limit(server: ServerSettings) -> float:
    """The longest that running requests can delay the stop, in seconds."""
    return CONSUL_SECS + server.shutdown_delay_secs + LAST_REQUESTS_SECS + server.drain_secs + DRAIN_END_SECS
