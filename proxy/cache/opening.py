"""The cache of a gateway, as its configuration has it."""

from __future__ import annotations

from proxy.cache.base import AnswerStore
from proxy.cache.cache import ResponseCache
from proxy.cache.keeping import MEGABYTE
from proxy.cache.memory import MemoryAnswers
from proxy.cache.redis import RedisAnswers
from proxy.config.schema import Config
from proxy.dispatch.choice import DispatchCall
from proxy.ledger.ledger import Ledger
from proxy.observe.log import Log
from proxy.redis.client import RedisClient


def open_cache(
    config: Config, redis: RedisClient | None, dispatch: DispatchCall, ledger: Ledger | None, log: Log
) -> ResponseCache:
    """``dispatch`` calls providers. No connection is made before the first request of a cache that is on."""
    most = int(config.cache.max_mb * MEGABYTE)
    store: AnswerStore
    if config.cache.store == "redis":
        assert redis is not None
        store = RedisAnswers(redis, most, log)
    else:
        store = MemoryAnswers(most)
    return ResponseCache(config, store, dispatch, ledger)
