from __future__ import annotations

import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import openai_error
from proxy.errors import (
    BrokenAnswer,
    ClientFault,
    ClientGone,
    ClockExpired,
    ConnectFailed,
    ConnectionBroken,
    ErrorInStream,
    GatewayError,
    ShuttingDown,
    StreamTruncated,
    UpstreamAuthFailed,
    UpstreamFault,
)
from proxy.providers.refusal import Meaning, Refusal
from proxy.routing.rules import RULES, Kind, Next, backoff, of_fault, of_refusal, verdict


def heard(fault: UpstreamFault) -> UpstreamFault:
    fault.heard = True
    return fault


@pytest.mark.parametrize(
    ("outcome", "following", "breaker"),
    [
        (Refusal("rate_limited"), Next.REST, "failure"),
        (ConnectionBroken("reset"), Next.SAME, "failure"),
        (ConnectFailed("network unreachable", again=True), Next.SAME, "failure"),
        (ConnectFailed("refused"), Next.NEXT, "failure"),
        (ConnectFailed("no such name", code="upstream_dns"), Next.NEXT, "failure"),
        (ConnectFailed("a stranger's certificate", code="upstream_tls"), Next.NEXT, "failure"),
        (ConnectFailed("the proxy said no", code="upstream_proxy"), Next.NEXT, "failure"),
        (ClockExpired("connect", 1.0), Next.NEXT, "failure"),
        (ClockExpired("headers", 1.0), Next.NEXT, "failure"),
        (ClockExpired("firstContent", 1.0), Next.NEXT, "failure"),
        (ClockExpired("idle", 1.0), Next.NEXT, "failure"),
        (ClockExpired("total", 1.0), Next.NEXT, "failure"),
        (Refusal("server_error"), Next.NEXT_OR_SAME, "failure"),
        (ErrorInStream("oh"), Next.NEXT_OR_SAME, "failure"),
        (BrokenAnswer("empty", code="upstream_empty_answer"), Next.NEXT_OR_SAME, "failure"),
        (StreamTruncated("cut"), Next.NEXT_OR_SAME, "failure"),
        (heard(ConnectionBroken("cut")), Next.NEXT_OR_SAME, "failure"),
        (UpstreamFault("whatever"), Next.NEXT_OR_SAME, "failure"),
        (Refusal("model_missing"), Next.NEXT, "unavailable"),
        (Refusal("not_found"), Next.OTHERS_OR_TELL, "nothing"),
        (Refusal("item_missing"), Next.TELL, "nothing"),
        (Refusal("context_length"), Next.LARGER_OR_TELL, "nothing"),
        (Refusal("content_filter"), Next.TELL, "nothing"),
        (Refusal("other"), Next.TELL, "nothing"),
        (Refusal("auth"), Next.KEY, "key"),
        (UpstreamAuthFailed("no"), Next.KEY, "key"),
        (Refusal("too_large"), Next.OTHERS_OR_TELL, "nothing"),
        (Refusal("payment_required"), Next.OTHERS_OR_TELL, "nothing"),
        (Refusal("forbidden"), Next.OTHERS_OR_TELL, "nothing"),
        (Refusal("refused_in_answer"), Next.SAME_OR_TELL, "nothing"),
        (Refusal("out_of_quota"), Next.KEY_OR_TELL, "key"),
        (ConnectFailed("all in use", code="upstream_busy"), Next.NEXT, "nothing"),
        (ClockExpired("deadline", 1.0), Next.STOP, "failure"),
        (ClientGone(), Next.STOP, "nothing"),
        (ClockExpired("clientStall", 1.0), Next.STOP, "nothing"),
        (ShuttingDown("stopping"), Next.STOP, "nothing"),
        (ClientFault("too large"), Next.STOP, "nothing"),
        (GatewayError("a mistake of ours"), Next.STOP, "nothing"),
    ],
)
def test_every_outcome_has_its_rule(
    outcome: Refusal | GatewayError | ClientGone, following: Next, breaker: str
) -> None:
    kind = of_refusal(outcome) if isinstance(outcome, Refusal) else of_fault(outcome)
    assert RULES[kind] == (following, breaker)


def test_the_table_has_a_row_for_every_kind_and_every_meaning() -> None:
    assert set(RULES) == set(Kind)
    assert {of_refusal(Refusal(meaning)) for meaning in get_args(Meaning)} < set(Kind)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": "rate_limit_exceeded"}, Kind.RATE_LIMITED),
        ({"message": "Rate limit exceeded"}, Kind.RATE_LIMITED),
        ({"message": "prompt is too long", "code": 400}, Kind.CONTEXT_LENGTH),
        ({"message": "no", "code": "content_filter"}, Kind.CONTENT_FILTER),
        ({"message": "no", "code": "model_not_found"}, Kind.MODEL_MISSING),
        ({"message": "no", "code": 401}, Kind.AUTH),
        ({"message": "no", "code": 402}, Kind.PAYMENT_REQUIRED),
        ({"message": "no", "code": 403}, Kind.FORBIDDEN),
        ({"message": "no", "code": "insufficient_quota"}, Kind.OUT_OF_QUOTA),
        ({"message": "no", "type": "invalid_request_error"}, Kind.REFUSED_IN_ANSWER),
        ({"message": "no"}, Kind.SERVER_ERROR),
    ],
)
def test_an_error_that_came_with_a_200_has_the_rule_of_what_it_says(error: dict[str, object], kind: Kind) -> None:
    assert of_fault(openai_error.fault_of(openai_error.find({"error": error}))) is kind


# Backing off


@given(st.integers(0, 3_600_000), st.integers(0, 10), st.integers())
def test_a_retry_waits_twice_as_long_as_the_one_before_with_jitter_of_up_to_half(
    delay_ms: int, retry: int, seed: int
) -> None:
    whole = delay_ms / 1000 * 2**retry
    assert whole <= backoff(delay_ms, retry, random.Random(seed)) <= whole * 1.501


def test_the_jitter_is_spread_evenly() -> None:
    dice = random.Random(7)
    waits = [backoff(1000, 0, dice) for _ in range(10_000)]
    assert abs(sum(waits) / len(waits) - 1.25) < 0.005
    assert 1.0 <= min(waits) < 1.01
    assert max(waits) > 1.49


def test_no_number_of_retries_overflows() -> None:
    assert 3 <= backoff(1000, 5, random.Random(1), 3000) <= 4.5
    assert 2 <= backoff(1000, 1, random.Random(1), 3000) <= 3
    assert backoff(1000, 10_000, random.Random(1)) == backoff(1000, 20, random.Random(1))


# The end


@pytest.mark.parametrize(
    ("tried", "passed", "status"),
    [
        ([Kind.RATE_LIMITED], [], 429),
        ([Kind.RATE_LIMITED], [Kind.RATE_LIMITED], 429),
        ([], [Kind.RATE_LIMITED, Kind.RATE_LIMITED], 429),
        ([], [Kind.RATE_LIMITED, Kind.MODEL_MISSING], 429),
        ([], [Kind.OUT_OF_QUOTA], 429),
        ([Kind.SERVER_ERROR, Kind.RATE_LIMITED], [], 502),
        ([Kind.RATE_LIMITED, Kind.TIMEOUT], [], 504),
        ([Kind.TIMEOUT, Kind.RATE_LIMITED], [], 502),
        ([Kind.SERVER_ERROR, Kind.DEADLINE], [], 504),
        ([Kind.TIMEOUT, Kind.UNREACHABLE], [], 502),
        ([Kind.AUTH], [], 502),
        ([Kind.AUTH], [Kind.RATE_LIMITED], 502),
        ([Kind.MODEL_MISSING], [], 404),
        ([], [Kind.MODEL_MISSING], 404),
        ([Kind.MODEL_MISSING], [Kind.UNREACHABLE], 503),
        ([Kind.MODEL_MISSING, Kind.SERVER_ERROR], [], 502),
        ([], [Kind.UNREACHABLE], 503),
        ([], [Kind.UNREACHABLE, Kind.RATE_LIMITED], 503),
        ([], [Kind.AUTH], 503),
        ([Kind.BUSY], [], 503),
        ([], [], 503),
    ],
)
def test_the_final_status_tells_the_client_what_to_do(tried: list[Kind], passed: list[Kind], status: int) -> None:
    assert verdict(tried, passed) == status
