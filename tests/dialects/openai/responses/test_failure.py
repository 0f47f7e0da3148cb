"""How a stream of the Responses API fails, by what Codex and OpenAI's packages do with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types.responses import ResponseFailedEvent

from proxy.dialects.openai.responses.failure import bare_response, failed_event, response_error
from proxy.dialects.provider_error import ProviderError, fault_of
from proxy.errors import (
    ClientFault,
    ClockExpired,
    GatewayError,
    LoopDetected,
    Overloaded,
    RateLimited,
    ShuttingDown,
    StreamTruncated,
    Unauthorized,
)

LIMITED = RateLimited("client", "requestsPerMinute", retry_after=7)
ENDS_THE_TURN = ("context_length_exceeded", "insufficient_quota", "invalid_prompt", "server_is_overloaded")


def data(event: bytes) -> Any:
    name, _, rest = event.partition(b"\ndata: ")
    assert name == b"event: response.failed"
    assert rest.endswith(b"}\n\n")
    return json.loads(rest)


@pytest.mark.parametrize("fault", [StreamTruncated("Cut."), ClockExpired("idle", 5), LIMITED, ShuttingDown("Stop.")])
def test_codex_does_not_repeat_what_broke_after_content(fault: GatewayError) -> None:
    error = response_error(fault, begun=True)
    assert error == {"code": "invalid_prompt", "message": fault.message}  # whose message it shows


@pytest.mark.parametrize("begun", [True, False])
@pytest.mark.parametrize("code", ENDS_THE_TURN)
def test_a_code_of_the_provider_that_codex_acts_on_is_kept(code: str, begun: bool) -> None:
    fault = fault_of(ProviderError("The provider's words.", code=code))
    assert response_error(fault, begun=begun) == {"code": code, "message": "The provider's words."}


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (StreamTruncated("m"), "server_error"),
        (Overloaded("m"), "server_error"),
        (fault_of(ProviderError("Slow down.", status=429)), "rate_limit_exceeded"),
        (LIMITED, "rate_limit_exceeded"),
        (ClientFault("m"), "invalid_prompt"),
        (Unauthorized(), "invalid_prompt"),
        (LoopDetected(), "invalid_prompt"),
    ],
)
def test_before_any_content_codex_repeats_what_may_help(fault: GatewayError, code: str) -> None:
    assert response_error(fault, begun=False)["code"] == code


def test_codex_finds_the_time_to_wait_in_the_message() -> None:
    assert "Try again in 7 s" in response_error(LIMITED, begun=False)["message"]


def test_the_event_is_one_of_the_sdk_and_has_the_error_itself_where_the_sdk_raises_on_it() -> None:
    fault = StreamTruncated("Cut.")
    found = data(failed_event(fault, bare_response("resp_1", response_error(fault, begun=True)), 3))
    event = ResponseFailedEvent.model_validate(found)
    assert event.sequence_number == 3
    assert (event.response.id, event.response.status) == ("resp_1", "failed")
    assert event.response.error is not None
    assert event.response.error.code == "invalid_prompt"
    assert found["error"] == {
        "message": "Cut.", "type": "upstream_error", "param": None, "code": "upstream_stream_truncated"
    }  # fmt: skip
