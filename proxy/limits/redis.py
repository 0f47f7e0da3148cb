"""Buckets in Redis, exact over any number of processes.

Takes that arrive while a call is under way wait for it and then share the next one, so that under load many takes
seconds one round trip; settlements ride along. Whoever holds slots holds them as leases that expire unless they
are renewed: what a process held that died is free after ``lease_secs``.
"""

from __future__ import annotations

import asyncio
import secrets
from asyncio import Future
from collections import deque
from collections.abc import Callable, Sequence
from importlib.resources import files

from msgspec import Struct

from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.batch import Batch, Slot, answers, verdict
from proxy.limits.failover import StoreDown
from proxy.limits.leases import Leases
from proxy.limits.pending import Pending, Sent
from proxy.limits.script_connection import ScriptConnection
from proxy.limits.survey import Found, survey
from proxy.redis import RedisClient

_TOGETHER = 500  # takes in one call
_SOON = 0.02  # seconds that a settlement waits for a call to ride with
_LATER = 1.0  # the same after a failure: takes find out sooner whether Redis is back
_GOODBYE = 2.0  # seconds for what is queued at the end
_GRANTED = Verdict(True, None, 0.0, 0.0, 0.0)


class _Take(Struct, eq=False):
    costs: Sequence[Cost]
    lease: int
    answer: Future[Verdict]
    gained: list[Slot] = []  # what the lease did not hold before


class RedisStore:
    """``now`` is for tests: seconds to go by instead of the server's time."""

    def __init__(self, redis: RedisClient, *, lease_secs: float = 15.0, now: Callable[[], float] | None = None) -> None:
        script = files("proxy.limits").joinpath("script.lua").read_text(encoding="utf-8")
        self._link = ScriptConnection(redis, script)
        self._redis = redis
        self._prefix = redis.prefix
        self._owner = secrets.token_hex(8)
        self._lease_secs = lease_secs
        self._now = now
        self._takes: deque[_Take] = deque()  # waiting for a call
        self._asking: list[_Take] = []  # in the one that is under way
        self._pending = Pending()
        self._leases = Leases()
        self._due = False  # what is pending goes without waiting for a take
        self._down = False  # the last call failed
        self._closing = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._renewal: asyncio.TimerHandle | None = None

    # -- as a Store -------------------------------------------------------------------------------

    async def take(self, costs: Sequence[Cost], lease: int) -> Verdict:
        """Raises StoreDown. Whoever is cancelled while waiting has taken nothing."""
        if not costs:
            return _GRANTED
        if self._closing:
            raise StoreDown("closed")
        take = _Take(costs, lease, asyncio.get_running_loop().create_future())
        self._takes.append(take)
        self._call()
        try:
            return await take.answer
        except asyncio.CancelledError:
            # The answer may have come in this very turn of the loop. If it is still to come, it will find the
            # future cancelled.
            if _granted(take.answer):
                self._give_back(take)
            raise

    def settle(self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int) -> None:
        for cost in corrections:
            if cost.limit.rate:  # slots are taken or not
                self._pending.correct(cost)
        for cost in slots:
            slot = (cost.limit.name, cost.key)
            if self._leases.remove(slot, lease):
                self._pending.release(slot, lease)
        if self._pending and self._flush is None and not self._closing:
            self._flush = asyncio.get_running_loop().call_later(_SOON, self._flush_now)

    async def survey(self, limits: Sequence[Limit], most: int, seconds: float) -> list[Found]:
        """Raises StoreDown, after ``seconds`` at the latest."""
        return await survey(self._redis, limits, most, seconds)

    async def close(self) -> None:
        """What is held until now is released as well."""
        for slot, lease in self._leases:
            self._pending.release(slot, lease)
        self._closing = True
        for timer in (self._flush, self._renewal):
            if timer is not None:
                timer.cancel()
        if self._pending or self._task is not None:
            self._flush_now()
            assert self._task is not None
            await asyncio.wait([self._task], timeout=_GOODBYE)
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._link.close()

    # -- calls, one at a time ---------------------------------------------------------------------

    def _call(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="limits in Redis")
        self._wake.set()

    def _flush_now(self) -> None:
        self._flush = None
        self._due = True
        self._call()

    async def _run(self) -> None:
        while not self._closing or self._due:
            await self._wake.wait()
            self._wake.clear()
            while self._takes or (self._due and self._pending):
                await self._round()
            self._due = False

    async def _round(self) -> None:
        batch = Batch(self._prefix)
        told = self._pending.fill(batch, self._leases)
        self._asking = [self._takes.popleft() for _ in range(min(len(self._takes), _TOGETHER))]
        try:
            for take in self._asking:
                batch.take(take.costs, take.lease)
            self._answered(answers(await self._link.call(batch.keys(), self._argument(batch))))
        except asyncio.CancelledError:
            self._failed(told, StoreDown("closed"))
            raise
        except StoreDown as down:
            self._failed(told, down)
        except Exception as error:  # a mistake: of ours, or of what answers in our script's place
            self._failed(told, StoreDown(f"{type(error).__name__}: {error}"))
        self._asking = []

    def _argument(self, batch: Batch) -> bytes:
        if self._now is None:
            return batch.argument(None, self._owner, self._lease_secs, 0.0)
        return batch.argument(self._now(), self._owner, self._lease_secs, 60.0)  # keys expire by the server's time

    def _answered(self, found: list[tuple[int, float]]) -> None:
        abandoned = []
        for take, (which, used) in zip(self._asking, found, strict=True):
            if take.answer.cancelled():
                abandoned.append((take, which))
                continue
            if which > 0:
                self._hold(take)
            take.answer.set_result(verdict(take.costs, which, used))
        # Last, so that none gives back a slot of which another take of its lease knows.
        for take, which in abandoned:
            if which > 0:
                self._hold(take)
                self._give_back(take)
        if self._down:
            self._down = False
            self._renew()

    def _failed(self, told: Sent, down: StoreDown) -> None:
        for take in (*self._asking, *self._takes):
            if not take.answer.done():
                take.answer.set_exception(StoreDown(str(down), sent=down.sent))  # each its own, with its own traceback
        self._takes.clear()
        self._pending.put_back(told, corrections=not down.sent)
        self._down, self._due = True, False
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if self._pending and not self._closing:
            self._flush = asyncio.get_running_loop().call_later(_LATER, self._flush_now)

    # -- what is held -----------------------------------------------------------------------------

    def _hold(self, take: _Take) -> None:
        slots = [(cost.limit.name, cost.key) for cost in take.costs if not cost.limit.rate]
        take.gained = [slot for slot in slots if self._leases.add(slot, take.lease)]
        if take.gained and self._renewal is None and not self._closing:
            self._renewal = asyncio.get_running_loop().call_later(self._lease_secs / 3, self._renew)

    def _renew(self) -> None:
        """Leases that are held live on. After a failure at once: Redis may have lost them."""
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if self._leases and not self._closing:
            self._pending.renew(self._leases)
            self._renewal = asyncio.get_running_loop().call_later(self._lease_secs / 3, self._renew)
            self._flush_now()

    def _give_back(self, take: _Take) -> None:
        corrections = [Cost(cost.limit, cost.key, -cost.amount) for cost in take.costs if cost.limit.rate]
        slots = [cost for cost in take.costs if (cost.limit.name, cost.key) in take.gained]
        self.settle(corrections, slots, take.lease)


def _granted(answer: Future[Verdict]) -> bool:
    return answer.done() and not answer.cancelled() and answer.exception() is None and answer.result().admitted
