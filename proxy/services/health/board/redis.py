"""Results of checks in Redis 7 and Valkey: a hash, and the order in which its fields changed. Ages by its clock."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from proxy.redis.client import RedisClient
from proxy.services.health.board.base import KEEP_SECS, PORTION, SharedResult

# KEYS: hash, order. ARGV: ms to keep, then field and value of each result. Numbers in the order begin with the time, so
# that they grow even after the keys were lost.
_PUBLISH: Final = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local keep = tonumber(ARGV[1])
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
local number = last and tonumber(last) or now
for i = 2, #ARGV, 2 do
  number = number + 1
  redis.call('HSET', KEYS[1], ARGV[i], string.format('%.0f:', now) .. ARGV[i + 1])
  redis.call('ZADD', KEYS[2], string.format('%.0f', number), ARGV[i])
end
for _, field in ipairs(redis.call('ZRANGE', KEYS[2], 0, #ARGV)) do
  local at = string.match(redis.call('HGET', KEYS[1], field) or '0:', '^(%d+):')
  if now - tonumber(at) < keep * 1000 then
    break
  end
  redis.call('HDEL', KEYS[1], field)
  redis.call('ZREM', KEYS[2], field)
end
redis.call('PEXPIRE', KEYS[1], keep)
redis.call('PEXPIRE', KEYS[2], keep)
"""

# KEYS: hash, order. ARGV: number that was read last, most results. Returns the number to go on from, then age in ms and
# value of each.
_READ: Final = """
local last = redis.call('ZREVRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2]
if not last then
  return {'0'}
end
local since = tonumber(ARGV[1])
if since > tonumber(last) then
  since = 0
end
local fields = redis.call('ZRANGEBYSCORE', KEYS[2], string.format('(%.0f', since), '+inf', 'WITHSCORES', 'LIMIT', 0,
  tonumber(ARGV[2]))
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local found = {string.format('%.0f', since)}
for i = 1, #fields, 2 do
  local value = redis.call('HGET', KEYS[1], fields[i]) or ''
  local at, result = string.match(value, '^(%d+):(.*)$')
  found[1] = string.format('%.0f', tonumber(fields[i + 1]))
  if at then
    found[#found + 1] = string.format('%.0f', math.max(0, now - tonumber(at)) / 1000)
    found[#found + 1] = result
  end
end
return found
"""


class RedisBoard:
    """Its methods raise what redis-py raises, or OSError; TimeoutError after the client's ``timeout``."""

    def __init__(self, redis: RedisClient) -> None:
        self._redis = redis
        hash_ = f"{{{redis.prefix}}}:health"
        self._keys = (hash_, f"{hash_}:order")
        self._read = b"0"

    async def publish(self, results: Sequence[SharedResult]) -> None:
        values = (part for each in results for part in (f"{each.service}\n{each.url}", _encoder.encode(each)))
        await self._run(_PUBLISH, round(KEEP_SECS * 1000), *values)

    async def read(self) -> list[SharedResult]:
        self._read, *found = await self._run(_READ, self._read, PORTION)
        pairs = zip(found[::2], found[1::2], strict=True)
        return [each for age, value in pairs if (each := decode(value, int(age) / 1000)) is not None]

    async def _run(self, script: str, *arguments: str | bytes | int) -> Any:
        async with asyncio.timeout(self._redis.timeout):
            return await self._redis.commands.eval(script, 2, *self._keys, *arguments)


def decode(value: bytes, age: float) -> SharedResult | None:
    """``None``: malformed, or of a later version."""
    try:
        return msgspec.structs.replace(_decoder.decode(value), age=age)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(SharedResult)
