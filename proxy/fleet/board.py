"""Where replicas write down what stands and hear what is new: a hash and a channel in Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from msgspec.structs import replace

from proxy.errors import ConfigError
from proxy.fleet.news import News, Word, decode, encode
from proxy.fleet.script import READ, WRITE

HEARTBEAT_SECS: Final = 5.0  # a connection that is silent for so long is asked whether it lives


class Board:
    """Its methods raise what redis-py raises, or OSError; TimeoutError after ``timeout`` seconds.

    Raises ConfigError where redis-py is missing or cannot use ``url``.
    """

    def __init__(self, url: str, prefix: str, timeout: float, origin: str) -> None:
        self._client = _client(url)
        self._timeout = timeout
        self._origin = origin
        self._key = f"{{{prefix}}}:breakers"
        # Channels know no database, but whoever uses another one is another fleet.
        database = self._client.connection_pool.connection_kwargs.get("db") or 0
        self._channel = f"{self._key}:{database}"

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

    async def disconnect(self) -> None:
        """Without an error, for it is over in any case; the next command connects anew."""
        try:
            async with asyncio.timeout(self._timeout):
                await self._client.connection_pool.disconnect()
        except Exception:
            pass


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


def _client(url: str) -> Any:
    """redis-py's client, whose annotations are those of both its forms, with ``await`` and without."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
    except ImportError:
        raise ConfigError(["circuitBreaker.shared needs what is not installed: sluice-gateway[redis]"]) from None
    # When to try again is decided elsewhere. Its own timeouts would go through ``asyncio.wait_for``, which before
    # Python 3.12 loses a cancellation that comes with the result. RESP2 is spoken by everything.
    options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": None, "protocol": 2}
    try:
        return Redis.from_url(url, retry=Retry(NoBackoff(), 0), **options)
    except (ValueError, TypeError):
        raise ConfigError(["redis.url is not understood by redis-py"]) from None  # without it: it may hold a password


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
