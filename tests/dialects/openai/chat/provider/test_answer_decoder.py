from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.chat.provider.answer_decoder import ChatAnswerDecoder
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    CallStart,
    CitationPart,
    Dropped,
    Finish,
    LogprobsPart,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from tests.support.answers import DONE, sse

START = Start("c", "up-model")
COUNTS = {"prompt_tokens": 9, "completion_tokens": 2}


def chunk(delta: Any = None, finish: Any = None, *, choice: Any = None, **members: Any) -> bytes:
    choices = [{"index": 0, "delta": delta or {}, "finish_reason": finish} | (choice or {})]
    return sse({"id": "c", "model": "up-model", "choices": choices} | members)


def read(*blocks: bytes) -> list[AnswerPart]:
    """All parts but the start, as the relay gets them."""
    decoder = ChatAnswerDecoder()
    found: list[AnswerPart] = []
    for block in blocks:
        part = decoder.plain(block)
        found += decoder.decode(block) if part is None else [part]
    found += decoder.end()
    assert not found or found[0] == START
    return found[1:]


def whole(message: Any, finish: Any = "stop", **members: Any) -> list[AnswerPart]:
    choice = {"index": 0, "message": message, "finish_reason": finish}
    body = json.dumps({"id": "c", "model": "up-model", "choices": [choice]} | members).encode()
    found = list(ChatAnswerDecoder().whole(body))
    assert found[0] == START
    return found[1:]


# Text and reasoning


def test_text_after_the_first_piece_is_plain() -> None:
    decoder = ChatAnswerDecoder()
    assert decoder.plain(chunk({"content": "a"})) is None
    assert decoder.decode(chunk({"role": "assistant", "content": ""})) == [START]
    assert decoder.plain(chunk({"content": "a"})) is None  # it may be the beginning of a tag
    assert decoder.decode(chunk({"content": "a"})) == [TextDelta("a")]
    assert decoder.plain(chunk({"content": "b"})) == TextDelta("b")


def test_empty_members_do_not_matter() -> None:
    delta = {"role": "assistant", "content": "b", "reasoning": None, "reasoning_content": "", "tool_calls": [],
             "refusal": None, "function_call": None, "annotations": [], "audio": None, "images": []}  # fmt: skip
    decoder = ChatAnswerDecoder()
    decoder.decode(chunk({"content": "a"}))
    assert decoder.plain(chunk(delta, usage=None)) == TextDelta("b")
    assert decoder.decode(chunk(delta, usage=None)) == [TextDelta("b")]
    assert read(chunk({"role": "assistant", "content": ""}), chunk({}), chunk({"content": None}), DONE) == []


def test_reasoning_is_plain_after_its_first_piece() -> None:
    decoder = ChatAnswerDecoder()
    event = chunk({"reasoning_content": "Hm", "content": ""})
    assert decoder.plain(event) is None
    assert decoder.decode(event) == [START, ReasoningDelta("Hm")]
    assert decoder.plain(event) == ReasoningDelta("Hm")


def test_text_that_was_kept_back_stands_before_a_call() -> None:
    called = {"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}
    found = read(chunk({"content": "<"}), chunk({"tool_calls": [called]}, "tool_calls"))
    assert found == [TextDelta("<"), CallStart(0, "a", "f"), Finish("tool_calls")]


def test_text_that_was_kept_back_comes_at_the_end() -> None:
    assert read(chunk({"content": "<th"}, "stop")) == [TextDelta("<th"), Finish("stop")]


def test_half_a_surrogate_pair_is_text() -> None:
    event = b'data: {"id":"c","model":"up-model","choices":[{"delta":{"content":"\\ud83d"}}]}\n\n'
    assert read(chunk({"content": "a"}), event) == [TextDelta("a"), TextDelta("\ud83d")]


# Calls


def test_the_arguments_of_an_open_call_are_plain() -> None:
    decoder = ChatAnswerDecoder()
    first = {"index": 0, "id": "a", "type": "function", "function": {"name": "f", "arguments": ""}}
    assert decoder.decode(chunk({"tool_calls": [first]})) == [START, CallStart(0, "a", "f")]
    more = chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{"}}]})
    assert decoder.plain(more) == CallDelta(0, "{")
    assert decoder.plain(chunk({"tool_calls": [{"index": 1, "function": {"arguments": "{"}}]})) is None
    both = [{"index": 0, "function": {"arguments": "{"}}, {"index": 1, "function": {"name": "g"}}]
    assert decoder.plain(chunk({"tool_calls": both})) is None
    assert decoder.decode(chunk({"tool_calls": both})) == [CallDelta(0, "{"), CallStart(1, "", "g")]


def test_a_whole_answer_has_its_calls() -> None:
    calls = [{"id": name, "type": "function", "function": {"name": name, "arguments": "{}"}} for name in "ab"]
    found = whole({"content": None, "tool_calls": calls}, "tool_calls", usage=COUNTS)
    assert found == [
        CallStart(0, "a", "a"), CallDelta(0, "{}"), CallStart(1, "b", "b"), CallDelta(1, "{}"),
        UsagePart(Usage(9, None, 2)), Finish("tool_calls"),
    ]  # fmt: skip


# What else an answer has


def test_a_refusal_is_no_text() -> None:
    assert read(chunk({"refusal": "No"}), chunk({"refusal": "."}, "stop")) == [
        RefusalDelta("No"), RefusalDelta("."), Finish("refusal"),
    ]  # fmt: skip


def test_annotations_are_citations() -> None:
    cited = {"url": "https://a.example", "title": "A", "start_index": 0, "end_index": 3, "content": "so"}
    annotations = [{"type": "url_citation", "url_citation": cited}, {"type": "file", "file": {"hash": "x"}}]
    found = whole({"content": "abc", "annotations": annotations}, None)
    citation = Citation("https://a.example", "A", "so", start=0, end=3)
    assert found == [TextDelta("abc"), CitationPart(citation), Dropped("annotations[file]")]


def test_what_belongs_to_the_text_comes_before_the_calls() -> None:
    annotations = [{"type": "url_citation", "url_citation": {"url": "https://a.example"}}]
    calls = [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    token = {"token": "abc", "logprob": -0.5}
    message = {"content": "abc", "annotations": annotations, "tool_calls": calls}
    choice = {"index": 0, "message": message, "logprobs": {"content": [token]}}
    _, *found = ChatAnswerDecoder().whole(json.dumps({"choices": [choice]}).encode())
    assert found[:4] == [
        TextDelta("abc"),
        CitationPart(Citation("https://a.example")),
        LogprobsPart([token]),
        CallStart(0, "a", "f"),
    ]


def test_sources_in_every_chunk_are_cited_once() -> None:
    sources = {"citations": ["https://a.example"]}
    results = {"search_results": [{"url": "https://a.example", "title": "A", "snippet": "so"}]}
    cited = read(chunk({"content": "a"}, **sources), chunk({"content": "b"}, "stop", **sources))
    assert cited == [TextDelta("a"), TextDelta("b"), CitationPart(Citation("https://a.example")), Finish("stop")]
    found = whole({"content": "a"}, None, **sources, **results)
    assert found == [TextDelta("a"), CitationPart(Citation("https://a.example", "A", "so"))]


def test_log_probabilities_follow_their_text() -> None:
    token = {"token": "a", "logprob": -0.1, "bytes": [97], "top_logprobs": []}
    logged = {"logprobs": {"content": [token], "refusal": None}}
    assert read(chunk(), chunk({"content": "a"}, choice=logged)) == [TextDelta("a"), LogprobsPart([token])]
    refused = {"logprobs": {"content": None, "refusal": [token]}}
    assert read(chunk({"refusal": "a"}, choice=refused)) == [RefusalDelta("a"), LogprobsPart([token], of_refusal=True)]
    old = {"logprobs": {"tokens": ["a"], "token_logprobs": [-0.1]}}
    assert read(chunk(), chunk({"content": "a"}, choice=old)) == [TextDelta("a"), Dropped("logprobs")]


@pytest.mark.parametrize("name", ["audio", "images", "extra_content"])
def test_what_no_other_dialect_has_is_dropped(name: str) -> None:
    decoder = ChatAnswerDecoder()
    decoder.decode(chunk({"content": "a"}))
    event = chunk({"content": "b", name: [{"type": "image_url"}]})
    assert decoder.plain(event) is None
    assert decoder.decode(event) == [TextDelta("b"), Dropped(name)]


def test_another_choice_is_dropped() -> None:
    other = chunk({"content": "b"}, choice={"index": 1})
    assert read(chunk({"content": "a"}), other) == [TextDelta("a"), Dropped("choices")]


def test_a_stream_may_have_messages_instead_of_deltas() -> None:
    event = sse({"id": "c", "model": "up-model", "choices": [{"message": {"content": "a"}}]})
    assert read(event) == [TextDelta("a")]


def test_a_message_beside_a_delta_is_the_text_so_far() -> None:
    so_far = {"message": {"role": "assistant", "content": "ab"}}
    assert read(chunk({"content": "a"}), chunk({}, "stop", choice=so_far)) == [TextDelta("a"), Finish("stop")]


# The end


@pytest.mark.parametrize(
    ("reason", "neutral"),
    [("stop", "stop"), ("length", "length"), ("tool_calls", "tool_calls"), ("function_call", "tool_calls"),
     ("content_filter", "content_filter"), ("content_filter: SAFETY", "content_filter"), ("STOP", "stop"),
     ("model_length", "context"), ("sensitive", "content_filter"), ("insufficient_system_resource", "length"),
     ("of_another_kind", "stop")],
)  # fmt: skip
def test_a_finish_reason_has_a_neutral_word(reason: str, neutral: str) -> None:
    assert read(chunk({}, reason)) == [Finish(neutral)]  # type: ignore[arg-type]


@pytest.mark.parametrize("reason", [None, "", 1, []])
def test_without_a_reason_there_is_no_finish(reason: Any) -> None:
    assert read(chunk({"content": "a"}, reason)) == [TextDelta("a")]


def test_the_first_finish_reason_counts() -> None:
    assert read(chunk({}, "length"), chunk({}, "stop", usage=COUNTS)) == [
        UsagePart(Usage(9, None, 2)),
        Finish("length"),
    ]


def test_an_answer_with_calls_ends_for_them() -> None:
    called = {"index": 0, "id": "a", "function": {"name": "f", "arguments": "{}"}}
    assert read(chunk({"tool_calls": [called]}, "stop"))[-1] == Finish("tool_calls")


@pytest.mark.parametrize("name", ["stop_reason", "matched_stop"])
def test_the_stop_sequence_is_read(name: str) -> None:
    assert read(chunk({}, "stop", choice={name: "###"})) == [Finish("stop_sequence", "###")]
    assert read(chunk({}, "stop", choice={name: 128001})) == [Finish("stop")]
    assert read(chunk({}, "stop", choice={name: "end_turn"})) == [Finish("stop")]
    assert read(chunk({}, "length", choice={name: "###"})) == [Finish("length")]


def test_the_last_usage_counts_wherever_it_stands() -> None:
    usage = UsagePart(Usage(9, None, 2))
    early = chunk({"content": "b"}, usage=COUNTS | {"completion_tokens": 1})
    assert read(chunk({"content": "a"}, usage=None), early, chunk({}, "stop", usage=COUNTS)) == [
        TextDelta("a"), TextDelta("b"), usage, Finish("stop"),
    ]  # fmt: skip
    last = sse({"id": "c", "choices": [], "usage": COUNTS})
    assert read(chunk({"content": "a"}, "stop"), last, DONE) == [TextDelta("a"), usage, Finish("stop")]
    assert read(chunk({"content": "a"}, "stop", x_groq={"usage": COUNTS})) == [TextDelta("a"), usage, Finish("stop")]
    total = chunk({"content": "b"}, usage=COUNTS)
    assert read(chunk({"content": "a"}), total) == [TextDelta("a"), TextDelta("b"), usage]


def test_a_usage_without_counts_replaces_none() -> None:
    found = read(chunk({"content": "a"}, usage=COUNTS), chunk({"content": "b"}, usage={}), chunk({}, "stop"))
    assert UsagePart(Usage(9, None, 2)) in found


# Events that are no chunks


def test_nothing_comes_of_events_without_chunks() -> None:
    events = [
        b": ping\n\n",
        DONE,
        b"data: \n\n",
        b"event: x\n\n",
        sse("1"),
        sse("[]"),
        sse("{"),
        b"\n",
        sse({"id": "c"}),
    ]
    assert read(*events) == []


def test_events_of_azure_before_the_answer_do_not_start_it() -> None:
    results = sse({"choices": [], "id": "", "model": "", "prompt_filter_results": [{"prompt_index": 0}]})
    assert read(results, chunk({"content": "a"})) == [TextDelta("a")]


def test_a_byte_order_mark_is_skipped() -> None:
    assert read(b"\xef\xbb\xbf" + chunk({"content": "a"})) == [TextDelta("a")]


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"null", b'"a"', b"{}"])
def test_nothing_comes_of_a_body_that_is_no_answer(body: bytes) -> None:
    assert not ChatAnswerDecoder().whole(body)


# For all answers

LEAVES = (
    st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=3) | st.sampled_from(["stop", "<think>", "text"])
)
NAMES = st.sampled_from(
    ["content", "reasoning", "reasoning_content", "reasoning_details", "tool_calls", "function_call", "function", "name",
     "arguments", "index", "id", "type", "text", "thinking", "signature", "data", "refusal", "annotations", "usage",
     "url_citation", "logprobs", "custom", "input", "extra_content", "google", "thought_signature", "audio", "role"]
)  # fmt: skip
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5), max_leaves=12
)
CHUNKS = st.fixed_dictionaries(
    {"choices": st.lists(st.fixed_dictionaries({"delta": st.dictionaries(NAMES, VALUES, max_size=5) | VALUES},
                                               optional={"index": VALUES, "finish_reason": LEAVES, "logprobs": VALUES}),
                         max_size=2) | VALUES},
    optional={"usage": VALUES, "id": LEAVES, "model": LEAVES, "citations": VALUES, "search_results": VALUES},
)  # fmt: skip


@given(st.lists(CHUNKS, max_size=5))
def test_no_answer_raises_and_plain_agrees_with_decode(chunks: list[Any]) -> None:
    one, other = ChatAnswerDecoder(), ChatAnswerDecoder()
    for each in chunks:
        block = sse(each)
        part = one.plain(block)
        found = list(one.decode(block)) if part is None else [part]
        assert found == list(other.decode(block))
    assert one.end() == other.end()


@given(VALUES)
def test_no_whole_answer_raises(value: Any) -> None:
    body = json.dumps({"choices": [{"message": value, "finish_reason": "stop"}]}).encode()
    assert ChatAnswerDecoder().whole(body)[0] == Start()


@given(st.binary(max_size=40))
def test_no_bytes_raise(data: bytes) -> None:
    decoder = ChatAnswerDecoder()
    decoder.decode(chunk({"content": "a"}))
    for block in (data, b"data: " + data + b"\n\n"):
        decoder.plain(block)
        decoder.decode(block)
        decoder.whole(block)
