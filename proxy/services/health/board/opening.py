"""The boards, each imported when it is used."""

from __future__ import annotations

from proxy.consul.client import ConsulClient
from proxy.database.opening import LazyEngine
from proxy.redis.client import RedisClient
from proxy.services.health.board.base import HealthBoard


def open_board(
    redis: RedisClient | None, database: LazyEngine | None, consul: ConsulClient | None = None, prefix: str = "sluice"
) -> HealthBoard | None:
    """As the leases: Redis if there is one, else the database, else Consul. ``None``: the process is alone.

    ``prefix``: of the keys in Consul.
    """
    if redis is not None:
        from proxy.services.health.board.redis import RedisBoard

        return RedisBoard(redis)
    if database is not None:
        from proxy.services.health.board.database import DatabaseBoard

        return DatabaseBoard(database)
    if consul is not None:
        from proxy.services.health.board.consul import ConsulBoard

        return ConsulBoard(consul, prefix)
    return None
