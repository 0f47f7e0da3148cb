"""Answers of the Messages API in neutral parts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.anthropic.provider.answer_decoder import MessagesAnswerDecoder
from proxy.dialects.translation.conversation import Blob, Citation
from proxy.dialects.translation.gathered import CallBlock, ReasoningBlock, TextBlock, gather
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Dropped,
    Finish,
    ReasoningBlob,
    ReasoningDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage, UsageDetails
from tests.support.answers import compact
from tests.support.decoded import decoded
from tests.support.messages import STOP, event
from tests.support.pump import split


def start(index: int = 0, **block: Any) -> bytes:
    return event("content_block_start", index=index, content_block=block)


def delta(index: int = 0, **part: Any) -> bytes:
    return event("content_block_delta", index=index, delta=part)


def end(index: int = 0) -> bytes:
    return event("content_block_stop", index=index)


def finished(reason: str | None, **members: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason} | members)


def parts(*blocks: bytes) -> list[AnswerPart]:
    return decoded(MessagesAnswerDecoder(), blocks)


TEXT = start(type="text", text="")
THINKING = start(type="thinking", thinking="", signature="")
TOOL = start(type="tool_use", id="toolu_1", name="f", input={})


# Streams


def test_a_stream_of_text() -> None:
    begin = event("message_start", message={"id": "msg_1", "model": "claude-x", "content": [], "usage": {}})
    blocks = [begin, TEXT, event("ping"), delta(type="text_delta", text="Hi"), end(), finished("end_turn"), STOP]
    assert parts(*blocks) == [Start("msg_1", "claude-x"), TextDelta("Hi"), BlockEnd(), Finish("stop")]


def test_thinking_is_followed_by_its_signature() -> None:
    blocks = [THINKING, delta(type="thinking_delta", thinking="Hm"), delta(type="signature_delta", signature="sig")]
    assert parts(*blocks, end()) == [ReasoningDelta("Hm"), ReasoningBlob(Blob("sig")), BlockEnd()]


def test_thinking_that_is_not_shown_is_its_signature() -> None:
    assert parts(THINKING, delta(type="signature_delta", signature="sig"), end()) == [ReasoningBlob(Blob("sig"))]


def test_redacted_thinking_is_a_blob() -> None:
    assert parts(start(type="redacted_thinking", data="opaque"), end()) == [ReasoningBlob(Blob("opaque", "redacted"))]


def test_calls_are_numbered_whatever_the_blocks_before_them() -> None:
    second = start(2, type="tool_use", id="toolu_2", name="g", input={})
    found = parts(
        TEXT,
        end(),
        start(1, type="tool_use", id="toolu_1", name="f", input={}),
        delta(1, type="input_json_delta", partial_json=""),
        delta(1, type="input_json_delta", partial_json='{"a":'),
        delta(1, type="input_json_delta", partial_json="1}"),
        end(1),
        second,
        delta(2, type="input_json_delta", partial_json="{}"),
        end(2),
        finished("tool_use"),
    )
    assert found == [
        CallStart(0, "toolu_1", "f"),
        CallDelta(0, '{"a":'),
        CallDelta(0, "1}"),
        CallEnd(0),
        CallStart(1, "toolu_2", "g"),
        CallDelta(1, "{}"),
        CallEnd(1),
        Finish("tool_calls"),
    ]


@pytest.mark.parametrize(
    ("value", "arguments"),
    [
        ("{}", "{}"),
        ("null", "{}"),
        ('"odd"', "{}"),
        ('{"a": "ö"}', '{"a":"ö"}'),
        ('{"a":"\\ud83c"}', '{"a":"\\ud83c"}'),
    ],
)
def test_arguments_that_came_with_the_start_count_where_no_others_do(value: str, arguments: str) -> None:
    begin = TOOL.replace(b'"input":{}', b'"input":' + value.encode())
    assert parts(begin, end())[1:] == [CallDelta(0, arguments), CallEnd(0)]
    other = delta(type="input_json_delta", partial_json="[")
    assert parts(begin, other, end())[1:] == [CallDelta(0, "["), CallEnd(0)]


def test_the_sources_of_a_text_come_at_its_end_with_its_length() -> None:
    source = {"type": "web_search_result_location", "url": "https://a.example", "title": "A", "cited_text": "quote"}
    other = {"type": "page_location", "document_title": "B", "cited_text": "more", "start_page_number": 3}
    found = parts(
        start(type="text", text="", citations=[other]),
        delta(type="citations_delta", citation=source),
        delta(type="citations_delta", citation=None),
        delta(type="text_delta", text="ab"),
        delta(type="text_delta", text="c"),
        end(),
    )
    assert found == [
        Dropped("citations.start_page_number"),
        TextDelta("ab"),
        TextDelta("c"),
        CitationPart(Citation(title="B", quote="more", start=0, end=3)),
        CitationPart(Citation("https://a.example", "A", "quote", start=0, end=3)),
        BlockEnd(),
    ]


def test_a_source_of_an_unknown_kind_is_told() -> None:
    told = parts(start(type="text", text=""), delta(type="citations_delta", citation={"type": "video_location"}))
    assert told == [Dropped("citations[video_location]")]


@pytest.mark.parametrize(
    "kind",
    ["server_tool_use", "web_search_tool_result", "mcp_tool_use", "container_upload", "compaction", "fallback", "new"],
)
def test_a_block_that_no_other_dialect_has_is_dropped_whole(kind: str) -> None:
    found = parts(
        start(type=kind, name="web_search", id="s"),
        delta(type="input_json_delta", partial_json="{}"),
        delta(type="text_delta", text="x"),
        delta(type="new_delta", content="x"),
        end(),
    )
    assert found == [Dropped(kind)]


def test_what_is_not_known_is_dropped_by_its_name() -> None:
    odd = event("content_block_start", index=2, content_block={"type": "Z" * 99})
    assert parts(event("new_event"), TEXT, delta(type="new_delta"), odd) == [
        Dropped("new_event"),
        Dropped("new_delta"),
        Dropped("content_block"),
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("end_turn", "stop"),
        ("max_tokens", "length"),
        ("tool_use", "tool_calls"),
        ("pause_turn", "pause"),
        ("compaction", "pause"),
        ("model_context_window_exceeded", "context"),
        ("something_new", "stop"),
    ],
)
def test_each_stop_reason_has_a_neutral_one(word: str, reason: str) -> None:
    assert [each.reason for each in parts(finished(word)) if isinstance(each, Finish)] == [reason]


def test_a_stop_sequence_is_named() -> None:
    assert parts(finished("stop_sequence", stop_sequence="\n\nEND")) == [Finish("stop_sequence", "\n\nEND")]


@pytest.mark.parametrize(
    ("details", "words"),
    [
        (None, ""),
        ({"type": "refusal", "category": "cyber", "explanation": "Blocked."}, "Blocked."),
        ({"type": "refusal", "category": "cyber", "explanation": None}, "cyber"),
        ({"type": "refusal", "category": None}, ""),
    ],
)
def test_a_refusal_says_why(details: Any, words: str) -> None:
    assert parts(finished("refusal", stop_details=details)) == [Finish("refusal", "", words)]


def test_calls_make_a_normal_end_one_with_calls() -> None:
    assert parts(TOOL, end(), finished("end_turn"))[-1] == Finish("tool_calls")


def test_the_end_ends_blocks_that_are_open_and_comes_once() -> None:
    found = parts(TEXT, delta(type="text_delta", text="a"), finished(None), finished("end_turn"), finished("end_turn"))
    assert found == [TextDelta("a"), BlockEnd(), Finish("stop")]


def test_the_usage_is_cumulative() -> None:
    begin = {"input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 3, "output_tokens": 1}
    found = parts(
        event("message_start", message={"usage": begin}),
        event("message_delta", delta={}, usage={"output_tokens": 7, "output_tokens_details": {"thinking_tokens": 2}}),
    )
    usages = [each.usage for each in found if isinstance(each, UsagePart)]
    written = UsageDetails(cache_write=3)
    assert usages == [Usage(9, 4, 1, None, written), Usage(9, 4, 5, 2, written)]


def test_a_second_start_ends_what_the_first_began() -> None:
    begin = event("message_start", message={"id": "msg_1"})
    again = event("message_start", message={"id": "msg_2"})
    half = delta(type="input_json_delta", partial_json='{"a":')
    assert parts(begin, TOOL, half, again, TOOL, end()) == [
        Start("msg_1"),
        CallStart(0, "toolu_1", "f"),
        CallDelta(0, '{"a":'),
        CallEnd(0),
        CallStart(1, "toolu_1", "f"),
        CallDelta(1, "{}"),
        CallEnd(1),
    ]


def test_the_start_of_a_whole_answer_may_have_its_stop_reason() -> None:
    block = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {}}
    begin = event("message_start", message={"id": "msg_1", "content": [block], "stop_reason": "tool_use"})
    assert parts(begin, STOP) == [
        Start("msg_1"),
        CallStart(0, "toolu_1", "f"),
        CallDelta(0, "{}"),
        CallEnd(0),
        Finish("tool_calls"),
    ]


def test_the_same_start_again_says_nothing() -> None:
    begin = event("message_start", message={"id": "msg_1", "content": [{"type": "text", "text": "a"}]})
    assert parts(begin, begin) == [Start("msg_1"), TextDelta("a"), BlockEnd()]
    assert parts(begin, TEXT, begin, delta(type="text_delta", text="b"), end())[3:] == [TextDelta("b"), BlockEnd()]


# Odd streams


def test_a_text_may_lack_its_start() -> None:
    blocks = [delta(type="text_delta", text="a"), delta(1, type="thinking_delta", thinking="b"), end(), end(1)]
    assert parts(*blocks) == [TextDelta("a"), ReasoningDelta("b"), BlockEnd(), BlockEnd()]


def test_arguments_without_a_call_are_left_out() -> None:
    assert parts(delta(type="input_json_delta", partial_json="{}"), TEXT, end()) == []


@pytest.mark.parametrize("ending", [b"\n\n", b"\r\n\r\n", b"\r\r"])
def test_line_ends_names_and_spaces_do_not_matter(ending: bytes) -> None:
    data = json.dumps({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "ö"}})
    for block in (
        b"data:" + data.encode() + ending,
        b"event: content_block_delta" + ending[: len(ending) // 2] + b"data: " + data.encode() + ending,
        b": comment\ndata: " + data.encode() + b"\nid: 1" + ending,
        "\ufeffdata: ".encode() + data.encode() + ending,
    ):
        assert list(MessagesAnswerDecoder().decode(block)) == [TextDelta("ö")]


def test_half_an_emoji_is_kept() -> None:
    whole = delta(type="text_delta", text="x").replace(b'"x"', b'"\\ud83c"')
    assert parts(TEXT, whole) == [TextDelta("\ud83c")]


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"\n",
        b": ping\n\n",
        b"data: [DONE]\n\n",
        b"data: nonsense\n\n",
        b"data: [1]\n\n",
        b'data: {"type":5}\n\n',
        b"data: " + b"[" * 100_000 + b"\n\n",
        b"event: content_block_delta\ndata: " + b"[" * 100_000 + b"\n\n",
        b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"\xff"\n\n',
        event("error", error={"type": "overloaded_error", "message": "Overloaded"}),
        event("content_block_stop", index=7),
    ],
)
def test_a_block_without_a_part_has_none(block: bytes) -> None:
    decoder = MessagesAnswerDecoder()
    assert (decoder.plain(block), list(decoder.decode(block))) == (None, [])


# The fast path


@pytest.mark.parametrize(
    ("begin", "fragment", "part"),
    [
        (TEXT, delta(type="text_delta", text="wörld"), TextDelta("wörld")),
        (THINKING, delta(type="thinking_delta", thinking="Hm"), ReasoningDelta("Hm")),
        (TOOL, delta(type="input_json_delta", partial_json='{"a'), CallDelta(0, '{"a')),
    ],
)
def test_a_piece_of_an_open_block_is_plain(begin: bytes, fragment: bytes, part: AnswerPart) -> None:
    decoder = MessagesAnswerDecoder()
    assert decoder.plain(fragment) is None
    assert decoder.plain(begin) is None
    decoder.decode(begin)
    assert decoder.plain(fragment) == part
    for odd in (
        fragment[:-1],
        fragment.replace(b"\n", b"\r\n"),
        fragment.replace(b"data: ", b"data:"),
        b" " + fragment,
    ):
        assert decoder.plain(odd) is None
    for other in (TEXT, THINKING, TOOL, start(type="server_tool_use")):
        if other != begin:
            decoder.decode(other)
            assert decoder.plain(fragment) is None


# Whole messages


def test_a_whole_message() -> None:
    message = {
        "id": "msg_1",
        "model": "claude-x",
        "content": [
            {"type": "thinking", "thinking": "Hm", "signature": "sig"},
            {"type": "redacted_thinking", "data": "opaque"},
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
            {"type": "text", "text": "a", "citations": [{"cited_text": "q", "source": "s", "title": "t"}]},
            {"type": "text", "text": "b", "citations": None},
            {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": [1]}},
            "odd",
        ],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 4},
    }
    answer = gather(MessagesAnswerDecoder().whole(compact(message)))
    assert (answer.start, answer.usage) == (Start("msg_1", "claude-x"), Usage(3, None, 4))
    assert answer.finish == Finish("tool_calls")
    assert answer.blocks == [
        ReasoningBlock("Hm", blob=Blob("sig")),
        ReasoningBlock(blob=Blob("opaque", "redacted")),
        TextBlock("a", [Citation("s", "t", "q", start=0, end=1)]),
        TextBlock("b"),
        CallBlock(0, "toolu_1", "f", '{"x":[1]}'),
    ]


def test_a_whole_message_without_a_reason_is_complete() -> None:
    assert list(MessagesAnswerDecoder().whole(b"{}")) == [Start(), Finish("stop")]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[1]", b"null", b"[" * 100_000])
def test_a_body_that_is_no_message_has_no_parts(body: bytes) -> None:
    assert list(MessagesAnswerDecoder().whole(body)) == []


# Anything

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KINDS = st.sampled_from(
    ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "ping"]
)
PARTS = st.sampled_from(
    [
        "text",
        "thinking",
        "redacted_thinking",
        "tool_use",
        "server_tool_use",
        "text_delta",
        "thinking_delta",
        "input_json_delta",
        "signature_delta",
        "citations_delta",
        "new",
    ]
)
TEXTS = st.text(max_size=4)
INNER = st.fixed_dictionaries(
    {},
    optional={"type": PARTS | JSON, "text": TEXTS | JSON, "thinking": TEXTS | JSON, "partial_json": TEXTS | JSON}
    | {"signature": TEXTS | JSON, "data": TEXTS | JSON, "input": JSON, "citation": JSON, "citations": JSON}
    | {"stop_reason": st.sampled_from(["end_turn", "tool_use", "new"]) | JSON, "usage": JSON, "content": JSON},
)
EVENTS = st.builds(
    lambda kind, members: event(kind, **members),
    KINDS | TEXTS.filter(lambda text: text.isprintable()),
    st.fixed_dictionaries(
        {},
        optional={"index": st.integers(0, 2) | JSON, "delta": INNER | JSON, "content_block": INNER | JSON}
        | {"message": INNER | JSON, "usage": JSON},
    ),
)


@given(st.lists(EVENTS, max_size=12))
def test_the_fast_path_says_the_same(blocks: list[bytes]) -> None:
    slow = MessagesAnswerDecoder()
    assert parts(*blocks) == [part for block in blocks for part in slow.decode(block)]


@given(st.lists(EVENTS, max_size=8), st.lists(st.integers(0, 600), max_size=8))
def test_no_split_changes_a_part(blocks: list[bytes], cuts: list[int]) -> None:
    body = b"".join(blocks)
    assert decoded(MessagesAnswerDecoder(), split(body, cuts)) == parts(*blocks)


@given(st.one_of(JSON, INNER, st.fixed_dictionaries({"content": st.lists(INNER)})))
def test_no_json_raises(value: Any) -> None:
    body = compact(value)
    MessagesAnswerDecoder().whole(body)
    MessagesAnswerDecoder().decode(b"data: %b\n\n" % body)


@given(st.binary(max_size=60))
def test_no_bytes_raise(data: bytes) -> None:
    decoder = MessagesAnswerDecoder()
    decoder.whole(data)
    for block in (data, b"event: content_block_delta\ndata: " + data + b"\n\n"):
        decoder.plain(block)
        decoder.decode(block)
