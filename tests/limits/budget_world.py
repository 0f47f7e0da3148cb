"""Processes that share budgets over a Redis, in steps: no loop, a clock of its own, and calls that get lost or late.

``World`` is also the model. The ledger of a process lags behind until ``record``; one that crashed is recorded.
"""

from __future__ import annotations

import itertools
from typing import Any, NamedTuple

import msgspec

from proxy.budgets.base import BudgetCounter, Want, charge, hold
from proxy.limits.batch import MICROSECONDS, Batch, answers, decoded
from proxy.limits.redis import script
from proxy.limits.shared_counters import GRACE, LIFE, CounterSeed, SharedCounters
from tests.limits.budget_contract import copy, counter

STEP = 0.25  # seconds between heartbeats
LONGEST = LIFE + GRACE  # seconds that a take may wait, if a process crashed after a flush


class RawCall(NamedTuple):
    keys: list[bytes]
    argument: bytes


class Member:
    """One process. ``holds``: what its attempts hold, each with its counter."""

    def __init__(self, name: str, prefix: str, counters: list[BudgetCounter]) -> None:
        self.name = name
        self.shared = SharedCounters(prefix)
        self.shared.active = True
        self.counters = [copy(each) for each in counters]
        self.holds: list[Want] = []


class World:
    """``caps``: of the counters. ``evalsha`` is of a client of redis-py."""

    def __init__(self, client: Any, prefix: str, caps: list[int]) -> None:
        self._client = client
        self._sha = client.script_load(script())
        self.prefix = prefix
        self.now = 1_700_000_000.0
        self.counters = [counter(cap, f"budget-{place}") for place, cap in enumerate(caps)]
        self.ledger: dict[str, dict[str, int]] = {each.key: {} for each in self.counters}
        self.late: list[RawCall] = []
        self._names = (f"process-{number}" for number in itertools.count())
        self.members: list[Member] = []

    # -- processes --------------------------------------------------------------------------------

    def join(self) -> Member:
        member = Member(next(self._names), self.prefix, self.counters)
        self.members.append(member)
        return member

    def crash(self, member: Member) -> None:
        """Its attempts are not billed, and what it billed gets into the ledger."""
        self.record(member)
        self.members.remove(member)

    def leave(self, member: Member) -> None:
        while member.holds:
            self.settle(member, 0, 0)
        self.record(member)
        member.shared.leave()
        self.quiet(member)
        self.members.remove(member)

    def record(self, member: Member) -> None:
        for each in member.counters:
            if each.spent:
                self.ledger[each.key][member.name] = each.spent

    # -- calls ------------------------------------------------------------------------------------

    def quiet(self, member: Member) -> None:
        """Calls until the process has nothing to send."""
        for _ in range(10):
            if not member.shared:
                return
            self.call(member)
        raise AssertionError(f"{member.name} always has something to send")

    def call(self, member: Member, wants: tuple[Want, ...] = (), *, lost: bool = False, late: bool = False) -> Any:
        """One call, with a take if there are ``wants``: the script's two numbers for it. ``lost``: its reply.
        ``late``: it fails, and arrives at some other time.
        """
        batch = Batch(self.prefix)
        if wants:
            batch.take((), 1)
        member.shared.fill(batch, [(0, wants)] if wants else [])
        assert batch.sums is not None
        call = RawCall(batch.keys(), batch.argument(self.now, member.name, 15.0, 0.0))
        if late:
            self.late.append(call)
        else:
            reply = decoded(self._send(call), True)
        if late or lost:
            member.shared.failed(batch.sums)
            return None
        for shared in member.shared.answered(batch.sums, reply):
            member.shared.seed(CounterSeed(shared, reply.deaths, dict(self.ledger[shared.counter.key])))
        found = answers(reply.answers)
        return found[0] if found else None

    def deliver(self) -> None:
        """A late call arrives."""
        call = self.late.pop(0)
        asked = msgspec.msgpack.decode(call.argument)
        asked[0] = self.now * MICROSECONDS
        self._send(RawCall(call.keys, msgspec.msgpack.encode(asked)))

    def _send(self, call: RawCall) -> bytes:
        reply: bytes = self._client.evalsha(self._sha, len(call.keys), *call.keys, call.argument)
        return reply

    # -- what members do --------------------------------------------------------------------------

    def take(self, member: Member, places: set[int], amount: int) -> bool:
        """A take with all its waiting."""
        wants = tuple((member.counters[place], amount) for place in sorted(places))
        waited = 0.0
        while True:
            which, used = self.call(member, wants)
            if which:
                break
            if used:
                waited += used / MICROSECONDS
                self.advance(used / MICROSECONDS)
            assert waited <= LONGEST
        if which > 0:
            hold(wants)
            member.holds += wants
        return bool(which > 0)

    def settle(self, member: Member, place: int, cost: int) -> None:
        """Bill one of the holds; not sent yet."""
        counter, most = member.holds.pop(place)
        charge([(counter, most, min(cost, most))])
        member.shared.touch([counter])

    def advance(self, seconds: float) -> None:
        """Time passes, with the heartbeats of all."""
        while seconds > 0:
            step = min(seconds, STEP)
            self.now += step
            seconds -= step
            for member in self.members:
                member.shared.beat()
                self.quiet(member)

    def flush(self) -> None:
        self._client.delete(self.state, *map(self.name_of, self.counters))

    def name_of(self, each: BudgetCounter) -> str:
        return f"{{{self.prefix}}}:budget:{each.key}"

    @property
    def state(self) -> str:
        return f"{{{self.prefix}}}:budgets"

    # -- the model --------------------------------------------------------------------------------

    def spent(self, place: int) -> int:
        """The truth: what all processes spent, those that have ended included."""
        alive = {member.name: member.counters[place].spent for member in self.members}
        return sum((self.ledger[self.counters[place].key] | alive).values())

    def held(self, place: int) -> int:
        return sum(member.counters[place].held for member in self.members)

    def check(self) -> None:
        for place, each in enumerate(self.counters):
            assert self.spent(place) + self.held(place) <= each.cap
