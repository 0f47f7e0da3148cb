"""Two gateways on one Redis and one PostgreSQL: keys and limits are the same on both, exactly."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from tests.support import Chunk, Headers, RawClient, Stall, Upstream, chat_events, completion, json_answer, within
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import ADMIN, GatewayProcess, one_provider
from tests.support.services import OwnRedis, postgres_database, redis_prefix, redis_url

redis = pytest.importorskip("redis.asyncio")

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hello there"}]}
BEARER = [("Authorization", f"Bearer {ADMIN}")]


@asynccontextmanager
async def replicas(up: Upstream, count: int = 2, **sections: Any) -> AsyncIterator[list[GatewayProcess]]:
    """``count`` gateways that share everything that can be shared."""
    up.on(lambda request: json_answer(completion("Hi")))
    url = redis_url()
    async with postgres_database() as database, redis_prefix(url) as prefix, AsyncExitStack() as stack:
        shared = {
            "redis": {"url": url, "prefix": prefix, "timeoutSecs": 30},  # on a busy machine, limits stay exact
            "database": {"url": database},
        }
        source = one_provider(up, auth={"mode": "keys"}, **(shared | sections))
        yield [await stack.enter_async_context(GatewayProcess(source)) for _ in range(count)]


async def ask(client: RawClient, key: str) -> int:
    answer = await client.fetch("POST", CHAT, json=ASK, headers=[("Authorization", f"Bearer {key}")])
    return answer.status


async def statuses_until(client: RawClient, key: str, wanted: Callable[[int], bool]) -> list[int]:
    """The statuses, of which the last is the first wanted one."""
    statuses: list[int] = []

    async def ask_on() -> None:
        while not statuses or not wanted(statuses[-1]):
            statuses.append(await ask(client, key))
            await asyncio.sleep(0.1)

    await within(ask_on(), "the wanted status", lambda: statuses)
    return statuses


async def end_leases(url: str) -> None:
    """Let all leases of this Redis be over, as if their time had passed."""
    async with redis.Redis.from_url(url) as client:
        async for slots in client.scan_iter(match="*:concurrent:*"):
            await client.zadd(slots, dict.fromkeys(await client.zrange(slots, 0, -1), 0))


async def make_key(gw: GatewayProcess, **members: Any) -> dict[str, Any]:
    client = await gw.client()
    body = {"name": secrets.token_hex(4), **members}
    made = await client.fetch("POST", "/auth/api-keys", json=body, headers=BEARER)
    assert made.status == 201, made.body
    found: dict[str, Any] = made.json
    return found


async def test_a_key_created_and_revoked_on_one_replica_takes_effect_on_the_other() -> None:
    async with Upstream() as up, replicas(up) as (first, second):
        key = await make_key(first)
        client = await second.client()
        assert await ask(client, key["key"]) == 200
        await (await first.client()).fetch("DELETE", f"/auth/api-keys/{key['id']}", headers=BEARER)
        await statuses_until(client, key["key"], lambda status: status == 401)


async def test_a_limit_is_shared_by_all_replicas() -> None:
    limits = {
        "enabled": True,
        "store": "redis",
        "global": {"requestsPerHour": 200},
        "perClient": {"requestsPerHour": 60},
    }
    async with Upstream() as up, replicas(up, rateLimiting=limits) as gateways:
        keys = [(await make_key(gateways[0]))["key"] for _ in range(3)]
        statuses: Counter[tuple[str, int]] = Counter()

        async def hammer(gw: GatewayProcess, key: str) -> None:
            client = await gw.client()
            for _ in range(50):
                statuses[key, await ask(client, key)] += 1

        await asyncio.gather(*(hammer(gw, key) for gw in gateways for key in keys))
        # 100 requests per key, of which one hour's limit is admitted; 0.017 per second are refilled.
        for key in keys:
            assert 60 <= statuses[key, 200] <= 61
            assert statuses[key, 200] + statuses[key, 429] == 100
        assert len(up.requests) == sum(statuses[key, 200] for key in keys)


async def test_slots_are_shared_and_released_after_a_replica_is_killed() -> None:
    limits = {"enabled": True, "store": "redis", "perModel": {"concurrent": 2}}
    async with (
        OwnRedis() as own,
        Upstream() as up,
        replicas(up, rateLimiting=limits, redis={"url": own.url, "timeoutSecs": 30}) as (first, second),
    ):
        key = (await make_key(first))["key"]
        up.on(lambda request: [Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hi")[:2]), Stall()])
        for gw in (first, first):
            client = await gw.client()
            headers = [("Authorization", f"Bearer {key}")]
            await client.request("POST", CHAT, json=ASK | {"stream": True}, headers=headers)
            await client.read_head()
        other = await second.client()
        assert await ask(other, key) == 429
        await first.kill()
        up.on(lambda request: json_answer(completion("Hi")))
        await end_leases(own.url)  # they live for 15 s
        await statuses_until(other, key, lambda status: status == 200)


async def test_a_breaker_opened_on_one_replica_opens_on_the_other() -> None:
    circuit = {"failureThreshold": 1, "cooldownPeriodSecs": 60, "shared": True}
    async with Upstream() as up, replicas(up, circuitBreaker=circuit) as (first, second):
        key = (await make_key(first))["key"]
        other = await second.client()
        assert await ask(other, key) == 200
        up.on(lambda request: json_answer({"error": {"message": "down"}}, 500))
        assert await ask(await first.client(), key) == 502
        before = len(up.requests)
        up.on(lambda request: json_answer(completion("Hi")))
        statuses = await statuses_until(other, key, lambda status: status != 200)
        assert len(up.requests) - before == len(statuses) - 1
