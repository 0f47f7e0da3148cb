from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from proxy.dialects.base import EventKind
from proxy.dialects.openai.chat_reader import ChatReader
from proxy.dialects.usage import Usage, UsageDetails
from tests.support.answers import chat_events, compact, sse

DONE = b"data: [DONE]\n\n"
COUNTS = {"prompt_tokens": 9, "completion_tokens": 2}
COUNTED = Usage(input=9, cache_read=None, output=2, reasoning=None)


def chunk(delta: Any = None, finish: Any = None, *, index: int = 0, **members: Any) -> bytes:
    choice = {"index": index, "delta": delta or {}, "finish_reason": finish}
    return sse({"id": "c", "model": "up-model", "choices": [choice]} | members)


def kind(block: bytes, **options: Any) -> EventKind:
    return ChatReader(**options).read(block)


# What an event is to the relay


@pytest.mark.parametrize(
    "delta",
    [{"content": "a"}, {"content": " "}, {"content": [{"type": "thinking", "thinking": []}]}, {"refusal": "no"},
     {"reasoning_content": "hm"}, {"reasoning": "hm"}, {"reasoning_details": [{"text": "hm"}]}, {"audio": {"id": "x"}},
     {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]}, {"function_call": {"name": "f"}},
     {"role": "assistant", "content": "a"}],
)  # fmt: skip
def test_all_output_of_the_model_is_content(delta: dict[str, Any]) -> None:
    assert kind(chunk(delta)) is EventKind.CONTENT


@pytest.mark.parametrize(
    "delta",
    [{}, {"role": "assistant"}, {"role": "assistant", "content": ""}, {"role": "assistant", "content": None, "refusal": None},
     {"content": "", "tool_calls": [], "annotations": []}, {"reasoning": "", "reasoning_details": []}],
)  # fmt: skip
def test_a_role_or_an_empty_delta_is_preliminary(delta: dict[str, Any]) -> None:
    assert kind(chunk(delta)) is EventKind.PRELIMINARY


def test_azures_filter_results_are_preliminary() -> None:
    assert kind(sse({"choices": [], "prompt_filter_results": [{"prompt_index": 0}]})) is EventKind.PRELIMINARY


def test_a_finish_reason_is_content() -> None:
    assert kind(chunk({}, "stop")) is EventKind.CONTENT


def test_the_text_of_a_completion_is_content() -> None:
    assert kind(sse({"choices": [{"index": 0, "text": "a", "finish_reason": None}]})) is EventKind.CONTENT
    assert kind(sse({"choices": [{"index": 0, "text": "", "finish_reason": None}]})) is EventKind.PRELIMINARY


@pytest.mark.parametrize(
    "document", [{"object": "x"}, {"choices": None}, {"choices": {"0": {}}}, [1], "text", 5, None, {}]
)
def test_json_of_unknown_shape_is_content(document: Any) -> None:
    assert kind(sse(compact_event(document))) is EventKind.CONTENT


def compact_event(document: Any) -> bytes:
    return b"data: " + compact(document) + b"\n\n"


@pytest.mark.parametrize(
    "block", [b": ping\n\n", b":\n\n", b"\n", b"\r\n", b"nothing\n\n", b"error: {}\n\n", b": a\r\n: b\r\n\r\n"]
)
def test_a_block_without_fields_is_a_comment(block: bytes) -> None:
    assert kind(block) is EventKind.COMMENT


@pytest.mark.parametrize(
    "block",
    [b"data:\n\n", b"data: \n\n", b"data\n\n", b"event: x\ndata:\n\n", b"id: 1\n\n", b"retry: 0\n\n", b"event: ping\n\n",
     b": c\nretry: 5000\n\n", b"id: 1\r\rn"],
)  # fmt: skip
def test_fields_without_data_have_no_data(block: bytes) -> None:
    assert kind(block) is EventKind.NO_DATA


@pytest.mark.parametrize("block", [b"id:\n\n", b"event:\n\n", b"retry: soon\n\n"])
def test_unknown_fields_are_a_comment(block: bytes) -> None:
    assert kind(block) is EventKind.COMMENT


@pytest.mark.parametrize(
    "data", [b"{", b"nothing", b'{"choices":[}', b"[DONE", b"[DONE]x", b"nan", b'{"a":\xff}', b"{}{}", b"[" * 100_000]
)
def test_data_that_is_neither_json_nor_done_is_malformed(data: bytes) -> None:
    assert kind(b"data: " + data + b"\n\n") is EventKind.MALFORMED


def test_half_a_surrogate_pair_is_content() -> None:
    assert kind(b'data: {"choices":[{"delta":{"content":"\\ud83d"}}]}\n\n') is EventKind.CONTENT


@pytest.mark.parametrize(
    "block",
    [
        DONE,
        b"data:[DONE]\n\n",
        b"data: [DONE]\r\n\r\n",
        b"data: [DONE] \n\n",
        b": x\ndata: [DONE]\n\n",
        b"data: [DONE]\r\r",
    ],
)
def test_done_ends_the_stream_in_any_spelling(block: bytes) -> None:
    reader = ChatReader()
    assert reader.read(block) is EventKind.DONE
    assert reader.complete


def test_a_bom_is_removed_from_the_first_field_only() -> None:
    bom = b"\xef\xbb\xbf"
    assert ChatReader().read(bom + chunk({"content": "a"}), first=True) is EventKind.CONTENT
    assert ChatReader().read(bom + chunk({"content": "a"})) is EventKind.COMMENT


def test_data_on_several_lines_is_one_document() -> None:
    block = b'data: {"choices":\ndata: [{"delta":\ndata:{"content":"a"}}]}\n\n'
    assert kind(block) is EventKind.CONTENT


# Errors


@pytest.mark.parametrize(
    ("block", "message", "status"),
    [
        (sse({"error": {"message": "late", "type": "server_error"}}), "late", 500),
        (sse({"error": "late"}), "late", 0),
        (b'event: error\ndata: {"error":{"message":"late","code":"429"}}\n\n', "late", 429),
        (b'event: error\ndata: {"unknown":1}\n\n', "The provider reported an error.", 0),
        (b"event: error\ndata: 5\n\n", "The provider reported an error.", 0),
        (chunk({"content": ""}, "error", error={"message": "late", "code": 502}), "late", 502),
    ],
)
def test_an_error_is_found_in_any_form(block: bytes, message: str, status: int) -> None:
    reader = ChatReader()
    assert not reader.plain(block)
    assert reader.read(block) is EventKind.ERROR
    assert reader.error is not None
    assert (reader.error.message, reader.error.status) == (message, status)
    assert not reader.complete


@pytest.mark.parametrize("nothing", [None, {}, "", False])
def test_an_empty_error_member_is_no_error(nothing: Any) -> None:
    assert kind(chunk({"content": "a"}, error=nothing)) is EventKind.CONTENT


# The end


def test_one_finish_reason_completes_a_stream_of_one_choice() -> None:
    reader = ChatReader()
    reader.read(chunk({"content": "a"}))
    assert not reader.complete
    reader.read(chunk({}, "length"))
    assert reader.complete


def test_every_choice_has_to_finish() -> None:
    reader = ChatReader(choices=3)
    for index in (2, 0):
        reader.read(chunk({}, "stop", index=index))
        assert not reader.complete
    reader.read(chunk({}, "stop", index=1))
    assert reader.complete


def test_a_choice_that_finishes_twice_does_not_count_for_another() -> None:
    reader = ChatReader(choices=2)
    reader.read(chunk({}, "stop"))
    reader.read(chunk({}, "stop", usage=COUNTS))
    assert not reader.complete


def test_finish_reasons_may_come_in_one_event() -> None:
    reader = ChatReader(choices=2)
    reader.read(sse({"choices": [{"index": i, "delta": {}, "finish_reason": "stop"} for i in range(2)]}))
    assert reader.complete


@pytest.mark.parametrize("finish", ["", None])
def test_an_empty_finish_reason_finishes_nothing(finish: str | None) -> None:
    reader = ChatReader()
    block = chunk({"content": "a"}, finish)
    assert reader.plain(block)
    assert reader.read(block) is EventKind.CONTENT
    assert not reader.complete


# Usage and model


def test_the_model_is_the_first_that_was_reported() -> None:
    reader = ChatReader()
    reader.read(sse({"model": "first", "choices": []}))
    reader.read(sse({"model": "second", "choices": []}))
    assert reader.response_model == "first"


def test_the_cost_and_the_service_tier_of_the_last_chunks_are_read() -> None:
    reader = ChatReader()
    assert reader.plain(
        sse({"choices": [{"delta": {"content": "a"}}], "usage": COUNTS | {"cost": {"total_cost": 0.001}}})
    )
    reader.read(sse({"choices": [{"finish_reason": "stop"}], "service_tier": "flex"}))
    assert reader.usage == structs.replace(COUNTED, details=UsageDetails(service_tier="flex", reported_cost=1_000_000))
    reader.read(sse({"choices": [], "usage": COUNTS | {"cost": 0.002}}))
    assert reader.usage == structs.replace(COUNTED, details=UsageDetails(service_tier="flex", reported_cost=2_000_000))


@pytest.mark.parametrize(
    "members",
    [{"usage": COUNTS}, {"x_groq": {"id": "req", "usage": COUNTS}}, {"usage": None, "x_groq": {"usage": COUNTS}},
     {"usage": COUNTS | {"cost": "none", "details": None}}],
)  # fmt: skip
def test_usage_is_found_where_providers_put_it(members: dict[str, Any]) -> None:
    reader = ChatReader()
    reader.read(sse({"choices": []} | members))
    assert reader.usage == COUNTED


@pytest.mark.parametrize(
    "members",
    [{}, {"usage": None}, {"usage": {}}, {"usage": 5}, {"usage": {"prompt_tokens": "many"}}, {"x_groq": "text"},
     {"x_groq": ["usage"]}, {"x_groq": {"usage": 1}}, {"usage": {"cost": 0.1}}],
)  # fmt: skip
def test_an_event_without_counts_does_not_change_the_usage(members: dict[str, Any]) -> None:
    reader = ChatReader()
    assert reader.read(sse({"choices": []} | members)) is EventKind.PRELIMINARY
    assert reader.usage is None
    reader.read(sse({"choices": [], "usage": COUNTS}))
    for block in (sse({"choices": []} | members), chunk({"content": "a"}, **members)):
        if not reader.plain(block):
            reader.read(block)
        assert reader.usage == COUNTED


def test_an_error_event_may_report_usage() -> None:
    reader = ChatReader()
    assert reader.read(chunk({}, "error", error={"message": "late"}, usage=COUNTS)) is EventKind.ERROR
    assert (reader.usage, reader.response_model) == (COUNTED, "up-model")


def test_a_running_total_is_kept_from_plain_events_too() -> None:
    reader = ChatReader()
    assert reader.plain(chunk({"content": "a"}, usage={"prompt_tokens": 9, "completion_tokens": 1}))
    assert reader.plain(chunk({"content": "b"}, usage=COUNTS))
    assert reader.usage == COUNTED


@pytest.mark.parametrize(("wants_usage", "lacks_usage"), [(True, True), (False, False)])
def test_usage_that_the_client_requested_is_missing_until_it_comes(wants_usage: bool, lacks_usage: bool) -> None:
    reader = ChatReader(wants_usage=wants_usage)
    reader.read(chunk({}, "stop"))
    assert (reader.complete, reader.lacks_usage) == (True, lacks_usage)
    reader.read(sse({"choices": [], "usage": COUNTS}))
    assert not reader.lacks_usage


def test_the_usage_event_is_hidden_only_if_the_client_did_not_request_it_and_choices_is_empty() -> None:
    usage = sse({"choices": [], "usage": COUNTS})
    assert kind(usage, hide_usage=True) is EventKind.USAGE
    assert kind(usage) is EventKind.PRELIMINARY
    assert kind(chunk({}, "stop", usage=COUNTS), hide_usage=True) is EventKind.CONTENT
    assert kind(chunk({"content": "a"}, usage=COUNTS), hide_usage=True) is EventKind.CONTENT
    assert kind(sse({"usage": COUNTS}), hide_usage=True) is EventKind.PRELIMINARY
    assert kind(sse({"choices": None, "usage": COUNTS}), hide_usage=True) is EventKind.PRELIMINARY
    assert kind(sse({"choices": [], "usage": None}), hide_usage=True) is EventKind.PRELIMINARY


# The fast path


def test_the_events_of_an_ordinary_stream_are_plain() -> None:
    role, hello, world, stop, done = chat_events("Hello", " wörld")
    reader = ChatReader()
    assert [reader.plain(block) for block in (role, hello, world, stop, done)] == [True, True, True, False, False]


@pytest.mark.parametrize(
    "block",
    [chunk({"content": "a"})[:-1], chunk({"content": "a"})[:-1] + b"\r\n", chunk({"content": "a"}) + b"\n", b"\n" + chunk({}),
     chunk({"content": "a"}) * 2, chunk({"content": "a"}).replace(b"data: ", b"data:"), b": c\n" + chunk({}), b"",
     chunk({"content": "a"}).replace(b"{", b"\r{", 1), chunk({"content": "\xff"}).replace("\xff".encode(), b"\xff"),
     b"event: x\n" + chunk({}), b"data: {}\n\n", b'data: {"choices":5}\n\n', b'data: {"choices":[{]}\n\n',
     b'data: {"choices":[{}]}x\n\n', b'data: {"choices":[{}],"a":' + b"[" * 100_000 + b"}\n\n"],
)  # fmt: skip
def test_no_other_block_is_plain(block: bytes) -> None:
    assert not ChatReader().plain(block)


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "delta", "error", "usage", "x_groq", "model", "index", "finish_reason", "code", "message", "type",
             "prompt_tokens", "completion_tokens_details", "reasoning_tokens", "content", "role", "status_code", "text"]
        ),
        inner,
        max_size=5,
    ),
    max_leaves=20,
)  # fmt: skip


@given(anything, st.booleans())
def test_any_document_can_be_read_and_plain_ones_are_content(document: Any, named: bool) -> None:
    block = (b"event: error\n" if named else b"") + b"data: " + json.dumps(document).encode() + b"\n\n"
    deciding, reading = ChatReader(), ChatReader()
    plain = deciding.plain(block)
    read = reading.read(block)
    assert read is not EventKind.MALFORMED or b"Infinity" in block
    if plain:
        assert read in (EventKind.CONTENT, EventKind.PRELIMINARY)
        assert deciding.usage == reading.usage
        assert deciding.complete is reading.complete is False


@given(
    st.binary(max_size=80)
    | st.lists(st.sampled_from([b"data: ", b"{", b"}", b'"choices":[{}]', b"\n", b"\r", b"\xff"])).map(b"".join)
)
def test_any_bytes_can_be_read(block: bytes) -> None:
    reader = ChatReader()
    if reader.plain(block):
        assert reader.read(block) in (EventKind.CONTENT, EventKind.PRELIMINARY)
    else:
        reader.read(block)
