"""Exchanges in responses."""

from __future__ import annotations

import pytest

from proxy.control.activity.record import record_of
from proxy.control.activity.request_views import request_detail, request_summary
from proxy.control.clock import WallClock
from proxy.observe.mask import Mask
from tests.observe.exchanges import attempt_of, settled

CLOCK = WallClock(lambda: 0.0, lambda: 1_700_000_000.0)
MASK = Mask(["sk-secret"])


def test_times_are_unix_seconds_and_durations_milliseconds() -> None:
    view = request_summary(record_of(settled(began=100.0, first_content=100.25, ended=103.0), 7), CLOCK)
    assert (view.sequence, view.at) == (7, 1_700_000_100.0)
    assert (view.duration_ms, view.time_to_first_token_ms) == (3000.0, 250.0)
    assert (view.endpoint, view.dialect) == ("chat/completions", "openai.chat")


def test_secrets_are_masked_in_reasons_and_details() -> None:
    attempt = attempt_of(100.0, 101.0, "auth")
    attempt.reason = "invalid key sk-secret"
    view = request_detail(record_of(settled(attempts=[attempt], error_detail="sk-secret"), 1), CLOCK, MASK)
    assert (view.trials[0].reason, view.error_detail) == ("invalid key ***", "***")


@pytest.mark.parametrize(
    ("line", "decision"),
    [
        (b"", None),
        (b'x-router-decision: {"chosen":"a/m%C3%A9"}\r\n', {"chosen": "a/mé"}),
        (b'x-router-decision: {"chosen":"a/m","stra\r\n', None),  # truncated
    ],
)
def test_a_decision_is_decoded_unless_it_is_truncated(line: bytes, decision: object) -> None:
    attempt = attempt_of(100.0, 101.0)
    attempt.decision = line
    assert request_detail(record_of(settled(attempts=[attempt]), 1), CLOCK, MASK).trials[0].decision == decision
