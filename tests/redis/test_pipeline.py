"""Commands of many callers over a scripted connection, and over a real one."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.redis.client import RedisClient
from proxy.redis.connection import LuaScript, packed
from proxy.redis.pipeline import CommandPipeline
from tests.redis.fake_pool import FakePool, Reply, raises
from tests.support.patience import PATIENCE
from tests.support.services import OwnRedis

exceptions = pytest.importorskip("redis.exceptions")


def opened(*replies: Reply, timeout: float = PATIENCE) -> tuple[CommandPipeline, FakePool]:
    pool = FakePool(*replies)
    return CommandPipeline(cast(Any, SimpleNamespace(pool=pool, timeout=timeout))), pool


def says(reply: Any) -> Reply:
    return lambda: reply


async def test_commands_of_one_turn_share_a_write_and_a_connection() -> None:
    pipeline, pool = opened(says(b"one"), says(b"two"), says(b"three"))
    assert await asyncio.gather(pipeline.call(b"GET", b"a"), pipeline.call(b"GET", b"b")) == [b"one", b"two"]
    assert await pipeline.call(b"GET", b"c") == b"three"
    assert pool.sent == [packed([b"GET", b"a"]) + packed([b"GET", b"b"]), packed([b"GET", b"c"])]
    assert len(pool.opened) == 1


async def test_commands_that_come_meanwhile_share_the_next_write() -> None:
    later: list[asyncio.Task[Any]] = []

    def first() -> bytes:
        later.extend(asyncio.ensure_future(pipeline.call(b"GET", each)) for each in (b"b", b"c"))
        return b"one"

    pipeline, pool = opened(first, says(b"between"), says(b"two"), says(b"three"))
    before = await asyncio.gather(pipeline.call(b"GET", b"a"), pipeline.call(b"GET", b"a"))
    assert [*before, *[await each for each in later]] == [b"one", b"between", b"two", b"three"]
    assert pool.sent == [packed([b"GET", b"a"]) * 2, packed([b"GET", b"b"]) + packed([b"GET", b"c"])]


async def test_an_error_of_one_command_is_raised_by_its_call() -> None:
    pipeline, pool = opened(raises(exceptions.ResponseError("wrong")), says(b"two"))
    wrong, right = await asyncio.gather(
        pipeline.call(b"INCR", b"a"), pipeline.call(b"GET", b"b"), return_exceptions=True
    )
    assert (str(wrong), right) == ("wrong", b"two")
    assert not pool.opened[0].closed


async def test_an_unknown_script_is_sent_in_full() -> None:
    script = LuaScript("return 1")
    pipeline, pool = opened(raises(exceptions.NoScriptError("NOSCRIPT")), says(1))
    assert await pipeline.run(script, (b"k",), (b"x",)) == 1
    assert pool.sent == [packed(script.by_hash((b"k",), (b"x",))), packed(script.in_full((b"k",), (b"x",)))]


@pytest.mark.parametrize("error", [exceptions.ConnectionError("closed"), OSError("reset")])
async def test_after_an_error_all_calls_fail_and_the_next_one_opens_a_connection(error: Exception) -> None:
    pipeline, pool = opened(says(b"one"), raises(error), says(b"four"))
    calls = (pipeline.call(b"GET", each) for each in (b"a", b"b", b"c"))
    assert await asyncio.gather(*calls, return_exceptions=True) == [b"one", error, error]
    assert (pool.opened[0].closed, pool.released) == (True, pool.opened)
    assert await pipeline.call(b"GET", b"d") == b"four"
    assert [each.closed for each in pool.opened] == [True, False]


async def test_a_write_that_is_not_answered_in_time_fails() -> None:
    pipeline, pool = opened(timeout=0.01)
    with pytest.raises(TimeoutError):
        await pipeline.call(b"GET", b"a")
    assert pool.opened[0].closed


async def test_a_call_that_is_canceled_leaves_its_reply_to_no_other_one() -> None:
    held: list[asyncio.Task[Any]] = []

    def first() -> bytes:
        held[1].cancel()
        return b"one"

    pipeline, _ = opened(first, says(b"two"), says(b"three"))
    held.extend(asyncio.ensure_future(pipeline.call(b"GET", each)) for each in (b"a", b"b", b"c"))
    found = await asyncio.gather(*held, return_exceptions=True)
    assert (found[0], type(found[1]), found[2]) == (b"one", asyncio.CancelledError, b"three")


async def test_a_call_that_is_canceled_before_the_write_is_not_made() -> None:
    pipeline, pool = opened(says(b"two"))
    call = asyncio.ensure_future(pipeline.call(b"GET", b"a"))
    await asyncio.sleep(0)
    call.cancel()
    assert await pipeline.call(b"GET", b"b") == b"two"
    assert pool.sent == [packed([b"GET", b"b"])]


async def test_calls_of_a_real_server_go_on_after_it_was_killed() -> None:
    async with OwnRedis() as own:
        client = RedisClient(own.url, "sluice", PATIENCE)
        pipeline = CommandPipeline(client)
        script = LuaScript("return {ARGV[1], redis.call('INCR', KEYS[1])}")
        runs = [pipeline.run(script, (b"{a}:n",), (b"%d" % number,)) for number in range(300)]
        assert await asyncio.gather(*runs) == [[b"%d" % number, number + 1] for number in range(300)]
        await own.kill()
        failed = await asyncio.gather(*(pipeline.call(b"PING") for _ in range(3)), return_exceptions=True)
        assert all(isinstance(each, Exception) for each in failed)
        await own.start()
        assert await pipeline.run(script, (b"{a}:n",), (b"x",)) == [b"x", 1]
        await client.close()
