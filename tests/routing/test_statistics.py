from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.routing.statistics import NEWEST, SLOTS, Statistics

WINDOW = 300.0
SLOT = WINDOW / SLOTS


def test_without_attempts_nothing_is_known() -> None:
    statistics = Statistics(WINDOW)
    assert statistics.success_rate(1e6) is None
    assert statistics.latency is None
    assert statistics.counts(1e6) == (0, 0)


@pytest.mark.parametrize(
    ("ends", "rate"),
    [([True], 1.0), ([False], 0.0), ([True, False], 0.5), ([True, True, False], 2 / 3), ([True] * 9 + [False], 0.9)],
)
def test_the_success_rate_is_the_share_of_successful_attempts(ends: list[bool], rate: float) -> None:
    statistics = Statistics(WINDOW)
    for ok in ends:
        statistics.record(ok, 50.0)
    assert statistics.success_rate(50.0) == rate
    assert statistics.counts(50.0) == (len(ends), ends.count(False))


def test_counts_older_than_the_window_are_dropped() -> None:
    statistics = Statistics(WINDOW)
    statistics.record(False, 1000.0)
    statistics.record(True, 1000.0 + WINDOW / 2)
    assert statistics.success_rate(1000.0 + WINDOW / 2) == 0.5
    assert statistics.success_rate(1000.0 + WINDOW) == 1.0
    assert statistics.success_rate(1000.0 + WINDOW * 1.5) is None


def test_abandoned_attempts_are_counted_separately() -> None:
    statistics = Statistics(WINDOW)
    for moment in (1000.0, 1000.0 + WINDOW / 2):
        statistics.record_abandoned(moment)
    assert statistics.slow(1000.0 + WINDOW / 2) == 2
    assert (statistics.success_rate(1000.0), statistics.counts(1000.0)) == (None, (0, 0))
    statistics.resize(WINDOW * 2)
    assert statistics.slow(1000.0 + WINDOW / 2) == 2
    statistics.resize(WINDOW)
    assert statistics.slow(1000.0 + WINDOW) == 1
    assert statistics.slow(1e9) == 0


def test_a_long_idle_time_clears_the_statistics() -> None:
    statistics = Statistics(WINDOW)
    statistics.record(False, 1000.0)
    statistics.record_first_token(2.0, 1000.0)
    assert statistics.counts(1e9) == (0, 0)
    assert statistics.latency is None


def test_the_latency_starts_at_the_first_sample_and_follows_the_newest() -> None:
    statistics = Statistics(WINDOW)
    statistics.record_first_token(1.0, 10.0)
    assert statistics.latency == 1.0
    statistics.record_first_token(3.0, 11.0)
    assert statistics.latency == 2.0
    for _ in range(100):
        statistics.record_first_token(5.0, 12.0)
    assert statistics.latency == pytest.approx(5.0)
    statistics.record_first_token(15.0, 13.0)
    assert statistics.latency == pytest.approx(5.0 + 10.0 * NEWEST)


def test_the_latency_expires_with_the_window() -> None:
    statistics = Statistics(WINDOW)
    statistics.record_first_token(1.0, 1000.0)
    statistics.record(True, 1000.0 + WINDOW - SLOT)
    assert statistics.latency == 1.0
    statistics.advance(1000.0 + WINDOW)
    assert statistics.latency is None
    assert statistics.success_rate(1000.0 + WINDOW) == 1.0
    statistics.record_first_token(9.0, 1000.0 + WINDOW)
    assert statistics.latency == 9.0


@pytest.mark.parametrize(
    ("window", "later", "counts"),
    [
        pytest.param(WINDOW, 0.0, (3, 1), id="the same window"),
        pytest.param(WINDOW * 4, 0.0, (3, 1), id="a longer one keeps all"),
        pytest.param(WINDOW * 4, WINDOW, (3, 1), id="and keeps it longer"),
        pytest.param(WINDOW * 4, WINDOW * 4, (0, 0), id="but not for ever"),
        pytest.param(WINDOW / 2, 0.0, (2, 0), id="a shorter window drops older counts at once"),
        pytest.param(WINDOW / 2, WINDOW / 2, (0, 0), id="a shorter window drops the rest as time passes"),
    ],
)
def test_resizing_keeps_the_age_of_counts(window: float, later: float, counts: tuple[int, int]) -> None:
    statistics = Statistics(WINDOW)
    statistics.record(False, 1000.0)
    statistics.record(True, 1200.0)
    statistics.record(True, 1201.0)
    statistics.resize(window)
    assert statistics.window == pytest.approx(window)
    assert statistics.counts(1201.0 + later) == counts


def test_resizing_keeps_a_recent_latency() -> None:
    statistics = Statistics(WINDOW)
    statistics.record_first_token(1.0, 1000.0)
    statistics.advance(1200.0)
    statistics.resize(WINDOW * 2)
    assert statistics.latency == 1.0
    statistics.record_first_token(3.0, 1200.0)
    assert statistics.latency == 2.0
    statistics.advance(1400.0)
    statistics.resize(WINDOW / 4)
    assert statistics.latency is None


STEPS = st.lists(st.tuples(st.floats(0, 2 * WINDOW), st.booleans()), max_size=60)


@given(tiers=STEPS, start=st.floats(0, 1e7), window=st.sampled_from([0.7, 60.0, WINDOW, 1e5]))
def test_the_counts_are_those_of_the_last_window_give_or_take_one_slot(
    tiers: list[tuple[float, bool]], start: float, window: float
) -> None:
    statistics, now, story = Statistics(window), start, []
    slot = window / SLOTS
    for passed, ok in tiers:
        now += passed
        story.append((now, ok))
        statistics.record(ok, now)
        requests, failures = statistics.counts(now)
        surely = [good for at, good in story if now - at < window - slot * 1.001]
        perhaps = [good for at, good in story if now - at <= window * 1.001]
        assert len(surely) <= requests <= len(perhaps)
        assert surely.count(False) <= failures <= perhaps.count(False)
        assert statistics.success_rate(now) == (requests - failures) / requests


@given(tiers=STEPS, windows=st.lists(st.sampled_from([1.0, 60.0, WINDOW, 1e4]), min_size=1, max_size=4))
def test_resizing_never_adds_counts(tiers: list[tuple[float, bool]], windows: list[float]) -> None:
    statistics, now = Statistics(WINDOW), 5000.0
    for number, (passed, ok) in enumerate(tiers):
        now += passed
        statistics.record(ok, now)
        before = statistics.counts(now)
        statistics.resize(windows[number % len(windows)])
        requests, failures = statistics.counts(now)
        assert 0 <= failures <= requests <= before[0]
        assert failures <= before[1]
    assert statistics.counts(now + 1e6) == (0, 0)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([0, 0, 1, 2, SLOTS - 1, SLOTS, 3 * SLOTS]), st.sampled_from(["good", "bad", "look", "turn"])
        ),
        max_size=60,
    )
)
def test_the_counts_are_those_of_the_slots_within_the_window(tiers: list[tuple[int, str]]) -> None:
    """Compared with a list of all attempts; the clock stands still or advances by some slots."""
    statistics, ended, slot = Statistics(WINDOW), list[tuple[int, bool]](), 100
    for ahead, what in tiers:
        slot += ahead
        now = (slot + 0.5) * SLOT
        match what:
            case "good" | "bad":
                statistics.record(what == "good", now)
                ended.append((slot, what == "good"))
            case "turn":
                statistics.advance(now)
        kept = [ok for at, ok in ended if slot - at < SLOTS]
        assert statistics.counts(now) == (len(kept), kept.count(False))
