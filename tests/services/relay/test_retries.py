from __future__ import annotations

from random import Random
from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from proxy.services.relay.retries import ALWAYS, LONGEST_PAUSE, RetryBudget, pause_before


def service(*running: int) -> Any:
    addresses = [SimpleNamespace(in_flight=each) for each in running]
    return SimpleNamespace(name="s", group=SimpleNamespace(addresses=addresses))


def test_a_few_retries_always_run() -> None:
    budget = RetryBudget()
    assert all(budget.take(service(0), 0.0) for _ in range(ALWAYS))
    assert not budget.take(service(0), 0.0)


def test_beyond_them_a_share_of_the_running_requests_may_be_retries() -> None:
    budget = RetryBudget()
    taken = 0
    while budget.take(service(60, 40), 20.0):
        taken += 1
    assert taken == 20
    budget.give("s")
    assert budget.take(service(60, 40), 20.0)


def test_all_running_requests_may_be_retries_at_100_percent() -> None:
    budget = RetryBudget()
    for running in range(50):
        assert budget.take(service(running), 100.0)


def test_services_have_budgets_of_their_own() -> None:
    budget = RetryBudget()
    for _ in range(ALWAYS):
        budget.take(service(0), 0.0)
    other = service(0)
    other.name = "t"
    assert budget.take(other, 0.0)


def test_nothing_is_left_of_retries_that_ended() -> None:
    budget = RetryBudget()
    budget.take(service(0), 0.0)
    budget.give("s")
    assert repr(budget) == "<RetryBudget {}>"


@given(st.integers(1, 100), st.integers())
def test_pauses_grow_up_to_a_bound(attempt: int, seed: int) -> None:
    assert 0.0 < pause_before(attempt, Random(seed)) <= LONGEST_PAUSE
    assert pause_before(1, Random(seed)) <= pause_before(2, Random(seed))
