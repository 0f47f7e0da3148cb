"""A connection to Redis for calling one Lua script."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from proxy.limits.failover import StoreDown
from proxy.redis.client import RedisClient
from proxy.redis.connection import KeptConnection, LuaScript, packed

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection


class ScriptConnection:
    """Connects at the first call, and again after an error. One call at a time."""

    def __init__(self, redis: RedisClient, script: str) -> None:
        from redis.exceptions import NoScriptError

        self._no_script = NoScriptError
        self._connection = KeptConnection(redis.pool)
        self._timeout = redis.timeout
        self._script = LuaScript(script)

    async def call(self, keys: Sequence[bytes], argument: bytes) -> bytes:
        """The script's reply. Raises StoreDown."""
        sent = False
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connection.open()
                sent = True
                return await self._evaluated(connection, keys, argument)
        except Exception as error:  # from redis-py, the system, or a server that is not Redis
            await self._connection.drop()
            raise StoreDown(_reason(error, self._timeout), sent=sent) from None

    async def close(self) -> None:
        await self._connection.drop()

    async def _evaluated(self, connection: AbstractConnection, keys: Sequence[bytes], argument: bytes) -> bytes:
        try:
            return await _execute(connection, self._script.by_hash(keys, (argument,)))
        except self._no_script:
            return await _execute(connection, self._script.in_full(keys, (argument,)))


async def _execute(connection: AbstractConnection, command: Sequence[bytes]) -> bytes:
    await connection.send_packed_command(packed(command), check_health=False)
    reply = await connection.read_response()
    if not isinstance(reply, bytes):
        raise TypeError(f"the script answered {type(reply).__name__}")
    return reply


def _reason(error: BaseException, timeout: float) -> str:
    if isinstance(error, TimeoutError):
        return f"no answer within {timeout:g} s"
    return f"{type(error).__name__}: {error}"
