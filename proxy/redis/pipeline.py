"""Commands of many callers over one connection to Redis.

One write is answered at a time. Commands that arrive meanwhile share the next one, so under load many take one round
trip. They run in the order of the calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from proxy.redis.client import RedisClient
from proxy.redis.connection import KeptConnection, LuaScript, packed

if TYPE_CHECKING:
    from redis.asyncio.connection import AbstractConnection

_Waiting: TypeAlias = tuple[bytes, asyncio.Future[Any]]  # a command in RESP, and its reply


class CommandPipeline:
    """Connects at the first call, and again after an error. A write and its replies may take ``redis.timeout``."""

    def __init__(self, redis: RedisClient) -> None:
        from redis.exceptions import NoScriptError, ResponseError

        self._no_script, self._refused = NoScriptError, ResponseError
        self._connection = KeptConnection(redis.pool)
        self._timeout = redis.timeout
        self._waiting: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None

    async def call(self, *command: bytes) -> Any:
        """The reply, in redis-py's types. Raises what redis-py and the system do.

        A call that is canceled may still be made, but not after a later one.
        """
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Any] = loop.create_future()
        self._waiting.append((packed(command), reply))
        if self._task is None:
            self._task = loop.create_task(self._run(), name="commands to Redis")
        return await reply

    async def run(self, script: LuaScript, keys: Sequence[bytes], arguments: Sequence[bytes]) -> Any:
        """What the script returns. Raises as ``call`` does."""
        try:
            return await self.call(*script.by_hash(keys, arguments))
        except self._no_script:
            return await self.call(*script.in_full(keys, arguments))

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._round()
        finally:
            self._task = None

    async def _round(self) -> None:
        sent, self._waiting = [each for each in self._waiting if not each[1].done()], []
        if not sent:
            return
        try:
            async with asyncio.timeout(self._timeout):
                connection = await self._connection.open()
                await connection.send_packed_command(b"".join([command for command, _ in sent]), check_health=False)
                for _, reply in sent:
                    await self._read(connection, reply)
        except Exception as error:  # from redis-py, the system, or a server that is not Redis
            await self._connection.drop()
            for _, reply in sent:
                if not reply.done():
                    reply.set_exception(error)

    async def _read(self, connection: AbstractConnection, reply: asyncio.Future[Any]) -> None:
        try:
            found = await connection.read_response()
        except self._refused as error:
            if not reply.done():
                reply.set_exception(error)
        else:
            if not reply.done():
                reply.set_result(found)
