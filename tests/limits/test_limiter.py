"""The middleware and its store. What a client sees of limits is in test_admission.py."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import Any

import pytest

from proxy.config.limit_schema import Limits
from proxy.config.schema import Config, RateLimiting
from proxy.errors import RateLimited
from proxy.identity import Client
from proxy.limits.limiter import Limiter
from proxy.limits.opening import open_limiter
from proxy.limits.rules import Rules
from proxy.observe.log import Log
from proxy.observe.metrics import Metrics
from proxy.redis.client import RedisClient

LIMITED = RateLimiting(enabled=True, per_client=Limits(requests_per_hour=1))


def opened(settings: RateLimiting, redis: RedisClient | None = None) -> Limiter:
    return open_limiter(Config(rate_limiting=settings), redis, Metrics(), Log(io.BytesIO(), "info", readable=False))


async def served(limiter: Limiter, client: Client | None = None) -> Any:
    """The exchange of a request that passed the middleware."""
    exchange = SimpleNamespace(caller=client, reservation=None, attempts=[])
    request = SimpleNamespace(attributed=False)
    responder: Any = SimpleNamespace(exchange=exchange, request=request)
    passed = []

    async def handler(responder: Any) -> None:
        passed.append(responder)

    await limiter.wrap(handler)(responder)
    assert passed == [responder]
    return exchange


async def test_without_limits_a_request_reserves_nothing() -> None:
    assert (await served(opened(RateLimiting()))).reservation is None


async def test_a_request_takes_from_the_buckets_of_its_client() -> None:
    limiter = opened(LIMITED)
    assert (await served(limiter, Client("a"))).reservation is not None
    with pytest.raises(RateLimited):
        await served(limiter, Client("a"))
    assert (await served(limiter, Client("b"))).reservation is not None


async def test_new_rules_keep_the_buckets() -> None:
    limiter = opened(LIMITED)
    await served(limiter, Client("a"))
    limiter.adopt(Rules.of(RateLimiting()), limiter.book.rules)
    assert (await served(limiter, Client("a"))).reservation is None
    limiter.adopt(Rules.of(LIMITED), limiter.book.rules)
    with pytest.raises(RateLimited):
        await served(limiter, Client("a"))


async def test_a_store_in_this_process_has_no_state() -> None:
    limiter = opened(LIMITED)
    await limiter.start()
    assert limiter.state is None
    await limiter.close()


async def test_the_start_detects_that_a_shared_store_is_down() -> None:
    pytest.importorskip("redis")
    limiter = opened(RateLimiting(enabled=True, store="redis"), RedisClient("redis://127.0.0.1:1/0", "sluice", 0.5))
    await limiter.start()
    assert limiter.state is not None
    assert not limiter.state.up
    await limiter.close()
