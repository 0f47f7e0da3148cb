"""Rate limits, and the buckets with the highest use."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from proxy.config.limit_schema import Limits
from proxy.control.settings.rate_limits import MAX_BUCKETS
from proxy.identity import Client
from proxy.limits.base import Cost
from proxy.limits.failover import Failover
from proxy.limits.limiter import Limiter
from proxy.limits.memory import Memory
from proxy.limits.redis import RedisStore
from proxy.limits.rules import Rules
from proxy.observe.metrics import Metrics
from proxy.redis.client import RedisClient
from tests.control.admin import TWO, AdminServer
from tests.support.gateway import to_config
from tests.support.patience import PATIENCE
from tests.support.services import redis_prefix, redis_url

LIMITED: dict[str, Any] = TWO | {
    "rateLimiting": {
        "enabled": True,
        "global": {"requestsPerMinute": 600},
        "perClient": {"requestsPerMinute": 60, "burstSize": 5, "concurrent": 2},
        "perAddress": {"enabled": False},
    }
}


async def test_without_limits_the_lists_are_empty() -> None:
    async with AdminServer(TWO) as plane:
        assert (await plane.ask("GET", "/admin/rate-limits")).json == {
            "enabled": False,
            "credentialLimits": False,
            "store": "memory",
            "storeState": None,
            "onStoreFailure": "local",
            "limits": [],
            "buckets": [],
        }


async def test_limits_of_credentials_are_enforced_with_authentication() -> None:
    async with AdminServer(TWO | {"auth": {"mode": "keys"}}) as plane:
        answer = (await plane.ask("GET", "/admin/rate-limits")).json
        assert (answer["enabled"], answer["credentialLimits"], answer["limits"]) == (False, True, [])


async def test_buckets_are_shown_with_the_values_of_the_headers() -> None:
    async with AdminServer(LIMITED) as plane:
        limiter = plane.limiter
        requests, slots = limiter.rules.client(None).requests
        for client, amount in (("key:a", 1.0), ("key:b", 4.0)):
            limiter.store.take([Cost(requests, client, amount)], 1)
        limiter.store.take([Cost(slots, "key:a")], 1)
        answer = (await plane.ask("GET", "/admin/rate-limits")).json
        assert answer["limits"] == [
            {"level": "global", "unit": "requestsPerMinute", "limit": 600, "capacity": 600.0, "perSecond": 10.0},
            {"level": "client", "unit": "requestsPerMinute", "limit": 60, "capacity": 5.0, "perSecond": 1.0},
            {"level": "client", "unit": "concurrent", "limit": 2, "capacity": 2.0, "perSecond": 0.0},
        ]
        assert answer["buckets"] == [
            _bucket("requestsPerMinute", "key:b", 60, 1, 4.0, 5.0, 4.0),
            _bucket("requestsPerMinute", "key:a", 60, 4, 1.0, 5.0, 1.0),
            _bucket("concurrent", "key:a", 2, 1, 1.0, 2.0, None),
        ]


def _bucket(
    unit: str, key: str, limit: int, remaining: int, used: float, capacity: float, reset_after: float | None
) -> dict[str, Any]:
    return {
        "level": "client",
        "unit": unit,
        "key": key,
        "limit": limit,
        "remaining": remaining,
        "used": used,
        "capacity": capacity,
        "resetAfter": reset_after,
    }


async def test_a_client_with_its_own_limits_is_shown_with_them() -> None:
    own = Client("key:own", limits=Limits(requests_per_minute=600, burst_size=100, tokens_per_minute=50))
    for source in (LIMITED, TWO | {"auth": {"mode": "keys"}}):
        async with AdminServer(source) as plane:
            limiter = plane.limiter
            snapshot = limiter.snapshot
            assert snapshot is not None
            limiter.store.take([cost for cost in snapshot.client_costs(own).costs if cost.limit.level == "client"], 1)
            bounds = limiter.rules.client(own.limits)
            assert bounds.tokens is not None
            limiter.store.take([Cost(bounds.requests[0], "key:own", 9.0), Cost(bounds.tokens, "key:own", 30.0)], 2)
            found = {
                each["unit"]: (each["limit"], each["remaining"], each["used"], each["capacity"])
                for each in (await plane.ask("GET", "/admin/rate-limits")).json["buckets"]
            }
            found.pop("concurrent", None)
            assert found == {"requestsPerMinute": (600, 90, 10.0, 100.0), "tokensPerMinute": (50, 20, 30.0, 50.0)}


async def test_only_the_fullest_buckets_are_shown() -> None:
    async with AdminServer(LIMITED) as plane:
        limiter = plane.limiter
        (requests, _) = limiter.rules.client(None).requests
        for number in range(MAX_BUCKETS + 50):
            limiter.store.take([Cost(requests, f"client:{number}")], 1)
        assert len((await plane.ask("GET", "/admin/rate-limits")).json["buckets"]) == MAX_BUCKETS


async def test_buckets_in_redis_are_shown_with_the_state_of_redis() -> None:
    url = redis_url()
    async with redis_prefix(url) as prefix:
        # Redis has a clock of its own: the limit refills slowly.
        slow = {"enabled": True, "perClient": {"requestsPerHour": 60, "burstSize": 5}}
        shared = TWO | {"rateLimiting": slow, "redis": {"url": url, "prefix": prefix}}
        redis = RedisClient(url, prefix, PATIENCE)
        store = _shared(redis)
        limiter = Limiter(store, Rules.of(to_config(shared).rate_limiting), lambda: 0.0, Metrics())
        async with AdminServer(shared, limiter=limiter) as plane:
            (requests,) = limiter.rules.client(None).requests
            verdict = store.take([Cost(requests, "key:a", 4.0)], 1)
            assert not hasattr(verdict, "admitted")
            await verdict
            answer = (await plane.ask("GET", "/admin/rate-limits")).json
        await store.close()
        await redis.close()
    assert (answer["store"], answer["storeState"]["status"]) == ("redis", "up")
    assert answer["storeState"]["latencyMs"] > 0
    (bucket,) = answer["buckets"]
    assert (bucket["key"], bucket["used"]) == ("key:a", pytest.approx(4.0, abs=1.0))


async def test_without_redis_no_buckets_are_shown() -> None:
    away = "redis://127.0.0.1:1/0"
    shared = LIMITED | {"redis": {"url": away}}
    pytest.importorskip("redis")
    store = _shared(RedisClient(away, "sluice", 0.5))
    limiter = Limiter(store, Rules.of(to_config(shared).rate_limiting), lambda: 0.0, Metrics())
    async with AdminServer(shared, limiter=limiter) as plane:
        (requests, _) = limiter.rules.client(None).requests
        verdict = store.take([Cost(requests, "key:a")], 1)
        assert not hasattr(verdict, "admitted")
        await verdict
        answer = (await plane.ask("GET", "/admin/rate-limits")).json
    await store.close()
    assert (answer["store"], answer["storeState"]["status"], answer["buckets"]) == ("redis", "down", [])


def _shared(redis: RedisClient) -> Failover:
    now = asyncio.get_running_loop().time
    quiet: list[str] = []
    return Failover(RedisStore(redis), Memory(now, 100), "local", warn=quiet.append, info=quiet.append, now=now)


async def test_it_requires_the_admin() -> None:
    async with AdminServer(LIMITED) as plane:
        assert (await plane.fetch("GET", "/admin/rate-limits")).status == 401
