"""One lease of a process, with a clock and a store of the test's own."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from proxy.fleet.lease import lease
from proxy.fleet.lease.base import LeaseUnavailable
from proxy.fleet.lease.lease import USED, Lease
from tests.support.patience import until, within

SECS = 12.0


class World:
    """True time, and a store that keeps leases by it. ``down``: it does not answer. ``lag``: of each of its answers."""

    def __init__(self) -> None:
        self.time = 100.0
        self.down = False
        self.lag = 0.0
        self.taken: dict[str, tuple[str, float]] = {}  # holder and end by name
        self.lines: list[str] = []
        note = self.lines.append
        self.log: Any = SimpleNamespace(warning=note, info=note, debug=note)

    async def take(self, name: str, holder: str, secs: float) -> bool:
        self._answer()
        before, ends = self.taken.get(name, (holder, 0.0))
        granted = before == holder or ends <= self.time
        if granted:
            self.taken[name] = holder, self.time + secs
        self.time += self.lag
        return granted

    async def release(self, name: str, holder: str) -> None:
        self._answer()
        if self.taken.get(name, ("", 0.0))[0] == holder:
            del self.taken[name]

    def _answer(self) -> None:
        self.time += self.lag
        if self.down:
            raise LeaseUnavailable("no answer")

    def lease(self, ahead: float = 0.0, rate: float = 1.0) -> Lease:
        """Of a process whose clock is ahead by so many seconds, and faster or slower than the true one."""
        return Lease(self, "checks", self.log, secs=SECS, now=lambda: ahead + rate * self.time)


async def test_one_of_two_holds_it_and_the_other_gets_it_after_the_release() -> None:
    world = World()
    one, two = world.lease(), world.lease(ahead=1000.0)
    assert not one.held
    await one.start()
    await two.start()
    assert (one.held, two.held) == (True, False)
    await one.close()
    assert not one.held
    await two.renew()
    assert two.held
    await two.close()
    assert world.taken == {}


async def test_it_is_given_up_before_it_ends_at_the_store() -> None:
    world = World()
    one, two = world.lease(), world.lease()
    await one.renew()
    world.down = True
    world.time += USED * SECS - 0.01
    await one.renew()
    assert one.held
    world.time += 0.01
    assert not one.held
    assert one.error == "no answer"
    world.down = False
    await two.renew()
    assert not two.held  # it has not ended yet
    world.time += SECS - USED * SECS
    await two.renew()
    assert two.held


async def test_its_time_counts_from_before_the_request() -> None:
    world = World()
    world.lag = 2.0
    one = world.lease()
    asked = world.time
    await one.renew()
    world.time = asked + USED * SECS
    assert not one.held


async def test_a_lease_that_another_one_got_is_lost_at_the_next_renewal() -> None:
    world = World()
    one, two = world.lease(), world.lease()
    await one.renew()
    world.taken.clear()  # as a Redis that was restarted
    await two.renew()
    assert two.held
    await one.renew()
    assert not one.held


async def test_it_is_renewed_in_the_background() -> None:
    world = World()
    one = Lease(world, "checks", world.log, secs=0.03, now=lambda: world.time)
    await one.start()
    _, ends = world.taken["checks"]
    world.time += 0.02
    await until(lambda: world.taken["checks"][1] > ends, "a renewal")
    await one.close()


async def test_trouble_is_logged_once_and_its_end_as_well() -> None:
    world = World()
    one = world.lease()
    world.down = True
    await one.renew()
    await one.renew()
    world.down = False
    await one.renew()
    await one.renew()
    assert world.lines == [
        "The lease of checks cannot be taken or renewed: no answer.",
        "The lease of checks can be taken again.",
    ]


async def test_a_store_that_hangs_does_not_prolong_it() -> None:
    world = World()
    one = world.lease()
    await one.renew()
    hung = asyncio.Event()

    async def hang(name: str, holder: str, secs: float) -> bool:
        return await hung.wait()

    world.take = hang  # type: ignore[method-assign]
    renewal = asyncio.create_task(one.renew())
    await asyncio.sleep(0)
    world.time += SECS
    assert not one.held
    hung.set()
    await renewal
    assert not one.held  # it was asked for too long ago


async def test_the_end_waits_for_the_store_but_not_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lease, "RELEASE_SECS", 0.01)
    world = World()
    one = Lease(world, "checks", world.log, secs=0.03)
    await one.start()
    hung = asyncio.Event()

    async def hang(name: str, holder: str, secs: float) -> bool:
        begun.set()
        return await hung.wait()

    begun = asyncio.Event()
    world.take = hang  # type: ignore[method-assign]
    await within(begun.wait(), "a renewal")
    await one.close()
    assert not one.held
    assert world.taken == {}


async def test_any_failure_of_a_store_is_survived() -> None:
    world = World()

    async def fail(name: str, holder: str, secs: float) -> bool:
        raise ZeroDivisionError

    world.take = fail  # type: ignore[method-assign]
    one = world.lease()
    await one.renew()
    assert one.error == "ZeroDivisionError"
    await one.close()  # was not started


class Fleet(RuleBasedStateMachine):
    """Whatever happens, two processes never rely on the lease at once, with clocks that differ by up to 4 percent."""

    @initialize(
        clocks=st.lists(st.tuples(st.floats(-1e6, 1e6), st.floats(0.98, 1.02)), min_size=2, max_size=4),
    )
    def begin(self, clocks: list[tuple[float, float]]) -> None:
        self.world = World()
        self.leases = [self.world.lease(ahead, rate) for ahead, rate in clocks]

    @rule(secs=st.floats(0.0, 1.5 * SECS))
    def wait(self, secs: float) -> None:
        self.world.time += secs

    @rule(number=st.integers(0, 3), lag=st.floats(0.0, 2 * SECS))
    def renew(self, number: int, lag: float) -> None:
        self.world.lag = lag
        self._run(self.leases[number % len(self.leases)].renew())
        self.world.lag = 0.0

    @rule(down=st.booleans())
    def reach(self, down: bool) -> None:
        self.world.down = down

    @rule(number=st.integers(0, 3))
    def stop(self, number: int) -> None:
        async def stop() -> None:
            lease = self.leases[number % len(self.leases)]
            await lease.start()
            await lease.close()

        self._run(stop())

    @invariant()
    def at_most_one_holds_it(self) -> None:
        if hasattr(self, "leases"):
            assert sum(each.held for each in self.leases) <= 1

    def _run(self, what: Any) -> None:
        asyncio.run(what)


TestFleet = Fleet.TestCase
