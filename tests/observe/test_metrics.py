from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_async.aio import time

from proxy.dialects.usage import Usage
from proxy.errors import StreamTruncated
from proxy.exchange import Attempt
from proxy.limits.base import Level
from proxy.observe.bounds import CONNECT, DURATION, FIRST_TOKEN, GAP, INTER_TOKEN, OVERHEAD
from proxy.observe.families import LEVELS, OUTCOMES
from proxy.observe.family import Family
from proxy.observe.metrics import Metrics
from proxy.pricing.bill import Bill, UsageSource
from proxy.pricing.cost import CostSource, RatedCost
from proxy.routing.endpoints import MODELS, OPAQUE, UNROUTED, Endpoint
from tests.observe.exchanges import DEPLOYMENT, attempt_of, refused, settled


@pytest.fixture
def metrics() -> Metrics:
    metrics = Metrics()
    metrics.set_labels([DEPLOYMENT])
    return metrics


def counted(family: Family[Any]) -> dict[tuple[str, ...], float]:
    return {labels: cell.value for labels, cell in family.cells.items()}


def observed(family: Family[Any]) -> dict[tuple[str, ...], tuple[int, float]]:
    return {labels: (sum(cell.counts), cell.sum) for labels, cell in family.cells.items()}


def test_a_successful_stream_is_counted_once_in_each_metric(metrics: Metrics) -> None:
    metrics.settle([settled()])
    assert counted(metrics.families.requests) == {(*DEPLOYMENT, "ok"): 1}
    assert observed(metrics.families.duration) == {DEPLOYMENT: (1, 3.0)}
    assert observed(metrics.families.first_token) == {DEPLOYMENT: (1, 0.25)}
    assert observed(metrics.families.longest_gap) == {DEPLOYMENT: (1, 0.125)}
    assert counted(metrics.families.tokens) == {
        (*DEPLOYMENT, "input"): 10,
        (*DEPLOYMENT, "cached"): 20,
        (*DEPLOYMENT, "output"): 30,
    }
    assert not metrics.families.errors.cells
    assert not metrics.families.truncated.cells
    assert metrics.client_disconnects == 0


@pytest.mark.parametrize("cache", ["hit", "stale"])
def test_an_answer_from_the_cache_is_of_no_provider(metrics: Metrics, cache: str) -> None:
    """Its time would make a provider look fast, or one look well that is down."""
    metrics.settle([settled(cache=cache, attempts=[], usage=None, first_content=None)])
    assert counted(metrics.families.requests) == {("none", "none", "ok"): 1}
    assert list(observed(metrics.families.duration)) == [("none", "none")]


def test_counts_add_up_over_exchanges(metrics: Metrics) -> None:
    metrics.settle([settled()])
    metrics.settle([settled(ended=101.0, usage=Usage(output=5))])
    assert counted(metrics.families.requests) == {(*DEPLOYMENT, "ok"): 2}
    assert observed(metrics.families.duration) == {DEPLOYMENT: (2, 4.0)}
    assert counted(metrics.families.tokens)[(*DEPLOYMENT, "output")] == 35


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_has_its_own_label_set(metrics: Metrics, outcome: str) -> None:
    metrics.settle([settled(outcome=outcome)])
    assert counted(metrics.families.requests) == {(*DEPLOYMENT, outcome): 1}


@pytest.mark.parametrize(
    ("endpoint", "outcome", "kind"),
    [
        (MODELS, "ok", "models"),
        (OPAQUE, "broken", "passthrough"),
        (UNROUTED, "ok", "preflight"),
        (UNROUTED, "error", "refused"),
        (UNROUTED, "client_gone", "refused"),
    ],
)
def test_other_requests_have_a_separate_counter(metrics: Metrics, endpoint: Endpoint, outcome: str, kind: str) -> None:
    metrics.settle([settled(endpoint=endpoint, outcome=outcome, error="x", attempts=[attempt_of(100.5, 102.5)])])
    assert counted(metrics.families.others) == {(kind, outcome): 1}
    assert counted(metrics.families.attempts) == {(DEPLOYMENT[0], "ok"): 1}
    for family in (
        metrics.families.requests,
        metrics.families.errors,
        metrics.families.duration,
        metrics.families.tokens,
        metrics.families.first_token,
    ):
        assert not family.cells
    assert (metrics.client_disconnects, metrics.fallbacks) == (0, 0)


def test_pages_are_counted_separately(metrics: Metrics) -> None:
    for status in (200, 303, 404, 500):
        metrics.page(status)
    assert counted(metrics.families.others) == {("page", "ok"): 2, ("page", "error"): 2}


def test_only_streams_have_a_first_token_and_a_gap(metrics: Metrics) -> None:
    metrics.settle([settled(stream=False)])
    assert not metrics.families.first_token.cells
    assert not metrics.families.longest_gap.cells
    assert metrics.families.duration.cells


def test_a_failed_stream_has_no_first_token(metrics: Metrics) -> None:
    metrics.settle([settled(outcome="error", status=504, error="timeout_first_content", first_content=None)])
    assert not metrics.families.first_token.cells
    assert not metrics.families.longest_gap.cells


def test_the_queue_of_observations_is_bounded(metrics: Metrics) -> None:
    for _ in range(600):
        metrics.settle([settled(attempts=[attempt_of(100.5, 102.5)])])
    histograms = (
        metrics.families.duration,
        metrics.families.first_token,
        metrics.families.inter_token,
        metrics.families.longest_gap,
        metrics.families.overhead,
    )
    for family in histograms:
        (spread,) = family.cells.values()
        assert len(spread._values) < 256
        assert sum(spread.counts) == 600


# -- the time between tokens --------------------------------------------------------------------------


def gaps(*, seconds: float = 2.0, **facts: Any) -> list[tuple[int, float]]:
    """Observations of one stream whose content arrived within ``seconds``."""
    metrics = Metrics()
    metrics.set_labels([DEPLOYMENT])
    metrics.settle([settled(first_content=101.0, ended=101.0 + seconds, **facts)])
    return list(observed(metrics.families.inter_token).values())


def test_the_time_between_tokens_is_the_mean_of_a_stream() -> None:
    assert gaps(usage=Usage(output=5), events=8) == [(1, 0.5)]


def test_without_usage_tokens_are_estimated_from_events() -> None:
    assert gaps(usage=None, events=9) == [(1, 0.25)]
    assert gaps(usage=Usage(input=7), events=9) == [(1, 0.25)]


def test_reasoning_that_is_not_streamed_makes_no_stream_faster() -> None:
    assert gaps(usage=Usage(output=5, reasoning=2000), events=5) == [(1, 0.5)]
    assert gaps(usage=Usage(output=5, reasoning=4), events=12) == [(1, 0.25)]


@pytest.mark.parametrize(
    "facts",
    [
        {"usage": Usage(output=1)},
        {"usage": Usage(output=0)},
        {"usage": Usage(output=-7, reasoning=3)},
        {"usage": None, "events": 1},
        {"usage": None, "events": 0},
        {"outcome": "broken", "error": "timeout_idle"},
        {"outcome": "client_gone"},
        {"stream": False},
    ],
)
def test_short_or_incomplete_streams_have_no_token_gap(facts: dict[str, Any]) -> None:
    assert gaps(**facts) == []


@given(st.integers(-5, 100) | st.none(), st.integers(-5, 100) | st.none(), st.integers(0, 200))
def test_the_time_between_tokens_is_never_negative(output: int | None, reasoning: int | None, events: int) -> None:
    for _, total in gaps(usage=Usage(output=output, reasoning=reasoning), events=events):
        assert 0 < total <= 2.0


# -- our own share ------------------------------------------------------------------------------------


def own_share(**facts: Any) -> list[tuple[int, float]]:
    metrics = Metrics()
    metrics.settle([settled(**facts)])
    return list(observed(metrics.families.overhead).values())


def test_overhead_of_a_plain_response_is_before_and_after_attempts() -> None:
    attempts = [attempt_of(100.25, 102.5)]
    assert own_share(stream=False, first_content=None, attempts=attempts) == [(1, 0.75)]


def test_overhead_of_a_stream_is_before_the_first_attempt() -> None:
    assert own_share(attempts=[attempt_of(100.125, 102.0)]) == [(1, 0.125)]


def test_retries_and_their_delays_are_not_overhead() -> None:
    attempts = [attempt_of(100.25, 100.5), attempt_of(101.5, 102.5)]
    assert own_share(stream=False, first_content=None, attempts=attempts) == [(1, 0.75)]


def test_without_attempts_there_is_no_overhead() -> None:
    assert own_share(attempts=[]) == [(0, 0.0)]


def test_overhead_is_never_negative() -> None:
    assert own_share(attempts=[attempt_of(99.0, None)]) == [(1, 0.0)]


# -- limits -------------------------------------------------------------------------------------------


def test_admitted_and_rejected_requests_are_counted(metrics: Metrics) -> None:
    metrics.admitted.value += 1
    metrics.admitted.value += 1
    metrics.limited("client")
    metrics.limited("of another kind")
    found = counted(metrics.families.limits)
    assert found["all", "admitted"] == 2
    assert found["client", "refused"] == 1
    assert found["other", "refused"] == 1
    assert found["provider", "refused"] == 0


def test_limit_levels_match_the_configured_levels() -> None:
    assert get_args(Level) == LEVELS


def test_unknown_tokens_are_not_zero_and_zero_is_not_unknown(metrics: Metrics) -> None:
    metrics.settle([settled(usage=Usage(input=0, output=None))])
    assert counted(metrics.families.tokens) == {(*DEPLOYMENT, "input"): 0}


def test_no_usage_counts_no_tokens(metrics: Metrics) -> None:
    metrics.settle([settled(usage=None)])
    assert not metrics.families.tokens.cells


def test_a_negative_count_does_not_decrease_a_counter(metrics: Metrics) -> None:
    metrics.settle([settled(usage=Usage(input=7, cache_read=7, output=7, reasoning=7))])
    metrics.settle([settled(usage=Usage(input=-1, cache_read=-1, output=-1, reasoning=-1))])
    assert set(counted(metrics.families.tokens).values()) == {7}


def billed(source: UsageSource, nano: int | None, priced_by: CostSource) -> Attempt:
    attempt = attempt_of(100.5, 102.5)
    attempt.bill = Bill(source, Usage(), RatedCost(nano, priced_by))
    return attempt


def test_costs_are_counted_by_where_they_come_from(metrics: Metrics) -> None:
    metrics.settle([settled(attempts=[billed("provider", 250_000_000, "operator")])] * 2)
    metrics.settle([settled(attempts=[billed("provider", 500_000_000, "provider")])])
    metrics.settle([settled(attempts=[billed("estimated", 750_000_000, "catalog")])])
    assert counted(metrics.families.cost) == {
        (*DEPLOYMENT, "operator"): 0.5,
        (*DEPLOYMENT, "provider"): 0.5,
        (*DEPLOYMENT, "estimated"): 0.75,
    }
    assert not metrics.families.unknown_cost.cells


def test_costs_that_are_not_known_are_counted_apart(metrics: Metrics) -> None:
    attempts = [
        billed("unknown", None, "unpriced"),
        billed("provider", None, "unpriced"),
        billed("estimated", None, "unpriced"),
        billed("none", 0, "none"),
    ]
    metrics.settle([settled(provider="elsewhere", attempts=attempts)])
    assert counted(metrics.families.unknown_cost) == {(*DEPLOYMENT, "usage"): 1, (*DEPLOYMENT, "price"): 2}
    assert not metrics.families.cost.cells


def test_a_client_disconnect_is_not_an_error(metrics: Metrics) -> None:
    metrics.settle([settled(outcome="client_gone")])
    assert metrics.client_disconnects == 1
    assert not metrics.families.errors.cells
    assert not metrics.families.truncated.cells


def test_errors_are_counted_by_their_code(metrics: Metrics) -> None:
    metrics.settle([settled(outcome="error", status=504, error="timeout_idle")])
    metrics.settle([settled(outcome="error", status=504, error="timeout_idle")])
    metrics.settle([refused("model_not_found", 404)])
    assert counted(metrics.families.errors) == {("timeout_idle",): 2, ("model_not_found",): 1}


def test_an_error_without_a_code_is_counted_by_the_class_of_its_status(metrics: Metrics) -> None:
    metrics.settle([settled(outcome="error", status=422, error="")])
    metrics.settle([settled(outcome="cancelled", status=0, error="")])
    assert counted(metrics.families.errors) == {("status_4xx",): 1, ("cancelled",): 1}


def test_the_code_of_a_recovered_attempt_is_not_an_error(metrics: Metrics) -> None:
    metrics.settle([settled(error="upstream_disconnected")])
    assert not metrics.families.errors.cells


@pytest.mark.parametrize("code", ["sk-secret with spaces", "x" * 65, 'a"b', "a\nb", "ü"])
def test_an_invalid_error_code_does_not_become_a_label(metrics: Metrics, code: str) -> None:
    metrics.settle([settled(outcome="error", error=code)])
    assert counted(metrics.families.errors) == {("other",): 1}


def test_the_kinds_of_errors_are_bounded(metrics: Metrics) -> None:
    for number in range(1000):
        metrics.settle([settled(outcome="error", error=f"code_{number}")])
        metrics.reject(f"code_{number}")
    assert len(metrics.families.errors.cells) == len(metrics.families.rejected.cells) == 100
    assert sum(counted(metrics.families.errors).values()) == sum(counted(metrics.families.rejected).values()) == 1000


def test_truncated_responses_are_counted(metrics: Metrics) -> None:
    metrics.settle([settled(outcome="broken", error="timeout_idle")])
    metrics.settle([settled(outcome="error", status=502, error=str(StreamTruncated.code), first_content=None)])
    metrics.settle([settled(outcome="error", status=502, error="upstream_disconnected")])
    assert counted(metrics.families.truncated) == {DEPLOYMENT: 2}


def test_rejections_are_counted_by_reason(metrics: Metrics) -> None:
    metrics.reject("overloaded")
    metrics.reject("overloaded")
    metrics.reject("invalid_json")
    assert counted(metrics.families.rejected) == {("overloaded",): 2, ("invalid_json",): 1}


def test_a_model_name_from_a_client_never_becomes_a_label(metrics: Metrics) -> None:
    for number in range(50):
        metrics.settle([settled(request_model=f"made-up-{number}")])
    assert counted(metrics.families.requests) == {("openrouter", "other", "ok"): 50}


def test_an_unknown_provider_is_counted_under_other(metrics: Metrics) -> None:
    metrics.settle([settled(provider="made-up")])
    assert counted(metrics.families.requests) == {("other", "other", "ok"): 1}


def test_unknown_names_leak_nothing(metrics: Metrics) -> None:
    for number in range(100):
        metrics.settle([settled(request_model=f"made-up-{number}")])
        metrics.settle([settled(provider=f"made-up-{number}")])
    assert len(metrics._series) == 2


def test_an_exchange_without_a_provider_is_counted_under_none(metrics: Metrics) -> None:
    metrics.settle([refused("model_not_found", 404)])
    assert counted(metrics.families.requests) == {("none", "none", "error"): 1}


def test_counters_of_a_removed_deployment_stay(metrics: Metrics) -> None:
    metrics.settle([settled()])
    metrics.set_labels([("openai", "gpt-4o")])
    metrics.settle([settled(provider="openai", request_model="gpt-4o")])
    assert counted(metrics.families.requests) == {(*DEPLOYMENT, "ok"): 1, ("openai", "gpt-4o", "ok"): 1}


def test_each_metric_has_at_most_500_label_sets() -> None:
    metrics = Metrics()
    deployments = [(f"provider-{number % 600}", f"model-{number}") for number in range(10_000)]
    metrics.set_labels(deployments)
    metrics.upstream_connections = lambda: {f"provider-{number}": 1 for number in range(600)}
    for provider, model in deployments:
        for outcome in ("ok", "broken"):
            metrics.settle([settled(provider=provider, request_model=model, outcome=outcome, error=model)])
    sizes = {family.name: len(family.cells) for family in metrics.collect()}
    assert max(sizes.values()) == 500
    assert sum(counted(metrics.families.requests).values()) == 20_000
    assert sum(count for count, _ in observed(metrics.families.duration).values()) == 20_000
    open_connections = {family.name: family for family in metrics.collect()}["llm_upstream_connections"]
    assert sum(counted(open_connections).values()) == 600


@given(st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(OUTCOMES), st.none() | st.integers(0, 9))))
def test_no_exchange_is_lost_under_any_bound(facts: list[tuple[str, str, int | None]]) -> None:
    metrics = Metrics(max_label_sets=8)
    metrics.set_labels([(model, model) for model in "abcde"])
    for model, outcome, tokens in facts:
        usage = Usage(output=tokens)
        metrics.settle([settled(provider=model, request_model=model, outcome=outcome, usage=usage)])
    assert sum(counted(metrics.families.requests).values()) == len(facts)
    assert sum(counted(metrics.families.tokens).values()) == sum(tokens or 0 for _, _, tokens in facts)
    assert all(len(family.cells) <= 8 for family in metrics.collect())


@pytest.mark.parametrize("bounds", [DURATION, FIRST_TOKEN, INTER_TOKEN, GAP, OVERHEAD, CONNECT])
def test_bucket_bounds_increase_and_have_short_labels(bounds: tuple[float, ...]) -> None:
    assert list(bounds) == sorted(set(bounds))
    assert all(len(repr(bound)) <= 6 for bound in bounds)


async def test_a_dial_can_be_timed_by_prometheus_async(metrics: Metrics) -> None:
    async def dial() -> str:
        return "connected"

    assert await time(metrics.connect_seconds, dial()) == "connected"
    assert metrics.registry.get_sample_value("llm_upstream_connect_seconds_count") == 1
