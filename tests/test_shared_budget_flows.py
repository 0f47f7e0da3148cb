"""Budgets over two gateways that share a Redis and a ledger."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any

import pytest

from tests.support import until, within
from tests.support.answers import completion, json_answer
from tests.support.client import Answer
from tests.support.gateway import Gateway, one_provider
from tests.support.services import OwnRedis
from tests.support.upstream import Upstream

redis = pytest.importorskip("redis.asyncio")

CHAT = "/v1/chat/completions"
PRICED = [{"name": "m", "provider": "up", "prices": {"input": 1000, "output": 1000}}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}  # 0.02 USD
COST = 20_000_000
CAP = 3_000_000_000  # nano-USD


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hello") | {"usage": USAGE}))
        yield upstream


@asynccontextmanager
async def replicas(up: Upstream, folder: Path) -> AsyncIterator[tuple[list[Gateway], OwnRedis]]:
    """Two gateways with a budget of 3 USD."""
    async with OwnRedis() as own:
        sections: dict[str, Any] = {
            "models": PRICED,
            "budgets": [{"name": "all", "usd": CAP / 1e9, "window": "total"}],
            "rateLimiting": {"store": "redis", "onStoreFailure": "closed"},
            "redis": {"url": own.url, "timeoutSecs": 10},
            "database": {"url": f"sqlite:///{folder / 'shared.sqlite'}"},
            "ledger": {"enabled": True},
        }
        async with AsyncExitStack() as stack:
            places = [folder / name for name in ("one", "other")]
            gateways = [Gateway(one_provider(up, dataDir=str(place), **sections)) for place in places]
            yield [await stack.enter_async_context(gw) for gw in gateways], own


async def ask(gw: Gateway) -> Answer:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100}
    return await (await gw.client()).fetch("POST", CHAT, json=body)


async def shared_sums(own: OwnRedis) -> tuple[int, int]:
    """What all gateways spent and hold, as Redis has it."""
    async with redis.Redis.from_url(own.url, decode_responses=True) as client:
        found = await client.hgetall("{sluice}:budget:all/total/")
    spent, held = (sum(int(amount) for name, amount in found.items() if name.startswith(kind)) for kind in ("s:", "r:"))
    return spent, held


async def settled(own: OwnRedis, spent: int) -> None:
    async def look() -> None:
        while await shared_sums(own) != (spent, 0):  # noqa: ASYNC110
            await asyncio.sleep(0.01)

    await within(look(), "all bills to be in Redis")


def in_ledger(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "shared.sqlite")) as database:
        [(spent,)] = database.execute("SELECT sum(nano) FROM budget_spend WHERE counter = 'all/total/'")
    return spent or 0


@pytest.mark.parametrize("flush", [False, True], ids=["", "flushed half-way"])
async def test_100_calls_at_two_gateways_never_pass_the_cap(up: Upstream, tmp_path: Path, flush: bool) -> None:
    async with replicas(up, tmp_path) as (gateways, own):
        first = await asyncio.gather(*(ask(gateways[number % 2]) for number in range(50)))
        if flush:
            async with redis.Redis.from_url(own.url) as client:
                await client.flushall()
        second = await asyncio.gather(*(ask(gateways[number % 2]) for number in range(50)))
        statuses = [answer.status for answer in (*first, *second)]
        answered = statuses.count(200)
        assert answered + statuses.count(429) == 100
        assert answered == len(up.requests)
        assert answered * COST <= CAP
        assert answered > 20

        await settled(own, answered * COST)
        await until(lambda: in_ledger(tmp_path) == answered * COST, "the ledger to have the same")


async def test_a_killed_redis_is_replaced_without_losing_the_spend(up: Upstream, tmp_path: Path) -> None:
    """Gateways that live send their sums again, and the ledger has those of others."""
    async with replicas(up, tmp_path) as (gateways, own):
        for gw in gateways:
            assert (await ask(gw)).status == 200
        await own.kill()
        assert (await ask(gateways[0])).json["error"]["code"] == "limiter_unavailable"
        await own.start()

        async def answered() -> None:
            while (await ask(gateways[0])).status != 200:  # noqa: ASYNC110
                await asyncio.sleep(0.05)

        await within(answered(), "Redis to be found again")
        await settled(own, 3 * COST)


def test_the_cap_is_below_what_a_hundred_calls_may_hold() -> None:
    """Else the other tests would prove nothing: a call may hold some 0.12 USD."""
    assert CAP < 100 * 100 * 1_000_000
