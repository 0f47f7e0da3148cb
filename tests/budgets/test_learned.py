"""Learned ratios, of known distributions of tokens for a byte."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.budgets.learned import HALF_LIFE, LEAST_OBSERVED, ByteRatio, LearnedRatios
from proxy.routing.deployment import Deployment
from tests.support.catalogs import build

STEP = 1 / 0.96  # from one bin to the next
SIZE = 100_000  # bytes, so that rounding to whole tokens does not matter


def observed(ratios: list[float], into: ByteRatio | None = None) -> ByteRatio:
    found = ByteRatio() if into is None else into
    for ratio in ratios:
        found.observe(SIZE, round(ratio * SIZE))
    return found


def deployments(*settings: dict[str, str]) -> list[Deployment]:
    models = [{"name": f"m{number}", "provider": "p"} | each for number, each in enumerate(settings)]
    return list(
        build(models, {"p": {"baseUrl": "http://127.0.0.1:1"}, "q": {"baseUrl": "http://127.0.0.1:2"}}).deployments
    )


def percentile(ratios: list[float]) -> float:
    """The least ratio that at most a hundredth of them exceed."""
    return sorted(ratios)[-1 - int(len(ratios) * 0.01)]


def test_nothing_is_lowered_before_enough_calls() -> None:
    few = observed([0.2] * (LEAST_OBSERVED - 1))
    assert few.ratio() == 1.0
    assert observed([0.2], few).ratio() == pytest.approx(0.2, rel=STEP - 1)


@given(st.lists(st.floats(0.0001, 5.0), min_size=LEAST_OBSERVED, max_size=900))
def test_one_call_in_a_hundred_at_most_exceeds_the_ratio(ratios: list[float]) -> None:
    found = observed(ratios)
    counted = [min(round(ratio * SIZE) / SIZE, 1.0) for ratio in ratios]
    # A ratio is computed again at most 64 calls later, during which lower calls may have come.
    assert sum(ratio > found.ratio() + 1e-9 for ratio in counted) <= len(counted) * 0.01
    assert 0 < found.ratio() <= 1.0


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("draw", ["uniform", "normal", "two languages", "long tail"])
def test_the_ratio_is_the_99th_percentile_of_what_was_seen(draw: str, seed: int) -> None:
    chance = random.Random(seed)
    draws = {
        "uniform": lambda: chance.uniform(0.1, 0.5),
        "normal": lambda: min(max(chance.gauss(0.25, 0.02), 0.05), 1.0),
        "two languages": lambda: chance.uniform(0.2, 0.25) if chance.random() < 0.7 else chance.uniform(0.4, 0.6),
        "long tail": lambda: min(0.2 * chance.paretovariate(8), 1.0),
    }
    ratios = [draws[draw]() for _ in range(HALF_LIFE - 1)]
    least = percentile(ratios)
    assert least - 1e-4 <= observed(ratios).ratio() <= least * STEP + 0.02


@given(st.lists(st.floats(0.05, 1.0), min_size=2 * LEAST_OBSERVED, max_size=400), st.randoms(use_true_random=False))
def test_the_order_of_calls_does_not_matter_before_they_age(ratios: list[float], chance: random.Random) -> None:
    shuffled = list(ratios)
    chance.shuffle(shuffled)
    one, other = observed(ratios), observed(shuffled)
    observed([ratios[0]] * 64, one)  # both are up to date now
    observed([ratios[0]] * 64, other)
    assert one.ratio() == other.ratio()


def test_a_ratio_is_never_above_one() -> None:
    assert observed([3.0] * 500).ratio() == 1.0
    mixed = observed([0.2] * 900)
    assert observed([3.0] * 20, mixed).ratio() == 1.0


def test_a_new_language_shows_after_a_few_calls() -> None:
    found = observed([0.2] * 5_000)
    assert found.ratio() < 0.21
    assert observed([0.6] * 25, found).ratio() == pytest.approx(0.6, rel=STEP - 1)


def test_a_language_that_is_not_used_any_more_is_forgotten() -> None:
    found = observed([0.6] * 5_000)
    assert observed([0.2] * HALF_LIFE, found).ratio() > 0.59
    assert observed([0.2] * 8 * HALF_LIFE, found).ratio() < 0.21


def test_a_call_without_bytes_or_tokens_teaches_nothing() -> None:
    found = ByteRatio()
    for size, tokens in ((0, 5), (-1, 5), (100, 0), (100, -5)):
        found.observe(size, tokens)
    assert repr(found) == "<ByteRatio 1.000 of 0 calls>"


def test_each_model_of_a_provider_has_its_own_ratio() -> None:
    ratios = LearnedRatios()
    one, other, same, elsewhere = deployments({}, {}, {"model": "m0"}, {"model": "m0", "provider": "q"})
    for _ in range(LEAST_OBSERVED):
        ratios.observe(one, 1_000, 250)
        ratios.observe(other, 0, 250)  # an image
        ratios.observe(other, 1_000, None)
    assert ratios.ratio(one) == pytest.approx(0.25, rel=STEP - 1)
    assert ratios.ratio(same) == ratios.ratio(one)
    assert ratios.ratio(other) == ratios.ratio(elsewhere) == 1.0
    (reloaded,) = deployments({})
    assert reloaded is not one
    assert ratios.ratio(reloaded) == ratios.ratio(one)


def test_models_beyond_the_bound_are_forgotten() -> None:
    ratios = LearnedRatios(2)
    first, second, third = deployments({}, {}, {})
    for each in (first, second):
        for _ in range(LEAST_OBSERVED):
            ratios.observe(each, 1_000, 250)
    assert ratios.ratio(first) < 1.0  # and so it is used later than the second
    ratios.observe(third, 1_000, 250)
    assert [ratios.ratio(each) < 1.0 for each in (first, second, third)] == [True, False, False]
