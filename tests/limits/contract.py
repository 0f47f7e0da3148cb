"""Tests that every bucket store must pass.

A store's own tests inherit from ``Contract`` and give it three fixtures: ``store``, whose buckets are all unused;
``advance(seconds)``, which moves the time the store goes by (by hours, so it is never waited for); and ``slack``, the
seconds (below 1) that may pass during a test, 1e-6 by default. Earlier settlements apply before a take.
"""

from __future__ import annotations

import itertools
from collections.abc import Awaitable, Callable, Iterator
from inspect import isawaitable
from typing import TypeVar

import pytest
from hypothesis import HealthCheck, given, settings

from proxy.limits.base import Cost, Limit, Store, Verdict
from tests.limits.exact import Exact, Settle, Step, Take, Wait, steps

T = TypeVar("T")
Advance = Callable[[float], None]

GLOBAL = Limit("global", "requestsPerHour", "global:requestsPerHour", capacity=10.0, rate=0.01)
CLIENT = Limit("client", "requestsPerHour", "client:requestsPerHour", capacity=3.0, rate=0.01)
TOKENS = Limit("model", "tokensPerMinute", "model:tokensPerMinute", capacity=1000.0, rate=1.0)
SLOTS = Limit("client", "concurrent", "client:concurrent", capacity=2.0, rate=0.0)
MODEL_SLOTS = Limit("model", "concurrent", "model:concurrent", capacity=8.0, rate=0.0)

ALL = Cost(GLOBAL, "")
ANN, BEN = Cost(CLIENT, "client:ann"), Cost(CLIENT, "client:ben")
SLOT = Cost(SLOTS, "client:ann")
MODEL_SLOT = Cost(MODEL_SLOTS, "gpt")


async def resolved(answer: T | Awaitable[T]) -> T:
    """Return the result of a store, awaited if necessary."""
    return await answer if isawaitable(answer) else answer


def tokens(amount: float, key: str = "gpt") -> Cost:
    return Cost(TOKENS, key, amount)


class StoreDriver:
    """A store with the helpers of these tests."""

    def __init__(self, store: Store, slack: float) -> None:
        self.store = store
        self.slack = slack

    async def take(self, *costs: Cost, lease: int = 1) -> Verdict:
        return await resolved(self.store.take(costs, lease))

    async def granted(self, *costs: Cost, lease: int = 1) -> Verdict:
        verdict = await self.take(*costs, lease=lease)
        assert verdict.admitted, verdict
        assert verdict.retry_after == 0.0
        return verdict

    async def refused(self, *costs: Cost, lease: int = 1) -> Verdict:
        verdict = await self.take(*costs, lease=lease)
        assert not verdict.admitted, verdict
        return verdict

    async def level(self, limit: Limit, key: str) -> float:
        """What is in the bucket, below 0 if it is in debt: nothing is always there, unless there is less."""
        verdict = await self.take(Cost(limit, key, 0.0))
        return verdict.remaining if verdict.admitted else -verdict.retry_after * limit.rate

    def correct(self, *corrections: Cost) -> None:
        self.store.settle(corrections, (), 1)

    def release(self, *slots: Cost, lease: int = 1) -> None:
        self.store.settle((), slots, lease)

    def about(self, expected: float) -> object:
        """Equal but for the time that passed. No bucket here gains more than 1 a second."""
        return pytest.approx(expected, abs=self.slack)


# Several stores inherit the same test, and their fixtures live for a test, not for an example.
SUPPRESSED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.differing_executors]


class Contract:
    @pytest.fixture
    def slack(self) -> float:
        return 1e-6

    @pytest.fixture
    def ask(self, store: Store, slack: float) -> StoreDriver:
        return StoreDriver(store, slack)

    # -- one bucket -------------------------------------------------------------------------------

    async def test_a_burst_is_granted_and_the_next_gets_retry_after(self, ask: StoreDriver) -> None:
        for left in (2.0, 1.0, 0.0):
            verdict = await ask.granted(ANN)
            assert verdict.limit is CLIENT
            assert verdict.remaining == ask.about(left)
            assert verdict.reset_after == ask.about((3 - left) * 100)
        verdict = await ask.refused(ANN)
        assert verdict.limit is CLIENT
        assert 0.0 <= verdict.remaining == ask.about(0.0)
        assert verdict.retry_after == ask.about(100.0)
        assert verdict.reset_after == ask.about(300.0)

    async def test_a_burst_is_granted_to_its_last_request(self, ask: StoreDriver) -> None:
        cost = Cost(Limit("client", "requestsPerHour", CLIENT.name, capacity=700.0, rate=700 / 3600), "client:ann")
        for _ in range(700):
            await ask.granted(cost)
        await ask.refused(Cost(cost.limit, cost.key, 10.0))

    async def test_a_rejection_takes_nothing(self, ask: StoreDriver) -> None:
        await ask.granted(tokens(1000))
        for _ in range(5):
            assert (await ask.refused(tokens(500))).retry_after == ask.about(500.0)

    async def test_a_client_that_waits_for_retry_after_is_admitted(self, ask: StoreDriver, advance: Advance) -> None:
        await ask.granted(tokens(950))
        refusal = await ask.refused(tokens(300))
        assert refusal.remaining == ask.about(50.0)
        advance(refusal.retry_after - 10)
        assert (await ask.refused(tokens(300))).retry_after == ask.about(10.0)
        advance(10)
        await ask.granted(tokens(300))

    async def test_a_bucket_fills_as_time_passes(self, ask: StoreDriver, advance: Advance) -> None:
        await ask.granted(tokens(1000))
        advance(150)
        assert await ask.level(TOKENS, "gpt") == ask.about(150.0)
        verdict = await ask.granted(tokens(100))
        assert verdict.remaining == ask.about(50.0)
        assert verdict.reset_after == ask.about(950.0)

    @pytest.mark.parametrize("long", [1000, 1001, 5_000, 10_000_000])
    async def test_a_bucket_never_exceeds_its_capacity(self, ask: StoreDriver, advance: Advance, long: float) -> None:
        await ask.granted(tokens(1000))
        advance(long)
        assert await ask.level(TOKENS, "gpt") == ask.about(1000.0)
        await ask.granted(tokens(1000))
        await ask.refused(tokens(100))

    async def test_an_amount_as_large_as_the_bucket_needs_a_full_one(self, ask: StoreDriver) -> None:
        await ask.granted(tokens(10))
        assert (await ask.refused(tokens(1000))).retry_after == ask.about(10.0)

    async def test_fractions_are_counted(self, ask: StoreDriver) -> None:
        await ask.granted(tokens(999.25))
        assert await ask.level(TOKENS, "gpt") == ask.about(0.75)

    # -- several buckets --------------------------------------------------------------------------

    async def test_no_costs_are_granted(self, ask: StoreDriver) -> None:
        assert await ask.take() == Verdict(True, None, 0.0, 0.0, 0.0)

    @pytest.mark.parametrize("last", [True, False])
    async def test_a_take_is_all_or_nothing(self, ask: StoreDriver, last: bool) -> None:
        for _ in range(3):
            await ask.granted(ANN)
        costs = [ALL, SLOT, tokens(400)]
        verdict = await ask.refused(*([*costs, ANN] if last else [ANN, *costs]))
        assert verdict.limit is CLIENT
        assert verdict.retry_after == ask.about(100.0)
        assert await ask.level(GLOBAL, "") == ask.about(10.0)
        assert await ask.level(TOKENS, "gpt") == ask.about(1000.0)
        await ask.granted(SLOT, lease=2)
        await ask.granted(SLOT, lease=3)
        await ask.granted(*costs[:1], BEN, tokens(400))
        assert await ask.level(GLOBAL, "") == ask.about(9.0)
        assert await ask.level(CLIENT, BEN.key) == ask.about(2.0)
        assert await ask.level(TOKENS, "gpt") == ask.about(600.0)

    async def test_a_rejection_without_a_free_slot_takes_nothing(self, ask: StoreDriver) -> None:
        await ask.granted(SLOT, lease=1)
        await ask.granted(SLOT, lease=2)
        verdict = await ask.refused(ALL, MODEL_SLOT, SLOT, ANN, lease=3)
        assert verdict == Verdict(False, SLOTS, 0.0, 0.0, 1.0)
        assert await ask.level(GLOBAL, "") == ask.about(10.0)
        assert await ask.level(CLIENT, ANN.key) == ask.about(3.0)
        assert (await ask.granted(MODEL_SLOT, lease=4)).remaining == 7.0

    @pytest.mark.parametrize("order", list(itertools.permutations([ANN, tokens(600), SLOT])))
    async def test_the_longest_wait_of_several_rejections_is_reported(
        self, ask: StoreDriver, order: list[Cost]
    ) -> None:
        await ask.granted(ANN, tokens(600), SLOT, lease=1)
        await ask.granted(ANN, SLOT, lease=2)
        await ask.granted(ANN)
        verdict = await ask.refused(*order, lease=3)  # the client 100 s, the model 200 s, a slot 1 s
        assert verdict.limit is TOKENS
        assert verdict.remaining == ask.about(400.0)
        assert verdict.retry_after == ask.about(200.0)

    @pytest.mark.parametrize(
        ("costs", "tightest", "remaining", "reset_after"),
        [
            pytest.param([ALL, ANN], CLIENT, 2.0, 100.0, id="two thirds left, nine tenths left"),
            pytest.param([ANN, ALL], CLIENT, 2.0, 100.0, id="in either order"),
            pytest.param([ALL, tokens(200), MODEL_SLOT], TOKENS, 800.0, 200.0, id="by parts, not by numbers"),
            pytest.param([ALL, ANN, SLOT], SLOTS, 1.0, 0.0, id="slots count: a half left"),
            pytest.param([MODEL_SLOT, ANN], CLIENT, 2.0, 100.0, id="slots count: seven eighths left"),
            pytest.param([SLOT, tokens(500)], SLOTS, 1.0, 0.0, id="a tie: the first"),
        ],
    )
    async def test_the_tightest_bucket_is_reported(
        self, ask: StoreDriver, costs: list[Cost], tightest: Limit, remaining: float, reset_after: float
    ) -> None:
        verdict = await ask.granted(*costs)
        assert verdict.limit is tightest
        assert verdict.remaining == ask.about(remaining)
        assert verdict.reset_after == ask.about(reset_after)

    async def test_keys_are_independent(self, ask: StoreDriver) -> None:
        for _ in range(3):
            await ask.granted(ANN)
        await ask.refused(ANN)
        assert (await ask.granted(BEN)).remaining == ask.about(2.0)

    async def test_limits_are_independent_under_the_same_key(self, ask: StoreDriver) -> None:
        await ask.granted(Cost(CLIENT, "x", 3.0))
        assert (await ask.granted(Cost(GLOBAL, "x"))).remaining == ask.about(9.0)
        assert (await ask.granted(Cost(SLOTS, "x"))).remaining == 1.0

    @pytest.mark.parametrize("key", ["", "client:Jürgen", "a:b:c", "client:{x} *[?]", "x" * 512])
    async def test_any_text_is_a_key(self, ask: StoreDriver, key: str) -> None:
        await ask.granted(Cost(CLIENT, key, 3.0))
        await ask.refused(Cost(CLIENT, key))
        await ask.granted(Cost(CLIENT, key + "+"))

    # -- a key's own limit ------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("capacity", "rate", "left"),
        [
            pytest.param(6.0, 0.02, 4.0, id="twice as much: the same part is left"),
            pytest.param(1.5, 0.005, 1.0, id="half as much: the same part is left"),
            pytest.param(5.0, 0.01, 4.0, id="a larger burst: the same amount was taken"),
        ],
    )
    async def test_another_limit_of_the_same_name_finds_the_same_bucket(
        self, ask: StoreDriver, capacity: float, rate: float, left: float
    ) -> None:
        own = Limit("client", "requestsPerHour", CLIENT.name, capacity, rate)
        await ask.granted(ANN)
        verdict = await ask.granted(Cost(own, ANN.key, 0.0))
        assert verdict.limit is own
        assert verdict.remaining == ask.about(left)
        assert verdict.reset_after == ask.about(100.0)
        assert await ask.level(own, BEN.key) == ask.about(capacity)

    async def test_a_smaller_limit_counts_what_was_taken(self, ask: StoreDriver, advance: Advance) -> None:
        own = Limit("client", "requestsPerHour", CLIENT.name, 1.0, 0.01)
        await ask.granted(Cost(CLIENT, ANN.key, 3.0))
        assert (await ask.refused(Cost(own, ANN.key))).retry_after == ask.about(300.0)
        advance(300)
        await ask.granted(Cost(own, ANN.key))

    async def test_slots_are_counted_whatever_the_capacity(self, ask: StoreDriver) -> None:
        wide = Cost(Limit("client", "concurrent", SLOTS.name, 4.0, 0.0), SLOT.key)
        for lease in (1, 2, 3):
            await ask.granted(wide, lease=lease)
        await ask.refused(SLOT, lease=4)
        ask.release(wide, lease=1)
        await ask.refused(SLOT, lease=4)
        ask.release(SLOT, lease=2)
        assert (await ask.granted(SLOT, lease=4)).remaining == 0.0

    # -- slots ------------------------------------------------------------------------------------

    async def test_slots_are_available_until_taken(self, ask: StoreDriver) -> None:
        assert await ask.granted(SLOT, lease=1) == Verdict(True, SLOTS, 1.0, 0.0, 0.0)
        assert await ask.granted(SLOT, lease=2) == Verdict(True, SLOTS, 0.0, 0.0, 0.0)
        assert await ask.refused(SLOT, lease=3) == Verdict(False, SLOTS, 0.0, 0.0, 1.0)
        await ask.granted(Cost(SLOTS, "client:ben"), lease=3)

    async def test_a_released_slot_can_be_taken(self, ask: StoreDriver) -> None:
        for lease in range(10):
            await ask.granted(SLOT, lease=lease)
            ask.release(SLOT, lease=lease)
        assert (await ask.granted(SLOT, lease=11)).remaining == 1.0

    async def test_releasing_a_slot_twice_releases_one(self, ask: StoreDriver) -> None:
        await ask.granted(SLOT, lease=1)
        await ask.granted(SLOT, lease=2)
        ask.release(SLOT, SLOT, lease=1)
        ask.release(SLOT, lease=1)
        await ask.granted(SLOT, lease=3)
        await ask.refused(SLOT, lease=4)

    async def test_a_lease_cannot_release_another_leases_slot(self, ask: StoreDriver) -> None:
        await ask.granted(SLOT, lease=1)
        await ask.granted(SLOT, lease=2)
        ask.release(SLOT, lease=3)
        ask.release(Cost(SLOTS, "client:ben"), lease=1)
        await ask.refused(SLOT, lease=3)
        assert (await ask.granted(Cost(SLOTS, "client:ben"), lease=3)).remaining == 1.0

    async def test_a_lease_holds_at_most_one_slot_of_a_bucket(self, ask: StoreDriver) -> None:
        for _ in range(3):
            assert (await ask.granted(SLOT, lease=1)).remaining == 1.0
        await ask.granted(SLOT, lease=2)
        assert (await ask.granted(SLOT, lease=1)).remaining == 0.0
        ask.release(SLOT, lease=1)
        await ask.granted(SLOT, lease=3)

    async def test_a_lease_holds_slots_of_several_buckets(self, ask: StoreDriver) -> None:
        await ask.granted(SLOT, MODEL_SLOT, lease=1)
        ask.release(MODEL_SLOT, lease=1)
        assert (await ask.granted(SLOT, lease=2)).remaining == 0.0
        assert (await ask.granted(MODEL_SLOT, lease=2)).remaining == 7.0
        ask.release(SLOT, MODEL_SLOT, lease=2)
        assert (await ask.granted(SLOT, lease=3)).remaining == 0.0

    # -- corrections ------------------------------------------------------------------------------

    async def test_usage_above_the_reservation_is_charged(self, ask: StoreDriver) -> None:
        await ask.granted(tokens(100))
        ask.correct(tokens(250))
        assert await ask.level(TOKENS, "gpt") == ask.about(650.0)

    async def test_usage_below_the_reservation_is_refunded(self, ask: StoreDriver) -> None:
        await ask.granted(tokens(900))
        ask.correct(tokens(-850))
        assert (await ask.granted(tokens(900))).remaining == ask.about(50.0)

    async def test_a_correction_of_an_unused_bucket_is_applied(self, ask: StoreDriver) -> None:
        ask.correct(tokens(300))
        assert await ask.level(TOKENS, "gpt") == ask.about(700.0)

    @pytest.mark.parametrize("amount", [1500.0, 1e12])
    async def test_a_debt_is_bounded_by_one_capacity(self, ask: StoreDriver, advance: Advance, amount: float) -> None:
        await ask.granted(tokens(500))
        ask.correct(tokens(amount))
        verdict = await ask.refused(tokens(10))
        assert verdict.remaining == 0.0
        assert verdict.retry_after == ask.about(1010.0)
        assert verdict.reset_after == ask.about(2000.0)
        advance(1010)
        await ask.granted(tokens(10))

    async def test_a_debt_below_the_bound_is_repaid_in_full(self, ask: StoreDriver) -> None:
        await ask.granted(tokens(1000))
        ask.correct(tokens(200))
        assert await ask.level(TOKENS, "gpt") == ask.about(-200.0)
        ask.correct(tokens(-300))
        assert await ask.level(TOKENS, "gpt") == ask.about(100.0)

    @pytest.mark.parametrize("amount", [-100.0, -101.0, -1e12])
    async def test_a_refund_never_exceeds_the_capacity(self, ask: StoreDriver, amount: float) -> None:
        await ask.granted(tokens(100))
        ask.correct(tokens(amount))
        assert await ask.level(TOKENS, "gpt") == ask.about(1000.0)
        await ask.granted(tokens(1000))
        await ask.refused(tokens(100))

    async def test_several_corrections_of_the_same_bucket_add_up(self, ask: StoreDriver) -> None:
        await ask.granted(tokens(500))
        ask.correct(tokens(200), tokens(-100), tokens(7, "other"))
        ask.correct(tokens(50))
        assert await ask.level(TOKENS, "gpt") == ask.about(350.0)
        assert await ask.level(TOKENS, "other") == ask.about(993.0)

    async def test_corrections_and_slots_are_settled_together(self, ask: StoreDriver, store: Store) -> None:
        await ask.granted(SLOT, tokens(500), lease=7)
        store.settle([tokens(-200)], [SLOT], 7)
        assert await ask.level(TOKENS, "gpt") == ask.about(700.0)
        assert (await ask.granted(SLOT, lease=8)).remaining == 1.0

    async def test_an_empty_settlement_changes_nothing(self, ask: StoreDriver, store: Store) -> None:
        store.settle([], [], 1)
        assert await ask.level(TOKENS, "gpt") == ask.about(1000.0)

    # -- in the long run --------------------------------------------------------------------------

    @pytest.fixture
    def names(self) -> Iterator[str]:
        """A name for each example's buckets, since they share a store."""
        return (str(number) for number in itertools.count())

    @settings(max_examples=60, suppress_health_check=SUPPRESSED)
    @given(script=steps())
    async def test_a_store_agrees_with_exact_arithmetic(
        self, ask: StoreDriver, advance: Advance, names: Iterator[str], script: list[Step]
    ) -> None:
        exact, name = Exact(ask.slack), next(names)
        for step in script:
            match step.among(name):
                case Wait(seconds):
                    advance(seconds)
                    exact.advance(seconds)
                case Take(costs, lease):
                    exact.take(costs, lease, await ask.take(*costs, lease=lease))
                case Settle(corrections, slots, lease):
                    ask.store.settle(corrections, slots, lease)
                    exact.settle(corrections, slots, lease)

    async def test_a_closed_store_raises(self, ask: StoreDriver, store: Store) -> None:
        await ask.granted(ANN)
        await store.close()
