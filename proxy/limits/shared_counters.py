"""Budget counters that this process shares over Redis: what is to be sent of them, and what the replies say.

Sums are absolute, so they may be sent late, twice or again. ``counters.lua`` documents how they add up, and the epochs:
what Redis has lost is noticed by a new one, to which each process sends all its sums again.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Final

from msgspec import Struct

from proxy.budgets.base import BudgetCounter, Wants
from proxy.limits.batch import Batch, ScriptReply
from proxy.limits.counter_sums import CallTerms, CounterSums, SharedCounter, counter_name

MOST_COUNTERS: Final = 100_000  # remembered, to send them again; some 250 bytes each
LIFE: Final = 5.0  # seconds without a call after which what a process holds no longer counts
FIRST_GRACE: Final = 0.6  # seconds from the first start on an empty Redis until processes have made themselves known
GRACE: Final = 1.2  # the same after a flush: two heartbeats, and time for a busy process
_MOST_PER_CALL = 1000


class CounterSeed(Struct, frozen=True):
    """What the ledger has of a counter, by process. ``deaths``: of the reply that asked for it, ``None``: unasked."""

    shared: SharedCounter
    deaths: int | None
    spent: Mapping[str, int]


class SharedCounters:
    """The counters. ``process`` identifies it at Redis and in the ledger; ``graces``: see ``CallTerms``.

    It does nothing until a budget is used.
    """

    def __init__(self, prefix: str, graces: tuple[float, float] = (FIRST_GRACE, GRACE), life: float = LIFE) -> None:
        self._prefix = prefix
        self._state = f"{{{prefix}}}:budgets".encode()
        self._graces = graces
        self._life = life
        self._known: dict[str, SharedCounter] = {}
        self._dirty: dict[SharedCounter, None] = {}
        self._resend: dict[SharedCounter, None] = {}
        self._seeds: list[CounterSeed] = []
        self._epoch = ""
        self._fresh = secrets.token_hex(8)
        self._turn = 0
        self._beat = False  # a heartbeat is due
        self._leaving = False
        self.active = False  # a budget was used
        self.called = False  # since the last heartbeat

    def __bool__(self) -> bool:
        """Whether there is something to send."""
        return self.active and bool(self._beat or self._dirty or self._resend or self._seeds or self._leaving)

    @property
    def urgent(self) -> bool:
        """Whether other processes wait for what is to be sent."""
        return self.active and bool(self._resend or self._seeds)

    def __len__(self) -> int:
        return len(self._known)

    # -- what is to be sent -----------------------------------------------------------------------

    def touch(self, counters: Iterable[BudgetCounter]) -> None:
        """Send the sums of these counters, which changed."""
        known, dirty = self._known, self._dirty
        for counter in counters:
            shared = known.get(counter.key)
            if shared is None or shared.counter is not counter:
                shared = self._learn(counter)
            dirty[shared] = None

    def seed(self, seed: CounterSeed) -> None:
        self._seeds.append(seed)

    def beat(self) -> None:
        """Send a heartbeat, unless a call was made since the last one."""
        self._beat = not self.called
        self.called = False

    def leave(self) -> None:
        """Send all sums for the last time. What this process holds ends."""
        self._leaving = True
        self._resend = dict.fromkeys(self._known.values())

    def shared(self, counter: BudgetCounter) -> SharedCounter:
        shared = self._known.get(counter.key)
        return shared if shared is not None and shared.counter is counter else self._learn(counter)

    # -- calls ------------------------------------------------------------------------------------

    def fill(self, batch: Batch, wanted: Iterable[tuple[int, Wants]]) -> None:
        """Add to ``batch`` what is to be sent, and the wants of its takes, by their number."""
        sums = batch.sums = CounterSums()
        for take, wants in wanted:
            sums.want(take, wants, self._known, self._learn)
        for seed in self._seeds:
            sums.seed(seed.shared, seed.deaths, seed.spent)
        self._seeds.clear()
        self._dirty = self._filled(sums, self._dirty)
        self._resend = self._filled(sums, self._resend)
        self._beat, self.called = False, True
        complete = not self._resend and (self._epoch != "" or not self._dirty)
        leaves = self._leaving and not self._resend and not self._dirty
        sums.say(
            CallTerms(self._epoch, self._fresh, self._turn, complete, leaves, self._life, self._graces, self._state)
        )
        self.active = not leaves

    def answered(self, sums: CounterSums, reply: ScriptReply) -> list[SharedCounter]:
        """Adopt a reply. Returns the counters of its takes that are not seeded."""
        if reply.resend or (self._epoch and reply.epoch != self._epoch):
            self._resend = dict.fromkeys(self._known.values())
            self.active = True  # once more, if it leaves
        if reply.epoch != self._epoch:
            self._epoch, self._fresh = reply.epoch, secrets.token_hex(8)
        return sums.answered(reply.sums)

    def failed(self, sums: CounterSums) -> None:
        """A call failed, and perhaps its reply was lost: send it all again."""
        self._turn += 1
        self.touch(shared.counter for shared in sums.sent())

    def _filled(self, sums: CounterSums, queue: dict[SharedCounter, None]) -> dict[SharedCounter, None]:
        """Send the first of a queue. Returns the others."""
        for shared in islice(queue, _MOST_PER_CALL):
            sums.add(shared, self._leaving)
        return {} if len(queue) <= _MOST_PER_CALL else dict.fromkeys(islice(queue, _MOST_PER_CALL, None))

    # -- the counters that are remembered ---------------------------------------------------------

    def _learn(self, counter: BudgetCounter) -> SharedCounter:
        old = self._known.pop(counter.key, None)
        if old is not None:
            self._forget(old)
        elif len(self._known) >= MOST_COUNTERS:
            self._make_room()
        shared = SharedCounter(counter, counter_name(self._prefix, counter))
        self._known[counter.key] = shared
        return shared

    def _make_room(self) -> None:
        """Forget the oldest counter that is not in use. The ledger has what it spent."""
        for shared in islice(self._known.values(), _MOST_PER_CALL):
            if not shared.counter.held and shared not in self._dirty:
                del self._known[shared.counter.key]
                self._forget(shared)
                return

    def _forget(self, shared: SharedCounter) -> None:
        self._dirty.pop(shared, None)
        self._resend.pop(shared, None)
