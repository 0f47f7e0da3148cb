"""Calls of a script over a scripted connection. Real servers are in test_redis.py."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any, cast

import pytest

from proxy.limits.failover import StoreDown
from proxy.limits.script_connection import ScriptConnection
from proxy.redis.connection import packed
from tests.redis.fake_pool import FakeConnection, FakePool, Reply, raises

exceptions = pytest.importorskip("redis.exceptions")

SCRIPT = "return ARGV[1]"
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()


def linked(*replies: Reply, timeout: float = 30.0) -> tuple[ScriptConnection, FakePool]:
    pool = FakePool(*replies)
    return ScriptConnection(cast(Any, SimpleNamespace(pool=pool, timeout=timeout)), SCRIPT), pool


async def test_a_script_is_called_by_its_hash_over_one_connection() -> None:
    link, pool = linked(lambda: b"one", lambda: b"two")
    assert [await link.call([b"k1", b"k2"], b"x") for _ in range(2)] == [b"one", b"two"]
    assert pool.sent == [packed([b"EVALSHA", SHA, b"2", b"k1", b"k2", b"x"])] * 2
    assert len(pool.opened) == 1


async def test_an_unknown_script_is_sent_in_full() -> None:
    link, pool = linked(raises(exceptions.NoScriptError("NOSCRIPT")), lambda: b"one")
    assert await link.call([b"k"], b"x") == b"one"
    rest = (b"1", b"k", b"x")
    assert pool.sent == [packed([b"EVALSHA", SHA, *rest]), packed([b"EVAL", SCRIPT.encode(), *rest])]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (raises(exceptions.ConnectionError("closed")), "ConnectionError: closed"),
        (raises(OSError("reset")), "OSError: reset"),
        (lambda: [1, 2], "TypeError: the script answered list"),
        (lambda: None, "TypeError: the script answered NoneType"),
    ],
)
async def test_after_an_error_the_connection_is_closed_and_the_next_call_opens_another(
    reply: Reply, reason: str
) -> None:
    link, pool = linked(reply, lambda: b"two")
    with pytest.raises(StoreDown, match=reason) as caught:
        await link.call([], b"x")
    assert caught.value.sent
    assert (pool.opened[0].closed, pool.released) == (True, pool.opened)
    assert await link.call([], b"x") == b"two"
    assert [each.closed for each in pool.opened] == [True, False]


async def test_an_unwritten_call_was_not_sent() -> None:
    link, pool = linked()

    async def refused() -> FakeConnection:
        raise OSError("refused")

    pool.get_connection = refused  # type: ignore[method-assign]
    with pytest.raises(StoreDown, match="OSError: refused") as caught:
        await link.call([], b"x")
    assert not caught.value.sent


async def test_a_timeout_is_an_error_that_names_it() -> None:
    link, pool = linked(timeout=0.01)
    with pytest.raises(StoreDown, match=r"no answer within 0\.01 s"):
        await link.call([], b"x")
    assert pool.opened[0].closed


async def test_an_idle_connection_is_returned_to_the_pool_for_a_check(monkeypatch: pytest.MonkeyPatch) -> None:
    link, pool = linked(lambda: b"one", lambda: b"two")
    await link.call([], b"x")
    monkeypatch.setattr("proxy.redis.connection.IDLE", -1.0)
    await link.call([], b"x")
    assert (len(pool.opened), pool.released, pool.opened[0].closed) == (2, pool.opened[:1], False)


async def test_closing_releases_the_connection_once() -> None:
    link, pool = linked(lambda: b"one")
    await link.close()
    await link.call([], b"x")
    await link.close()
    await link.close()
    assert (pool.opened[0].closed, pool.released) == (True, pool.opened)
