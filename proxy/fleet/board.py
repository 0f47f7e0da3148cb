"""The hash in Redis that stores what is known of breakers, and the channel that announces changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import replace

from proxy.fleet.script import READ, WRITE
from proxy.fleet.updates import BreakerMessage, BreakerUpdate, decode, encode
from proxy.redis.client import RedisClient

HEARTBEAT_SECS: Final = 5.0  # a connection that is silent for longer is tested


class Board:
    """Its methods raise what redis-py raises, or OSError; TimeoutError after the client's ``timeout``."""

    def __init__(self, redis: RedisClient, origin: str) -> None:
        self._client = redis.commands
        self._timeout = redis.timeout
        self._origin = origin
        self._key = f"{{{redis.prefix}}}:breakers"
        # Redis delivers to a channel from every database; another database is another fleet.
        self._channel = f"{self._key}:{redis.database}"

    async def ping(self) -> None:
        async with asyncio.timeout(self._timeout):
            await self._client.ping()

    async def write(self, updates: Sequence[BreakerUpdate], now: float) -> None:
        """Store and publish updates in order, without those that have expired."""
        pipeline = self._client.pipeline(transaction=False)
        for update in updates:
            left, age = update.left(now), max(0.0, now - update.at)
            if left < 0:
                continue
            message = encode(update, self._origin, age)
            where = (self._channel, update.event, update.key, update.endpoint)
            pipeline.eval(WRITE, 1, self._key, *where, _ms(age), max(1, _ms(left)) if left else 0, message)
        async with asyncio.timeout(self._timeout):
            await pipeline.execute()

    async def read(self) -> list[tuple[float, bytes]]:
        """What is stored: the current age in seconds, and the message as it was written."""
        async with asyncio.timeout(self._timeout):
            found = await self._client.eval(READ, 1, self._key)
        return [(int(age) / 1000, message) for age, message in zip(found[::2], found[1::2], strict=True)]

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator[Subscription]:
        """Receives everything that is published from now on."""
        async with self._client.pubsub() as channel:
            async with asyncio.timeout(self._timeout):
                await channel.subscribe(self._channel)
                await channel.get_message(timeout=None)  # the confirmation
            yield Subscription(channel, self._timeout)


class Subscription:
    """Messages on the channel, in order."""

    def __init__(self, channel: Any, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout

    async def next(self) -> bytes:
        """The next message. Raises TimeoutError if the connection no longer answers."""
        while True:
            answer = await self._channel.get_message(timeout=HEARTBEAT_SECS)
            if answer is None:
                async with asyncio.timeout(self._timeout):
                    await self._channel.ping()
                    answer = await self._channel.get_message(timeout=None)
            if answer["type"] == "message":
                return bytes(answer["data"])


def stored(age: float, message: bytes) -> BreakerMessage | None:
    """A message that was read from the board, with its current age; ``None`` as in ``decode``."""
    found = decode(message)
    return None if found is None else replace(found, age=age)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
