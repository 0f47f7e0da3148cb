from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from proxy.events.backoff import FIRST_SECS, JITTER, LONGEST_REQUESTED, LONGEST_SECS, delay


def test_delays_double_up_to_five_minutes() -> None:
    delays = [delay(failures, None, Random(failures)) for failures in range(1, 14)]
    for failures, found in enumerate(delays, 1):
        expected = min(FIRST_SECS * 2 ** (failures - 1), LONGEST_SECS)
        assert expected * (1 - JITTER) <= found <= expected * (1 + JITTER)


@given(st.integers(1, 10**6), st.none() | st.floats(0, 1e12), st.integers())
def test_a_delay_is_bounded_and_not_shorter_than_requested(failures: int, requested: float | None, seed: int) -> None:
    found = delay(failures, requested, Random(seed))
    assert min(requested or 0.0, LONGEST_REQUESTED) <= found <= LONGEST_REQUESTED
