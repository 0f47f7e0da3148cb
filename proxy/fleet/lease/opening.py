"""The stores of leases, each imported when it is used."""

from __future__ import annotations

from proxy.database.opening import LazyEngine
from proxy.fleet.lease.alone import AloneLeases
from proxy.fleet.lease.base import LeaseStore
from proxy.redis import RedisClient


def open_leases(redis: RedisClient | None, database: LazyEngine | None) -> LeaseStore:
    """Redis if there is one, else the database. With neither, the process is alone. Connects at the first use."""
    if redis is not None:
        from proxy.fleet.lease.redis import RedisLeases

        return RedisLeases(redis)
    if database is not None:
        from proxy.fleet.lease.database import DatabaseLeases

        return DatabaseLeases(database)
    return AloneLeases()
