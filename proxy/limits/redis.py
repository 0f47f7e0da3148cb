"""Buckets in Redis, exact across any number of processes.

One call is in progress at a time. Takes that arrive meanwhile share the next one, so under load many takes cost one
round trip; settlements are sent with them. Slots are held as leases, which expire after ``lease_secs`` unless renewed,
so that a process that dies does not keep them.

Budgets are part of the same calls. A take waits in this process while a counter is read from the ledger, and after a
flush until all processes have sent their sums again.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from importlib.resources import files

from proxy.budgets.base import Charge, Wants, charge, hold
from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.batch import Batch, ScriptReply, answers, decoded, verdict
from proxy.limits.counter_seeds import SpendReader
from proxy.limits.failover import StoreDown
from proxy.limits.leases import Leases
from proxy.limits.pending import Pending, Sent
from proxy.limits.script_connection import ScriptConnection
from proxy.limits.shared_budgets import SharedBudgets, fail
from proxy.limits.shared_counters import FIRST_GRACE, GRACE, SharedCounters
from proxy.limits.store_take import StoreTake
from proxy.limits.survey import Found, survey
from proxy.redis.client import RedisClient

_MOST_TAKES = 500  # in one call
_FLUSH_DELAY = 0.02  # seconds that a settlement waits for a take to be sent with
_RETRY_DELAY = 1.0  # the same after a failure; takes retry at once
_CLOSE_TIMEOUT = 2.0  # seconds
_SCRIPTS = ("counters.lua", "script.lua")  # one text
_GRANTED = Verdict(True, None, 0.0, 0.0, 0.0)


def script() -> str:
    """The text of the script."""
    return "".join(files("proxy.limits").joinpath(name).read_text(encoding="utf-8") for name in _SCRIPTS)


class RedisStore:
    """A shared store. ``now`` replaces the server's time in tests.

    ``process`` names this one in the counters of budgets, as in the ledger. ``graces``: see ``CallTerms``.
    """

    def __init__(
        self,
        redis: RedisClient,
        *,
        lease_secs: float = 15.0,
        now: Callable[[], float] | None = None,
        process: str = "",
        reader: SpendReader | None = None,
        graces: tuple[float, float] = (FIRST_GRACE, GRACE),
    ) -> None:
        self._link = ScriptConnection(redis, script())
        self._redis = redis
        self._prefix = redis.prefix
        self._owner = process or secrets.token_hex(8)
        self._lease_secs = lease_secs
        self._now = now
        self._takes: deque[StoreTake] = deque()  # waiting for a call
        self._in_call: list[StoreTake] = []  # in the present one
        self._pending = Pending()
        self._leases = Leases()
        counters = SharedCounters(redis.prefix, graces)
        self.budgets = SharedBudgets(counters, graces[1] + redis.timeout, self._again, self._flush_now, reader)
        self._due = False  # send pending settlements without waiting for a take
        self._down = False  # the last call failed
        self._closing = False
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._flush: asyncio.TimerHandle | None = None
        self._renewal: asyncio.TimerHandle | None = None

    # -- as a Store -------------------------------------------------------------------------------

    async def take(self, costs: Sequence[Cost], lease: int, wants: Wants = ()) -> Verdict:
        """Raises StoreDown; BudgetsUnknown if only budgets cannot be decided. If it is canceled, nothing is taken."""
        if not costs and not wants:
            return _GRANTED
        if self._closing:
            raise StoreDown("closed")
        if wants:
            self.budgets.join()
        take = StoreTake(costs, lease, wants, asyncio.get_running_loop().create_future())
        self._takes.append(take)
        self._call()
        try:
            return await take.answer
        except asyncio.CancelledError:
            # The reply may have arrived in this iteration of the loop. A later reply finds the future canceled.
            if take.granted:
                self._give_back(take, [(counter, amount, 0) for counter, amount in wants])
            raise

    def settle(
        self, corrections: Sequence[Cost], slots: Sequence[Cost], lease: int, charges: Sequence[Charge] = ()
    ) -> None:
        if charges:
            charge(charges)
            self.budgets.touch([counter for counter, _, _ in charges])
        for cost in corrections:
            if cost.limit.rate:  # slots are taken or not
                self._pending.correct(cost)
        for cost in slots:
            slot = (cost.limit.name, cost.key)
            if self._leases.remove(slot, lease):
                self._pending.release(slot, lease)
        if self._flush is None and not self._closing and (charges or self._pending):
            self._flush = asyncio.get_running_loop().call_later(_FLUSH_DELAY, self._flush_now)

    async def survey(self, limits: Sequence[Limit], most: int, seconds: float) -> list[Found]:
        """The highest usage for each limit. Raises StoreDown, after ``seconds`` at the latest."""
        return await survey(self._redis, limits, most, seconds)

    async def close(self) -> None:
        """Release all slots and what budgets hold, and send what is queued."""
        for slot, lease in self._leases:
            self._pending.release(slot, lease)
        self._closing = True
        for timer in (self._flush, self._renewal):
            if timer is not None:
                timer.cancel()
        await self.budgets.close()
        if self._pending or self._task is not None:
            self._flush_now()
            assert self._task is not None
            await asyncio.wait([self._task], timeout=_CLOSE_TIMEOUT)
            self._task.cancel()
            await asyncio.wait([self._task])
        self.budgets.failed(Batch(self._prefix), StoreDown("closed"))
        await self._link.close()

    # -- calls, one at a time ---------------------------------------------------------------------

    def _call(self) -> None:
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="limits in Redis")
        self._wake.set()

    def _again(self, takes: Iterable[StoreTake]) -> None:
        self._takes.extend(takes)
        self._call()

    def _flush_now(self) -> None:
        self._flush = None
        self._due = True
        self._call()

    async def _run(self) -> None:
        while not self._closing or self._due:
            await self._wake.wait()
            self._wake.clear()
            while self._takes or (self._due and (self._pending or self.budgets)):
                await self._round()
            self._due = False

    async def _round(self) -> None:
        batch = Batch(self._prefix)
        sent = self._pending.fill(batch, self._leases)
        self._in_call = [self._takes.popleft() for _ in range(min(len(self._takes), _MOST_TAKES))]
        moment = None if self._now is None else self._now()
        spare = 0.0 if moment is None else 60.0  # keys expire by the server's time
        try:
            for take in self._in_call:
                batch.take(take.costs, take.lease)
            self.budgets.fill(batch, self._in_call)
            argument = batch.argument(moment, self._owner, self._lease_secs, spare)
            self._answered(batch, decoded(await self._link.call(batch.keys(), argument), batch.sums is not None))
        except asyncio.CancelledError:
            self._failed(batch, sent, StoreDown("closed"))
            raise
        except StoreDown as down:
            self._failed(batch, sent, down)
        except Exception as error:  # an internal error, or a reply that is not our script's
            self._failed(batch, sent, StoreDown(f"{type(error).__name__}: {error}"))
        self._in_call = []

    def _answered(self, batch: Batch, reply: ScriptReply) -> None:
        unseeded, abandoned = self.budgets.answered(batch, reply), []
        for take, (which, used) in zip(self._in_call, answers(reply.answers), strict=True):
            if take.answer.done():  # canceled, or it has waited too long
                abandoned.append((take, which))
            elif which:
                if which > 0:
                    self._hold(take)
                    hold(take.wants)
                elif -which > len(take.costs):
                    used = self.budgets.used(batch, take.wants, -which - len(take.costs) - 1, used)
                take.answer.set_result(verdict(take.costs, which, used, take.wants))
            else:
                self.budgets.wait(take, used)
        # Last, so that a slot is not released that another take of the same lease uses.
        for take, which in abandoned:
            if which > 0:
                self._hold(take)
                self._give_back(take, [(counter, 0, 0) for counter, _ in take.wants])
        self.budgets.read(unseeded, reply)
        if self.budgets.urgent:
            self._due = True
        if self._down:
            self._down = False
            self._renew()

    def _failed(self, batch: Batch, sent: Sent, down: StoreDown) -> None:
        for take in (*self._in_call, *self._takes):
            fail(take, down)
        self._takes.clear()
        self._pending.put_back(sent, corrections=not down.sent)
        self.budgets.failed(batch, down)
        self._down, self._due = True, False
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        if (self._pending or self.budgets) and not self._closing:
            self._flush = asyncio.get_running_loop().call_later(_RETRY_DELAY, self._flush_now)

    # -- slots ------------------------------------------------------------------------------------

    def _hold(self, take: StoreTake) -> None:
        slots = [(cost.limit.name, cost.key) for cost in take.costs if not cost.limit.rate]
        take.gained = [slot for slot in slots if self._leases.add(slot, take.lease)]
        if take.gained and self._renewal is None and not self._closing:
            self._renewal = asyncio.get_running_loop().call_later(self._lease_secs / 3, self._renew)

    def _renew(self) -> None:
        """Renew all leases. Called at once after a failure, as Redis may have lost them."""
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if self._leases and not self._closing:
            self._pending.renew(self._leases)
            self._renewal = asyncio.get_running_loop().call_later(self._lease_secs / 3, self._renew)
            self._flush_now()

    def _give_back(self, take: StoreTake, charges: Sequence[Charge]) -> None:
        corrections = [Cost(cost.limit, cost.key, -cost.amount) for cost in take.costs if cost.limit.rate]
        slots = [cost for cost in take.costs if (cost.limit.name, cost.key) in take.gained]
        self.settle(corrections, slots, take.lease, charges)
