from __future__ import annotations

from typing import get_args

import pytest

from proxy import errors
from proxy.errors import (
    BrokenAnswer,
    ClientFault,
    ClockExpired,
    ConfigError,
    ConnectFailed,
    ConnectionBroken,
    ErrorInStream,
    ErrorKind,
    GatewayError,
    LoopDetected,
    Overloaded,
    RateLimited,
    ShuttingDown,
    StreamTruncated,
    Unauthorized,
    Untranslatable,
    UpgradeRequired,
    UpstreamAuthFailed,
    UpstreamFault,
    bound_in_words,
)

LIMITED = RateLimited("client", "requestsPerMinute", quota=20, retry_after=3)


@pytest.mark.parametrize(
    ("error", "status", "kind", "code"),
    [
        (GatewayError("x"), 500, "internal", "internal_error"),
        (ClientFault("x"), 400, "invalid_request", None),
        (ClientFault("x", status=404, code="model_not_found"), 404, "invalid_request", "model_not_found"),
        (UpgradeRequired(), 426, "invalid_request", "no_websocket"),
        (LoopDetected(), 508, "internal", "gateway_loop"),
        (Unauthorized(), 401, "unauthorized", "invalid_api_key"),
        (LIMITED, 429, "rate_limited", "rate_limit_exceeded"),
        (Overloaded("x"), 503, "overloaded", "overloaded"),
        (Overloaded("x", code="no_capacity"), 503, "overloaded", "no_capacity"),
        (ShuttingDown("x"), 503, "internal", "shutting_down"),
        (UpstreamFault("x"), 502, "upstream", "upstream_error"),
        (ConnectFailed("x"), 502, "upstream", "upstream_unreachable"),
        (ConnectionBroken("x"), 502, "upstream", "upstream_disconnected"),
        (BrokenAnswer("x"), 502, "upstream", "upstream_broken_answer"),
        (StreamTruncated("x"), 502, "upstream", "upstream_stream_truncated"),
        (ErrorInStream("x"), 502, "upstream", "upstream_error_in_stream"),
        (UpstreamAuthFailed("x"), 502, "upstream", "upstream_auth_failed"),
        (ClockExpired("idle", 30.0), 504, "upstream", "timeout_idle"),
    ],
)
def test_each_error_has_its_status_kind_and_code(
    error: GatewayError, status: int, kind: ErrorKind, code: str | None
) -> None:
    assert (error.status, error.kind, error.code) == (status, kind, code)


def test_every_error_is_of_a_known_kind() -> None:
    kinds = {each.kind for each in vars(errors).values() if isinstance(each, type) and issubclass(each, GatewayError)}
    assert kinds == {*get_args(ErrorKind)}


def test_an_error_of_one_request_does_not_change_its_type() -> None:
    ClientFault("x", status=413, code="too_large")
    assert (ClientFault.status, ClientFault.code) == (400, None)


def test_the_detail_is_not_part_of_the_message() -> None:
    error = Unauthorized(detail="expired key alice")
    assert error.detail == "expired key alice"
    assert "alice" not in f"{error} {error.message}"


def test_a_configuration_error_has_one_line_for_each_mistake() -> None:
    assert str(ConfigError(["a: is missing", "b: is empty"])) == "a: is missing\nb: is empty"


def test_an_expired_timeout_names_itself_and_its_seconds() -> None:
    error = ClockExpired("first_content", 0.5)
    assert error.clock == "first_content"
    assert error.message == "The provider did not answer in time: the first_content clock (0.5 s) ran out."


@pytest.mark.parametrize(
    ("unit", "quota", "burst", "words"),
    [
        ("requestsPerMinute", 20, 0, "20 requests per minute"),
        ("requestsPerMinute", 20, 20, "20 requests per minute"),
        ("requestsPerMinute", 20, 5, "20 requests per minute (at most 5 at once)"),
        ("requestsPerHour", 0, 5, "requests per hour"),
        ("tokensPerMinute", 900, 0, "900 tokens per minute"),
        ("concurrent", 3, 3, "3 concurrent requests"),
        ("something", 3, 0, "3 something"),
    ],
)
def test_a_bound_in_words_names_a_burst_that_is_smaller(unit: str, quota: int, burst: int, words: str) -> None:
    assert bound_in_words(unit, quota, burst) == words


@pytest.mark.parametrize(
    ("level", "where"),
    [("global", "the whole gateway"), ("model", "this model"), ("login", "logins from this address"), ("x", "x")],
)
def test_a_rate_limit_error_says_whose_limit_it_is_and_when_to_try_again(level: str, where: str) -> None:
    error = RateLimited(level, "tokensPerMinute", quota=900, retry_after=7)
    assert error.message == f"Rate limit exceeded: 900 tokens per minute for {where}. Try again in 7 s."
    assert (error.limit, error.unit, error.retry_after) == (level, "tokensPerMinute", 7)


def test_an_error_of_an_inner_member_keeps_its_code() -> None:
    fault = Untranslatable("id", "It is elsewhere.", code="unsupported_state").within("input[1]")
    assert (fault.status, fault.code, fault.param) == (400, "unsupported_state", "input[1].id")
    assert Untranslatable("id", "No.").within("input[1]").code == "untranslatable"


def test_an_error_may_name_a_member_as_the_client_does() -> None:
    fault = Untranslatable("tool_choice", "No.", code="x").renamed({"tool_choice": "toolConfig"})
    assert (fault.param, fault.code) == ("toolConfig", "x")
    assert "'toolConfig'" in fault.message
    assert Untranslatable("n", "No.").renamed({}).param == "n"
