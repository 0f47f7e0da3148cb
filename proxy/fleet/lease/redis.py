"""Leases in Redis: a key for each, which has the holder and expires."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from proxy.fleet.lease.base import LeaseUnavailable
from proxy.redis.client import RedisClient

# KEYS: the lease. ARGV: holder, milliseconds.
_TAKE: Final = """
if redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 1
end
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
"""
_RELEASE: Final = """
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
"""


class RedisLeases:
    """A Redis that restarts without its data, or fails over to a replica that lags, forgets leases."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis

    async def take(self, name: str, holder: str, secs: float) -> bool:
        return bool(await self._run(_TAKE, name, holder, max(1, round(secs * 1000))))

    async def release(self, name: str, holder: str) -> None:
        await self._run(_RELEASE, name, holder)

    async def _run(self, script: str, name: str, *arguments: str | int) -> Any:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(self._redis.timeout):
                return await self._redis.commands.eval(script, 1, f"{{{self._redis.prefix}}}:lease:{name}", *arguments)
        except TimeoutError:
            raise LeaseUnavailable(f"Redis did not answer within {self._redis.timeout:g} s") from None
        except (RedisError, OSError) as error:
            raise LeaseUnavailable(f"{type(error).__name__}: {error}") from None
