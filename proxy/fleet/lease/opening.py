"""The stores of leases, each imported when it is used."""

from __future__ import annotations

from proxy.consul.client import ConsulClient
from proxy.database.opening import LazyEngine
from proxy.fleet.lease.alone import AloneLeases
from proxy.fleet.lease.base import LeaseStore
from proxy.redis.client import RedisClient


def open_leases(
    redis: RedisClient | None, database: LazyEngine | None, consul: ConsulClient | None = None, prefix: str = "sluice"
) -> LeaseStore:
    """Redis if there is one, else the database, else Consul. With none, the process is alone.

    Connects at the first use. ``prefix``: of the keys in Consul.
    """
    if redis is not None:
        from proxy.fleet.lease.redis import RedisLeases

        return RedisLeases(redis)
    if database is not None:
        from proxy.fleet.lease.database import DatabaseLeases

        return DatabaseLeases(database)
    if consul is not None:
        from proxy.fleet.lease.consul import ConsulLeases

        return ConsulLeases(consul, prefix)
    return AloneLeases()
