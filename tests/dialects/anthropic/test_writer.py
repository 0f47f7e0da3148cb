from __future__ import annotations

import json

import anthropic
import pytest

from proxy.dialects.anthropic.writer import TYPES, AnthropicWriter
from proxy.dialects.provider_error import refused
from proxy.errors import (
    BrokenAnswer,
    BudgetExceeded,
    ClientFault,
    ClockExpired,
    ErrorInStream,
    GatewayError,
    Overloaded,
    RateLimited,
    ShuttingDown,
    StreamTruncated,
    Unauthorized,
    UpstreamAuthFailed,
)
from tests.support.anthropic_sdk import read_answer, read_stream
from tests.support.messages import HELLO, START, STOP, begin, event, stop

WRITER = AnthropicWriter()


def in_stream(kind: str | None, status: int = 502) -> ErrorInStream:
    fault = ErrorInStream("m", status=status)
    fault.provider_type = kind
    return fault


def relayed(came: bytes, status: int) -> bytes:
    error = refused(came)
    assert error is not None
    return WRITER.relayed_error(error, came, status)


def test_an_error_has_the_shape_of_the_dialect() -> None:
    fault = ClientFault("Wrong.", param="model", code="invalid_type")
    assert json.loads(WRITER.error_body(fault)) == {
        "type": "error", "error": {"type": "invalid_request_error", "message": "Wrong."}
    }  # fmt: skip


CLASSES: list[tuple[GatewayError, str, type[anthropic.APIStatusError]]] = [
    (ClientFault("m"), "invalid_request_error", anthropic.BadRequestError),
    (ClientFault("m", status=405), "invalid_request_error", anthropic.APIStatusError),
    (ClientFault("m", status=404), "not_found_error", anthropic.NotFoundError),
    (ClientFault("m", status=413), "request_too_large", anthropic.APIStatusError),
    (ClientFault("m", status=422), "invalid_request_error", anthropic.UnprocessableEntityError),
    (ClientFault("m", status=403), "permission_error", anthropic.PermissionDeniedError),
    (Unauthorized(), "authentication_error", anthropic.AuthenticationError),
    (RateLimited("client", "requestsPerMinute", retry_after=1), "rate_limit_error", anthropic.RateLimitError),
    (BudgetExceeded("m"), "billing_error", anthropic.RateLimitError),
    (Overloaded("m"), "overloaded_error", anthropic.InternalServerError),
    (ShuttingDown("m"), "overloaded_error", anthropic.InternalServerError),
    (GatewayError("m"), "api_error", anthropic.InternalServerError),
    (BrokenAnswer("m"), "api_error", anthropic.InternalServerError),
    (UpstreamAuthFailed("m"), "api_error", anthropic.InternalServerError),
    (ClockExpired("idle", 5), "timeout_error", anthropic.InternalServerError),
    (in_stream("overloaded_error", 503), "overloaded_error", anthropic.InternalServerError),
    (in_stream("insufficient_quota", 429), "rate_limit_error", anthropic.RateLimitError),
    (in_stream(None), "api_error", anthropic.InternalServerError),
]


@pytest.mark.parametrize(("fault", "kind", "raised"), CLASSES)
def test_the_sdk_raises_each_error_as_its_class(
    fault: GatewayError, kind: str, raised: type[anthropic.APIStatusError]
) -> None:
    with pytest.raises(raised) as caught:
        read_answer(WRITER.error_body(fault), fault.status)
    assert (caught.value.status_code, caught.value.type) == (fault.status, kind)
    assert caught.value.api_message == fault.message


@pytest.mark.parametrize(("fault", "kind"), [case[:2] for case in CLASSES])
def test_the_sdk_raises_an_error_within_a_stream(fault: GatewayError, kind: str) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        read_stream(START + begin(type="text", text="") + HELLO + WRITER.error_event(fault, -1))
    assert (caught.value.type, caught.value.api_message) == (kind, fault.message)


def test_without_an_error_event_the_sdk_takes_a_cut_stream_for_a_whole_one() -> None:
    assert read_stream(START + begin(type="text", text="") + HELLO).stop_reason is None
    with pytest.raises(anthropic.APIStatusError, match="Cut"):
        read_stream(START + begin(type="text", text="") + HELLO + WRITER.error_event(StreamTruncated("Cut."), -1))


def test_pings_comments_and_the_terminal_event_are_understood() -> None:
    end = event("content_block_stop", index=0) + stop("end_turn", output_tokens=2)
    comment = WRITER.metadata_comment(b"{}")
    stream = WRITER.ping + START + WRITER.ping + begin(type="text", text="") + HELLO + WRITER.ping + end + comment
    message = read_stream(stream + WRITER.terminal)
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 2)
    assert message.to_dict()["content"] == [{"type": "text", "text": "Hello"}]
    assert json.loads(WRITER.terminal.partition(b"data: ")[2]) == json.loads(STOP.partition(b"data: ")[2])


def test_an_answer_is_never_changed() -> None:
    body = b'{"type":"message"}'
    assert WRITER.with_metadata(body, b'"_router":{}') is body


# Errors of providers


def test_an_error_of_the_dialect_is_relayed_as_it_is() -> None:
    body = (
        b'{"type": "error", "error": {"type":"invalid_request_error","message":"prompt is too long"},"request_id":"r"}'
    )
    assert relayed(body, 400) is body


@pytest.mark.parametrize(
    ("body", "status", "kind", "message"),
    [
        ({"error": {"type": "request_too_large", "message": "Too big"}}, 413, "request_too_large", "Too big"),
        ({"error": {"message": "Bad", "type": "BadRequestError", "code": 400}}, 400, "invalid_request_error", "Bad"),
        ({"message": "Flat", "type": "NotFoundError"}, 404, "not_found_error", "Flat"),
        ({"detail": "FastAPI"}, 422, "invalid_request_error", "FastAPI"),
        ([{"error": {"message": "Gemini's", "status": "RESOURCE_EXHAUSTED"}}], 429, "rate_limit_error", "Gemini's"),
        ({"type": "error", "error": {"message": "no type"}}, 403, "permission_error", "no type"),
        ({"type": "error", "error": "text"}, 400, "invalid_request_error", "text"),
    ],
)
def test_other_errors_are_rewritten(body: object, status: int, kind: str, message: str) -> None:
    assert json.loads(relayed(json.dumps(body).encode(), status)) == {
        "type": "error", "error": {"type": kind, "message": message}
    }  # fmt: skip


def test_each_type_word_is_one_that_the_sdk_knows() -> None:
    known = set(anthropic.types.ErrorType.__args__)  # type: ignore[attr-defined]
    known |= {"request_too_large", "not_supported"}  # documented; Claude Code estimates tokens after the second
    assert set(TYPES.values()) <= known
