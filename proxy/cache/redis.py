"""Answers in Redis, for all replicas: compressed, bounded, and one replica leads where all would call a provider.

An answer is a key of its own that expires. Beside them are the names by expiry, their sizes with the sum, and the names
of each group. Scripts keep these together. To make room, the answers that expire first are removed.

Without Redis there are no answers: requests go to providers, and the next command is sent after ``PAUSE``.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path
from secrets import token_hex
from typing import ClassVar, Final, TypeVar

import msgspec

from proxy.cache.base import ALL, NOTHING, AnswerStore, CachedAnswer, Found, StoreSurvey, portions
from proxy.cache.packing import pack, unpack
from proxy.errors import Overloaded
from proxy.observe.log import Log
from proxy.redis.client import RedisClient
from proxy.redis.connection import LuaScript
from proxy.redis.pipeline import CommandPipeline

PAUSE: Final = 1.0  # seconds without a command after one has failed
OVERHEAD: Final = (
    400  # bytes of an answer in Redis beside its value, as MEMORY USAGE has it with its places in the sets
)
GROUP: Final = 200  # bytes of a tag's group that has one answer
LARGE: Final = 128 * 1024  # bytes that are compressed in a thread: it takes milliseconds
YIELD: Final = 10  # vectors that are compressed in one turn of the loop: each has 10 to 60 KB
MOST_EVICTED: Final = 1000  # answers at a time; a script holds all clients of Redis
MOST_CUTS: Final = 10_000  # groups whose invalidation is remembered

_HERE: Final = Path(__file__).parent
_LOOK: Final = LuaScript((_HERE / "look.lua").read_text())
_PUT: Final = LuaScript((_HERE / "put.lua").read_text())
_INVALIDATE: Final = LuaScript((_HERE / "invalidate.lua").read_text())
_RELEASE: Final = LuaScript(
    "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"
)
_DOWN: Final = "Redis does not answer; requests go to providers without the cache."
_UP: Final = "Redis answers again; answers are cached."

T = TypeVar("T")


class RedisAnswers(AnswerStore):
    """At most ``most`` bytes of all processes with the same prefix: the last one to store has its number applied."""

    shared: ClassVar[bool] = True

    def __init__(
        self,
        redis: RedisClient,
        most: int,
        log: Log,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._redis = CommandPipeline(redis)
        self._bulk = CommandPipeline(redis)  # many answers, which others do not wait for
        self._timeout = redis.timeout
        self._most = most
        self._log = log
        self._now = now
        self._wall = wall
        prefix = f"{{{redis.prefix}}}:cache:".encode()
        self._answers, self._leads, self._groups = prefix + b"a:", prefix + b"lead:", prefix + b"group:"
        self._names, self._sizes, self._total = prefix + b"names", prefix + b"sizes", prefix + b"total"
        self._cuts, self._counter = prefix + b"cuts", prefix + b"moment"
        self._nonce = token_hex(8).encode()
        self._paused_until = 0.0
        self._up = True
        self._evicted = 0

    def __repr__(self) -> str:
        return f"<RedisAnswers {'up' if self._up else 'down'}>"

    async def find(self, key: bytes) -> Found:
        found = await self._try(lambda: self._redis.call(b"MGET", self._answers + key, self._counter))
        if found is None:
            return NOTHING
        packed, moment = found
        return (None if packed is None else await self._unpacked(packed)), int(moment or 0)

    async def find_or_lead(self, key: bytes, seconds: float) -> tuple[Found, bool]:
        keys = [self._answers + key, self._leads + key, self._counter]
        found = await self._try(lambda: self._redis.run(_LOOK, keys, (self._nonce, _milliseconds(seconds))))
        if found is None:
            return NOTHING, not self._up
        packed, moment, leads = found
        if packed is None:
            return (None, int(moment or 0)), leads == 1
        answer = await self._unpacked(packed)
        return (answer, int(moment or 0)), answer is None and await self.lead(key, seconds)

    async def find_all(self, keys: Sequence[bytes]) -> tuple[list[CachedAnswer | None], int]:
        answers: list[CachedAnswer | None] = []
        moment = 0
        for portion in portions(keys):
            names = [*(self._answers + key for key in portion), self._counter]
            found = await self._try(partial(self._bulk.call, b"MGET", *names))
            if found is None:
                answers += [None] * len(portion)
                continue
            *packed, counted = found
            for number, each in enumerate(packed, 1):
                answers.append(None if each is None else await self._unpacked(each))
                if number % YIELD == 0:
                    await asyncio.sleep(0)
            moment = int(counted or 0)
        return answers, moment

    async def put(self, key: bytes, answer: CachedAnswer, moment: int) -> None:
        await self.put_all(((key, answer),), moment)

    async def put_all(self, answers: Sequence[tuple[bytes, CachedAnswer]], moment: int) -> None:
        for portion in portions(answers):
            calls = []
            for number, (key, answer) in enumerate(portion, 1):
                if number % YIELD == 0:
                    await asyncio.sleep(0)
                packed = pack(answer) if len(answer.body) < LARGE else await asyncio.to_thread(pack, answer)
                calls.append((key, self._arguments(key, answer, packed, moment)))
            results = await self._try(partial(self._store, calls))
            self._evicted += sum(number for number in results or () if number > 0)

    async def _store(self, calls: Sequence[tuple[bytes, Sequence[bytes]]]) -> Sequence[int]:
        """What the script returns for each call."""
        shared = self._names, self._sizes, self._total, self._cuts
        if len(calls) == 1:
            key, arguments = calls[0]
            return (await self._redis.run(_PUT, (*shared, self._leads + key), arguments),)
        running = (self._bulk.run(_PUT, (*shared, self._leads + key), arguments) for key, arguments in calls)
        results: Sequence[int] = await asyncio.gather(*running)
        return results

    def _arguments(self, key: bytes, answer: CachedAnswer, packed: bytes, moment: int) -> Sequence[bytes]:
        """Of the script that stores."""
        facts, life = answer.facts, int((answer.kept_until - self._wall()) * 1000)
        overhead = OVERHEAD + facts.extra + GROUP * len(facts.tags)
        groups = [group.encode("utf-8", "surrogatepass") for group in (ALL, *facts.groups)]
        bounds = [b"%d" % bound for bound in (life, self._most, overhead, moment)]
        return [self._answers, key, packed, *bounds, self._groups, b"%d" % MOST_EVICTED, self._nonce, *groups]

    async def invalidate(self, groups: Sequence[str]) -> int:
        removed = 0
        for group in groups:
            name = group.encode("utf-8", "surrogatepass")
            members = self._names if group == ALL else self._groups + name
            keys = [self._names, self._sizes, self._total, self._cuts, self._counter, members]
            first, left = True, 1
            while left:
                arguments = self._answers, name, b"%d" % first, self._groups, b"%d" % MOST_CUTS, ALL.encode()
                number, left = await self._require(keys, arguments)
                removed += number
                first = False
        return removed

    def glance(self) -> StoreSurvey:
        return StoreSurvey(0, 0, self._most, self._evicted, self._up)

    async def survey(self) -> StoreSurvey:
        found = await self._try(self._counted)
        answers, size = (0, 0) if found is None else found
        return StoreSurvey(answers, size, self._most, self._evicted, self._up)

    def resize(self, most: int) -> None:
        self._most = most

    async def lead(self, key: bytes, seconds: float) -> bool:
        life = _milliseconds(seconds)
        taken = await self._try(lambda: self._redis.call(b"SET", self._leads + key, self._nonce, b"NX", b"PX", life))
        return taken is not None or not self._up

    async def led(self, key: bytes) -> bool:
        return await self._try(lambda: self._redis.call(b"GET", self._leads + key)) not in (None, self._nonce)

    async def release(self, key: bytes) -> None:
        await self._try(lambda: self._redis.run(_RELEASE, (self._leads + key,), (self._nonce,)))

    async def _counted(self) -> tuple[int, int]:
        answers, size = await asyncio.gather(
            self._redis.call(b"ZCOUNT", self._names, b"%d" % int(self._wall() * 1000), b"+inf"),
            self._redis.call(b"GET", self._total),
        )
        return answers, int(size or 0)

    async def _try(self, call: Callable[[], Awaitable[T]]) -> T | None:
        """The reply; ``None`` also without one."""
        if self._now() < self._paused_until:
            return None
        try:
            async with asyncio.timeout(self._timeout):
                reply = await call()
        except Exception as error:  # from redis-py, the system, or a server that is not Redis
            self._paused_until = self._now() + PAUSE
            if self._up:
                self._up = False
                self._log.warning(_DOWN, why=f"{type(error).__name__}: {error}")
            return None
        if not self._up:
            self._up = True
            self._log.info(_UP)
        return reply

    async def _require(self, keys: Sequence[bytes], arguments: Sequence[bytes]) -> tuple[int, int]:
        """One call of the script that invalidates. Raises Overloaded."""
        try:
            async with asyncio.timeout(self._timeout):
                number, left = await self._redis.run(_INVALIDATE, keys, arguments)
        except Exception as error:
            self._log.warning("Answers could not be invalidated.", why=f"{type(error).__name__}: {error}")
            raise Overloaded("Redis does not answer.", code="cache_unavailable") from None
        return number, left

    async def _unpacked(self, packed: bytes) -> CachedAnswer | None:
        try:
            answer = unpack(packed) if len(packed) < LARGE else await asyncio.to_thread(unpack, packed)
        except (msgspec.DecodeError, ValueError):  # of another version
            return None
        return answer if self._wall() < answer.kept_until else None


def _milliseconds(seconds: float) -> bytes:
    """At least 1, as Redis has it for keys that expire."""
    return b"%d" % max(int(seconds * 1000), 1)
