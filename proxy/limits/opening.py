"""Building the configured limiter, with buckets in this process or in Redis."""

from __future__ import annotations

import asyncio
import time

from proxy.budgets.book import Book
from proxy.budgets.rules import BudgetRules
from proxy.config.schema import Config
from proxy.limits.base import Store
from proxy.limits.failover import Failover
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.rules import Rules
from proxy.limits.shared_budgets import SharedBudgets
from proxy.limits.shared_spend import RedisSpend
from proxy.limits.snapshot import Tally
from proxy.observe.log import Log
from proxy.redis.client import RedisClient


def open_limiter(config: Config, redis: RedisClient | None, tally: Tally, log: Log, process: str = "") -> Limiter:
    """The limiter. ``redis`` is required if ``rateLimiting.store`` is ``redis``; it connects at its first use.

    ``process`` names this process in the ledger.
    """
    book = Book(BudgetRules.of(config), process, time.time)
    book.refuses_unseeded = config.rate_limiting.on_store_failure == "closed"
    store, shared = _store(config, redis, log, process)
    spend = None if shared is None or redis is None else RedisSpend(redis, process)
    return Limiter(store, Rules.of(config.rate_limiting, config.auth), time.time, tally, book, shared, spend)


def _store(config: Config, redis: RedisClient | None, log: Log, process: str) -> tuple[Store, SharedBudgets | None]:
    """The store, and the budgets that it shares with other processes."""
    settings = config.rate_limiting
    # There are two generations of keys (``limits/generations.py``).
    memory = Memory(asyncio.get_running_loop().time, max(settings.max_clients // 2, 1))
    if settings.store == "memory":
        return memory, None
    from proxy.limits.redis import RedisStore

    assert redis is not None
    remote = RedisStore(redis, process=process)
    store = Failover(remote, memory, settings.on_store_failure, warn=log.warning, info=log.info, now=time.time)
    return store, remote.budgets
