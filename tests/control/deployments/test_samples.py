"""Samples of a deployment, and percentiles."""

from __future__ import annotations

from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.deployments import samples
from proxy.control.deployments.samples import (
    MAX_ANSWERS,
    DeploymentSamples,
    Percentiles,
    SamplesByDeployment,
    percentiles,
)


def test_without_values_there_are_no_percentiles() -> None:
    assert percentiles([]) is None


def test_one_value_is_both_percentiles() -> None:
    assert percentiles([0.25], 1000.0) == Percentiles(250.0, 250.0)


def test_percentiles_use_the_nearest_rank() -> None:
    assert percentiles([float(n) for n in range(100, 0, -1)]) == Percentiles(50.0, 95.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_are_among_the_values(values: list[float]) -> None:
    found = percentiles(values)
    assert found is not None
    rounded = [round(each, 3) for each in values]
    assert found.p50 in rounded
    assert found.p95 in rounded
    assert min(rounded) <= found.p50 <= found.p95 <= max(rounded)
    assert sum(each <= found.p95 for each in rounded) >= len(values) * 0.95


def test_the_median_agrees_with_the_standard_library() -> None:
    values = [((n * 7919) % 10007) / 10 for n in range(10007)]
    found = percentiles(values)
    assert found is not None
    assert found.p50 == pytest.approx(quantiles(values, n=2)[0], abs=0.1)
    assert found.p95 == pytest.approx(quantiles(values, n=20)[18], abs=0.2)


def test_the_last_two_hundred_answers_are_kept_oldest_first() -> None:
    known = DeploymentSamples()
    for number in range(MAX_ANSWERS + 5):
        known.add(float(number), None, None)
    assert len(known) == MAX_ANSWERS
    assert known.durations() == [float(number) for number in range(5, MAX_ANSWERS + 5)]


def test_unknown_values_are_left_out() -> None:
    known = DeploymentSamples()
    known.add(2.0, 0.5, 30)
    known.add(1.0, None, None)
    assert known.durations() == [2.0, 1.0]
    assert known.first_tokens() == [0.5]


def test_speed_counts_from_the_first_token_of_a_stream() -> None:
    known = DeploymentSamples()
    known.add(2.0, 0.5, 30)  # 30 in 1.5 s
    known.add(0.5, None, 10)  # 10 in 0.5 s
    assert known.tokens_per_second() == 20.0


def test_without_tokens_or_time_the_speed_is_none() -> None:
    known = DeploymentSamples()
    assert known.tokens_per_second() is None
    known.add(1.0, 1.0, 5)
    assert known.tokens_per_second() is None


def test_samples_take_bounded_memory() -> None:
    known = DeploymentSamples()
    for _ in range(10 * MAX_ANSWERS):
        known.add(1.0, 1.0, 1)
    assert known._ring.itemsize * len(known._ring) <= 2400


def test_the_oldest_of_too_many_deployments_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MAX_DEPLOYMENTS", 3)
    known = SamplesByDeployment()
    for key in "abcd":
        known[key].add(1.0, None, None)
    assert list(known) == ["b", "c", "d"]
    assert known["d"] is known.get("d")
    assert known.get("a") is None
