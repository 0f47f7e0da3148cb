"""Recorded chat answers: the decoder finds the text, calls, finish reason and usage that the openai package finds."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types import CompletionUsage
from openai.types.chat import ChatCompletionChunk

from proxy.dialects.openai.chat.provider.answer_decoder import ChatAnswerDecoder
from proxy.dialects.translation.gathered import CallBlock, GatheredAnswer, ReasoningBlock, gather
from proxy.dialects.translation.parts import AnswerPart, Dropped
from proxy.wire.sse import Framer
from tests.support.openai_sdk import read_chunks, read_completion
from tests.support.recorded import MISSING, SHARED, cases

DONE = b"data: [DONE]\n\n"
SPECIAL = {
    "openrouter/chat-stream-midstream-error",  # the package raises
    "groq/chat-stream-error-event",  # the same
    "llamabox/chat-stream-bare-error-line",
    "cohere/v2-chat-stream-tools",  # another dialect
}


class Recorded(NamedTuple):
    name: str
    body: bytes

    def __str__(self) -> str:
        return self.name


def named(path: Path, body: bytes) -> Recorded:
    return Recorded(str(path.relative_to(SHARED / "translate")), body)


def fixtures(pattern: str) -> list[Path]:
    return sorted((SHARED / "translate").glob(pattern))


def framed(path: Path) -> bytes:
    """A fixture with one chunk in a line, as the event stream that it was."""
    return b"".join(b"data: %b\n\n" % line.encode() for line in path.read_text().splitlines() if line.strip()) + DONE


def is_chat(text: bytes) -> bool:
    return b'"choices"' in text and b'"text_completion"' not in text


VERCEL = "vercel-ai/packages/{}/src/**/__fixtures__/"
STREAMS = [
    *(Recorded(str(case), case.response) for case in cases("*", "chat-stream*") if str(case) not in SPECIAL),
    *(Recorded(str(case), case.response) for case in cases("composed", "d*") if case.streamed),
    *(Recorded(str(case), case.response) for case in cases("ollama") if case.streamed),
    *(
        named(path, framed(path))
        for path in fixtures(VERCEL.format("*") + "*.chunks.txt")
        if is_chat(path.read_bytes())
    ),
    *(
        named(path, path.read_bytes())
        for path in fixtures("apisix/t/fixtures/protocol-conversion/*.sse")
        if path.name not in ("anthropic-mismatch.sse", "empty-sse-frames.sse")  # the package raises on empty frames
    ),
]
ANSWERS = [
    *(Recorded(str(case), case.response) for case in cases("*", "chat-json*")),
    *(Recorded(str(case), case.response) for case in cases("composed", "deepseek-json*")),
    *(
        named(path, path.read_bytes())
        for path in [
            *fixtures(VERCEL.format("*") + "*.json"),
            *fixtures("apisix/t/fixtures/protocol-conversion/*.json"),
        ]
        if is_chat(path.read_bytes())
    ),
]

pytestmark = pytest.mark.skipif(not STREAMS, reason=MISSING)


def parts_of(chunks: Sequence[bytes]) -> list[AnswerPart]:
    """What the relay gets of a stream that comes in these reads."""
    decoder, framer = ChatAnswerDecoder(), Framer()
    found: list[AnswerPart] = []
    for chunk in chunks:
        for block in framer.feed(chunk):
            part = decoder.plain(block)
            found += decoder.decode(block) if part is None else [part]
    return [*found, *decoder.end()]


def text_of(content: Any) -> tuple[str, str]:
    """Text and reasoning of a content, which at Mistral is a list."""
    if not isinstance(content, list):
        return content or "", ""
    thought = "".join(each["text"] for chunk in content for each in chunk.get("thinking", []))
    return "".join(chunk.get("text", "") for chunk in content), thought


def reasoning_of(message: Any) -> str:
    extra = message.model_extra or {}
    return extra.get("reasoning_content") or extra.get("reasoning") or ""


def divided(text: str, reasoning: str) -> tuple[str, str]:
    """Text and reasoning, where the reasoning stands between tags in the text."""
    before, tag, rest = text.partition("<think>")
    if not tag or before.strip() or reasoning:
        return text, reasoning
    thought, _, text = rest.partition("</think>")
    return text.lstrip("\n"), thought.lstrip("\n")


def summed(chunks: list[ChatCompletionChunk]) -> dict[str, Any]:
    """The first choice of a stream: text, reasoning, refusal, calls by index, finish reason and usage."""
    text = reasoning = refusal = ""
    calls: dict[int, list[str]] = {}
    finish: str | None = None
    usage: CompletionUsage | None = None
    for chunk in chunks:
        extra = chunk.model_extra or {}
        usage = chunk.usage or usage
        if (extra.get("x_groq") or {}).get("usage"):
            usage = CompletionUsage.model_validate(extra["x_groq"]["usage"])
        for choice in chunk.choices:
            if choice.index:
                continue
            finish = finish or choice.finish_reason
            if choice.delta is None:
                continue
            said, thought = text_of(choice.delta.content)
            text += said
            reasoning += thought + reasoning_of(choice.delta)
            refusal += choice.delta.refusal or ""
            for number, call in enumerate(choice.delta.tool_calls or []):
                index = call.index if call.index is not None else number
                found = calls.setdefault(index, ["", "", ""])
                found[0] = found[0] or call.id or ""
                if call.function:
                    found[1] = found[1] or call.function.name or ""
                    found[2] += call.function.arguments or ""
    text, reasoning = divided(text, reasoning)
    return {
        "text": text,
        "reasoning": reasoning,
        "refusal": refusal,
        "calls": [tuple(call) for _, call in sorted(calls.items())],
        "finish": finish,
        "usage": usage and counts(usage),
    }


def counts(usage: CompletionUsage) -> tuple[int, int]:
    """Tokens read and generated. xAI reports those of the reasoning beside the others."""
    reasoning = (usage.completion_tokens_details and usage.completion_tokens_details.reasoning_tokens) or 0
    return usage.prompt_tokens, usage.completion_tokens + (reasoning if reasoning > usage.completion_tokens else 0)


def decoded(parts: Sequence[AnswerPart]) -> dict[str, Any]:
    answer = gather(part for part in parts if not isinstance(part, Dropped))
    usage = answer.usage
    return {
        "text": answer.text,
        "reasoning": "".join(each.text for each in answer.blocks if isinstance(each, ReasoningBlock)),
        "refusal": refusal_of(answer),
        "calls": [(each.id, each.name, each.arguments) for each in answer.blocks if isinstance(each, CallBlock)],
        "finish": finish_of(answer),
        "usage": usage and (usage.total_input, usage.total_output),
    }


def refusal_of(answer: GatheredAnswer) -> str:
    return "".join(each.text for each in answer.blocks if getattr(each, "refusal", False))


def finish_of(answer: GatheredAnswer) -> str | None:
    """The reason as OpenAI names it."""
    reason = answer.finish and answer.finish.reason
    return "stop" if reason in ("refusal", "stop_sequence") else reason


def expected(found: dict[str, Any]) -> dict[str, Any]:
    """What the package found, with the reason that the decoder gives to answers with calls."""
    return found | {"finish": "tool_calls" if found["calls"] and found["finish"] == "stop" else found["finish"]}


def test_there_are_recordings_of_both_kinds() -> None:
    assert len(STREAMS) >= 50
    assert len(ANSWERS) >= 25


@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_a_stream_has_what_the_package_reads(stream: Recorded) -> None:
    assert decoded(parts_of([stream.body])) == expected(summed(read_chunks(stream.body)))


@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_the_cheap_road_finds_the_same_parts(stream: Recorded) -> None:
    decoder, framer = ChatAnswerDecoder(), Framer()
    without: list[AnswerPart] = []
    for block in framer.feed(stream.body):
        without += decoder.decode(block)
    assert [*without, *decoder.end()] == parts_of([stream.body])


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_a_whole_answer_has_what_the_package_reads(answer: Recorded) -> None:
    completion = read_completion(answer.body.lstrip())
    [choice, *_] = completion.choices
    said, thought = text_of(choice.message.content)
    text, reasoning = divided(said, thought or reasoning_of(choice.message))
    calls = [
        (call.id, call.function.name, call.function.arguments)
        for call in choice.message.tool_calls or []
        if call.type in ("function", None)
    ]
    usage = completion.usage
    assert decoded(ChatAnswerDecoder().whole(answer.body)) == expected(
        {
            "text": text,
            "reasoning": reasoning,
            "refusal": choice.message.refusal or "",
            "calls": calls,
            "finish": choice.finish_reason,
            "usage": usage and counts(usage),
        }
    )


@given(st.data())
def test_every_split_of_the_bytes_gives_the_same_parts(data: st.DataObject) -> None:
    stream = data.draw(st.sampled_from([each for each in STREAMS if len(each.body) < 20_000]), "stream")
    cuts = data.draw(st.lists(st.integers(0, len(stream.body)), max_size=8).map(sorted), "cuts")
    ends = [0, *cuts, len(stream.body)]
    pieces = [stream.body[begin:end] for begin, end in pairwise(ends)]
    assert parts_of(pieces) == parts_of([stream.body])


def test_an_empty_frame_changes_nothing() -> None:
    [path] = fixtures("apisix/t/fixtures/protocol-conversion/empty-sse-frames.sse")
    found = decoded(parts_of([path.read_bytes()]))
    assert (found["text"], found["finish"], found["usage"]) == ("Hi", "stop", (3, 1))


@pytest.mark.parametrize("name", sorted(SPECIAL))
def test_a_stream_with_an_error_is_read_up_to_it(name: str) -> None:
    [case] = cases(*name.split("/"))
    documents = [line[6:] for line in case.response.splitlines() if line.startswith(b"data: {")]
    chunks = [chunk for chunk in map(json.loads, documents) if chunk.get("choices")]
    said = "".join(text_of(chunk["choices"][0]["delta"].get("content"))[0] for chunk in chunks)
    assert decoded(parts_of([case.response]))["text"] == said
