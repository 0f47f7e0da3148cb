"""Budgets over all processes: their part of the calls of ``RedisStore``, and the takes that cannot be decided yet.

A take waits while a counter that Redis does not have is read from the ledger, and after a flush until all processes
have sent their sums again. Both end with BudgetsUnknown if they take too long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final

from proxy.budgets.base import BudgetCounter, Wants
from proxy.limits.batch import MICROSECONDS, Batch, ScriptReply
from proxy.limits.counter_seeds import CounterSeeds, SpendReader
from proxy.limits.counter_sums import SharedCounter
from proxy.limits.failover import BudgetsUnknown, StoreDown
from proxy.limits.shared_counters import CounterSeed, SharedCounters
from proxy.limits.store_take import StoreTake

HEARTBEAT: Final = 0.25  # seconds; one is skipped after another call, so calls are at most twice as far apart


class SharedBudgets:
    """``again`` queues takes for another call, and ``flush`` makes one without takes.

    ``patience``: seconds that a take waits at most. ``reader`` reads the ledger, and may be set later; ``None``:
    nothing was spent before.
    """

    def __init__(
        self,
        counters: SharedCounters,
        patience: float,
        again: Callable[[Iterable[StoreTake]], None],
        flush: Callable[[], None],
        reader: SpendReader | None = None,
    ) -> None:
        self._counters = counters
        self._patience = patience
        self._again = again
        self._flush = flush
        self.seeds = CounterSeeds(self._was_read, self._unread, reader)
        self._undecided: list[StoreTake] = []
        self._heartbeat: asyncio.TimerHandle | None = None
        self._retry: asyncio.TimerHandle | None = None
        self._closed = False

    def __bool__(self) -> bool:
        """Whether there is something to send."""
        return bool(self._counters)

    @property
    def urgent(self) -> bool:
        """Whether it should be sent now, without waiting for a take."""
        return self._counters.urgent

    def join(self) -> None:
        """Share budgets from now on. What this process holds counts only while it makes calls, so it makes some."""
        if self._heartbeat is None and not self._closed:
            self._counters.active = True
            self._beat()

    def seed(self, counter: BudgetCounter, spent: Mapping[str, int]) -> None:
        """What the ledger has of a counter, by process. It raises what is known of processes that have ended."""
        self.join()
        self._counters.seed(CounterSeed(self._counters.shared(counter), None, spent))
        self._flush()

    def touch(self, counters: Iterable[BudgetCounter]) -> None:
        """Send the sums of these counters soon."""
        self._counters.touch(counters)
        if self._heartbeat is None:
            self.join()

    # -- calls ------------------------------------------------------------------------------------

    def fill(self, batch: Batch, takes: Sequence[StoreTake]) -> None:
        """Add what is to be sent, and the wants of these takes."""
        if self._counters.active:
            wanted = [(number, take.wants) for number, take in enumerate(takes) if take.wants]
            if wanted or self._counters:
                self._counters.fill(batch, wanted)

    def answered(self, batch: Batch, reply: ScriptReply) -> list[SharedCounter]:
        """Adopt a reply. Returns the counters of its takes that are not seeded, for ``read``."""
        return [] if batch.sums is None else self._counters.answered(batch.sums, reply)

    def read(self, unseeded: list[SharedCounter], reply: ScriptReply) -> None:
        """Read these from the ledger; then takes that wait are tried again."""
        if unseeded and not self._closed:
            self.seeds.ask(unseeded, reply.deaths)

    def failed(self, batch: Batch, down: StoreDown) -> None:
        if batch.sums is not None:
            self._counters.failed(batch.sums)
        undecided, self._undecided = self._undecided, []
        for take in undecided:
            fail(take, down)

    def used(self, batch: Batch, wants: Wants, which: int, number: float) -> float:
        """The script's level of the counter that refused a take, in nano-USD or tokens."""
        return batch.sums.amount(wants[which][0], number) if batch.sums is not None else number

    async def close(self) -> None:
        """Stop what runs. The next calls end what this process holds."""
        self._closed = True
        for timer in (self._heartbeat, self._retry):
            if timer is not None:
                timer.cancel()
        await self.seeds.close()
        self._counters.leave()

    # -- takes that wait --------------------------------------------------------------------------

    def wait(self, take: StoreTake, microseconds: float) -> None:
        """Ask again after this time; 0: when the ledger was read."""
        loop = asyncio.get_running_loop()
        self._undecided.append(take)
        if not take.waits:
            take.waits = True
            loop.call_later(self._patience, self._expire, take)
        if microseconds and self._retry is None:
            self._retry = loop.call_later(microseconds / MICROSECONDS, self._decide)

    def _decide(self) -> None:
        self._retry = None
        undecided, self._undecided = self._undecided, []
        self._again(take for take in undecided if not take.answer.done())

    def _expire(self, take: StoreTake) -> None:
        fail(take, BudgetsUnknown(f"not known within {self._patience:g} s"))

    def _was_read(self, seed: CounterSeed) -> None:
        self._counters.seed(seed)
        self._decide()
        self._flush()

    def _unread(self, counters: Iterable[SharedCounter], reason: str) -> None:
        missing = {shared.counter for shared in counters}
        for take in self._undecided:
            if any(counter in missing for counter, _ in take.wants if not counter.budget.soft):
                fail(take, BudgetsUnknown(f"not known: the ledger cannot be read ({reason})"))

    def _beat(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT, self._beat)
        self._counters.beat()
        if self._counters:
            self._flush()


def fail(take: StoreTake, down: StoreDown) -> None:
    """Raise an error of this kind from the take. Each gets its own, for separate tracebacks."""
    if not take.answer.done():
        take.answer.set_exception(type(down)(str(down), sent=down.sent))
