"""Thresholds are reported once in a window, whatever the order of charges, seeds and refusals."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.base import (
    BALANCE,
    NEVER,
    BudgetCounter,
    Shortfall,
    SpendBudget,
    adopt_cap,
    charge,
    mark_reported,
    next_threshold,
)
from proxy.budgets.reports import BudgetThreshold
from proxy.budgets.rules import BudgetRules
from proxy.budgets.thresholds import DAY, SpendUnavailable, Thresholds
from tests.budgets.rig import NOON, book
from tests.support.patience import until

AMOUNTS = st.integers(0, 1_000)


def counter_of(
    cap: int = 1000, thresholds: Iterable[int] = (50, 80, 100), *, name: str = "daily", soft: bool = False
) -> BudgetCounter:
    budget = SpendBudget(name, "owner", "tokens", cap, "day", ZoneInfo("UTC"), soft=soft, thresholds=tuple(thresholds))
    counter = BudgetCounter(f"{name}/2026-11-29/alice", budget, "alice", NOON + DAY / 2, cap, seeded=True)
    counter.next_at = next_threshold(counter)
    return counter


class Reports:
    """Thresholds with a clock, and what they reported."""

    def __init__(self, shared: Shared | None = None) -> None:
        self.now = NOON
        self.all: list[BudgetThreshold] = []
        self.thresholds = Thresholds(lambda: self.now, shared, sleep=self._sleep)
        self.thresholds.listeners.append(self.all.append)

    async def _sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)

    @property
    def percents(self) -> list[int]:
        return [report.threshold for report in self.all]

    def spend(self, counter: BudgetCounter, amount: int) -> None:
        """What a book does with a charge."""
        charge([(counter, 0, amount)])
        if amount and counter.base + counter.spent >= counter.next_at:
            self.thresholds.crossed(counter)

    async def ended(self) -> list[int]:
        await self.thresholds.close()
        return self.percents


class Shared:
    """What replicas know together. ``down``: it does not answer."""

    def __init__(self) -> None:
        self.claims: dict[str, float] = {}
        self.counters: list[BudgetCounter] = []
        self.down = False

    async def claim(self, text: str, seconds: float) -> bool:
        await asyncio.sleep(0)
        if self.down:
            raise SpendUnavailable
        first = text not in self.claims
        self.claims.setdefault(text, seconds)
        return first

    async def spent(self, counter: BudgetCounter) -> int:
        if self.down:
            raise SpendUnavailable
        return sum(each.spent for each in self.counters)


@given(
    st.lists(AMOUNTS, max_size=30),
    st.integers(0, 3_000),
    st.sets(st.integers(1, 100), max_size=5).map(lambda found: tuple(sorted(found))),
)
def test_any_charges_report_the_highest_threshold_that_each_reaches(
    amounts: list[int], cap: int, thresholds: tuple[int, ...]
) -> None:
    counter, reports, expected = counter_of(cap, thresholds), Reports(), list[int]()
    for amount in amounts:
        reports.spend(counter, amount)
        reached = max((each for each in thresholds if counter.spent * 100 >= cap * each), default=0)
        if amount and reached > max(expected, default=0):
            expected.append(reached)
        assert reports.percents == expected
    assert counter.next_at > counter.spent or not any(amounts)


@given(st.lists(st.tuples(st.booleans(), AMOUNTS), max_size=30))
def test_what_was_spent_before_a_seed_is_not_reported_again(steps: list[tuple[bool, int]]) -> None:
    """A process that ends is followed by one that reads what was spent: together they report each threshold once."""
    reports, counter, total, expected = Reports(), counter_of(), 0, [0]
    for restart, amount in steps:
        if restart:
            counter = counter_of()
            counter.base = total
            mark_reported(counter, total)
        reports.spend(counter, amount)
        total += amount
        expected.append(max((each for each in (50, 80, 100) if total * 100 >= 1000 * each), default=0))
    assert reports.percents == sorted({*expected} - {0})


def test_a_charge_that_reaches_several_thresholds_reports_the_highest() -> None:
    counter, reports = counter_of(), Reports()
    reports.spend(counter, 850)
    assert [(report.threshold, report.used) for report in reports.all] == [(80, 85)]
    assert (counter.fired, counter.next_at) == (80, 1000)
    reports.spend(counter, 150)
    assert (reports.percents, counter.next_at) == ([80, 100], NEVER)


def test_without_thresholds_nothing_is_reported() -> None:
    counter, reports = counter_of(thresholds=()), Reports()
    reports.spend(counter, 5000)
    reports.thresholds.refused(Shortfall(counter, 1, 5000))
    assert reports.percents == []


def test_a_larger_cap_reports_again_and_a_smaller_one_what_is_reached_by_then() -> None:
    counter, reports = counter_of(), Reports()
    reports.spend(counter, 850)
    adopt_cap(counter, 2000)
    assert (counter.fired, counter.next_at) == (0, 1000)
    reports.spend(counter, 200)
    adopt_cap(counter, 1100)
    reports.spend(counter, 1)
    assert reports.percents == [80, 50, 80]
    assert len({report.id for report in reports.all}) == 3


def test_a_book_reports_what_reaches_a_threshold() -> None:
    reports, counter = Reports(), counter_of()
    kept = book()
    kept.crossed = reports.thresholds.crossed
    charge(charges := [(counter, 0, 499)])
    kept.charged(charges)
    assert not kept.warns
    charge(charges := [(counter, 0, 1)])
    kept.charged(charges)
    assert (reports.percents, kept.warns) == ([50], True)


# -- what refuses before all is spent -----------------------------------------------------------------


@pytest.mark.parametrize(("spent", "reported"), [(899, [80]), (900, [80, 100]), (999, [80, 100])])
def test_a_refusal_is_the_end_of_a_budget_that_is_nearly_spent(spent: int, reported: list[int]) -> None:
    counter, reports = counter_of(), Reports()
    reports.spend(counter, spent)
    for _ in range(3):
        reports.thresholds.refused(Shortfall(counter, 200, spent))
    assert reports.percents == reported


def test_a_run_that_its_client_caps_at_nothing_is_not_reported() -> None:
    """It may name as many as it likes."""
    counter, reports = counter_of(0), Reports()
    reports.thresholds.refused(Shortfall(counter, 200, 0))
    assert reports.percents == []


def test_a_refusal_reports_no_other_threshold() -> None:
    counter, reports = counter_of(thresholds=(50, 95)), Reports()
    reports.spend(counter, 920)
    reports.thresholds.refused(Shortfall(counter, 200, 920))
    assert reports.percents == [50]


def test_a_balance_is_reported_when_it_does_not_cover_a_call_once_a_day() -> None:
    counter, reports = counter_of(10_000, (), name=BALANCE), Reports()
    counter.spent = 9_900
    short = Shortfall(counter, 200, 9_900)
    reports.thresholds.refused(short)
    reports.thresholds.refused(short)
    reports.now += DAY / 2 - 1
    reports.thresholds.refused(short)
    assert reports.percents == [90]
    reports.now += 1
    reports.thresholds.refused(short)
    assert reports.percents == [90, 90]
    assert len({report.id for report in reports.all}) == 2


def test_a_call_that_is_too_large_for_a_balance_is_not_reported() -> None:
    counter, reports = counter_of(10_000, (), name=BALANCE), Reports()
    counter.spent, counter.held = 8_999, 1_000
    reports.thresholds.refused(Shortfall(counter, 20_000, 9_999))
    assert reports.percents == []
    counter.spent = 9_000
    reports.thresholds.refused(Shortfall(counter, 20_000, 9_999))
    assert reports.percents == [90]


def test_a_balance_of_which_nothing_is_left_is_reported_again() -> None:
    """On the same day, too; and again if it was topped up in between."""
    counter, reports = counter_of(10_000, (), name=BALANCE), Reports()
    counter.spent = 9_900
    for spent in (9_900, 10_000, 10_000):
        counter.spent = spent
        reports.thresholds.refused(Shortfall(counter, 200, spent))
    assert [(report.threshold, report.used) for report in reports.all] == [(90, 99), (100, 100)]
    adopt_cap(counter, 10_500)
    counter.spent = 10_500
    reports.thresholds.refused(Shortfall(counter, 200, 10_500))
    assert reports.percents == [90, 100, 100]
    assert len({report.id for report in reports.all}) == 3


def test_an_account_that_was_credited_nothing_is_reported() -> None:
    counter, reports = counter_of(0, (), name=BALANCE), Reports()
    reports.thresholds.refused(Shortfall(counter, 200, 0))
    assert reports.percents == [100]


# -- replicas -----------------------------------------------------------------------------------------


async def test_one_of_several_replicas_reports() -> None:
    shared = Shared()
    replicas = [(Reports(shared), counter_of()) for _ in range(3)]
    shared.counters = [counter for _, counter in replicas]
    for _ in range(20):
        for reports, counter in replicas:
            counter.base = sum(each.spent for each in shared.counters if each is not counter)
            reports.spend(counter, 18)
        await asyncio.sleep(0)
    told = [percent for reports, _ in replicas for percent in await reports.ended()]
    assert sorted(told) == [50, 80, 100]
    assert all(counter.fired == 100 for _, counter in replicas)
    assert all(seconds == pytest.approx(1.5 * DAY) for seconds in shared.claims.values())


async def test_what_others_hold_reaches_no_threshold() -> None:
    shared = Shared()
    reports, counter = Reports(shared), counter_of()
    shared.counters = [counter]
    counter.base = 900  # held elsewhere
    reports.spend(counter, 10)
    assert await reports.ended() == []
    assert counter.fired == 0
    counter.base = 0
    reports.spend(counter, 490)
    assert await reports.ended() == [50]


async def test_a_charge_while_the_spend_is_read_is_not_missed() -> None:
    shared = Shared()
    reports, counter = Reports(shared), counter_of()
    shared.counters = [counter]
    reports.spend(counter, 500)
    reports.spend(counter, 300)
    assert await reports.ended() == [80]


async def test_a_refusal_while_the_spend_is_read_is_not_missed() -> None:
    shared = Shared()
    reports, counter = Reports(shared), counter_of()
    shared.counters = [counter]
    reports.spend(counter, 950)
    reports.thresholds.refused(Shortfall(counter, 200, 950))
    assert await reports.ended() == [100]
    reports.thresholds.refused(Shortfall(counter, 200, 950))
    assert not reports.thresholds._tasks  # what is reported is not read again


async def test_a_charge_as_it_closes_is_reported() -> None:
    shared = Shared()
    reports, first, second = Reports(shared), counter_of(name="daily"), counter_of(name="hourly")
    shared.counters = [first]
    reports.thresholds.listeners.append(lambda _: reports.spend(second, 500) if not second.spent else None)
    reports.spend(first, 500)
    assert await reports.ended() == [50, 50]


async def test_a_store_that_is_down_reports_twice_rather_than_not() -> None:
    shared = Shared()
    shared.down = True
    replicas = [(Reports(shared), counter_of()) for _ in range(2)]
    for reports, counter in replicas:
        reports.spend(counter, 600)
        assert await reports.ended() == [50]
    assert replicas[0][0].all[0].id == replicas[1][0].all[0].id


async def test_a_balance_is_claimed_too() -> None:
    shared = Shared()
    for expected in ([90], []):
        reports, counter = Reports(shared), counter_of(10_000, (), name=BALANCE)
        counter.spent = 9_900
        reports.thresholds.refused(Shortfall(counter, 200, 9_900))
        await until(lambda reports=reports: not reports.thresholds._tasks, "the claim")  # type: ignore[misc]
        assert reports.percents == expected


class Known:
    """A seeder that knows what was spent before, here and elsewhere."""

    async def seed(self, counters: Sequence[BudgetCounter]) -> None:
        for counter in counters:
            counter.base, counter.spent, counter.seeded = 300, counter.spent + 250, True

    def adopt(self, rules: BudgetRules) -> None:
        pass


async def test_a_book_does_not_report_what_its_seeder_knows() -> None:
    reports, counter, kept = Reports(), counter_of(), book()
    kept.seeder, kept.crossed = Known(), reports.thresholds.crossed
    await kept.seed([counter])
    assert (counter.fired, counter.next_at, kept.warns) == (50, 800, True)
    charge(charges := [(counter, 0, 250)])
    kept.charged(charges)
    assert reports.percents == [80]


async def test_what_was_spent_before_a_late_seed_counts_as_new() -> None:
    """The database was down, and calls were admitted: 550 were known before, and 300 were spent since."""
    reports, counter, kept = Reports(), counter_of(), book()
    kept.seeder, kept.crossed = Known(), reports.thresholds.crossed
    charge(charges := [(counter, 0, 300)])
    kept.charged(charges)
    await kept.seed([counter])
    charge(charges := [(counter, 0, 1)])
    kept.charged(charges)
    assert reports.percents == [80]


async def test_another_seed_of_a_counter_marks_nothing() -> None:
    """By then ``base`` may have what others hold."""
    reports, counter, kept = Reports(), counter_of(), book()
    kept.seeder, kept.crossed = Known(), reports.thresholds.crossed
    await kept.seed([counter])
    counter.seeded = False
    await kept.seed([counter])
    assert (counter.base + counter.spent, counter.fired) == (800, 50)
