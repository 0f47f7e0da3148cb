"""A connection to Redis for calling one Lua script."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.limits.failover import StoreDown
from proxy.redis import RedisClient

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

_IDLE = 1.0  # seconds without a call, after which the pool checks the connection before its next use


class ScriptConnection:
    """Connects at the first call, and again after an error. One call at a time."""

    def __init__(self, redis: RedisClient, script: str) -> None:
        from redis.exceptions import NoScriptError

        self._no_script = NoScriptError
        self._pool = redis.pool
        self._timeout = redis.timeout
        self._script = script.encode()
        self._sha = hashlib.sha1(self._script, usedforsecurity=False).hexdigest().encode()
        self._connection: AbstractConnection | None = None
        self._used = 0.0

    async def call(self, keys: Sequence[bytes], argument: bytes) -> bytes:
        """The script's reply. Raises StoreDown."""
        sent = False
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connected()
                sent = True
                reply = await self._evaluated(connection, keys, argument)
        except Exception as error:  # from redis-py, the system, or a server that is not Redis
            await self._drop()
            raise StoreDown(_reason(error, self._timeout), sent=sent) from None
        self._used = asyncio.get_running_loop().time()
        return reply

    async def close(self) -> None:
        await self._drop()

    async def _connected(self) -> AbstractConnection:
        now = asyncio.get_running_loop().time()
        if self._connection is not None and now - self._used > _IDLE:
            # The server may have closed it. The pool checks this before it returns the connection.
            connection, self._connection = self._connection, None
            await self._pool.release(connection)
        if self._connection is None:
            self._connection = await self._pool.get_connection()
        return self._connection

    async def _evaluated(self, connection: AbstractConnection, keys: Sequence[bytes], argument: bytes) -> bytes:
        rest = (b"%d" % len(keys), *keys, argument)
        try:
            return await _execute(connection, b"EVALSHA", self._sha, *rest)
        except self._no_script:  # a new server, or flushed scripts; EVAL loads the script as well
            return await _execute(connection, b"EVAL", self._script, *rest)

    async def _drop(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            await connection.disconnect(nowait=True)
            await self._pool.release(connection)


async def _execute(connection: AbstractConnection, *command: bytes) -> bytes:
    await connection.send_packed_command(packed(command), check_health=False)
    reply = await connection.read_response()
    if not isinstance(reply, bytes):
        raise TypeError(f"the script answered {type(reply).__name__}")
    return reply


def packed(command: Sequence[bytes]) -> bytes:
    """A command in RESP. redis-py takes five times as long, as it joins what it has for each argument."""
    return b"".join((b"*%d\r\n" % len(command), *[b"$%d\r\n%b\r\n" % (len(each), each) for each in command]))


def _reason(error: BaseException, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return f"{type(error).__name__}: {error}"
