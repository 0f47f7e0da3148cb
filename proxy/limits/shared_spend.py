"""What the thresholds of budgets need of Redis: claims, and what all processes spent of a counter."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from proxy.budgets.base import BudgetCounter
from proxy.budgets.thresholds import SpendUnavailable
from proxy.limits.claim import claim
from proxy.limits.counter_sums import THOUSAND, counter_name
from proxy.limits.failover import StoreDown
from proxy.redis.client import RedisClient

_SPENT: Final = b"s:"  # begins the fields of what processes spent, see counters.lua


class RedisSpend:
    """A ``budgets.thresholds.SharedSpend``. ``process`` names this one in the counters."""

    def __init__(self, redis: RedisClient, process: str) -> None:
        self._redis = redis
        self._own = _SPENT + process.encode()

    async def claim(self, text: str, seconds: float) -> bool:
        """Raises SpendUnavailable."""
        try:
            return await claim(self._redis, text, seconds)
        except StoreDown as down:
            raise SpendUnavailable(str(down)) from None

    async def spent(self, counter: BudgetCounter) -> int:
        """What all processes spent, nano-USD or tokens. Of this one also what is not sent yet.

        Raises SpendUnavailable.
        """
        from redis import RedisError

        try:
            async with asyncio.timeout(self._redis.timeout):
                fields = await self._redis.commands.hgetall(counter_name(self._redis.prefix, counter))
        except (RedisError, OSError, TimeoutError) as error:
            raise SpendUnavailable(type(error).__name__) from None
        return self._sum(fields, counter.spent)

    def _sum(self, fields: Mapping[bytes, bytes], own: int) -> int:
        others = sum(_amount(text) for name, text in fields.items() if name.startswith(_SPENT) and name != self._own)
        return others + max(own, _amount(fields.get(self._own, b"0")))


def _amount(text: bytes) -> int:
    """An amount as ``counters.lua`` stores it: thousands of it end in ``u``."""
    return int(text[:-1]) * THOUSAND if text.endswith(b"u") else int(text)
