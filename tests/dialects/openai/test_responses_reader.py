from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.base import EventKind
from proxy.dialects.openai.responses_reader import PRELIMINARY, TERMINAL, ResponsesReader
from proxy.dialects.table import RESPONSES
from proxy.dialects.usage import Usage, UsageDetails
from proxy.errors import ClockExpired
from tests.support.answers import compact

COUNTS = {"input_tokens": 9, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 5,
          "output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 14}  # fmt: skip


def event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind} | members))


def delta(number: int = 4) -> bytes:
    return event("response.output_text.delta", sequence_number=number, delta="a")


@pytest.mark.parametrize("kind", sorted(PRELIMINARY))
def test_events_before_any_content_are_preliminary(kind: str) -> None:
    reader = ResponsesReader()
    block = event(kind, response={"model": "up-model", "usage": None, "error": None})
    assert not reader.plain(block)
    assert reader.read(block) is EventKind.PRELIMINARY
    assert reader.response_model == "up-model"
    assert not reader.complete


@pytest.mark.parametrize(
    "kind", ["response.output_item.added", "response.output_text.delta", "response.reasoning.done"]
)
def test_every_other_event_is_content_and_plain(kind: str) -> None:
    assert ResponsesReader().read(event(kind)) is EventKind.CONTENT
    assert ResponsesReader().plain(event(kind))


SEARCHES: list[Any] = [
    {"type": "web_search_call", "action": {"type": "search", "query": "x"}}, {"type": "web_search_call", "action": {"type": "open_page"}},
    {"type": "web_search_call"}, {"type": "message", "content": []}, "odd",
]  # fmt: skip


def test_searches_are_counted_and_pages_that_are_opened_are_not() -> None:
    response = {"model": "m", "usage": COUNTS, "output": SEARCHES}
    reader = ResponsesReader()
    reader.read(event("response.completed", response=response))
    for usage in (reader.usage, ResponsesReader.read_answer(compact(response)).usage):
        assert usage == Usage(5, 4, 2, 3, UsageDetails(web_searches=2))
    for output in (SEARCHES[1:2], SEARCHES[3:], "web_search_call", None):
        assert ResponsesReader.read_answer(compact(response | {"output": output})).usage == Usage(5, 4, 2, 3)
    assert ResponsesReader.read_answer(compact({"output": SEARCHES})).usage is None


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_a_terminal_event_completes_the_stream_and_has_the_usage(kind: str) -> None:
    reader = ResponsesReader()
    block = event(kind, response={"model": "up-model", "usage": COUNTS, "error": None})
    assert not reader.plain(block)
    assert reader.read(block) is EventKind.CONTENT
    assert reader.complete
    assert reader.usage == Usage(input=5, cache_read=4, output=2, reasoning=3)


def test_the_usage_is_kept_when_a_later_event_has_none() -> None:
    reader = ResponsesReader()
    reader.read(event("response.completed", response={"usage": COUNTS}))
    reader.read(event("response.completed", response={"usage": None}))
    assert reader.usage is not None


@pytest.mark.parametrize(
    ("block", "message", "status"),
    [
        (event("error", code="rate_limit_exceeded", message="slow down", param=None), "slow down", 429),
        (
            event("error", error={"type": "too_many_requests", "code": "rate_limit_exceeded", "message": "slow down"}),
            "slow down",
            429,
        ),
        (event("response.failed", response={"error": {"code": "server_error", "message": "down"}}), "down", 500),
        (event("response.failed", response={"error": None}), "", 0),
        (event("response.failed"), "", 0),
        (event("response.output_text.delta", error={"message": "odd"}), "odd", 0),
        (b'data: {"error":{"message":"not even typed","code":400}}\n\n', "not even typed", 400),
    ],
)
def test_a_failure_is_found_in_any_form(block: bytes, message: str, status: int) -> None:
    reader = ResponsesReader()
    assert not reader.plain(block)
    assert reader.read(block) is EventKind.ERROR
    assert reader.error is not None
    assert (reader.error.message, reader.error.status) == (message, status)


def test_a_failed_response_is_a_terminal_event_and_keeps_the_first_error() -> None:
    reader = ResponsesReader()
    reader.read(event("error", message="first"))
    assert not reader.complete
    reader.read(event("response.failed", response={"error": {"message": "second"}}))
    assert reader.complete
    assert reader.error is not None
    assert reader.error.message == "first"


def test_done_does_not_complete_a_stream_of_responses() -> None:
    reader = ResponsesReader()
    assert reader.read(b"data: [DONE]\n\n") is EventKind.DONE
    assert not reader.complete


@pytest.mark.parametrize(
    ("block", "kind"),
    [
        (b": x\n\n", EventKind.COMMENT),
        (b"event: response.created\n\n", EventKind.NO_DATA),
        (b"data: {\n\n", EventKind.MALFORMED),
        (b"data: [1]\n\n", EventKind.CONTENT),
    ],
)
def test_other_blocks_are_read_as_in_every_dialect(block: bytes, kind: EventKind) -> None:
    assert ResponsesReader().read(block) is kind


def test_an_error_of_ours_continues_the_numbering() -> None:
    reader = ResponsesReader()
    reader.read(event("response.created", sequence_number=3))
    assert reader.plain(delta(4))
    assert reader.sequence == 4
    name, data = RESPONSES.writer.error_event(ClockExpired("idle", 5), reader.sequence).split(b"\n", 1)
    assert name == b"event: response.failed"
    assert data.endswith(b"\n\n")
    found = json.loads(data.removeprefix(b"data: "))
    assert found["sequence_number"] == 5
    assert found["error"] == {
        "message": "The provider did not answer in time: the idle clock (5 s) ran out.",
        "type": "upstream_error",
        "param": None,
        "code": "timeout_idle",
    }


def test_an_error_of_ours_is_an_error_to_another_gateway() -> None:
    reader = ResponsesReader()
    assert reader.read(RESPONSES.writer.error_event(ClockExpired("idle", 5), 4)) is EventKind.ERROR
    assert reader.error is not None
    assert (reader.error.code, reader.complete) == ("timeout_idle", True)


@pytest.mark.parametrize(
    "block",
    [b"", b"\n", delta()[:-1], delta() + b"\n", delta() * 2, delta().replace(b"event: ", b"event:"), delta().replace(b"\n", b"\r\n"),
     delta().replace(b'"a"', b'"\xff"'), b'data: {"type":"response.x.delta"}\n\n', b": c\n" + delta(),
     b'event: response.x\ndata: {"type":"error"}\n\n', b'event: response.x\ndata: {"type":"response.failed"}\n\n',
     b'event: response.x\ndata: {"type":5}\n\n', b'event: response.x\ndata: {"a":}\n\n',
     b'event: response.x\ndata: {"type":"response.x","a":' + b"[" * 100_000 + b"}\n\n"],
)  # fmt: skip
def test_no_other_block_is_plain(block: bytes) -> None:
    assert not ResponsesReader().plain(block)


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.text()
    | st.sampled_from(["error", *sorted(TERMINAL), *sorted(PRELIMINARY), "response.x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "response", "error", "usage", "model", "sequence_number", "code", "message", "input_tokens"]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(anything)
def test_any_document_can_be_read_and_plain_ones_are_content(document: Any) -> None:
    block = b"event: response.x\ndata: " + json.dumps(document).encode() + b"\n\n"
    deciding, reading = ResponsesReader(), ResponsesReader()
    plain = deciding.plain(block)
    read = reading.read(block)
    assert read is not EventKind.MALFORMED
    if plain:
        assert read is EventKind.CONTENT
        assert not reading.complete
