"""The composition root: what the gateway is made of, in which order it starts, and in which it stops."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping, Sequence
from random import Random
from secrets import token_hex

from proxy import __version__
from proxy.auth.credentials import Credentials
from proxy.breakers.breaker import Breaker, OnChange, State
from proxy.client.dial import Dialer
from proxy.client.get_models import ModelsRequest
from proxy.client.pool import Pool
from proxy.config.follow import Follow
from proxy.config.left_out import LeftOutModel, summary
from proxy.config.listening import address, browser_address
from proxy.config.loader import Loaded
from proxy.config.schema import Config
from proxy.config.secret import secrets_in
from proxy.config.source import Source
from proxy.config.standing import differences, standing
from proxy.config.timeouts import own_client_stall
from proxy.control.front import Front, only_shared, settings_of
from proxy.control.health.views import Component
from proxy.control.operator import Engine
from proxy.control.plane import Plane, Subjects
from proxy.control.settings.reload import Reloaded
from proxy.database.opening import LazyEngine
from proxy.demo.configured import demo_config
from proxy.demo.server import Demo
from proxy.dispatch.dispatcher import Clock, Dispatcher
from proxy.dispatch.fetching import ListFetcher
from proxy.errors import ConfigError
from proxy.fleet.breakers import SharedBreakers
from proxy.gateway import Gateway
from proxy.hooks import load as load_hooks
from proxy.limits.failover import Failover
from proxy.limits.limiter import Limiter
from proxy.limits.opening import open_limiter
from proxy.limits.rules import Rules
from proxy.net.budget import Budget
from proxy.net.clocks import Ticker
from proxy.net.outbox import Outbox
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.observe.observers import Observers
from proxy.observe.sentry import Sentry
from proxy.observe.sentry import opened as open_sentry
from proxy.observe.tracing import Tracing
from proxy.observe.tracing import opened as open_tracing
from proxy.redis import RedisClient
from proxy.relay.context import PING_EVERY, TransportContext
from proxy.routing.catalog import Catalog
from proxy.routing.lists import ModelLists
from proxy.routing.live import Registry, policy_of, window_of
from proxy.server.connection import Server
from proxy.server.flush import Flushing
from proxy.server.listener import CLEANUP_SECS, Listener

MEGABYTE = 1024 * 1024


class Application:
    """One process, one gateway. ``start`` binds, ``stop`` drains and closes.

    ``left_out`` are models of the files that are not in ``config``, as their provider does not serve.
    With a source that it ``follows`` it stays at what stands there; ``follow.wake`` is for who cannot wait. ``clock``
    and ``chance`` are time and dice for whatever is decided about candidates.
    """

    def __init__(
        self,
        config: Config,
        *,
        environ: Mapping[str, str],
        log: Log | None = None,
        left_out: Sequence[LeftOutModel] = (),
        follows: Source | None = None,
        clock: Clock | None = None,
        chance: Random | None = None,
    ) -> None:
        self._clock = clock
        self._chance = chance
        self.config = config
        self._left_out = left_out
        self.log = log or Log(sys.stderr.buffer, config.logging.level, readable=sys.stderr.isatty())
        self.metrics = Metrics(version=__version__)
        self.observers = Observers()
        self.port = 0
        self.gateway: Gateway | None = None
        self._source = follows
        self.follow = Follow(follows, self, config) if follows is not None else None
        self._following: asyncio.Task[None] | None = None
        self._secrets: set[str] = set()
        self._created = int(time.time())
        # Random, as two gateways in a row are no loop; and it tells a provider nothing of this machine.
        self._pseudonym = f"sluice-{token_hex(8)}"
        self._environ = environ
        self._dialer = Dialer(environ)
        self._listener: Listener | None = None
        self._admin_listener: Listener | None = None  # where the control plane has an address of its own
        self._pool: Pool | None = None
        self._lists = ModelLists()  # what providers list themselves; like the registry it survives a reload
        self._fetcher: ListFetcher | None = None
        self._redis: RedisClient | None = None
        self._database = LazyEngine(config.database, config.data_dir, self.log.warning, self.log.info)
        self.credentials: Credentials | None = None
        self.limiter: Limiter | None = None
        self._shared: SharedBreakers | None = None
        self._on_change: list[OnChange] = []  # who hears of breakers
        self.plane: Plane | None = None
        self._tracing: Tracing | None = None
        self._sentry: Sentry | None = None
        self._waits: list[str] = []  # keys whose change waits for the next start
        self._reloaded = Reloaded(False)  # what became of the last reload
        self._demo: Demo | None = None
        self._demo_port = 0

    async def start(self) -> None:
        """Raises ConfigError, and OSError where the address cannot be had; then everything is closed again."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        on_request, on_response = load_hooks(self.config.hooks)
        self.config = config = await self._served(self.config)
        loop = asyncio.get_running_loop()
        self._hide(config)
        self.log.attach(loop)
        self.observers.attach(loop)
        _read_certificates(self._dialer, config)
        if config.rate_limiting.store == "redis" or config.circuit_breaker.shared:
            redis = config.redis
            self._redis = RedisClient(redis.url, redis.prefix, redis.timeout_secs)
        self.credentials = credentials = Credentials(config, self._environ, self._database, self.log)
        await credentials.start()
        self.limiter = limiter = open_limiter(config, self._redis, self.metrics, self.log)
        await limiter.start()
        self._registry = Registry.of(config.circuit_breaker, self._breaker_changed)
        self._lists.changed = self._know_models
        for line in summary(self._left_out):
            self.log.info(line)
        catalog = self._compiled(config, self._left_out)
        outbox = Outbox(loop)
        self._pool = pool = Pool(self._dialer, config.pool, loop, self.metrics, outbox)
        context = TransportContext(
            loop=loop,
            ticker=Ticker(loop),
            pool=pool,
            budget=Budget(int(config.server.max_buffered_mb * MEGABYTE)),
            counters=self.metrics,
            max_answer=int(config.server.max_answer_mb * MEGABYTE),
            ping_after=config.server.ping_after,
            ping_every=PING_EVERY,
        )
        dispatcher = Dispatcher(context, self._clock, self._chance, self.log.warning)
        self._fetcher = fetcher = ListFetcher(
            self._lists, ModelsRequest(self._dialer.context, self._environ), dispatcher.now, self.log.warning
        )
        if config.circuit_breaker.shared:
            self._shared = await self._sharing(config, dispatcher)
        self._open_reporting(config, loop)
        self.plane = plane = Plane(self._subjects(credentials, limiter, dispatcher, fetcher), __version__)
        self._on_change += [plane.operator.breaker_changed, plane.vitals.breaker_changed]
        self.observers.lossy = (self.metrics.settle, plane.operator.settle, self.log.exchanges)
        tracing = self._tracing
        if tracing is not None:
            self.observers.lossy += (tracing.settle,)
        self.log.catch_up = self.observers.flush
        self.gateway = gateway = Gateway(
            config.server,
            catalog,
            dispatcher,
            self.metrics,
            self.log,
            only_shared(plane.find, config.server.base_path) if config.admin.listen else plane.find,
            fetcher,
            self.observers,
            credentials.authenticator.wrap,
            limiter.wrap,
            on_request=on_request,
            on_response=on_response,
            capture=plane.operator.capture,
            trace=None if tracing is None else tracing.begin,
            report=None if self._sentry is None else self._sentry.report,
            protect_metrics=config.admin.protect_metrics,
            pseudonym=self._pseudonym,
        )
        plane.vitals.adopt(config)
        self._hide(config)
        self.metrics.upstream_connections = dispatcher.open_connections
        self._flushing = flushing = Flushing(loop, context.ticker, context.budget, own_client_stall(config))
        await self._listen(gateway, outbox, flushing)
        if self.follow is not None:
            self._following = asyncio.create_task(self.follow.run())

    async def stop(self) -> None:
        """Drain, then close everything; aiohttp's own cleanup refuses connections, so it comes last."""
        if self._following is not None:
            self._following.cancel()
        if self.gateway is not None:
            await self.gateway.drain(self.config.server.drain_secs)
            self.observers.flush()  # before the dashboards hear no more
        if self.plane is not None:
            self.plane.close()
        for listener in (self._listener, self._admin_listener):
            if listener is not None:
                await listener.stop()
        for reporting in (self._tracing, self._sentry):
            if reporting is not None:
                await reporting.close()
        if self._shared is not None:
            await self._shared.close()
        if self.credentials is not None:
            await self.credentials.close()
        if self.limiter is not None:
            await self.limiter.close()
        await self._database.close()
        if self._redis is not None:
            await self._redis.close()
        if self._fetcher is not None:
            self._fetcher.close()
        if self._pool is not None:
            self._pool.close()
        if self._demo is not None:
            await self._demo.stop()
        self.observers.attach(None)
        self.log.attach(None)
        self.log.flush(CLEANUP_SECS)

    @property
    def address(self) -> str:
        return address(self.config.server, self.port)

    @property
    def admin_address(self) -> str:
        """Where a browser on this machine finds the control plane."""
        listener = self._admin_listener
        if listener is None:
            return browser_address(self.config.server, self.port)
        return browser_address(settings_of(self.config.admin, self.config.server), listener.port)

    def _open_reporting(self, config: Config, loop: asyncio.AbstractEventLoop) -> None:
        observe = config.observe
        if observe.tracing.enabled:
            self._tracing = open_tracing(
                observe.tracing, self._environ, loop, version=__version__, warn=self.log.warning, info=self.log.info
            )
        if observe.sentry.dsn:
            self._sentry = open_sentry(observe.sentry, self._environ, version=__version__)

    def _engine(self, limiter: Limiter, dispatcher: Dispatcher, fetcher: ListFetcher) -> Engine:
        return Engine(
            catalog=lambda: self._running_gateway.catalog,
            registry=self._registry,
            limiter=limiter,
            metrics=self.metrics,
            now=dispatcher.now,
            wall=dispatcher.wall,
            active=lambda: self._running_gateway.running,
            catch_up=self.observers.flush,
            wait_for_lists=fetcher.wait,
            serve_as=lambda request, client, lines: self._running_gateway.handle(request, client, lines),
            admit_log=self.log.admit,
            secrets=lambda: self._secrets,
            reload=self._reload if self.follow is not None else None,
            path=lambda: str(self._source.path or "") if self._source is not None else "",
            waits=lambda: self._waits,
        )

    @property
    def _running_gateway(self) -> Gateway:
        assert self.gateway is not None
        return self.gateway

    def _subjects(
        self, credentials: Credentials, limiter: Limiter, dispatcher: Dispatcher, fetcher: ListFetcher
    ) -> Subjects:
        return Subjects(
            config=lambda: self.config,
            metrics=self.metrics,
            budget=dispatcher.context.budget,
            credentials=credentials,
            components=self._components,
            stopping=lambda: self.gateway is not None and self.gateway.stopping,
            warn=self.log.warning,
            engine=self._engine(limiter, dispatcher, fetcher),
            context=self._dialer.context,
            environ=self._environ,
        )

    def _components(self) -> dict[str, Component]:
        """What the gateway leans on, and how it fares."""
        found = {
            "limiter": self.limiter.store.state
            if self.limiter is not None and isinstance(self.limiter.store, Failover)
            else None,
            "database": self._database.state,
            "breakers": self._shared.state if self._shared is not None else None,
        }
        return {
            name: Component(state.up, state.since, state.latency) for name, state in found.items() if state is not None
        }

    async def _sharing(self, config: Config, dispatcher: Dispatcher) -> SharedBreakers:
        """Breakers that the replicas tell each other of."""
        assert self._redis is not None
        shared = SharedBreakers(
            self._redis,
            self._registry.breaker,
            dispatcher.wall,
            dispatcher.now,
            self.log.warning,
            self.log.info,
            self.log.debug,
        )
        await shared.start()
        self._on_change.append(shared.changed)
        return shared

    def _breaker_changed(self, breaker: Breaker, old: State, now: float) -> None:
        for tell in self._on_change:
            tell(breaker, old, now)

    async def _listen(self, gateway: Gateway, outbox: Outbox, flushing: Flushing) -> None:
        settings = self.config.server
        server = Server(gateway.handle, settings, gateway.refuse_bytes, self.metrics.reject, outbox, flushing)
        self._listener = listener = Listener(server, settings)
        await listener.start()
        self.port = listener.port
        if self.config.admin.listen and self.plane is not None:
            apart = settings_of(self.config.admin, settings)
            front = Front(apart, self.plane.find, self.log, protect_metrics=self.config.admin.protect_metrics)
            self._admin_listener = Listener(
                Server(front.handle, apart, gateway.refuse_bytes, self.metrics.reject, outbox, flushing), apart
            )
            await self._admin_listener.start()

    # -- what the files say now (``Runner``) --------------------------------------------------------

    async def take(self, loaded: Loaded, why: str) -> None:
        """Swap what can be swapped at run time; running exchanges keep what they began with.

        Raises ConfigError; then nothing has changed.
        """
        assert self.gateway is not None
        if not loaded.config.providers and self.config.providers and self._demo is None:
            # The demo provider must not answer for those that clients rely on, whatever `demo` says.
            raise ConfigError([*loaded.notices, *summary(loaded.left_out), "providers: none would be left"])
        told = differences(self.config, loaded.config)
        config = await self._served(standing(self.config, loaded.config))
        await asyncio.to_thread(_read_certificates, self._dialer, config)
        self._hide(config)
        catalog = self._compiled(config, loaded.left_out)
        if self.credentials is not None and self.limiter is not None:
            self.credentials.adopt(config)
            self.limiter.adopt(Rules.of(config.rate_limiting, config.auth))
        self._renew_certificate()
        circuit = config.circuit_breaker
        self._registry.adopt(policy_of(circuit), window_of(circuit), asyncio.get_running_loop().time())
        self.gateway.adopt(catalog)
        self._flushing.client_stall = own_client_stall(config)
        if self._shared is not None:
            self._shared.refresh()
        self.config = config
        self._waits = told
        if self.plane is not None:
            self.plane.vitals.adopt(config)
        self.log.admit(config.logging.level)
        for notice in loaded.notices:
            self.log.warning(notice)
        left_out, known = summary(loaded.left_out), summary(self._left_out)
        for line in left_out:
            if line not in known:
                self.log.info(line)
        self._left_out = loaded.left_out
        if told:
            self.log.warning("These changes wait for the next start.", keys=told)
        self._tell(Reloaded(True, why, [*loaded.notices, *left_out], [], told))
        self.log.info(
            "The configuration was loaded again.", why=why, providers=len(config.providers), models=len(config.models)
        )

    def _renew_certificate(self) -> None:
        """Of the listener. Where it cannot be used the one before stays, and all else goes on."""
        try:
            for listener in (self._listener, self._admin_listener):
                if listener is not None:
                    listener.reload_certificates()
        except ConfigError as error:
            for mistake in error.mistakes:
                self.log.error(mistake)

    def keep(self, why: str, mistakes: list[str]) -> None:
        self.log.error("The configuration cannot be loaded again; what runs stays.", why=why)
        for mistake in mistakes:
            self.log.error(mistake)
        self._tell(Reloaded(False, why, [], mistakes, self._waits))

    async def _reload(self) -> Reloaded:
        """At the operator's wish."""
        assert self.follow is not None
        # Where the models' URL does not answer, neither ``take`` nor ``keep`` is called, and all stays.
        failure = "modelsFile: the list could not be fetched; the log says why"
        self._reloaded = Reloaded(False, "", [], [failure], self._waits)
        await self.follow.reload("asked to by the operator")
        return self._reloaded

    def _tell(self, what: Reloaded) -> None:
        self._reloaded = what
        if self.plane is not None:
            self.plane.operator.reloaded(what)

    def notice(self, line: str) -> None:
        self.log.warning(line)

    def _compiled(self, config: Config, left_out: Sequence[LeftOutModel]) -> Catalog:
        via = b"Via: 1.1 %b\r\n" % self._pseudonym.encode()
        catalog = Catalog(
            config,
            self._registry,
            version=__version__,
            created=self._created,
            via=via,
            lists=self._lists,
            left_out=left_out,
        )
        self.observers.flush()  # by the names that were known
        self.metrics.know(((d.provider.name, d.upstream_model or "") for d in catalog.deployments), catalog.providers)
        self._lists.keep(catalog.providers.values())
        self.metrics.listed.know(catalog.listed_models())
        return catalog

    def _know_models(self) -> None:
        """A provider's own list has other names than before."""
        if self.gateway is not None:
            self.metrics.listed.know(self.gateway.catalog.listed_models())

    def _hide(self, config: Config) -> None:
        """The old secrets stay hidden: running exchanges still go by them."""
        self._secrets.update(secrets_in(config))
        if self.plane is not None:
            self._secrets.add(self.plane.credential.token)
        self.log.hide(self._secrets)

    async def _served(self, config: Config) -> Config:
        """``config``; with ``demo: auto`` and no other provider with the built-in one, over a real socket."""
        if config.providers or config.demo == "never":
            return config
        if self._demo is None:
            self._demo = Demo()
            self._demo_port = await self._demo.start("127.0.0.1", 0)
        return demo_config(config, self._demo_port)


def _read_certificates(dialer: Dialer, config: Config) -> None:
    """Now, and not while the first request waits. Raises ConfigError."""
    mistakes = []
    for name, provider in config.providers.items():
        if any(address.startswith("https:") for address in provider.addresses):
            try:
                dialer.context(provider.tls)
            except OSError as exc:
                mistakes.append(f"providers.{name}.tls: the certificates cannot be used: {exc}")
    if mistakes:
        raise ConfigError(mistakes)
