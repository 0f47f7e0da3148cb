from __future__ import annotations

import random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects import provider_error
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
from proxy.routing.rules import RULES, FailureKind, Next, backoff, final_status, kind_of_fault, kind_of_refusal


def answered(fault: UpstreamFault) -> UpstreamFault:
    fault.response_begun = True
    return fault


@pytest.mark.parametrize(
    ("outcome", "following", "breaker"),
    [
        (Refusal("rate_limited"), Next.COOLDOWN, "failure"),
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
        (answered(ConnectionBroken("cut")), Next.NEXT_OR_SAME, "failure"),
        (UpstreamFault("whatever"), Next.NEXT_OR_SAME, "failure"),
        (Refusal("model_missing"), Next.NEXT, "unavailable"),
        (Refusal("not_found"), Next.OTHERS_OR_ERROR, "nothing"),
        (Refusal("item_missing"), Next.RETURN_ERROR, "nothing"),
        (Refusal("context_length"), Next.LARGER_OR_ERROR, "nothing"),
        (Refusal("content_filter"), Next.RETURN_ERROR, "nothing"),
        (Refusal("other"), Next.RETURN_ERROR, "nothing"),
        (Refusal("auth"), Next.KEY, "key"),
        (UpstreamAuthFailed("no"), Next.KEY, "key"),
        (Refusal("too_large"), Next.OTHERS_OR_ERROR, "nothing"),
        (Refusal("payment_required"), Next.OTHERS_OR_ERROR, "nothing"),
        (Refusal("forbidden"), Next.OTHERS_OR_ERROR, "nothing"),
        (Refusal("refused_in_answer"), Next.SAME_OR_ERROR, "nothing"),
        (Refusal("out_of_quota"), Next.KEY_OR_ERROR, "key"),
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
    kind = kind_of_refusal(outcome) if isinstance(outcome, Refusal) else kind_of_fault(outcome)
    assert RULES[kind] == (following, breaker)


def test_the_table_has_a_row_for_every_kind_and_every_meaning() -> None:
    assert set(RULES) == set(FailureKind)
    assert {kind_of_refusal(Refusal(meaning)) for meaning in get_args(Meaning)} < set(FailureKind)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"message": "slow down", "code": "rate_limit_exceeded"}, FailureKind.RATE_LIMITED),
        ({"message": "Rate limit exceeded"}, FailureKind.RATE_LIMITED),
        ({"message": "prompt is too long", "code": 400}, FailureKind.CONTEXT_LENGTH),
        ({"message": "no", "code": "content_filter"}, FailureKind.CONTENT_FILTER),
        ({"message": "no", "code": "model_not_found"}, FailureKind.MODEL_MISSING),
        ({"message": "no", "code": 401}, FailureKind.AUTH),
        ({"message": "no", "code": 402}, FailureKind.PAYMENT_REQUIRED),
        ({"message": "no", "code": 403}, FailureKind.FORBIDDEN),
        ({"message": "no", "code": "insufficient_quota"}, FailureKind.OUT_OF_QUOTA),
        ({"message": "no", "type": "invalid_request_error"}, FailureKind.REFUSED_IN_ANSWER),
        ({"message": "no"}, FailureKind.SERVER_ERROR),
    ],
)
def test_an_error_within_a_200_has_the_rule_of_its_kind(error: dict[str, object], kind: FailureKind) -> None:
    assert kind_of_fault(provider_error.fault_of(provider_error.find({"error": error}))) is kind


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


def test_the_delay_does_not_overflow_for_any_number_of_retries() -> None:
    assert 3 <= backoff(1000, 5, random.Random(1), 3000) <= 4.5
    assert 2 <= backoff(1000, 1, random.Random(1), 3000) <= 3
    assert backoff(1000, 10_000, random.Random(1)) == backoff(1000, 20, random.Random(1))


# The end


@pytest.mark.parametrize(
    ("tried", "passed", "status"),
    [
        ([FailureKind.RATE_LIMITED], [], 429),
        ([FailureKind.RATE_LIMITED], [FailureKind.RATE_LIMITED], 429),
        ([], [FailureKind.RATE_LIMITED, FailureKind.RATE_LIMITED], 429),
        ([], [FailureKind.RATE_LIMITED, FailureKind.MODEL_MISSING], 429),
        ([], [FailureKind.OUT_OF_QUOTA], 429),
        ([FailureKind.SERVER_ERROR, FailureKind.RATE_LIMITED], [], 502),
        ([FailureKind.RATE_LIMITED, FailureKind.TIMEOUT], [], 504),
        ([FailureKind.TIMEOUT, FailureKind.RATE_LIMITED], [], 502),
        ([FailureKind.SERVER_ERROR, FailureKind.DEADLINE], [], 504),
        ([FailureKind.TIMEOUT, FailureKind.UNREACHABLE], [], 502),
        ([FailureKind.AUTH], [], 502),
        ([FailureKind.AUTH], [FailureKind.RATE_LIMITED], 502),
        ([FailureKind.MODEL_MISSING], [], 404),
        ([], [FailureKind.MODEL_MISSING], 404),
        ([FailureKind.MODEL_MISSING], [FailureKind.UNREACHABLE], 503),
        ([FailureKind.MODEL_MISSING, FailureKind.SERVER_ERROR], [], 502),
        ([], [FailureKind.UNREACHABLE], 503),
        ([], [FailureKind.UNREACHABLE, FailureKind.RATE_LIMITED], 503),
        ([], [FailureKind.AUTH], 503),
        ([FailureKind.BUSY], [], 503),
        ([], [], 503),
    ],
)
def test_the_final_status_tells_the_client_what_to_do(
    tried: list[FailureKind], passed: list[FailureKind], status: int
) -> None:
    assert final_status(tried, passed) == status
