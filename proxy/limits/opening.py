"""Building the configured limiter, with buckets in this process or in Redis."""

from __future__ import annotations

import asyncio
import time

from proxy.config.schema import Config
from proxy.limits.base import Store
from proxy.limits.failover import Failover
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.rules import Rules
from proxy.limits.snapshot import Tally
from proxy.observe.log import Log
from proxy.redis import RedisClient


def open_limiter(config: Config, redis: RedisClient | None, tally: Tally, log: Log) -> Limiter:
    """The limiter. ``redis`` is required if ``rateLimiting.store`` is ``redis``; it connects at its first use."""
    return Limiter(_store(config, redis, log), Rules.of(config.rate_limiting, config.auth), time.time, tally)


def _store(config: Config, redis: RedisClient | None, log: Log) -> Store:
    settings = config.rate_limiting
    # There are two generations of keys (``limits/generations.py``).
    memory = Memory(asyncio.get_running_loop().time, max(settings.max_clients // 2, 1))
    if settings.store == "memory":
        return memory
    from proxy.limits.redis import RedisStore

    assert redis is not None
    return Failover(
        RedisStore(redis), memory, settings.on_store_failure, warn=log.warning, info=log.info, now=time.time
    )
