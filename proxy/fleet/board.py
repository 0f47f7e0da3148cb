"""Where replicas write down what stands and hear what is new: a hash and a channel in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import replace

from proxy.fleet.news import News, Word, decode, encode
from proxy.fleet.script import READ, WRITE
from proxy.redis import RedisClient

HEARTBEAT_SECS: Final = 5.0  # a connection that is silent for so long is asked whether it lives


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

    async def write(self, words: Sequence[Word], now: float) -> None:
        """Write down and tell, in order; what is over by now is left out."""
        pipeline = self._client.pipeline(transaction=False)
        for word in words:
            left, age = word.left(now), max(0.0, now - word.moment)
            if left < 0:
                continue
            news = encode(word, self._origin, age)
            where = (self._channel, word.what, word.key, word.endpoint)
            pipeline.eval(WRITE, 1, self._key, *where, _ms(age), max(1, _ms(left)) if left else 0, news)
        async with asyncio.timeout(self._timeout):
            await pipeline.execute()

    async def read(self) -> list[tuple[float, bytes]]:
        """What stands: its age now, in seconds, and the news as it was written down."""
        async with asyncio.timeout(self._timeout):
            found = await self._client.eval(READ, 1, self._key)
        return [(int(age) / 1000, news) for age, news in zip(found[::2], found[1::2], strict=True)]

    @asynccontextmanager
    async def subscription(self) -> AsyncIterator[Subscription]:
        """It hears everything from now on."""
        async with self._client.pubsub() as channel:
            async with asyncio.timeout(self._timeout):
                await channel.subscribe(self._channel)
                await channel.get_message(timeout=None)  # that it is so
            yield Subscription(channel, self._timeout)


class Subscription:
    """What is published from now on."""

    def __init__(self, channel: Any, timeout: float) -> None:
        self._channel = channel
        self._timeout = timeout

    async def next(self) -> bytes:
        """The next message. Raises TimeoutError once the connection answers no more."""
        while True:
            answer = await self._channel.get_message(timeout=HEARTBEAT_SECS)
            if answer is None:
                async with asyncio.timeout(self._timeout):
                    await self._channel.ping()
                    answer = await self._channel.get_message(timeout=None)
            if answer["type"] == "message":
                return bytes(answer["data"])


def stands(age: float, message: bytes) -> News | None:
    """What was read from the board, as old as it is now."""
    news = decode(message)
    return None if news is None else replace(news, age=age)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
