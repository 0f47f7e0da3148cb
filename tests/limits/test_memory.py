from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.limits import bucket
from proxy.limits.base import Cost, Limit, Verdict
from proxy.limits.memory import Memory
from proxy.limits.prepared import PreparedCosts, part_of
from tests.limits.budget_contract import BudgetContract
from tests.limits.contract import ANN, BEN, CLIENT, SLOT, SLOTS, TOKENS, Contract, tokens
from tests.limits.exact import LIMITS, Exact, Settle, Step, Take, Wait, steps

UP_FOR_MONTHS = 5_000_000.3  # seconds: where a float's steps are 1e-9


class Stage:
    """A memory store and the hand of its clock."""

    def __init__(self, max_keys: int = 1000, now: float = UP_FOR_MONTHS) -> None:
        self.now = now
        self.memory = Memory(lambda: self.now, max_keys)

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def take(self, *costs: Cost, lease: int = 1) -> Verdict:
        return self.memory.take(costs, lease)


@pytest.fixture
def stage() -> Stage:
    return Stage()


class TestContract(Contract, BudgetContract):
    @pytest.fixture
    def store(self, stage: Stage) -> Memory:
        return stage.memory

    @pytest.fixture
    def advance(self, stage: Stage) -> Callable[[float], None]:
        return stage.advance


# -- arithmetic -----------------------------------------------------------------------------------


@settings(max_examples=300)
@given(script=steps(), began=st.sampled_from([0.0, 17.25, UP_FOR_MONTHS]))
def test_levels_agree_with_exact_arithmetic(script: list[Step], began: float) -> None:
    stage, exact = Stage(now=began), Exact(slack=1e-6)
    exact.now = Fraction(began)
    for step in script:
        match step:
            case Wait(seconds):
                stage.advance(seconds)
                exact.advance(seconds)
            case Take(costs, lease):
                exact.take(costs, lease, stage.memory.take(costs, lease))
            case Settle(corrections, slots, lease):
                stage.memory.settle(corrections, slots, lease)
                exact.settle(corrections, slots, lease)
                costs = [*corrections, *slots]
        for cost in [] if isinstance(step, Wait) else costs:
            level = stage.memory.usage(cost.limit, cost.key)
            assert level == pytest.approx(float(exact.level(cost)), abs=1e-6 * max(cost.limit.rate, 1.0))


@given(
    limit=st.sampled_from(LIMITS),
    takes=st.lists(st.tuples(st.floats(0.0, 1.0), st.floats(0.0, 100.0)), max_size=30),
)
def test_inlined_arithmetic_agrees_with_bucket(limit: Limit, takes: list[tuple[float, float]]) -> None:
    stage, full_at = Stage(), bucket.FULL
    for part, seconds in takes:
        stage.advance(seconds)
        amount = part * limit.capacity
        after = bucket.taken(limit, full_at, stage.now, amount)
        wait = bucket.retry_after(limit, full_at, stage.now, amount)
        verdict = stage.take(Cost(limit, "x", amount))
        if 0.0 < wait < bucket.refill(limit) * 2e-6:
            return  # on the edge either may be right
        assert verdict.admitted is (after is not None)
        assert verdict.retry_after == pytest.approx(wait if after is None else 0.0, abs=1e-8)
        full_at = full_at if after is None else after
        assert stage.memory.usage(limit, "x") == pytest.approx(bucket.level(limit, full_at, stage.now), abs=1e-6)


def test_a_memory_store_answers_synchronously(stage: Stage) -> None:
    assert isinstance(stage.take(ANN, tokens(5), SLOT), Verdict)


@pytest.mark.parametrize("began", [0.0, UP_FOR_MONTHS, 1e8])
@pytest.mark.parametrize("burst", [7, 60, 1000, 3501])
def test_bursts_stay_exact_after_a_long_uptime(began: float, burst: int) -> None:
    stage = Stage(now=began)
    minute = Cost(Limit("client", "requestsPerMinute", CLIENT.name, burst, burst / 60), "x")
    assert [stage.take(minute).admitted for _ in range(burst + 5)] == [True] * burst + [False] * 5


def test_the_rounding_tolerance_does_not_accumulate(stage: Stage) -> None:
    bold = Cost(TOKENS, "x", 1000 * (bucket.BOUND - 1) / 2)
    stage.take(tokens(1000, "x"))
    assert [stage.take(bold).admitted for _ in range(10)] == [True] + [False] * 9


# -- what is kept ---------------------------------------------------------------------------------


def client(number: int) -> Cost:
    return Cost(CLIENT, f"client:{number:032x}")


def test_a_million_clients_cost_at_most_200_megabytes() -> None:
    clients, stage = 200_000, Stage(max_keys=10**6)
    tracemalloc.start()
    try:
        for number in range(clients):
            stage.take(client(number))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert stage.memory.kept == clients
    assert taken / clients * 10**6 <= 200e6


def test_returning_clients_use_no_more_memory() -> None:
    clients, stage = 20_000, Stage(max_keys=10**6)
    tracemalloc.start()
    try:
        for _ in range(4):
            for number in range(clients):
                stage.take(client(number))
            stage.advance(CLIENT.capacity / CLIENT.rate * 2)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert taken / clients * 10**6 <= 200e6


def test_unused_buckets_are_dropped(stage: Stage) -> None:
    for number in range(500):
        stage.take(client(number))
    assert stage.memory.kept == 500
    for _ in range(3):
        stage.advance(2 * bucket.refill(CLIENT))
        stage.take(ANN)
    assert stage.memory.kept == 1


def test_a_debt_is_kept_until_it_is_repaid(stage: Stage) -> None:
    refill = bucket.refill(CLIENT)
    stage.take(BEN)
    stage.advance(1.9 * refill)
    stage.memory.settle([Cost(CLIENT, ANN.key, 1e9)], [], 1)
    for _ in range(9):
        stage.advance(0.2 * refill)
        stage.take(BEN)
    assert stage.memory.usage(CLIENT, ANN.key) == pytest.approx(CLIENT.capacity * 0.8, abs=1e-5)


def test_a_flood_of_clients_is_bounded_and_evicts_the_oldest() -> None:
    stage = Stage(max_keys=100)
    full = Cost(CLIENT, "client:ann", CLIENT.capacity)
    old = Cost(CLIENT, "client:old", CLIENT.capacity)
    stage.take(full)
    stage.take(old)
    for number in range(1000):
        stage.take(client(number))
        assert not stage.take(full).admitted  # asking is enough to be kept
        assert stage.memory.kept <= 200
    assert stage.take(old).admitted


def test_takes_during_a_generation_turn_are_not_lost() -> None:
    stage = Stage(max_keys=4)
    for number in range(4):
        stage.take(client(number))
    full = Cost(CLIENT, client(3).key, 2.0)
    stage.take(full, ANN)  # ann is one too many for the young generation, in which the first was found
    assert stage.memory.usage(CLIENT, full.key) == pytest.approx(0.0)
    assert stage.memory.usage(CLIENT, ANN.key) == pytest.approx(2.0)
    assert not stage.take(full).admitted


def test_rejected_new_clients_are_not_stored() -> None:
    stage = Stage(max_keys=100)
    stage.take(BEN)
    stage.take(tokens(1000))
    for number in range(1000):
        assert not stage.take(client(number), tokens(1)).admitted  # what it took first is undone
    assert stage.memory.kept == 2
    assert stage.memory.usage(CLIENT, BEN.key) == pytest.approx(2.0)


@pytest.mark.parametrize("turned", [False, True])
def test_a_rejection_changes_no_level(turned: bool) -> None:
    stage = Stage(max_keys=2 if turned else 1000, now=UP_FOR_MONTHS + 0.1)
    stage.take(client(0))
    stage.take(client(1))
    stage.take(tokens(999.7))
    known = [client(0), client(1)]
    for _ in range(1000):
        stage.advance(1e-7)
        before = dict(stage.memory.top_usage(CLIENT, 10))
        assert not stage.take(*known, client(2), tokens(10)).admitted
        assert dict(stage.memory.top_usage(CLIENT, 10)) == before


@settings(max_examples=200)
@given(script=steps())
def test_prepared_costs_give_the_same_results(script: list[Step]) -> None:
    stage, other = Stage(max_keys=1), Stage(max_keys=1)  # so few that generations turn early as well
    known: dict[tuple[tuple[int, str, float], ...], PreparedCosts] = {}
    for step in script:
        match step:
            case Wait(seconds):
                stage.advance(seconds)
                other.advance(seconds)
            case Take(costs, lease):
                named = tuple((id(cost.limit), cost.key, cost.amount) for cost in costs)
                prepared = known.setdefault(named, stage.memory.prepare(costs))
                answer, verdict = stage.memory.grant(prepared, lease), other.memory.take(costs, lease)
                if isinstance(answer, Verdict):
                    assert answer == verdict
                else:
                    assert verdict.admitted
                    assert answer == (pytest.approx(part_of(verdict)), verdict.limit)
            case Settle(corrections, slots, lease):
                stage.memory.settle(corrections, slots, lease)
                other.memory.settle(corrections, slots, lease)
    assert repr(stage.memory) == repr(other.memory)


def test_limits_are_bounded_one_by_one() -> None:
    stage = Stage(max_keys=100)
    stage.take(tokens(1000))
    for number in range(1000):
        stage.take(client(number))
    assert not stage.take(tokens(1000)).admitted


def test_free_slots_are_not_stored(stage: Stage) -> None:
    tracemalloc.start()
    try:
        before = 0
        for number in range(2000):
            held = Cost(SLOTS, f"client:{number}")
            stage.take(held, lease=number)
            stage.memory.settle([], [held], number)
            if number == 0:
                before, _ = tracemalloc.get_traced_memory()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 10_000


# -- what is shown --------------------------------------------------------------------------------


def test_top_usage_lists_the_highest_usage(stage: Stage) -> None:
    for key, amount in {"a": 250.0, "b": 1000.0, "c": 500.0, "d": 0.0}.items():
        stage.take(tokens(amount, key))
    stage.memory.settle([tokens(500.0, "b")], [], 1)
    shown = [(key, round(part, 6)) for key, part in stage.memory.top_usage(TOKENS, 10)]
    assert shown == [("b", 1.5), ("c", 0.5), ("a", 0.25)]
    assert [key for key, _ in stage.memory.top_usage(TOKENS, 2)] == ["b", "c"]
    assert stage.memory.top_usage(CLIENT, 10) == []


def test_top_usage_lists_slots(stage: Stage) -> None:
    for lease, key in enumerate(["a", "b", "b"]):
        stage.take(Cost(SLOTS, key), lease=lease)
    assert stage.memory.top_usage(SLOTS, 10) == [("b", 1.0), ("a", 0.5)]
    assert stage.memory.top_usage(SLOTS, 1) == [("b", 1.0)]
    assert stage.memory.usage(SLOTS, "b") == 0.0
    assert stage.memory.usage(SLOTS, "nobody") == 2.0


def test_inspection_changes_nothing(stage: Stage) -> None:
    stage.take(tokens(300))
    for _ in range(3):
        assert stage.memory.usage(TOKENS, "gpt") == pytest.approx(700.0)
        assert stage.memory.usage(TOKENS, "nobody") == 1000.0
        assert stage.memory.usage(CLIENT, "nobody") == 3.0
        stage.memory.top_usage(TOKENS, 10)
    assert stage.memory.kept == 1


def test_memory_has_a_readable_repr(stage: Stage) -> None:
    stage.take(ANN, SLOT)
    stage.take(BEN)
    assert "2 young, 0 old" in repr(stage.memory)
    assert "client:concurrent of 1 keys" in repr(stage.memory)
