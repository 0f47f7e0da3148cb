"""Puts the parts of services together: what is in force, where it comes from, and what answers requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from random import Random
from typing import TYPE_CHECKING, Final

from proxy.client.plain_get import PlainGet
from proxy.config.own_paths import OwnPaths
from proxy.limits.requests import RequestLimits
from proxy.net.address import TrustedProxies
from proxy.services.access import ServiceAccess
from proxy.services.access_log import AccessLog
from proxy.services.counting import ServiceCounting, ServiceObservers, address_samples, source_samples
from proxy.services.discovery.runner import DiscoveryRunner
from proxy.services.handler import ServiceHandler
from proxy.services.health.opening import open_health, own_database
from proxy.services.live import LiveServices
from proxy.services.relay.context import RelayContext
from proxy.services.relay.request_head import RequestHeads
from proxy.services.relay.retries import RetryBudget
from proxy.services.store.follower import EntryFollower
from proxy.services.store.opening import open_entries

if TYPE_CHECKING:
    from proxy.addresses.book import AddressBook
    from proxy.auth.authenticate import Authenticator
    from proxy.client.dial import Dialer
    from proxy.config.schema import Config
    from proxy.config.service_schema import ServiceSettings
    from proxy.consul.client import ConsulClient
    from proxy.database.opening import LazyEngine
    from proxy.limits.limiter import Limiter
    from proxy.observe.log import Log
    from proxy.observe.metrics import Metrics
    from proxy.redis.client import RedisClient
    from proxy.relay.context import TransportContext
    from proxy.runtime.shutdown import ShutdownStack
    from proxy.services.discovery.consul.registration import OwnRegistration
    from proxy.services.health.health import ServiceHealth
    from proxy.services.health.history import AddressHealth

FIRST_LOOK_SECS: Final = 5.0  # that the start waits for the store


class ServiceParts:
    """``start`` puts the first configuration in force; ``adopt`` another one at a reload.

    ``register`` when the gateway accepts requests, ``drain`` before it stops: for those who find it by Consul.

    ``live``: what is in force. ``follower``: the store, and changes of it. ``discovery`` finds addresses, ``handler``
    answers requests, ``observers`` get those that have ended.
    """

    _health: ServiceHealth | None = None
    _registration: OwnRegistration | None = None

    def __init__(
        self,
        config: Config,
        book: AddressBook,
        *,
        dialer: Dialer,
        environ: Mapping[str, str],
        transport: TransportContext,
        pseudonym: str,
        authenticator: Authenticator,
        limiter: Limiter,
        database: LazyEngine,
        redis: RedisClient | None,
        metrics: Metrics,
        log: Log,
    ) -> None:
        """``pseudonym`` names this process in ``Via``. ``redis`` and ``database``: what replicas share."""
        self._config = config
        self._dialer = dialer
        self._environ = environ
        self._shared = database
        self._database = own_database(config, database, log)
        self._redis = redis
        self._metrics = metrics
        self._log = log
        self._now = now = transport.loop.time
        own = OwnPaths(config.server.base_path)
        self.live = LiveServices(book, now=now, context=dialer.context, own=own, warn=log.warning)
        self.discovery = DiscoveryRunner(self.live, config.discovery, warn=log.warning, info=log.info, environ=environ)
        self._consul = _consul_of(config, environ)
        self._shares = self._consul if config.discovery.store == "consul" else None
        store = open_entries(config, self._database or database, self._shares)
        self.follower = EntryFollower(store, self.live.adopt_entries, log.warning, log.info)
        self.observers = ServiceObservers()
        self.handler = ServiceHandler(
            self.live,
            RelayContext(
                transport,
                RequestHeads(TrustedProxies(config.server.trusted_proxies), pseudonym),
                f"Via: 1.1 {pseudonym}\r\n".encode(),
                config.server.body_timeout_secs,
                RetryBudget(),
                Random(),
            ),
            own.owns,
            ServiceAccess(authenticator, RequestLimits(limiter)).admit,
            (self.observers.put,),
            authenticates=config.auth.mode != "none",
        )
        self.live.on_service.append(self._discover)

    async def start(self, shutdown: ShutdownStack) -> None:
        """Raises nothing: without its store the gateway serves what the files have."""
        if self._database is not None and self._database is not self._shared:
            shutdown.push("database of services", self._database.close)
        if self._consul is not None:
            shutdown.push("Consul", self._consul.close)
        self._start_observing(shutdown)
        self.live.adopt(self._config)
        self._start_discovery(shutdown)
        await self._start_following(shutdown)
        self._start_health(shutdown)
        if self._config.discovery.consul.register.enabled:
            shutdown.push("registration at Consul", self._deregister)

    def adopt(self, config: Config) -> None:
        """Put the services and routes of another configuration in force."""
        self.live.adopt(config)
        self.discovery.adopt(config.discovery)

    def register(self, host: str, port: int) -> None:
        """Register this gateway at Consul, if that is configured.

        ``host`` and ``port``: where it listens; ``""`` and 0: at a unix socket.
        """
        settings = self._config.discovery.consul.register
        if not settings.enabled:
            return
        from proxy.services.discovery.consul.registration import OwnRegistration, own_address

        assert self._consul is not None
        address = own_address(settings, host, port)
        self._registration = OwnRegistration(settings, address, self._consul, self._log.warning, self._log.info)
        self._registration.start()

    async def drain(self) -> None:
        """Let Consul send no new requests. Takes at most 3 s."""
        if self._registration is not None:
            await self._registration.drain()

    def health(self, service: str) -> Sequence[AddressHealth]:
        """The health of each address of a service that is checked."""
        return () if self._health is None else self._health.of(service)

    # -- each part, with its end --------------------------------------------------------------------

    def _start_observing(self, shutdown: ShutdownStack) -> None:
        self.observers.attach(asyncio.get_running_loop())
        shutdown.push("observers of services", lambda: self.observers.attach(None))
        services, book = self._metrics.services, self.live.book
        self.observers.lossy = (ServiceCounting(services), AccessLog(self._log))
        services.addresses = lambda: address_samples(book, self._now)
        services.sources = lambda: source_samples(self.discovery.sources())
        services.checked_addresses = lambda: 0 if self._health is None else self._health.checked_addresses

    def _start_discovery(self, shutdown: ShutdownStack) -> None:
        shutdown.push("discovery of services", self.discovery.close)
        self.discovery.start()

    async def _start_following(self, shutdown: ShutdownStack) -> None:
        try:
            async with asyncio.timeout(FIRST_LOOK_SECS):
                await self.follower.look()
        except TimeoutError:
            self._log.warning("The store of services and routes does not answer; the gateway starts without it.")
        if self.follower.store.durable:  # else no other process changes it
            shutdown.push("services and routes of the store", self.follower.close)
            self.follower.start()

    def _start_health(self, shutdown: ShutdownStack) -> None:
        # Replicas on several machines have Consul in common, but no SQLite file.
        database = None if self._shares is not None and self._database is not self._shared else self._database
        self._health = health = open_health(
            self.live.book,
            self._settings_of,
            PlainGet(self._dialer.context, self._environ),
            self._log,
            now=self._now,
            redis=self._redis,
            database=database,
            consul=self._shares,
            prefix=self._config.discovery.consul.prefix,
            counters=self._metrics.services,
        )
        shutdown.push("health checks of services", health.close)

    async def _deregister(self) -> None:
        if self._registration is not None:
            await self._registration.close()

    # -- what they ask ------------------------------------------------------------------------------

    def _settings_of(self, name: str) -> ServiceSettings | None:
        service = self.live.services.get(name)
        return None if service is None else service.settings

    def _discover(self, name: str) -> None:
        service = self.live.services.get(name)
        if service is None:
            self.discovery.forget(name)
        else:
            self.discovery.put(name, service.settings)


def _consul_of(config: Config, environ: Mapping[str, str]) -> ConsulClient | None:
    """The agent, where entries are kept there or the gateway registers. Discovery has connections of its own."""
    discovery = config.discovery
    if discovery.store != "consul" and not discovery.consul.register.enabled:
        return None
    from proxy.services.discovery.consul.opening import open_consul

    return open_consul(discovery.consul, environ)
