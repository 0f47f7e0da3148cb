"""Bills without sockets. Every ending of an attempt over sockets is in tests/ledger/test_entry.py."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.billing import MOST_COST, MOST_TOKENS, bill, bill_of, cost_so_far, plausible
from proxy.breakers.breaker import Permit
from proxy.dialects.usage import Usage, UsageDetails
from proxy.exchange import Attempt, Exchange
from proxy.ledger import row
from proxy.pricing.bill import Bill, UsageSource
from proxy.pricing.cost import CostSource
from proxy.providers.keys import KeyRing
from proxy.routing.endpoints import ENDPOINTS, OPAQUE, Endpoint
from tests.support.catalogs import build

PROVIDERS = {"p": {"baseUrl": "http://127.0.0.1:1"}}
MODELS: list[dict[str, Any]] = [
    {"name": "priced", "provider": "p", "prices": {"input": 1, "output": 2, "reasoning": 4}},
    {"name": "unpriced", "provider": "p", "model": "of-no-catalog"},
    {"name": "dear", "provider": "p", "prices": {"input": 1_000_000, "output": 1_000_000}},
]
CATALOG = build(MODELS, PROVIDERS)
PRICED, UNPRICED, DEAR = CATALOG.deployments
COUNTED = Usage(9, None, 2)


def attempt_of(deployment: Any = PRICED, **facts: Any) -> Attempt:
    """An attempt that was sent and has ended."""
    key = KeyRing(()).take(0.0)
    assert key is not None
    attempt = Attempt(deployment, Permit.NORMAL, key, 1.0, connected=1.0, ended=2.0)
    for name, value in facts.items():
        setattr(attempt, name, value)
    return attempt


def exchange_of(*attempts: Attempt) -> Exchange:
    exchange = Exchange(ENDPOINTS[0], CATALOG, "r", 0.0, estimated_input=100)
    exchange.attempts = list(attempts)
    return exchange


def billed(**facts: Any) -> Bill:
    attempt = attempt_of(**facts)
    return bill_of(exchange_of(attempt), attempt)


def test_the_cost_of_an_exchange_is_that_of_all_attempts() -> None:
    refused = attempt_of(status=429)
    exchange = exchange_of(refused, attempt_of(usage=COUNTED), attempt_of(usage=COUNTED))
    bill(exchange)
    assert exchange.cost == 2 * (9 * 1000 + 2 * 2000)
    assert refused.bill is not None
    assert refused.bill.cost.nano == 0


@pytest.mark.parametrize(
    "other", [attempt_of(failure="timeout"), attempt_of(UNPRICED, usage=COUNTED)], ids=["unknown", "unpriced"]
)
def test_a_cost_that_is_not_known_is_not_nothing(other: Attempt) -> None:
    exchange = exchange_of(attempt_of(usage=COUNTED), other)
    bill(exchange)
    assert exchange.cost is None
    alone = exchange_of(other)
    bill(alone)
    assert alone.cost is None


def test_an_exchange_without_attempts_has_no_cost() -> None:
    exchange = exchange_of()
    bill(exchange)
    assert exchange.cost is None


def test_an_answer_that_is_about_to_end_is_in_the_cost_so_far() -> None:
    running = attempt_of(usage=COUNTED, ended=None, connected=None)
    exchange = exchange_of(attempt_of(status=500), running)
    assert cost_so_far(exchange) == 13000
    assert running.bill is None
    running.partial = True
    assert cost_so_far(exchange) is None


def test_a_stream_that_broke_is_billed_by_its_events_and_what_it_reported() -> None:
    assert billed(usage=Usage(9, 5, 2), partial=True, events=7).usage == Usage(9, 5, 7)
    assert billed(usage=Usage(9, 5, 20), partial=True, events=7).usage == Usage(9, 5, 20)
    assert billed(usage=Usage(None, None, 2), partial=True, events=1).usage == Usage(100, None, 2)
    assert billed(usage=Usage(9, None, 2, 4), partial=True, events=7).usage == Usage(9, None, 3, 4)


def test_a_call_that_was_given_up_costs_its_input() -> None:
    for facts in ({"given_up": True}, {"status": 504}, {"status": 524}):
        found = billed(**facts)
        assert (found.source, found.usage, found.cost.nano) == ("estimated", Usage(100, None, 0), 100 * 1000)


def test_a_plain_call_that_was_given_up_costs_what_its_model_wrote() -> None:
    found = billed(given_up=True, unseen_output=40)
    assert (found.source, found.usage, found.cost.nano) == ("estimated", Usage(100, None, 40), 100 * 1000 + 40 * 2000)
    assert billed(given_up=True, unseen_output=40, usage=COUNTED).usage is COUNTED
    assert billed(given_up=True, unseen_output=40, answer_bytes=12).usage == Usage(100, None, 3)


def test_what_was_given_up_after_content_is_billed_by_its_events() -> None:
    assert billed(given_up=True, first_content=1.5, events=7).usage == Usage(100, None, 7)


def test_what_was_given_up_with_its_usage_is_billed_by_that() -> None:
    assert billed(given_up=True, usage=COUNTED).source == "provider"
    assert billed(given_up=True, usage=COUNTED, partial=True, events=7).usage == Usage(9, None, 7)


@pytest.mark.parametrize(("path", "source"), [("chat/completions", "estimated"), ("audio/speech", "unknown")])
def test_media_that_had_begun_may_be_nearly_whole(path: str, source: str) -> None:
    begun, waiting = attempt_of(given_up=True, first_content=1.5, events=1), attempt_of(given_up=True)
    exchange = exchange_of(begun, waiting)
    exchange.endpoint = next(endpoint for endpoint in ENDPOINTS if endpoint.path == path)
    assert (bill_of(exchange, begun).source, bill_of(exchange, waiting).source) == (source, "estimated")


@pytest.mark.parametrize(("endpoint", "estimated"), [(OPAQUE, 0), (ENDPOINTS[0], None)])
@pytest.mark.parametrize("facts", [{"given_up": True}, {"status": 504}])
def test_without_an_estimate_of_the_input_nothing_is_known(
    endpoint: Endpoint, estimated: int | None, facts: dict[str, Any]
) -> None:
    attempt = attempt_of(**facts)
    exchange = exchange_of(attempt)
    exchange.endpoint, exchange.estimated_input = endpoint, estimated
    assert bill_of(exchange, attempt).source == "unknown"


def test_what_was_never_sent_costs_nothing() -> None:
    assert billed(given_up=False, connected=None, failure="timeout").source == "none"


def test_the_reported_cost_of_a_part_is_not_that_of_the_whole() -> None:
    usage = Usage(9, None, 2, None, UsageDetails(reported_cost=5))
    assert billed(deployment=UNPRICED, usage=usage).cost.nano == 5
    assert billed(deployment=UNPRICED, usage=usage, partial=True).cost.nano is None


def test_a_cost_that_no_answer_can_have_is_unpriced() -> None:
    usage = Usage(10**12, None, 10**12)
    found = billed(deployment=DEAR, usage=usage)
    assert (found.source, found.usage, found.cost.nano, found.cost.source) == ("provider", usage, None, "unpriced")
    assert billed(deployment=DEAR, usage=usage, partial=True).cost.nano is None
    assert billed(deployment=DEAR, usage=Usage(MOST_COST // 10**9, None, 0)).cost.nano == MOST_COST


def test_counts_of_any_other_size_are_kept() -> None:
    for usage in (None, Usage(), Usage(0, 0, 0, 0), Usage(MOST_TOKENS - 1, None, 2, None, UsageDetails(images=3))):
        assert plausible(usage) is usage


@pytest.mark.parametrize(
    "usage",
    [
        Usage(-1, None, 2),
        Usage(1, -1, 2),
        Usage(MOST_TOKENS, None, 1),
        Usage(1, None, 1, None, UsageDetails(cache_write=-5)),
        Usage(1, None, 1, None, UsageDetails(images=10**30)),
    ],
)
def test_counts_that_no_provider_can_mean_are_none(usage: Usage) -> None:
    assert plausible(usage) is None


@given(
    st.builds(
        attempt_of,
        st.sampled_from([PRICED, UNPRICED]),
        usage=st.none() | st.builds(Usage, *[st.none() | st.integers(-10, 2**70)] * 4).map(plausible),
        partial=st.booleans(),
        events=st.integers(0, 10**6),
        answer_bytes=st.integers(0, 10**7),
        first_content=st.none() | st.just(1.5),
        connected=st.none() | st.just(1.0),
        given_up=st.booleans(),
        unseen_output=st.integers(0, 10**6),
        status=st.sampled_from([0, 400, 429, 500, 504]),
    )
)
def test_a_bill_is_never_less_certain_than_it_says(attempt: Attempt) -> None:
    found = bill_of(exchange_of(attempt), attempt)
    usage, nano = found.usage, found.cost.nano
    counts = [count for count in (usage.input, usage.cache_read, usage.output, usage.reasoning) if count is not None]
    assert all(0 <= count < MOST_TOKENS for count in counts)
    match found.source:
        case "none":
            assert (usage, nano, found.cost.source) == (Usage(0, None, 0), 0, "none")
        case "unknown":
            assert (usage, nano, found.cost.source) == (Usage(), None, "unpriced")
        case "provider":
            assert usage is attempt.usage
        case "estimated":
            assert usage.input is not None
            assert usage.output is not None
    assert (nano is None) == (found.cost.source == "unpriced")


def test_both_processes_name_the_sources_alike() -> None:
    assert row.UsageSource == UsageSource
    assert row.CostSource == CostSource
