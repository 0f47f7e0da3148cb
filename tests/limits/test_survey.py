"""A survey of buckets in Redis agrees with the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import pytest

from proxy.limits import survey as module
from proxy.limits.base import Cost, Limit
from proxy.limits.failover import StoreDown
from proxy.limits.redis import RedisStore
from proxy.limits.survey import Found, survey
from proxy.redis.client import RedisClient
from tests.support.patience import PATIENCE
from tests.support.services import redis_prefix, redis_url

MINUTE = Limit("client", "requestsPerMinute", "client:requestsPerMinute", 60.0, 1.0)
HOUR = Limit("client", "requestsPerHour", "client:requestsPerHour", 3600.0, 1.0)
SLOTS = Limit("client", "concurrent", "client:concurrent", 4.0, 0.0)


class Place(NamedTuple):
    redis: RedisClient
    store: RedisStore

    async def survey(self, *limits: Limit, most: int = 10) -> list[Found]:
        return await survey(self.redis, limits, most, 5.0)

    async def take(self, costs: Sequence[Cost], lease: int = 1) -> None:
        assert (await self.store.take(costs, lease)).admitted


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    url = redis_url()
    async with redis_prefix(url) as prefix:
        redis = RedisClient(url, prefix, PATIENCE)
        store = RedisStore(redis)
        try:
            yield Place(redis, store)
        finally:
            await store.close()
            await redis.close()


async def test_usage_is_a_share_of_the_capacity_highest_first(place: Place) -> None:
    await place.take([Cost(HOUR, "a", 360.0), Cost(MINUTE, "a", 6.0)])
    await place.take([Cost(HOUR, "b:c", 1800.0)])
    minute, hour = await place.survey(MINUTE, HOUR)
    assert [(key, pytest.approx(part, abs=0.05)) for key, part in minute] == [("a", 0.1)]
    assert [(key, pytest.approx(part, abs=0.01)) for key, part in hour] == [("b:c", 0.5), ("a", 0.1)]


async def test_slots_count_the_leases_that_hold_one(place: Place) -> None:
    for lease in (1, 2, 3):
        await place.take([Cost(SLOTS, "a")], lease)
    assert await place.survey(SLOTS) == [[("a", 0.75)]]


async def test_the_number_of_results_is_bounded(place: Place) -> None:
    for number in range(1, 6):
        await place.take([Cost(HOUR, f"k{number}", 100.0 * number)])
    (found,) = await place.survey(HOUR, most=2)
    assert [key for key, _ in found] == ["k5", "k4"]


async def test_the_number_of_scanned_keys_is_bounded(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SCANNED", 3)
    for number in range(10):
        await place.take([Cost(HOUR, f"k{number}", 100.0)])
    (found,) = await place.survey(HOUR)
    assert len(found) == 3


async def test_keys_of_others_are_ignored(place: Place) -> None:
    await place.take([Cost(HOUR, "a", 100.0)])
    prefix = place.redis.prefix
    for other in (prefix + "*", prefix[:-1]):
        place.redis.prefix = other
        assert await place.survey(HOUR) == [[]]


async def test_an_unreachable_redis_is_down() -> None:
    pytest.importorskip("redis")
    with pytest.raises(StoreDown):
        await survey(RedisClient("redis://127.0.0.1:1/0", "sluice", 5.0), [HOUR], 10, 5.0)
