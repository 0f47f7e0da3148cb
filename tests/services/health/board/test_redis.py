"""Results of checks in Redis, beyond what every board promises."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from proxy.redis.client import RedisClient
from proxy.services.health.board import base
from proxy.services.health.board.redis import RedisBoard, decode
from tests.fleet.lease.stores import Connector, shared_by
from tests.services.health.board.test_base import A, B, latest, result


@pytest.fixture
async def connect(tmp_path: Path) -> AsyncIterator[Connector]:
    async with shared_by("redis", tmp_path) as found:
        yield found


def client(connect: Connector) -> RedisClient:
    found = connect().redis
    assert found is not None
    return found


async def test_a_redis_that_lost_its_data_is_read_from_its_begin(connect: Connector) -> None:
    redis = client(connect)
    here, there = RedisBoard(redis), RedisBoard(client(connect))
    await here.publish([result(A), result(B)])
    assert len(await latest(there)) == 2
    await redis.commands.delete(*here._keys)
    assert await there.read() == []
    await here.publish([result(B)])
    assert await latest(there) == {("s", B): result(B)}


async def test_old_results_are_removed_and_ages_are_the_servers(connect: Connector) -> None:
    redis = client(connect)
    here, there = RedisBoard(redis), RedisBoard(client(connect))
    await here.publish([result(A), result(B)])
    key, field = here._keys[0], f"s\n{A}"

    async def age(secs: float) -> None:
        at, _, value = (await redis.commands.hget(key, field)).partition(b":")
        await redis.commands.hset(key, field, b"%d:%b" % (int(at) - secs * 1_000_000, value))

    await age(1000.0)
    ages = {each.url: each.age for each in await there.read()}
    assert 1000 <= ages[A] < 4600
    assert ages[B] < 3600
    await age(base.KEEP_SECS)
    await here.publish([result(B)])
    assert await latest(RedisBoard(client(connect))) == {("s", B): result(B)}
    assert await redis.commands.hkeys(key) == [f"s\n{B}".encode()]


async def test_everything_expires(connect: Connector) -> None:
    redis = client(connect)
    here = RedisBoard(redis)
    await here.publish([result(A)])
    for key in here._keys:
        assert 0 < await redis.commands.ttl(key) <= base.KEEP_SECS


@pytest.mark.parametrize("value", [b"", b"{}", b"[1]", b'["s","u",null,0]', b"[" * 5000])
def test_what_is_malformed_is_left_out(value: bytes) -> None:
    assert decode(value, 1.0) is None


def test_members_of_later_versions_are_ignored() -> None:
    assert decode(b'["s","u",false,1.5,"x",0,"more"]', 2.0) == base.SharedResult("s", "u", False, 1.5, "x", 2.0)
