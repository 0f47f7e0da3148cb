"""Sums of budgets in Redis: what is sent, and that no cap is passed whatever happens to calls, processes and Redis."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from proxy.budgets.base import charge
from proxy.limits.batch import Batch
from proxy.limits.shared_counters import GRACE, LIFE, CounterSeed, SharedCounters
from tests.limits.budget_contract import counter
from tests.limits.budget_world import Member, World
from tests.support.services import redis_url

redis = pytest.importorskip("redis")


@pytest.fixture
def client() -> Iterator[Any]:
    with redis.Redis.from_url(redis_url()) as own:
        yield own


@pytest.fixture
def world(client: Any) -> Iterator[World]:
    made = World(client, f"test-{secrets.token_hex(8)}", [100, 1000])
    yield made
    made.flush()


def grown(world: World, count: int = 2) -> list[Member]:
    """Processes that are past their first start."""
    members = [world.join() for _ in range(count)]
    world.advance(1.0)
    return members


# -- several processes --------------------------------------------------------------------------


def test_what_one_holds_is_missing_to_the_other(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    assert not world.take(other, {0}, 41)
    assert other.counters[0].base == 60
    assert world.take(other, {0}, 40)


def test_a_settlement_is_known_after_a_heartbeat(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 100)
    world.settle(one, 0, 30)
    world.advance(0.5)
    assert world.take(other, {0}, 70)
    assert other.counters[0].base == 30


def test_a_first_start_waits_for_one_heartbeat(world: World) -> None:
    began = world.now
    assert world.take(world.join(), {0}, 1)
    assert world.now - began == pytest.approx(0.6)


def test_a_process_that_joins_others_does_not_wait(world: World) -> None:
    grown(world)
    began = world.now
    assert world.take(world.join(), {0}, 1)
    assert world.now == began


def test_a_process_that_left_frees_its_holds_at_once_and_keeps_its_spend(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 50)
    assert world.take(one, {0}, 50)
    world.settle(one, 0, 20)
    world.leave(one)
    assert not world.take(other, {0}, 81)
    assert world.take(other, {0}, 80)


def test_what_a_crashed_process_holds_counts_for_its_life(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    world.crash(one)
    world.advance(LIFE - 1.0)
    assert not world.take(other, {0}, 41)
    world.advance(1.5)
    assert world.take(other, {0}, 100)


def test_what_a_crashed_process_did_not_send_comes_from_the_ledger(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    world.settle(one, 0, 45)
    world.crash(one)
    world.advance(LIFE + 1.0)
    assert not world.take(other, {0}, 56)
    assert world.take(other, {0}, 55)


def test_a_counter_whose_holder_crashed_stays_unknown_until_it_is_read(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    world.settle(one, 0, 45)
    world.crash(one)
    world.advance(LIFE + 1.0)
    other.shared.touch([other.counters[0]])
    world.quiet(other)  # the crash is noticed by a call without a take
    assert not world.take(other, {0}, 56)


def test_takes_wait_while_a_process_that_was_taken_for_dead_sends_its_sums(world: World) -> None:
    one, other = grown(world)
    for member in (one, other):
        assert world.take(member, {0}, 10)
    world.members.remove(one)  # it stalls
    world.advance(LIFE + 1.0)
    assert world.take(other, {0}, 10)
    one.shared.beat()
    world.call(one)
    which, wait = world.call(other, ((other.counters[0], 1),))
    assert which == 0
    assert wait > 0
    world.quiet(one)
    assert world.call(other, ((other.counters[0], 70),)) == (1, 0.0)


def test_a_process_that_was_taken_for_dead_sends_all_again(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    assert world.take(one, {1}, 10)
    world.members.remove(one)  # it stalls
    world.advance(LIFE + 1.0)
    assert world.take(other, {0}, 1)  # it noticed
    world.members.append(one)
    world.advance(0.5)
    assert not world.take(other, {0}, 40)
    assert world.take(other, {0}, 39)
    assert world.take(other, {1}, 990)


# -- Redis loses what it has --------------------------------------------------------------------


def test_after_a_flush_takes_wait_until_all_have_sent_their_sums(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    world.flush()
    began = world.now
    assert not world.take(other, {0}, 41)
    assert world.now - began == pytest.approx(GRACE)
    assert world.take(other, {0}, 40)


def test_after_a_flush_the_spend_of_ended_processes_comes_from_the_ledger(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    world.settle(one, 0, 60)
    world.leave(one)
    world.flush()
    assert not world.take(other, {0}, 41)
    assert world.take(other, {0}, 40)


def test_an_evicted_counter_is_noticed_by_the_spend_of_others(world: World, client: Any) -> None:
    one, other = grown(world)
    for _ in range(2):
        assert world.take(one, {0}, 30)
    world.settle(one, 0, 30)
    world.record(one)
    world.advance(1.0)
    client.delete(world.name_of(world.counters[0]))
    assert not world.take(other, {0}, 41)
    assert world.take(other, {0}, 40)


def test_an_evicted_state_is_a_flush(world: World, client: Any) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    client.delete(world.state)
    assert not world.take(other, {0}, 41)
    assert world.take(other, {0}, 40)


def test_an_invalid_state_is_a_flush(world: World, client: Any) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 60)
    client.set(world.state, b"nonsense")
    assert not world.take(other, {0}, 41)
    assert world.take(other, {0}, 40)


# -- calls that fail ----------------------------------------------------------------------------


def test_a_lost_reply_heals_with_the_next_call(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 1)
    world.call(one, ((one.counters[0], 99),), lost=True)
    assert not world.take(other, {0}, 99)
    world.advance(0.5)
    assert world.take(other, {0}, 99)


def test_a_late_call_does_not_undo_a_newer_one(world: World) -> None:
    one, other = grown(world)
    assert world.take(one, {0}, 10)
    world.call(one, ((one.counters[0], 5),), late=True)
    assert world.take(one, {0}, 80)
    world.deliver()
    assert not world.take(other, {0}, 11)
    assert world.take(other, {0}, 10)


def test_what_the_ledger_had_before_a_process_ended_is_not_enough(world: World) -> None:
    _, other = grown(world)
    shared = other.shared.shared(other.counters[0])
    other.shared.seed(CounterSeed(shared, 1, {}))
    assert world.call(other, ((shared.counter, 1),)) == (0, 0.0)

    assert world.call(other, ((shared.counter, 1),)) == (1, 0.0)


# -- what is sent -------------------------------------------------------------------------------


def test_a_counter_that_changes_often_is_sent_once() -> None:
    shared, daily = SharedCounters("p"), counter(100)
    shared.active = True
    for _ in range(1000):
        charge([(daily, 0, 1)])
        shared.touch([daily])
    batch = Batch("p")
    shared.fill(batch, [])
    assert batch.sums is not None
    assert len(batch.sums) == 1
    assert batch.keys() == [b"{p}:budget:daily/total/alice", b"{p}:budgets"]
    assert not shared


def test_one_call_carries_a_thousand_counters() -> None:
    shared = SharedCounters("p")
    shared.active = True
    for number in range(2500):
        shared.touch([counter(100, subject=str(number))])
    sizes = []
    while shared:
        batch = Batch("p")
        shared.fill(batch, [])
        assert batch.sums is not None
        sizes.append(len(batch.sums))
    assert sizes == [1000, 1000, 500]


def test_the_number_of_counters_is_bounded_but_for_those_in_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.limits.shared_counters.MOST_COUNTERS", 10)
    shared, used = SharedCounters("p"), counter(100)
    used.held = 1
    shared.shared(used)
    for number in range(100):
        shared.shared(counter(100, subject=str(number)))
    assert len(shared) == 10
    assert shared.shared(used).counter is used
    assert len(shared) == 10


def test_a_counter_made_anew_adopts_what_its_process_spent(world: World) -> None:
    (one,) = grown(world, 1)
    assert world.take(one, {0}, 60)
    world.settle(one, 0, 60)
    world.advance(0.5)
    one.counters[0] = counter(100, "budget-0")
    assert not world.take(one, {0}, 41)
    assert one.counters[0].spent == 60
    assert world.take(one, {0}, 40)


# -- whatever happens ---------------------------------------------------------------------------


PARTS = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0, 1.1])


class SharedBudgetMachine(RuleBasedStateMachine):
    """Takes, bills, crashes, flushes, lost and late calls of two and more processes."""

    @initialize(caps=st.lists(st.sampled_from([0, 7, 100, 2**53 + 10**9]), min_size=2, max_size=2))
    def begin(self, caps: list[int]) -> None:
        self.client = redis.Redis.from_url(redis_url())
        self.world = World(self.client, f"test-{secrets.token_hex(8)}", caps)
        self.admitted = 0
        for _ in range(2):
            self.world.join()

    @rule(who=st.integers(0, 5), places=st.sets(st.integers(0, 1), min_size=1), part=PARTS)
    def take(self, who: int, places: set[int], part: float) -> None:
        cap = min(self.world.counters[place].cap for place in places)
        self.admitted += self.world.take(self.member(who), places, int(part * cap))

    @rule(who=st.integers(0, 5), place=st.integers(0, 5), part=PARTS)
    def settle(self, who: int, place: int, part: float) -> None:
        member = self.member(who)
        if member.holds:
            place %= len(member.holds)
            self.world.settle(member, place, int(min(part, 1.0) * member.holds[place][1]))

    @rule(who=st.integers(0, 5))
    def send(self, who: int) -> None:
        self.world.quiet(self.member(who))

    @rule(who=st.integers(0, 5), place=st.integers(0, 1), part=PARTS, late=st.booleans())
    def fail(self, who: int, place: int, part: float, late: bool) -> None:
        member = self.member(who)
        want = (member.counters[place], int(part * member.counters[place].cap))
        self.world.call(member, (want,), lost=not late, late=late)

    @precondition(lambda self: self.world.late)
    @rule()
    def deliver(self) -> None:
        self.world.deliver()

    @rule(who=st.integers(0, 5))
    def record(self, who: int) -> None:
        self.world.record(self.member(who))

    @rule(who=st.integers(0, 5), crash=st.booleans())
    def replace(self, who: int, crash: bool) -> None:
        member = self.member(who)
        (self.world.crash if crash else self.world.leave)(member)
        self.world.join()

    @precondition(lambda self: len(self.world.members) < 4)
    @rule()
    def join(self) -> None:
        self.world.join()

    @rule(seconds=st.floats(0.01, 2 * LIFE))
    def advance(self, seconds: float) -> None:
        self.world.advance(seconds)

    @rule()
    def flush(self) -> None:
        self.world.flush()

    @rule()
    def lose_state(self) -> None:
        self.client.delete(self.world.state)

    @invariant()
    def no_cap_is_passed(self) -> None:
        if hasattr(self, "world"):
            self.world.check()

    def teardown(self) -> None:
        """Money is conserved: at the end Redis knows what was spent, to a thousandth where it counts in thousands."""
        if not hasattr(self, "world"):
            return
        for member in self.world.members:
            while member.holds:
                self.world.settle(member, 0, 1)
        self.world.advance(2 * LIFE)
        for place, each in enumerate(self.world.counters):
            member = self.world.members[0]
            self.world.take(member, {place}, 0)
            rounding = 0 if each.cap < 2**53 else 1000 * 50
            assert 0 <= member.counters[place].used - self.world.spent(place) <= rounding
        self.world.flush()
        self.client.close()

    def member(self, who: int) -> Member:
        return self.world.members[who % len(self.world.members)]


TestSharedBudgets = SharedBudgetMachine.TestCase
TestSharedBudgets.settings = settings(
    max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
)
