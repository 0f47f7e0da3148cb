"""Chat streams, as the SDK of OpenAI reads them."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from hypothesis import given

from proxy.dialects.openai.chat.client.stream_encoder import ChatStreamEncoder
from proxy.dialects.translation.conversation import Blob, Citation, ToolKind
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
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
from proxy.errors import StreamTruncated
from tests.dialects.openai.chat.answers import answers, both, context, message, plain, streamed
from tests.support.openai_sdk import read_chunks, read_stream
from tests.support.state_size import state_size


def events(*parts: AnswerPart, **settings: Any) -> list[Any]:
    """The events' data, ``[DONE]`` as it is."""
    data = streamed(parts, context(**settings)).decode().removesuffix("\n\n").split("\n\n")
    return [each if each == "data: [DONE]" else json.loads(each.removeprefix("data: ")) for each in data]


@given(answers())
def test_a_stream_adds_up_to_the_whole_answer(parts: list[AnswerPart]) -> None:
    stream, whole = both(*parts)
    assert plain(stream) == plain(whole)
    assert stream.usage == whole.usage
    assert (stream.id, stream.model, stream.created) == (whole.id, whole.model, whole.created)


def test_a_stream_is_head_content_finish_usage_and_end() -> None:
    same = {"id": "chatcmpl-a1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m"}
    delta = {"index": 0, "finish_reason": None}
    assert events(Start("id", "m"), TextDelta("Hi"), UsagePart(Usage(3, None, 2)), Finish("stop")) == [
        {**same, "choices": [delta | {"delta": {"role": "assistant", "content": ""}}], "usage": None},
        {**same, "choices": [delta | {"delta": {"content": "Hi"}}], "usage": None},
        {**same, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": None},
        {
            **same,
            "choices": [],
            "usage": {
                "prompt_tokens": 3,
                "completion_tokens": 2,
                "total_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        },
        "data: [DONE]",
    ]


def test_the_usage_comes_only_if_it_is_wanted_and_known() -> None:
    used = UsagePart(Usage(3, None, 2))
    assert "usage" not in json.dumps(events(Start(), used, Finish("stop"), usage=False))
    assert [each for each in events(Start(), Finish("stop")) if each != "data: [DONE]" and not each["choices"]] == []


def test_the_role_comes_once() -> None:
    roles = [each for each in events(Start(), Start(), Finish("stop")) if "role" in json.dumps(each)]
    assert len(roles) == 1


def test_the_model_is_the_client_s_before_the_provider_s() -> None:
    assert events(Start("", "theirs"), model="mine")[0]["model"] == "mine"
    assert events(Start("", "theirs"))[0]["model"] == "theirs"


def test_a_stream_without_a_finish_reason_gets_one() -> None:
    assert events(Start(), TextDelta("a"))[-2]["choices"][0]["finish_reason"] == "stop"
    assert events(Start(), CallStart(0, "a", "f"))[-2]["choices"][0]["finish_reason"] == "tool_calls"
    assert len(events(Start(), Finish("length"), Finish("stop"))) == 3


def test_the_stop_sequence_stands_beside_the_finish_reason() -> None:
    found = events(Start(), Finish("stop_sequence", "END"))[1]["choices"][0]
    assert found == {"index": 0, "delta": {}, "finish_reason": "stop", "stop_reason": "END"}


def test_calls_may_interleave() -> None:
    parts = [CallStart(5, "a", "f"), CallStart(9, "b", "g"), CallDelta(9, "{"), CallDelta(5, "[1"), CallDelta(9, "}")]
    found = message(*parts, CallDelta(5, "]"), CallEnd(5), CallEnd(9))["tool_calls"]
    assert found == [
        {"id": "a", "type": "function", "function": {"name": "f", "arguments": "[1]"}},
        {"id": "b", "type": "function", "function": {"name": "g", "arguments": "{}"}},
    ]


def test_custom_tools_get_a_text() -> None:
    found = message(CallStart(0, "a", "patch", "custom"), CallDelta(0, "*** "), CallDelta(0, "Begin"), CallEnd(0))
    assert found["tool_calls"] == [{"id": "a", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}]


@pytest.mark.parametrize(
    ("kind", "own", "name"), [("function", "function", "arguments"), ("custom", "custom", "input")]
)
def test_arguments_of_a_function_are_never_empty(kind: ToolKind, own: str, name: str) -> None:
    call = message(CallStart(0, "a", "f", kind), CallEnd(0))["tool_calls"][0]
    assert call[own][name] == ("{}" if kind == "function" else "")


def test_arguments_of_an_unknown_call_are_left_out() -> None:
    assert events(Start(), CallDelta(3, "x"), CallEnd(3)) == events(Start())


def test_a_client_of_old_functions_gets_a_function_call() -> None:
    parts = [Start(), CallStart(0, "a", "f"), CallDelta(0, "{}"), CallEnd(0), Finish("tool_calls")]
    for completion in both(*parts, of=context(legacy=True)):
        choice = plain(completion)
        assert choice["finish_reason"] == "function_call"
        assert choice["message"]["function_call"] == {"name": "f", "arguments": "{}"}
        assert "tool_calls" not in choice["message"]


def test_more_calls_than_such_a_client_can_take_are_not_lost() -> None:
    parts = [CallStart(index, f"c{index}", "f") for index in range(3)]
    pieces = [CallDelta(2, "[1"), CallDelta(1, "[2]"), CallDelta(2, "]")]
    found = message(*parts, *pieces, *map(CallEnd, range(3)), of=context(legacy=True))
    assert found["function_call"]["arguments"] == "{}"
    assert [(each["id"], each["function"]["arguments"]) for each in found["tool_calls"]] == [
        ("c1", "[2]"),
        ("c2", "[1]"),
    ]


def test_the_signature_of_a_call_stands_in_both_places() -> None:
    found = message(CallStart(0, "a", "f", blob=Blob("AAAA")), CallEnd(0))
    assert found["tool_calls"][0]["extra_content"] == {"google": {"thought_signature": "sl1.here.sAAAA"}}
    assert found["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "sl1.here.sAAAA", "id": "a", "index": 0}
    ]


def test_sources_stand_at_the_block_that_they_belong_to() -> None:
    found = message(
        TextDelta("ab"),
        CitationPart(Citation("u", "t")),
        TextDelta("c"),
        BlockEnd(),
        ReasoningDelta("x"),
        TextDelta("de"),
        CitationPart(Citation("", "doc", "quote", "file-1", 0, 1)),
        BlockEnd(),
    )
    assert [each["url_citation"] for each in found["annotations"]] == [
        {"url": "u", "title": "t", "start_index": 0, "end_index": 3},
        {"url": "", "title": "doc", "content": "quote", "file_id": "file-1", "start_index": 3, "end_index": 4},
    ]


def test_a_refusal_has_its_text_or_the_provider_s_reason() -> None:
    assert message(RefusalDelta("No"), RefusalDelta("."))["refusal"] == "No."
    for parts in ([Finish("refusal", detail="Why.")], [RefusalDelta("No."), Finish("refusal", detail="Why.")]):
        for completion in both(Start(), *parts):
            choice = plain(completion)
            assert choice["message"]["refusal"] == ("No." if len(parts) == 2 else "Why.")
            assert choice["finish_reason"] == ("stop" if len(parts) == 2 else "content_filter")


@pytest.mark.parametrize(("of_refusal", "name"), [(False, "content"), (True, "refusal")])
def test_log_probabilities_belong_to_the_text_or_the_refusal(of_refusal: bool, name: str) -> None:
    tokens = [{"token": "a", "logprob": -0.5, "bytes": [97], "top_logprobs": []}]
    text = RefusalDelta("a") if of_refusal else TextDelta("a")
    for completion in both(Start(), text, LogprobsPart(tokens, of_refusal), Finish("stop")):
        found = completion.choices[0].logprobs
        assert found is not None
        assert [each.logprob for each in getattr(found, name) or ()] == [-0.5]


def test_what_the_client_is_told_elsewhere_makes_no_event() -> None:
    assert events(Start(), Dropped("web_search_tool_result")) == events(Start())


def test_half_a_surrogate_pair_is_escaped() -> None:
    texts = [
        each["choices"][0]["delta"].get("content")
        for each in events(Start(), TextDelta("\ud83d"), TextDelta("\ude00"))[:3]
    ]
    assert texts == ["", "\ud83d", "\ude00"]
    assert rb"\ud83d" in streamed([Start(), ReasoningDelta("\ud83d"), CallStart(0, "a", "\ud83d")], context())


def test_a_broken_stream_ends_with_an_error_and_looks_cut() -> None:
    encoder = ChatStreamEncoder(context())
    body = encoder.encode(Start()) + encoder.encode(TextDelta("a")) + encoder.failed(StreamTruncated("It broke."))
    with pytest.raises(openai.APIError, match="It broke"):
        read_chunks(body)
    assert b"[DONE]" not in body


def test_no_chunk_lacks_what_the_sdk_requires() -> None:
    for chunk in read_chunks(streamed([Start(), TextDelta("a"), UsagePart(Usage(1)), Finish("stop")], context())):
        chunk.model_validate(chunk.to_dict())


def test_a_stream_of_one_token_is_read() -> None:
    completion = read_stream(streamed([Start("", "m"), TextDelta("a"), Finish("stop")], context()))
    assert completion.choices[0].message.content == "a"


def test_a_stream_keeps_little_in_memory() -> None:
    of = context()
    encoder = ChatStreamEncoder(of)
    encoder.encode(Start())
    for part in (TextDelta("a" * 50), ReasoningDelta("b" * 50), CallStart(0, "a", "f"), CallDelta(0, "c" * 50)):
        for _ in range(1 if isinstance(part, CallStart) else 1000):
            encoder.encode(part)
    assert state_size(encoder, shared=[of]) < 6000
