"""Tests of budgets that every store must pass; see ``contract.py``. Earlier settlements apply before a take."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.budgets.base import BudgetCounter, Shortfall, SpendBudget, Want
from proxy.limits.base import Cost, Store, Verdict
from tests.limits.contract import ANN, CLIENT, SLOT, SUPPRESSED, StoreDriver, resolved


def counter(cap: int, name: str = "daily", *, soft: bool = False, subject: str = "alice") -> BudgetCounter:
    """A counter of a budget without an end."""
    budget = SpendBudget(name, "owner", "usd", cap, "total", ZoneInfo("UTC"), soft=soft)
    return BudgetCounter(f"{name}/total/{subject}", budget, subject, None, cap)


def copy(other: BudgetCounter) -> BudgetCounter:
    """The same counter, as another process knows it."""
    return BudgetCounter(other.key, other.budget, other.subject, other.ends, other.cap)


async def take(store: Store, *wants: Want, costs: tuple[Cost, ...] = (), lease: int = 1) -> Verdict:
    return await resolved(store.take(costs, lease, wants))


async def held(store: Store, *wants: Want, costs: tuple[Cost, ...] = (), lease: int = 1) -> None:
    verdict = await take(store, *wants, costs=costs, lease=lease)
    assert verdict.admitted, verdict


async def short(store: Store, *wants: Want, costs: tuple[Cost, ...] = (), lease: int = 1) -> Shortfall:
    verdict = await take(store, *wants, costs=costs, lease=lease)
    assert not verdict.admitted
    assert verdict.limit is None
    assert verdict.budget is not None
    return verdict.budget


class BudgetContract:
    async def test_a_budget_is_held_to_its_last_unit(self, store: Store) -> None:
        daily = counter(100)
        for _ in range(3):
            await held(store, (daily, 30))
        found = await short(store, (daily, 11))
        assert (found.counter, found.needed, found.used) == (daily, 11, 90)
        assert daily.held == 90
        await held(store, (daily, 10))
        assert (await short(store, (daily, 1))).used == 100

    async def test_what_was_held_is_released(self, store: Store) -> None:
        daily = counter(100)
        await held(store, (daily, 100))
        store.settle((), (), 1, [(daily, 100, 0)])
        assert daily.held == 0
        await held(store, (daily, 100))

    async def test_a_charge_counts_instead_of_what_was_held(self, store: Store) -> None:
        daily = counter(100)
        await held(store, (daily, 80))
        store.settle((), (), 1, [(daily, 80, 35)])
        assert (daily.spent, daily.held) == (35, 0)
        assert (await short(store, (daily, 66))).used == 35
        await held(store, (daily, 65))

    async def test_a_charge_above_what_was_held_counts_in_full(self, store: Store) -> None:
        daily = counter(100)
        await held(store, (daily, 10))
        store.settle((), (), 1, [(daily, 10, 250)])
        assert (await short(store, (daily, 0))).used == 250

    async def test_a_soft_budget_counts_and_refuses_nothing(self, store: Store) -> None:
        daily = counter(100, soft=True)
        for _ in range(3):
            await held(store, (daily, 90))
        assert daily.held == 270
        store.settle((), (), 1, [(daily, 270, 200)])
        await held(store, (daily, 1))
        assert daily.used == 201

    async def test_of_several_budgets_the_first_that_is_too_small_refuses(self, store: Store) -> None:
        wide, small, smaller = counter(1000, "wide"), counter(10, "small"), counter(5, "smaller")
        assert (await short(store, (wide, 20), (small, 20), (smaller, 20))).counter is small
        assert wide.held == small.held == smaller.held == 0
        await held(store, (wide, 1000), (small, 10), (smaller, 5))

    async def test_subjects_are_independent(self, store: Store) -> None:
        ann, ben = counter(10, subject="ann"), counter(10, subject="ben")
        await held(store, (ann, 10))
        await held(store, (ben, 10))

    async def test_a_budget_that_refuses_takes_from_no_bucket(self, store: Store) -> None:
        daily = counter(10)
        await short(store, (daily, 11), costs=(ANN, SLOT))
        for lease in (2, 3):
            await held(store, (daily, 1), costs=(SLOT,), lease=lease)
        verdict = await take(store, costs=(ANN,))
        assert verdict.remaining == pytest.approx(2.0, abs=0.01)

    async def test_a_bucket_that_refuses_holds_nothing(self, store: Store) -> None:
        daily = counter(10)
        for _ in range(3):
            await held(store, (daily, 1), costs=(ANN,))
        verdict = await take(store, (daily, 7), costs=(ANN,))
        assert not verdict.admitted
        assert verdict.limit is CLIENT
        assert verdict.budget is None
        assert daily.held == 3
        await held(store, (daily, 7))

    async def test_a_slot_that_refuses_holds_nothing(self, store: Store) -> None:
        daily = counter(10)
        for lease in (1, 2):
            await held(store, (daily, 1), costs=(SLOT,), lease=lease)
        assert not (await take(store, (daily, 8), costs=(SLOT,), lease=3)).admitted
        await held(store, (daily, 8))

    async def test_a_granted_take_tells_the_tightest_bucket(self, store: Store, ask: StoreDriver) -> None:
        verdict = await take(store, (counter(10), 1), costs=(ANN,))
        assert verdict.limit is CLIENT
        assert verdict.remaining == ask.about(2.0)

    async def test_a_lowered_cap_refuses_and_a_raised_one_admits(self, store: Store) -> None:
        balance = counter(100, "balance")
        await held(store, (balance, 60))
        balance.cap = 50
        assert (await short(store, (balance, 1))).used == 60
        balance.cap = 200
        await held(store, (balance, 140))

    @pytest.mark.parametrize("cap", [2**53 + 1, 10**18])
    async def test_a_cap_that_a_double_cannot_express_holds_to_a_thousandth(self, store: Store, cap: int) -> None:
        huge = counter(cap)
        await held(store, (huge, cap - 5000))
        await held(store, (huge, 1))
        assert huge.held == cap - 4999
        await held(store, (huge, 1500))
        await short(store, (huge, 3500))

    async def test_an_absurd_amount_is_refused(self, store: Store) -> None:
        daily, soft = counter(100), counter(100, "soft", soft=True)
        await short(store, (daily, 10**30))
        await held(store, (soft, 10**30))
        await held(store, (soft, 1), (daily, 100))

    @pytest.fixture
    def subjects(self) -> Iterator[str]:
        """A subject for each example, since they share a store."""
        return (str(number) for number in itertools.count())

    @settings(max_examples=40, suppress_health_check=SUPPRESSED, deadline=None)
    @given(
        cap=st.integers(0, 2**53) | st.integers(0, 100),
        parts=st.lists(st.tuples(st.floats(0.0, 1.2), st.floats(0.0, 1.5), st.integers(0, 2)), max_size=12),
    )
    async def test_a_store_agrees_with_exact_integers(
        self, store: Store, subjects: Iterator[str], cap: int, parts: list[tuple[float, float, int]]
    ) -> None:
        """Takes of a part of the cap, each charged for a part of what it held, after some others."""
        daily, spent, running = counter(cap, subject=next(subjects)), 0, list[tuple[int, int]]()
        for part, cost, left in parts:
            amount = min(int(cap * part), 2**53)
            verdict = await take(store, (daily, amount))
            fits = spent + sum(most for most, _ in running) + amount <= cap
            assert verdict.admitted is fits
            if fits:
                running.append((amount, int(amount * cost)))
            while len(running) > left:
                most, billed = running.pop(0)
                store.settle((), (), 1, [(daily, most, billed)])
                spent += billed
            assert (daily.spent, daily.held) == (spent, sum(most for most, _ in running))
