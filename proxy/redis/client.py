"""The Redis server that replicas share: one client and one pool of connections for everything that uses it."""

from __future__ import annotations

from typing import Any

from proxy.errors import ConfigError

_MISSING = (
    "redis: redis-py is not installed, which rateLimiting.store, circuitBreaker.shared and cache.store need:"
    " pip install 'sluice-gateway[redis]'"
)


class RedisClient:
    """A pool of connections, each opened when it is first needed, and the settings that its users share.

    Keys begin with ``{prefix}:``, braces included. ``timeout`` is the limit of one call in seconds, connecting
    included; callers apply it. ``commands`` is redis-py's client on ``pool``.

    Raises ConfigError where redis-py is missing or does not accept ``url``.
    """

    def __init__(self, url: str, prefix: str, timeout: float) -> None:
        self.prefix = prefix
        self.timeout = timeout
        try:
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            from proxy.redis.pool import ClosablePool
        except ImportError:
            raise ConfigError([_MISSING]) from None
        # No retries: callers have something better to do meanwhile, and decide when to call again. No timeouts of
        # redis-py: they go through asyncio.wait_for, which before Python 3.12 loses a cancellation that comes with
        # the result. RESP2: every server speaks it, and it saves the handshake of RESP3.
        options: dict[str, Any] = {"socket_timeout": None, "socket_connect_timeout": None, "protocol": 2}
        try:
            # redis-py annotates both of its forms at once, with `await` and without.
            self.pool: Any = ClosablePool.from_url(url, retry=Retry(NoBackoff(), 0), **options)
        except (ValueError, TypeError):
            raise ConfigError(["redis.url is not understood by redis-py"]) from None  # not quoted: it has a password
        self.commands: Any = Redis(connection_pool=self.pool)

    @property
    def database(self) -> int:
        """The number of the database that ``url`` selects."""
        return int(self.pool.connection_kwargs.get("db") or 0)

    async def close(self) -> None:
        """Close every connection, those in use included. Later calls raise redis-py's ConnectionError."""
        await self.pool.close()
