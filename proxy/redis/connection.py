"""A connection to Redis that is kept between calls, and what is sent over it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

IDLE: Final = 1.0  # seconds without a call, after which the pool checks the connection before its next use


class KeptConnection:
    """A connection of ``pool``. One call at a time."""

    def __init__(self, pool: Any) -> None:
        self._pool = pool
        self._connection: AbstractConnection | None = None
        self._used = 0.0

    async def open(self) -> AbstractConnection:
        """The connection: a new one at first, and after ``drop``. Raises what redis-py and the system do."""
        now = asyncio.get_running_loop().time()
        if self._connection is not None and now - self._used > IDLE:
            # The server may have closed it. The pool checks this before it returns the connection.
            connection, self._connection = self._connection, None
            await self._pool.release(connection)
        if self._connection is None:
            self._connection = await self._pool.get_connection()
        self._used = now
        return self._connection

    async def drop(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)


class LuaScript:
    """A script, as the commands that run it."""

    def __init__(self, text: str) -> None:
        self._text = text.encode()
        self._sha = hashlib.sha1(self._text, usedforsecurity=False).hexdigest().encode()

    def by_hash(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> tuple[bytes, ...]:
        """The usual command. Its reply is NOSCRIPT from a new server, and after scripts were flushed."""
        return b"EVALSHA", self._sha, b"%d" % len(keys), *keys, *arguments

    def in_full(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> tuple[bytes, ...]:
        """The command that loads the script as well."""
        return b"EVAL", self._text, b"%d" % len(keys), *keys, *arguments


def packed(command: Sequence[bytes]) -> bytes:
    """A command in RESP. redis-py takes five times as long, as it joins what it has for each argument."""
    return b"".join((b"*%d\r\n" % len(command), *[b"$%d\r\n%b\r\n" % (len(each), each) for each in command]))
