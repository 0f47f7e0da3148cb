from __future__ import annotations

import json

import pytest

from proxy.dialects.openai.error_object import TYPES
from proxy.dialects.openai.writer import OpenAIWriter, ResponsesWriter
from proxy.dialects.provider_error import ProviderError, refused
from proxy.errors import (
    BrokenAnswer,
    ClientFault,
    ClockExpired,
    ErrorInStream,
    GatewayError,
    Overloaded,
    RateLimited,
    ShuttingDown,
    StreamTruncated,
    Unauthorized,
)

body = OpenAIWriter().error_body


def relayed(came: bytes, status: int) -> bytes:
    error = refused(came)
    return came if error is None else OpenAIWriter().relayed_error(error, came, status)


def test_an_error_of_ours_has_all_four_members() -> None:
    fault = ClientFault("Wrong.", param="model", code="invalid_type")
    assert json.loads(body(fault)) == {
        "error": {"message": "Wrong.", "type": "invalid_request_error", "param": "model", "code": "invalid_type"}
    }


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (GatewayError("m"), "server_error"),
        (ClientFault("m"), "invalid_request_error"),
        (Unauthorized(), "invalid_request_error"),
        (RateLimited("client", "requestsPerMinute", retry_after=1), "rate_limit_error"),
        (Overloaded("m"), "overloaded_error"),
        (BrokenAnswer("m"), "upstream_error"),
        (ErrorInStream("m"), "upstream_error"),
    ],
)
def test_each_kind_of_error_has_the_type_that_openai_clients_know(fault: GatewayError, kind: str) -> None:
    assert TYPES[fault.kind] == json.loads(body(fault))["error"]["type"] == kind


def test_the_type_of_an_error_in_a_stream_is_the_providers_own() -> None:
    fault = ErrorInStream("m")
    fault.provider_type = "overloaded_error"
    assert json.loads(body(fault))["error"]["type"] == "overloaded_error"


def test_googles_word_for_an_error_is_no_type_of_openai() -> None:
    fault = ErrorInStream("m")
    fault.provider_type = "UNAVAILABLE"
    assert json.loads(body(fault))["error"]["type"] == "upstream_error"
    error = ProviderError("m", type="INVALID_ARGUMENT", code=400, status=400)
    assert json.loads(OpenAIWriter().relayed_error(error, b"{}", 400)) == {
        "error": {"message": "m", "type": "invalid_request_error", "param": None, "code": "upstream_400"}
    }


def test_a_responses_stream_that_broke_after_its_content_is_not_repeated() -> None:
    """Some providers give their events no numbers, and some no id to their responses."""
    for sequence, answer_id, code in ((-1, "", "server_error"), (-1, "r", "invalid_prompt"), (0, "", "invalid_prompt")):
        event = ResponsesWriter().error_event(StreamTruncated("Cut."), sequence, answer_id)
        response = json.loads(event.partition(b"data: ")[2])["response"]
        assert (response["id"], response["error"]["code"]) == (answer_id, code)


def test_a_shutdown_has_a_body_of_its_own() -> None:
    assert json.loads(body(ShuttingDown("Stopping."))) == {
        "statusCode": 503, "message": "Stopping.", "error": "Service Unavailable"
    }  # fmt: skip


def test_a_chat_stream_reports_an_error_as_data() -> None:
    event = OpenAIWriter().error_event(StreamTruncated("Cut."), -1)
    assert json.loads(event.removeprefix(b"data: ")) == {
        "error": {"message": "Cut.", "type": "upstream_error", "param": None, "code": "upstream_stream_truncated"}
    }


def test_a_responses_stream_ends_with_a_failed_response_under_the_next_number() -> None:
    name, data = ResponsesWriter().error_event(ClockExpired("idle", 5), 4).split(b"\n", 1)
    event = json.loads(data.removeprefix(b"data: "))
    assert (name, event["type"], event["sequence_number"]) == (b"event: response.failed", "response.failed", 5)
    assert event["error"]["code"] == "timeout_idle"
    assert event["response"]["error"] == {"code": "invalid_prompt", "message": event["error"]["message"]}


# -- errors of providers -------------------------------------------------------------------------------

SHAPES: list[tuple[str, object, dict[str, object]]] = [
    ("FastAPI", {"detail": "Not allowed"}, {"message": "Not allowed", "code": "upstream_422"}),
    (
        "FastAPI, a list",
        {"detail": [{"type": "missing", "loc": ["body", "model"], "msg": "Field required", "input": {"prompt": "p"}}]},
        {"message": "body.model: Field required", "code": "upstream_422"},
    ),
    ("a nested detail", {"detail": {"message": "No"}}, {"message": "No", "code": "upstream_422"}),
    ("Ollama", {"error": "text"}, {"message": "text", "code": "upstream_422"}),
    ("xAI", {"code": "invalid-argument", "error": "text"}, {"message": "text", "code": "invalid-argument"}),
    ("xAI, a sentence for a code", {"code": "Client said so", "error": "t"}, {"message": "t", "code": "upstream_422"}),
    (
        "vLLM",
        {"object": "error", "message": "text", "type": "BadRequestError", "param": "n", "code": 400},
        {"message": "text", "type": "BadRequestError", "param": "n", "code": "upstream_422"},
    ),
    ("Gemini", [{"error": {"message": "text", "code": 400}}], {"message": "text", "code": 400}),
]


@pytest.mark.parametrize(("name", "document", "expected"), SHAPES, ids=[case[0] for case in SHAPES])
def test_an_error_in_another_shape_becomes_an_openai_error_object(
    name: str, document: object, expected: dict[str, object]
) -> None:
    assert json.loads(relayed(json.dumps(document).encode(), 422)) == {
        "error": {"type": "invalid_request_error", "param": None} | expected
    }


def test_an_openai_error_is_relayed_unchanged() -> None:
    came = b'{ "error": {"message": "m", "type": "t", "param": null, "code": "c", "more": 1}, "request_id": "r" }'
    assert relayed(came, 400) is came
    assert relayed(b"<html>", 400) == b"<html>"
    assert relayed(b"[]", 400) == b"[]"


def test_a_400_without_a_code_gets_upstream_400() -> None:
    came = {"error": {"message": "m", "type": "t", "param": None, "code": None, "more": 1}, "request_id": "r"}
    expected = json.loads(relayed(json.dumps(came).encode(), 400))
    assert expected == came | {"error": came["error"] | {"code": "upstream_400"}}
