from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.translation.effort import EFFORTS, budget_of, effort_of, nearest

takings = st.none() | st.lists(st.sampled_from(EFFORTS), unique=True)


@pytest.mark.parametrize("effort", EFFORTS)
def test_the_budget_of_an_effort_means_this_effort(effort: str) -> None:
    assert effort_of(budget_of(effort)) == effort


@given(st.integers(-1, 200_000), st.integers(-1, 200_000))
def test_a_larger_budget_is_no_lower_effort(one: int, two: int) -> None:
    small, large = sorted((one, two))
    assert EFFORTS.index(effort_of(small)) <= EFFORTS.index(effort_of(large))


def test_the_least_budget_is_what_anthropic_takes() -> None:
    assert min(budget for effort in EFFORTS if (budget := budget_of(effort))) == 1024
    assert budget_of("none") == budget_of("anything") == 0


@pytest.mark.parametrize(
    ("effort", "taken", "found"),
    [
        ("xhigh", ("low", "medium", "high"), "high"),
        ("max", ("low", "high", "max"), "max"),
        ("medium", ("low", "high", "max"), "low"),
        ("minimal", ("low", "medium"), "low"),
        ("none", ("low", "medium"), "low"),
        ("high", (), ""),
        ("high", None, "high"),
        ("ultra", None, "ultra"),
        ("ultra", ("high",), ""),
        ("ultra", ("ultra",), "ultra"),
    ],
)
def test_the_nearest_effort_is_sent(effort: str, taken: tuple[str, ...] | None, found: str) -> None:
    assert nearest(effort, taken) == found


@given(st.sampled_from(EFFORTS), takings)
def test_what_is_sent_is_taken_and_nothing_nearer_is(effort: str, taken: list[str] | None) -> None:
    found = nearest(effort, taken)
    if not found:
        assert taken == []
        return
    assert taken is None or found in taken
    rank, wanted = EFFORTS.index(found), EFFORTS.index(effort)
    between = EFFORTS[min(rank, wanted) + 1 : max(rank, wanted)]
    assert taken is None or not set(between) & set(taken)
