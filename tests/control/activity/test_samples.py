"""How fast a deployment was, from its last answers."""

from __future__ import annotations

from statistics import quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.control.activity import samples
from proxy.control.activity.samples import KEPT, Deployments, Samples, Spread, spread


def test_of_no_values_there_is_no_spread() -> None:
    assert spread([]) is None


def test_one_value_is_both() -> None:
    assert spread([0.25], 1000.0) == Spread(250.0, 250.0)


def test_the_spread_of_a_hundred_values_is_told_by_the_nearest_rank() -> None:
    assert spread([float(n) for n in range(100, 0, -1)]) == Spread(50.0, 95.0)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_a_spread_consists_of_values_that_were_there_in_their_order(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    rounded = [round(each, 3) for each in values]
    assert found.p50 in rounded
    assert found.p95 in rounded
    assert min(rounded) <= found.p50 <= found.p95 <= max(rounded)
    assert sum(each <= found.p95 for each in rounded) >= len(values) * 0.95


def test_the_median_agrees_with_the_standard_librarys_on_a_large_sample() -> None:
    values = [((n * 7919) % 10007) / 10 for n in range(10007)]
    found = spread(values)
    assert found is not None
    assert found.p50 == pytest.approx(quantiles(values, n=2)[0], abs=0.1)
    assert found.p95 == pytest.approx(quantiles(values, n=20)[18], abs=0.2)


def test_only_the_last_two_hundred_answers_count_oldest_first() -> None:
    known = Samples()
    for number in range(KEPT + 5):
        known.add(float(number), None, None)
    assert len(known) == KEPT
    assert known.durations() == [float(number) for number in range(5, KEPT + 5)]


def test_what_is_not_known_of_an_answer_is_left_out() -> None:
    known = Samples()
    known.add(2.0, 0.5, 30)
    known.add(1.0, None, None)
    assert known.durations() == [2.0, 1.0]
    assert known.first_tokens() == [0.5]


def test_a_streams_speed_counts_from_its_first_token_and_a_plain_answers_from_its_beginning() -> None:
    known = Samples()
    known.add(2.0, 0.5, 30)  # 30 in 1.5 s
    known.add(0.5, None, 10)  # 10 in 0.5 s
    assert known.tokens_per_second() == 20.0


def test_without_tokens_or_time_there_is_no_speed() -> None:
    known = Samples()
    assert known.tokens_per_second() is None
    known.add(1.0, 1.0, 5)
    assert known.tokens_per_second() is None


def test_samples_take_little_memory_however_many_there_were() -> None:
    known = Samples()
    for _ in range(10 * KEPT):
        known.add(1.0, 1.0, 1)
    assert known._ring.itemsize * len(known._ring) <= 2400


def test_of_too_many_deployments_the_first_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MOST", 3)
    known = Deployments()
    for key in "abcd":
        known[key].add(1.0, None, None)
    assert list(known) == ["b", "c", "d"]
    assert known["d"] is known.get("d")
    assert known.get("a") is None
