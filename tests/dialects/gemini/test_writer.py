from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest
from google.genai.errors import APIError, ClientError, ServerError

from proxy.dialects.gemini.writer import GeminiWriter
from proxy.dialects.provider_error import ProviderError, fault_of
from proxy.errors import (
    BudgetExceeded,
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
from tests.support.answers import compact
from tests.support.gemini import MODEL, client, events, stream_of

WRITER = GeminiWriter()
FAULTS: list[tuple[GatewayError, type[APIError], int, str]] = [
    (ClientFault("Bad.", param="contents", code="invalid_type"), ClientError, 400, "INVALID_ARGUMENT"),
    (ClientFault("Unknown model.", status=404, code="model_not_found"), ClientError, 404, "NOT_FOUND"),
    (ClientFault("Too large.", status=413), ClientError, 413, "INVALID_ARGUMENT"),
    (ClientFault("Forbidden.", status=403), ClientError, 403, "PERMISSION_DENIED"),
    (Unauthorized(), ClientError, 401, "UNAUTHENTICATED"),
    (RateLimited("client", "requestsPerMinute", retry_after=3), ClientError, 429, "RESOURCE_EXHAUSTED"),
    (Overloaded("Full."), ServerError, 503, "UNAVAILABLE"),
    (ShuttingDown("Bye."), ServerError, 503, "UNAVAILABLE"),
    (StreamTruncated("Cut."), ServerError, 502, "UNAVAILABLE"),
    (ClockExpired("idle", 60), ServerError, 504, "DEADLINE_EXCEEDED"),
    (LoopDetected(), ServerError, 508, "INTERNAL"),
    (GatewayError("Oops."), ServerError, 500, "INTERNAL"),
]


def error_of(body: bytes) -> dict[str, Any]:
    document = json.loads(body)
    assert list(document) == ["error"]  # Google's SDK recognizes an error in a stream by its first member
    error: dict[str, Any] = document["error"]
    return error


@pytest.mark.parametrize(("fault", "raised", "http", "word"), FAULTS)
def test_googles_sdk_raises_the_right_exception_for_a_status(
    fault: GatewayError, raised: type[APIError], http: int, word: str
) -> None:
    answer = httpx2.Response(http, json=json.loads(WRITER.error_body(fault)))
    sdk = client(answer)
    with pytest.raises(raised) as caught:
        sdk.models.generate_content(model=MODEL, contents="Hi")
    assert (caught.value.code, caught.value.status, caught.value.message) == (http, word, fault.message)


@pytest.mark.parametrize(("fault", "raised", "http", "word"), FAULTS)
def test_googles_sdk_raises_the_right_exception_within_a_stream(
    fault: GatewayError, raised: type[APIError], http: int, word: str
) -> None:
    first, _ = events("Hello", " world")
    chunks = stream_of([first, WRITER.ping, WRITER.error_event(fault, -1)])
    assert next(chunks).text == "Hello"
    with pytest.raises(raised) as caught:
        next(chunks)
    assert (caught.value.code, caught.value.status, caught.value.message) == (http, word, fault.message)
    chunks = stream_of([first, WRITER.error_tail(fault)])
    assert next(chunks).text == "Hello"
    with pytest.raises(raised):
        next(chunks)


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_googles_sdk_reads_a_stream_with_pings(end: bytes) -> None:
    pieces = [
        WRITER.ping,
        *(each for block in events("Hello", " ", "world", end=end) for each in (block, WRITER.ping, WRITER.ping)),
    ]
    assert [chunk.text for chunk in stream_of(pieces)] == ["Hello", " ", "world"]


def test_nothing_is_written_but_data_and_blank_lines() -> None:
    for fault, *_ in FAULTS:
        block = WRITER.error_event(fault, 5)
        assert block.startswith(b"data: {")
        assert block.endswith(b"}\n\n")
        assert block.count(b"\n") == 2
        assert b"data: %b\n" % WRITER.error_tail(fault) == block
    assert (WRITER.ping.strip(), WRITER.terminal, WRITER.metadata_comment(b"{}")) == (b"", b"", b"")


def test_an_answer_keeps_its_bytes() -> None:
    body = b'{"candidates": []}'
    assert WRITER.with_metadata(body, b'"_router":{}') is body


def test_the_code_the_member_and_the_delay_are_details() -> None:
    fault = ClientFault("'contents' must be an array.", param="contents", code="invalid_type", retry_after=7)
    types = {detail.pop("@type").rpartition(".")[2]: detail for detail in error_of(WRITER.error_body(fault))["details"]}
    assert types == {
        "ErrorInfo": {"reason": "INVALID_TYPE", "domain": "sluice"},
        "BadRequest": {"fieldViolations": [{"field": "contents", "description": "'contents' must be an array."}]},
        "RetryInfo": {"retryDelay": "7s"},
    }


@pytest.mark.parametrize(("renewed_in", "delay"), [(3600, "3600s"), (None, "86400s")])
def test_a_client_without_a_budget_has_to_wait_long(renewed_in: int | None, delay: str) -> None:
    """Gemini CLI repeats a 429 ten times, unless it has to wait for more than five minutes."""
    error = error_of(WRITER.error_body(BudgetExceeded("No.", retry_after=renewed_in)))
    assert (error["code"], error["status"]) == (429, "RESOURCE_EXHAUSTED")
    info, retry = error["details"]
    assert (info["reason"], retry["retryDelay"]) == ("INSUFFICIENT_QUOTA", delay)


def test_an_error_without_particulars_has_no_details() -> None:
    assert error_of(WRITER.error_body(ClientFault("Bad."))) == {
        "code": 400,
        "message": "Bad.",
        "status": "INVALID_ARGUMENT",
    }


# Errors of providers


@pytest.mark.parametrize(
    ("error", "word"),
    [
        (ProviderError("Overloaded.", type="UNAVAILABLE", code=503, status=503), "UNAVAILABLE"),
        (ProviderError("Billing.", type="FAILED_PRECONDITION", code=400, status=400), "FAILED_PRECONDITION"),
        (ProviderError("Overloaded.", type="overloaded_error", status=529), "UNAVAILABLE"),
        (ProviderError("Odd.", type="NOT_FOUND", status=500), "INTERNAL"),
        (ProviderError("Odd."), "UNAVAILABLE"),
    ],
)
def test_a_providers_error_in_a_stream_has_a_word_of_google(error: ProviderError, word: str) -> None:
    found = error_of(WRITER.error_body(fault_of(error)))
    assert (found["message"], found["status"]) == (error.message, word)


@pytest.mark.parametrize("wrap", [lambda error: error, lambda error: [error]])
def test_a_providers_error_of_this_dialect_is_relayed_as_it_is(wrap: Any) -> None:
    body = json.dumps(wrap({"error": {"code": 400, "message": "No.", "status": "INVALID_ARGUMENT"}}), indent=2).encode()
    assert WRITER.relayed_error(ProviderError("No."), body, 400) is body


@pytest.mark.parametrize("body", [{"error": {"message": "No.", "type": "invalid_request_error"}}, {"detail": "No."}])
def test_other_errors_are_rewritten(body: Any) -> None:
    relayed = WRITER.relayed_error(ProviderError("No."), compact(body), 404)
    assert error_of(relayed) == {"code": 404, "message": "No.", "status": "NOT_FOUND"}
