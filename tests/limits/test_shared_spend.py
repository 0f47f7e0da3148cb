"""What thresholds read of Redis, against the real store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from proxy.budgets.base import BudgetCounter
from proxy.budgets.thresholds import SpendUnavailable
from proxy.limits.redis import RedisStore
from proxy.limits.shared_spend import RedisSpend
from proxy.redis.client import RedisClient
from tests.limits.budget_contract import counter
from tests.support.patience import within
from tests.support.ports import free_port
from tests.support.services import redis_prefix, redis_url

pytest.importorskip("redis")


@pytest.fixture
async def client() -> AsyncIterator[RedisClient]:
    async with redis_prefix(redis_url()) as prefix:
        own = RedisClient(redis_url(), prefix, 30)
        yield own
        await own.close()


async def spend(store: RedisStore, own: BudgetCounter, held: int, spent: int) -> None:
    assert (await store.take((), 1, ((own, held),))).admitted
    store.settle((), (), 1, [(own, held, spent)])


@pytest.mark.parametrize("cap", [1000, 2**60])
async def test_the_spend_of_all_processes_is_read_without_what_they_hold(client: RedisClient, cap: int) -> None:
    stores = [RedisStore(client, process=name, graces=(0.0, 0.0)) for name in ("p1", "p2")]
    counters = [counter(cap) for _ in stores]
    amount = cap // 10 // 1000 * 1000 or 100
    reading = RedisSpend(client, "p1")
    try:
        for store, own in zip(stores, counters, strict=True):
            await spend(store, own, 2 * amount, amount)
        assert (await stores[1].take((), 2, ((counters[1], 3 * amount),))).admitted
        counters[0].spent += 5  # not sent yet

        async def read() -> None:
            while await reading.spent(counters[0]) != 2 * amount + 5:  # noqa: ASYNC110
                await asyncio.sleep(0.01)  # until the charge of the other is sent

        await within(read(), "what both spent")
    finally:
        for store in stores:
            await store.close()


async def test_a_counter_that_redis_does_not_have_is_this_process_alone(client: RedisClient) -> None:
    own = counter(1000)
    own.spent = 7
    assert await RedisSpend(client, "p1").spent(own) == 7


async def test_only_one_process_gets_a_claim(client: RedisClient) -> None:
    claims = [await RedisSpend(client, name).claim("evt_1", 60) for name in ("p1", "p2", "p1")]
    assert claims == [True, False, False]
    assert await RedisSpend(client, "p2").claim("evt_2", 60)


async def test_a_redis_that_is_not_there() -> None:
    client = RedisClient(f"redis://127.0.0.1:{free_port()}/0", "x", 30)
    with pytest.raises(SpendUnavailable):
        await RedisSpend(client, "p1").spent(counter(1000))
    with pytest.raises(SpendUnavailable):
        await RedisSpend(client, "p1").claim("evt_1", 60)
    await client.close()
