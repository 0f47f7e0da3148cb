"""The better of two: fewer failures, less latency, less load; and no address starves."""

from __future__ import annotations

from proxy.addresses.recent import FAILURE_SECS, HALF_LIFE, LEAST_SECS
from proxy.config.service_schema import ServiceSettings
from tests.addresses.sets import Set

HEALTHIEST = ServiceSettings(strategy="healthiest")


def test_the_same_random_numbers_choose_the_same() -> None:
    one, other = Set(1, 2, 3, settings=HEALTHIEST, seed=7), Set(1, 2, 3, settings=HEALTHIEST, seed=7)
    assert one.turns(50) == other.turns(50)
    assert one.turns(50) != Set(1, 2, 3, settings=HEALTHIEST, seed=8).turns(50)


def test_equally_good_ones_are_chosen_by_weight() -> None:
    found = Set(1, 3, settings=HEALTHIEST).counts(4000)
    assert 900 < found["0"] < 1100


def test_failures_and_latency_cost_an_address_requests_but_not_all() -> None:
    for failures, latency in ((10, 0.01), (0, 0.5)):
        known = Set(1, 1, 1, settings=HEALTHIEST)
        for live in (known[0], known[1], known[2]):
            live.requests, live.latency = 100, 0.05
        known[1].failures, known[1].latency = failures, latency
        found = known.counts(3000)
        assert 200 < found["1"] < 470  # one in nine: when it is drawn twice


def test_an_address_that_fails_fast_is_no_better_than_a_slow_one() -> None:
    known = Set(1, 1, settings=HEALTHIEST)
    known[0].requests, known[0].failures, known[0].latency = 100, 50, 0.001
    known[1].requests, known[1].latency = 100, 1.0
    found = known.counts(1000)
    assert found["1"] > 2 * found["0"]


def test_running_requests_count_by_weight() -> None:
    known = Set(1, 1, settings=HEALTHIEST)
    known[0].in_flight = 3
    found = known.counts(1000)
    assert found["1"] > 2 * found["0"]
    known = Set(1, 9, settings=HEALTHIEST)
    known[0].in_flight, known[1].in_flight = 1, 2
    assert known.counts(1000)["1"] > 950


def test_outcomes_are_forgotten() -> None:
    known = Set(1, settings=HEALTHIEST)
    live = known[0]
    assert live.recent.seconds(live, 0.0) == LEAST_SECS
    live.requests, live.failures, live.latency = 99, 99, 0.5
    bad = live.recent.seconds(live, 1.0)
    assert bad == LEAST_SECS + (0.5 * 99 + FAILURE_SECS * 99) / 100
    assert live.recent.seconds(live, 1.0) == bad
    later = live.recent.seconds(live, 1.0 + HALF_LIFE)
    assert later == LEAST_SECS + (0.5 * 49.5 + FAILURE_SECS * 49.5) / 50.5
    assert live.recent.seconds(live, 1.0 + 20 * HALF_LIFE) < 0.01
    live.requests += 1000  # all of which succeed
    live.latency = 0.01
    assert live.recent.seconds(live, 2.0 + 20 * HALF_LIFE) < 0.02


def test_a_retry_avoids_what_was_tried() -> None:
    known = Set(1, 1, 1, settings=HEALTHIEST)
    assert known.choose(tried=(known[0], known[2])) is known[1]
    known[2].requests, known[2].latency = 100, 1.0
    found = [known.choose(tried=(known[0],)) for _ in range(1000)]
    assert 180 < found.count(known[2]) < 320
