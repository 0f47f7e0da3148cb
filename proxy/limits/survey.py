"""Reading the usage of buckets in Redis, for operators. ``script.lua`` documents the layout."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Sequence
from itertools import islice
from operator import itemgetter
from typing import Any

from proxy.limits.base import Limit
from proxy.limits.bucket import refill
from proxy.limits.failover import StoreDown
from proxy.redis.client import RedisClient

MOST_SCANNED = 10_000  # keys of one limit; the others are ignored
MICROSECONDS = 1e6
_PER_CALL = 500

Found = list[tuple[str, float]]


async def survey(redis: RedisClient, limits: Sequence[Limit], most: int, seconds: float) -> list[Found]:
    """For each limit, the ``most`` keys with the highest usage, as in ``Memory.top_usage``.

    Raises StoreDown, after ``seconds`` at the latest.
    """
    from redis import RedisError

    client, prefix = redis.commands, redis.prefix
    try:
        async with asyncio.timeout(seconds):
            return [await _surveyed(client, f"{{{prefix}}}:{limit.name}:", limit, most) for limit in limits]
    except (RedisError, OSError, TimeoutError) as error:
        raise StoreDown(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__) from None


async def _surveyed(client: Any, begin: str, limit: Limit, most: int) -> Found:
    names = await _names(client, begin)
    time, micro = await client.time()
    now = time * MICROSECONDS + micro
    found: Found = []
    for start in range(0, len(names), _PER_CALL):
        some = names[start : start + _PER_CALL]
        used = await (_filled(client, some, limit, now) if limit.rate else _held(client, some, limit, now))
        found += [(_key(name, begin), part) for name, part in zip(some, used, strict=True) if part > 0]
    return heapq.nlargest(most, found, key=itemgetter(1))


async def _names(client: Any, begin: str) -> list[bytes]:
    pattern = "".join(f"\\{letter}" if letter in "*?[]\\" else letter for letter in begin) + "*"
    found: list[bytes] = []
    async for name in client.scan_iter(match=pattern, count=_PER_CALL):
        found.append(name)
        if len(found) >= MOST_SCANNED:
            break
    return found


async def _filled(client: Any, names: Sequence[bytes], limit: Limit, now: float) -> list[float]:
    """Used parts of buckets. A value is "at wait": time of the last change, and duration until it is full."""
    parts = []
    for value in await client.mget(names):
        at, wait = (*map(float, value.split()), 0.0, 0.0)[:2] if value else (0.0, 0.0)
        parts.append((wait - max(now - at, 0.0)) / MICROSECONDS / refill(limit))
    return parts


async def _held(client: Any, names: Sequence[bytes], limit: Limit, now: float) -> list[float]:
    """Used parts of slots. A sorted set holds leases, with their expiry as the score."""
    async with client.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.zcount(name, now, "+inf")
        counts = await pipe.execute()
    return [count / limit.capacity for count in islice(counts, len(names))]


def _key(name: bytes, begin: str) -> str:
    return name[len(begin.encode()) :].decode("utf-8", "replace")
