from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.responses.provider.answer_decoder import ResponsesAnswerDecoder
from proxy.dialects.translation.parts import (
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    Finish,
    LogprobsPart,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from tests.support.response_events import (
    CREATED,
    START,
    block,
    completed,
    delta,
    done,
    event,
    message,
    parts,
    text_delta,
)

USAGE = {
    "input_tokens": 10,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 7,
    "output_tokens_details": {"reasoning_tokens": 5},
}
CALL = {"type": "function_call", "id": "fc_1", "call_id": "c1", "name": "f", "arguments": '{"a":1}'}


def test_a_stream_of_text() -> None:
    assert parts(text_delta("Hel"), text_delta("lo"), done(message("Hello")), completed(usage=USAGE)) == [
        TextDelta("Hel"),
        TextDelta("lo"),
        BlockEnd(),
        UsagePart(Usage(6, 4, 2, 5)),
        Finish("stop"),
    ]


def test_an_answer_whose_events_have_no_response_begins_all_the_same() -> None:
    decoder = ResponsesAnswerDecoder()
    assert list(decoder.decode(block(text_delta("Hi")))) == [Start(), TextDelta("Hi")]


def test_text_reasoning_and_arguments_take_the_cheap_road_once_they_have_begun() -> None:
    decoder = ResponsesAnswerDecoder()
    added = event("output_item.added", output_index=2, item=CALL | {"arguments": ""})
    thought, text = delta("reasoning_summary_text", "Hm", summary_index=0), text_delta("Hi", 1)
    arguments = delta("function_call_arguments", "{}", 2)
    assert [decoder.plain(block(each)) for each in (CREATED, thought, text, arguments)] == [None] * 4
    for begun in (CREATED, thought):
        decoder.decode(block(begun))
    assert decoder.plain(block(thought)) == ReasoningDelta("Hm", summary=True)
    decoder.decode(block(text))
    assert decoder.plain(block(text)) == TextDelta("Hi")
    decoder.decode(block(added))
    assert decoder.plain(block(arguments)) == CallDelta(0, "{}")


@pytest.mark.parametrize(
    "other",
    [
        text_delta("x", 1),
        text_delta("x", 0, 1),
        text_delta("x", logprobs=[{"token": "x"}]),
        text_delta(""),
        text_delta("x", error={"message": "no"}),
        delta("refusal", "x"),
        delta("reasoning_text", "x"),
    ],
)
def test_anything_else_does_not(other: dict[str, Any]) -> None:
    decoder = ResponsesAnswerDecoder()
    decoder.decode(block(text_delta("Hi")))
    assert decoder.plain(block(other)) is None


def test_log_probabilities_follow_their_text() -> None:
    tokens = [{"token": "Hi", "logprob": -1.0}]
    whole = message({"type": "output_text", "text": "Hi", "logprobs": tokens})
    expected = [TextDelta("Hi"), LogprobsPart(tokens), BlockEnd()]
    assert parts(text_delta("Hi", logprobs=tokens), done(whole)) == expected
    assert parts(done(whole)) == expected


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (completed(), "stop"),
        (completed(CALL), "tool_calls"),
        (completed(message({"type": "refusal", "refusal": "No."})), "refusal"),
        (completed(status="incomplete", incomplete_details={"reason": "max_output_tokens"}), "length"),
        (completed(status="incomplete", incomplete_details={"reason": "content_filter"}), "content_filter"),
        (completed(status="incomplete", incomplete_details=None), "length"),
    ],
)
def test_the_reason_of_the_end(end: dict[str, Any], reason: Any) -> None:
    assert parts(end)[-1] == Finish(reason)


def test_a_refusal_that_came_as_deltas_is_the_reason_too() -> None:
    assert parts(delta("refusal", "No."), completed()) == [RefusalDelta("No."), Finish("refusal")]


def test_a_stream_that_was_cut_has_no_reason() -> None:
    assert parts(text_delta("Hi")) == [TextDelta("Hi")]


def test_a_whole_answer() -> None:
    body = {"id": "resp_1", "model": "gpt", "status": "completed", "output": [message("Hi"), CALL], "usage": USAGE}
    assert list(ResponsesAnswerDecoder().whole(json.dumps(body).encode())) == [
        START,
        TextDelta("Hi"),
        BlockEnd(),
        CallStart(0, "c1", "f"),
        CallDelta(0, '{"a":1}'),
        CallEnd(0),
        UsagePart(Usage(6, 4, 2, 5)),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"output":5}', b"\xff"])
def test_what_is_no_answer_has_no_parts(body: bytes) -> None:
    assert list(ResponsesAnswerDecoder().whole(body)) == []


def test_half_an_emoji_is_text() -> None:
    emoji = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":"\\ud83d"}\n\n'
    decoder = ResponsesAnswerDecoder()
    decoder.decode(block(text_delta("a")))
    assert decoder.plain(emoji) is None
    assert list(decoder.decode(emoji)) == [TextDelta("\ud83d")]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["message", "reasoning", "function_call", "x", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["type", "id", "text", "content", "summary", "name", "arguments", "encrypted_content", "annotations"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
KINDS = st.sampled_from(
    (
        *("created", "completed", "incomplete", "output_item.added", "output_item.done", "content_part.done"),
        *("output_text.annotation.added", "reasoning_summary_part.done", "output_text.delta", "refusal.delta"),
        *("reasoning_summary_text.delta", "reasoning_text.delta", "function_call_arguments.delta", "x"),
    )
)
MEMBERS = st.dictionaries(
    st.sampled_from(
        [
            "response",
            "item",
            "part",
            "delta",
            "output_index",
            "content_index",
            "summary_index",
            "logprobs",
            "annotation",
        ]
    ),
    JSON,
    max_size=6,
)


@given(st.lists(st.tuples(KINDS, MEMBERS), max_size=8))
def test_no_event_raises(events: list[tuple[str, dict[str, Any]]]) -> None:
    decoder = ResponsesAnswerDecoder()
    for kind, members in events:
        found = block(event(kind, **members))
        if decoder.plain(found) is None:
            decoder.decode(found)
    decoder.end()


@given(JSON, st.binary(max_size=20))
def test_no_answer_raises(output: Any, noise: bytes) -> None:
    ResponsesAnswerDecoder().whole(json.dumps({"output": [output], "usage": output}).encode())
    ResponsesAnswerDecoder().whole(noise)
    ResponsesAnswerDecoder().decode(noise)
    ResponsesAnswerDecoder().plain(noise)


@given(st.lists(st.text(max_size=4), max_size=5), st.integers(0, 31))
def test_no_text_is_lost_or_doubled_whichever_deltas_are_missing(texts: list[str], lost: int) -> None:
    """Deltas are missing at the end only: what comes later could not be put in order."""
    sent = texts[: lost % (len(texts) + 1)]
    found = parts(
        *(text_delta(each) for each in sent), done(message("".join(texts))), completed(message("".join(texts)))
    )
    assert "".join(part.text for part in found if isinstance(part, TextDelta)) == "".join(texts)
