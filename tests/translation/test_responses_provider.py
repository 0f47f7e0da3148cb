"""The provider's streams are read back to its answers: by the openai package, and by the gateway's own reader."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from openai.types.responses import Response

from proxy.dialects.base import EventKind
from proxy.dialects.openai.responses.provider.answer_decoder import ResponsesAnswerDecoder
from proxy.dialects.openai.responses_reader import ResponsesReader
from proxy.dialects.translation.gathered import gather
from proxy.dialects.translation.parts import Dropped
from tests.support.decoded import decoded
from tests.support.responses import events_of, read_stream
from tests.translation.grammar import check_responses
from tests.translation.responses_input_rules import of_input
from tests.translation.responses_provider import (
    FAILURE,
    answer,
    call,
    custom_call,
    error,
    error_event,
    events,
    message,
    reasoning,
    refusal,
    signatures_of,
    text,
)

TOKENS = [{"token": each, "bytes": list(each.encode()), "logprob": -0.5, "top_logprobs": []} for each in ("Hel", "lo")]
SOURCE = {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 5}
SEARCH = {
    "id": "ws_1",
    "type": "web_search_call",
    "status": "completed",
    "action": {"type": "search", "query": "a", "queries": ["a"]},
}
PARTS = message(*text("Hello")["content"], *refusal("I cannot go on.")["content"])
ANSWERS = {
    "text": answer(text("Hello, how are you?", phase="final_answer")),
    "nothing": answer(),
    "sources and probabilities": answer(text("Hello", [SOURCE], TOKENS)),
    "refusal": answer(refusal("I cannot help with that.")),
    "two parts": answer(PARTS),
    "summary": answer(reasoning(summary=["First.", "Second."], encrypted="c2VhbGVk"), text("Hello")),
    "raw reasoning": answer(reasoning("The user greets."), text("Hello")),
    "calls": answer(text("Both:"), call("c1", "f", '{"a":1}'), call("c2", "g", "{}"), custom_call("c3", "h", "x = 1")),
    "hosted tool": answer(SEARCH, text("Hello", [SOURCE])),
    "cut text": answer(text("Hel"), status="incomplete"),
    "cut thoughts": answer(reasoning(summary=["Hm."]), status="incomplete"),
    "filtered": answer(text("Hel"), status="incomplete", incomplete_details={"reason": "content_filter"}),
}
each_answer = pytest.mark.parametrize("whole", ANSWERS.values(), ids=ANSWERS)


@each_answer
def test_the_package_reads_a_stream_back_to_the_answer(whole: dict[str, Any]) -> None:
    Response.model_validate(whole)
    stream = b"".join(events(whole))
    check_responses(events_of(stream))
    response = read_stream(stream)[1].to_dict()
    assert json.loads(json.dumps(response)) | {"output": whole["output"]} == whole
    assert [_without_parsed(item) for item in response["output"]] == whole["output"]


def _without_parsed(value: Any) -> Any:
    """Without what the package adds."""
    if isinstance(value, dict):
        added = ("parsed", "parsed_arguments")
        return {name: _without_parsed(each) for name, each in value.items() if name not in added}
    return [_without_parsed(each) for each in value] if isinstance(value, list) else value


@each_answer
def test_the_gateway_reads_a_stream_whole(whole: dict[str, Any]) -> None:
    reader, blocks = ResponsesReader(), events(whole)
    assert EventKind.ERROR not in [reader.read(block) for block in blocks if not reader.plain(block)]
    assert (reader.complete, reader.error, reader.response_model) == (True, None, whole["model"])
    assert reader.sequence == len(blocks) - 1


@each_answer
def test_the_gateway_makes_the_same_of_a_stream_and_of_the_answer(whole: dict[str, Any]) -> None:
    streamed = decoded(ResponsesAnswerDecoder(), events(whole))
    at_once = ResponsesAnswerDecoder().whole(json.dumps(whole).encode())
    assert gather(streamed) == gather(at_once)
    dropped = [[part for part in parts if isinstance(part, Dropped)] for parts in (streamed, at_once)]
    assert dropped[0] == dropped[1]


def test_a_failed_answer_ends_with_its_error() -> None:
    blocks = events(answer(text("Hel"), status="failed", usage=None))
    last = events_of(blocks[-1])[0]
    assert (last["type"], last["response"]["error"]) == ("response.failed", FAILURE)
    reader = ResponsesReader()
    assert reader.read(blocks[-1]) == EventKind.ERROR
    assert reader.error is not None
    assert reader.error.message == FAILURE["message"]


def test_an_error_in_a_stream_is_read_as_one() -> None:
    reader = ResponsesReader()
    assert reader.read(error_event("Too much.")) == EventKind.ERROR
    assert reader.error is not None
    assert reader.error.message == "Too much."


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (429, "rate_limit_error"), (503, "server_error")]
)
def test_an_error_names_its_type(status: int, kind: str) -> None:
    assert error("No.", status)["error"] == {"message": "No.", "type": kind, "param": None, "code": None}


def test_encrypted_content_is_whole_only_when_its_item_is_done() -> None:
    whole = ANSWERS["summary"]
    seen = [
        event["item"]["encrypted_content"]
        for event in map(_data, events(whole))
        if "encrypted" in str(event.get("item"))
    ]
    assert seen == ["c2Vh", "c2VhbGVk"]


def test_the_items_of_an_answer_come_back_as_they_were_sent() -> None:
    whole = ANSWERS["summary"]
    assert list(of_input(whole["output"], signatures_of(whole))) == []
    ids = [item["id"] for each in ANSWERS.values() for item in each["output"]]
    assert all(one != other for one, other in pairwise(ids))


def _data(block: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(block.partition(b"\ndata: ")[2])
    return found
