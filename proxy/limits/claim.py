"""Claims in Redis: what only one of all processes does."""

from __future__ import annotations

import asyncio

from proxy.limits.failover import StoreDown
from proxy.redis.client import RedisClient


async def claim(redis: RedisClient, text: str, seconds: float) -> bool:
    """Whether this is the first claim of ``text`` within ``seconds``. Raises StoreDown."""
    from redis import RedisError

    key = f"{{{redis.prefix}}}:claim:{text}".encode("utf-8", "surrogatepass")
    try:
        async with asyncio.timeout(redis.timeout):
            return bool(await redis.commands.set(key, b"1", nx=True, px=max(int(seconds * 1000), 1)))
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreDown(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None
