"""Calls of a script over a scripted connection. Real servers are in test_redis.py."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.limits.failover import StoreDown
from proxy.limits.script_connection import ScriptConnection, packed

exceptions = pytest.importorskip("redis.exceptions")

SCRIPT = "return ARGV[1]"
SHA = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest().encode()

Reply = Callable[[], Any]


def raises(error: Exception) -> Reply:
    def reply() -> Any:
        raise error

    return reply


class FakeConnection:
    """Answers each command with the next of ``replies``."""

    def __init__(self, pool: FakePool) -> None:
        self.pool = pool
        self.closed = False

    async def send_packed_command(self, command: bytes, check_health: bool) -> None:
        self.pool.sent.append(command)

    async def read_response(self) -> Any:
        if not self.pool.replies:
            await asyncio.Event().wait()
        return self.pool.replies.pop(0)()

    async def disconnect(self, nowait: bool) -> None:
        self.closed = True


class FakePool:
    def __init__(self, *replies: Reply) -> None:
        self.replies = list(replies)
        self.sent: list[bytes] = []
        self.opened: list[FakeConnection] = []
        self.released: list[FakeConnection] = []

    async def get_connection(self) -> FakeConnection:
        self.opened.append(FakeConnection(self))
        return self.opened[-1]

    async def release(self, connection: FakeConnection) -> None:
        self.released.append(connection)


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
    monkeypatch.setattr("proxy.limits.script_connection._IDLE", -1.0)
    await link.call([], b"x")
    assert (len(pool.opened), pool.released, pool.opened[0].closed) == (2, pool.opened[:1], False)


async def test_closing_releases_the_connection_once() -> None:
    link, pool = linked(lambda: b"one")
    await link.close()
    await link.call([], b"x")
    await link.close()
    await link.close()
    assert (pool.opened[0].closed, pool.released) == (True, pool.opened)


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=5))
def test_commands_are_packed_as_redis_py_does(command: list[bytes]) -> None:
    connection = pytest.importorskip("redis.asyncio.connection").Connection()
    command[0] = b"EVALSHA"
    assert packed(command) == b"".join(connection.pack_command(*command))
