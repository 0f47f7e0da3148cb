"""Answers with several choices, as the SDKs of their clients read them."""

from __future__ import annotations

import json
from typing import Any

from proxy.dialects.gemini.client.answer_encoder import encode_generation
from proxy.dialects.gemini.client.stream_encoder import GeminiStreamEncoder
from proxy.dialects.openai.chat.client.answer_encoder import encode_completion
from proxy.dialects.openai.chat.client.stream_encoder import ChatStreamEncoder
from proxy.dialects.translation.base import AnswerContext, OneChoiceEncoder
from proxy.dialects.translation.conversation import Blob, Citation, Conversation
from proxy.dialects.translation.multi_choice_encoder import MultiChoiceEncoder
from proxy.dialects.translation.parts import (
    AnswerPart,
    CallDelta,
    CallEnd,
    CallStart,
    ChoicePart,
    CitationPart,
    Finish,
    ReasoningBlob,
    ReasoningDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from proxy.errors import StreamTruncated
from tests.support.gemini import answer_of, data_of, stream_of
from tests.support.openai_sdk import read_completion, read_stream

START = Start("up", "their-model")
USED = UsagePart(Usage(3, None, 2))
# Choice 1 begins first.
MIXED: list[AnswerPart] = [
    *(ChoicePart(1), START, ReasoningDelta("Hm.")),
    *(ChoicePart(0), START, TextDelta("a")),
    *(ChoicePart(1), ReasoningBlob(Blob("SIG")), CallStart(0, "call_1", "f"), CallDelta(0, '{"x":')),
    *(ChoicePart(0), CitationPart(Citation("https://a.example", "A")), TextDelta("b")),
    *(ChoicePart(1), CallDelta(0, "1}"), CallEnd(0)),
    *(ChoicePart(0), USED, Finish("length")),
    *(ChoicePart(1), Finish("tool_calls")),
]


def context(source: str, choices: int = 2) -> AnswerContext:
    request = Conversation(source, [], choices=choices, wants_usage=True)
    return AnswerContext(request, "a1", 1_700_000_000)


def streamed(make: type[OneChoiceEncoder], of: AnswerContext, *parts: AnswerPart) -> bytes:
    encoder = MultiChoiceEncoder(make, of)
    return b"".join(map(encoder.encode, parts)) + encoder.finish()


def chat(*parts: AnswerPart, choices: int = 2) -> bytes:
    return streamed(ChatStreamEncoder, context("openai.chat", choices), *parts)


def gemini(*parts: AnswerPart) -> bytes:
    return streamed(GeminiStreamEncoder, context("gemini.generate"), *parts)


def test_each_choice_of_chat_adds_up_to_the_same_as_in_a_whole_answer() -> None:
    stream: Any = read_stream(chat(*MIXED)).to_dict()
    whole: Any = read_completion(encode_completion(context("openai.chat"), MIXED)).to_dict()
    assert [summary(choice) for choice in stream["choices"]] == [summary(choice) for choice in whole["choices"]]
    assert [summary(choice) for choice in whole["choices"]] == [
        (0, "ab", None, [], "length"),
        (1, None, "Hm.", [("call_1", '{"x":1}')], "tool_calls"),
    ]
    assert stream["usage"] == whole["usage"]
    assert stream["model"] == whole["model"] == "their-model"


def summary(choice: Any) -> tuple[Any, ...]:
    message = choice["message"]
    calls = [(each["id"], each["function"]["arguments"]) for each in message.get("tool_calls") or ()]
    text = message.get("content") or None
    return choice["index"], text, message.get("reasoning_content"), calls, choice["finish_reason"]


def test_the_usage_and_the_end_of_a_chat_stream_come_once() -> None:
    *events, last = chat(*MIXED).decode().removesuffix("\n\n").split("\n\n")
    chunks = [json.loads(each.removeprefix("data: ")) for each in events]
    assert last == "data: [DONE]"
    assert [bool(chunk["usage"]) for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
    choices = [choice for chunk in chunks for choice in chunk["choices"]]
    assert [choice["index"] for choice in choices if choice["finish_reason"]] == [0, 1]
    assert [choice["index"] for choice in choices if "role" in choice["delta"]] == [0, 1]


def test_each_candidate_adds_up_to_the_same_as_in_a_whole_answer() -> None:
    chunks = list(stream_of([gemini(*MIXED)]))
    whole = answer_of(encode_generation(context("gemini.generate"), MIXED))
    for index, candidate in enumerate(whole.candidates or ()):
        own = [each for chunk in chunks for each in chunk.candidates or () if (each.index or 0) == index]
        assert (candidate.index or 0) == index
        assert candidate.finish_reason is own[-1].finish_reason
        assert [each.finish_reason for each in own[:-1]] == [None] * (len(own) - 1)
        assert said(candidate) == said(*own)
    assert [chunk.usage_metadata for chunk in chunks] == [None] * (len(chunks) - 1) + [whole.usage_metadata]
    assert whole.usage_metadata is not None
    assert {chunk.model_version for chunk in chunks} == {whole.model_version} == {"their-model"}


def said(*pieces: Any) -> tuple[str, list[Any]]:
    """The text of a candidate, which may come in pieces, and each of its calls with its signature."""
    parts = [part for piece in pieces for part in piece.content.parts or ()]
    calls = [(part.function_call.args, part.thought_signature) for part in parts if part.function_call]
    return "".join(part.text or "" for part in parts), calls


def test_a_choice_that_never_began_does_not_end() -> None:
    only = read_stream(chat(ChoicePart(0), START, TextDelta("a"), USED, Finish("stop"), choices=3))
    assert [choice.index for choice in only.choices] == [0]
    assert only.usage is not None
    assert only.usage.total_tokens == 5


def test_an_answer_without_content_ends_as_one_choice() -> None:
    assert [choice["index"] for each in data_of(gemini()) for choice in each["candidates"]] == [0]
    assert chat().endswith(b'"finish_reason":"stop"}],"usage":null}\n\ndata: [DONE]\n\n')


def test_a_broken_answer_ends_with_one_error() -> None:
    encoder = MultiChoiceEncoder(ChatStreamEncoder, context("openai.chat"))
    encoder.encode(ChoicePart(1))
    found = encoder.failed(StreamTruncated("It broke."))
    assert found.count(b"data: ") == 1
    assert b"It broke." in found
