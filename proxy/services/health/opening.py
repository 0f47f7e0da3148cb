"""Health checks as the configuration wants them."""

from __future__ import annotations

import time
from collections.abc import Callable
from random import Random

from proxy.addresses.book import AddressBook
from proxy.client.plain_get import PlainGet
from proxy.config.schema import Config
from proxy.config.service_schema import ServiceSettings
from proxy.consul.client import ConsulClient
from proxy.database.address import address_of, require
from proxy.database.opening import LazyEngine
from proxy.errors import ConfigError
from proxy.fleet.lease.lease import LEASE_SECS, Lease
from proxy.fleet.lease.opening import open_leases
from proxy.observe.log import Log
from proxy.redis.client import RedisClient
from proxy.services.health.board.opening import open_board
from proxy.services.health.checker import CheckCounters
from proxy.services.health.health import ServiceHealth
from proxy.services.health.probe import HttpProbe
from proxy.services.health.sharing import HealthSharing

LEASE: str = "health checks"


def own_database(config: Config, shared: LazyEngine, log: Log) -> LazyEngine | None:
    """The database that checks are shared by; ``None``: there is none. Close it, unless it is ``shared``.

    A SQLite file is opened for each use: a connection that is kept is a thread, which costs each token something.
    """
    if not config.database.enabled:
        return None
    address = address_of(config.database, config.data_dir)
    try:
        require(address)
    except ConfigError:
        return None  # a package is missing
    if address.kind != "sqlite":
        return shared
    return LazyEngine(config.database, config.data_dir, log.debug, log.debug, keeps=False)


def open_health(
    book: AddressBook,
    settings_of: Callable[[str], ServiceSettings | None],
    get: PlainGet,
    log: Log,
    *,
    now: Callable[[], float],
    redis: RedisClient | None,
    database: LazyEngine | None,
    consul: ConsulClient | None = None,
    prefix: str = "sluice",
    counters: CheckCounters | None = None,
    lease_secs: float = LEASE_SECS,
) -> ServiceHealth:
    """Follows ``book`` from now on; ``close`` it. ``redis``, ``database`` and ``consul``: what replicas share, if
    anything; the first of them is used. ``prefix``: of the keys in Consul.

    ``settings_of``: what is in force for a service. ``now``: the clock of the book.
    """
    lease = Lease(open_leases(redis, database, consul, prefix), LEASE, log, secs=lease_secs)
    board = open_board(redis, database, consul, prefix)  # in the same place: who checks publishes there
    sharing = HealthSharing(lease, board, log, now=now, wall=time.time)
    return ServiceHealth(
        book,
        settings_of,
        HttpProbe(get),
        sharing,
        log,
        now=now,
        wall=time.time,
        random=Random(),
        counters=counters,
    )
