"""Recorded answers in neutral parts: the text, calls, citations, finish and usage that the anthropic package reads."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from anthropic.types.beta import BetaMessage

from proxy.dialects.anthropic.provider.answer_decoder import MessagesAnswerDecoder
from proxy.dialects.translation.gathered import CallBlock, GatheredAnswer, ReasoningBlock, TextBlock, gather
from proxy.dialects.translation.parts import AnswerPart
from tests.support.anthropic_recordings import ANSWERS, STREAMS, WHOLE, Stream
from tests.support.anthropic_sdk import read_answer, read_stream
from tests.support.decoded import decoded
from tests.support.pump import split
from tests.support.recorded import MISSING

pytestmark = pytest.mark.skipif(not STREAMS, reason=MISSING)

SPLICED = "spliced-message-start.chunks.txt"  # begins again after half a call: the package mixes both
FINISH = {
    "end_turn": "stop",
    "max_tokens": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "refusal": "refusal",
    "stop_sequence": "stop_sequence",
}


def parts_of(body: bytes, *cuts: int) -> list[AnswerPart]:
    return decoded(MessagesAnswerDecoder(), split(body, cuts))


def facts(answer: GatheredAnswer) -> dict[str, Any]:
    usage = answer.usage
    assert usage is not None
    assert answer.finish is not None
    texts = [each for each in answer.blocks if isinstance(each, TextBlock)]
    thoughts = [each for each in answer.blocks if isinstance(each, ReasoningBlock)]
    calls = [each for each in answer.blocks if isinstance(each, CallBlock)]
    return {
        "id": answer.start.id,
        "texts": [each.text for each in texts if each.text],
        "thoughts": [(each.text, each.blob.data if each.blob else "") for each in thoughts],
        "calls": [(each.id, each.name, json.loads(each.arguments)) for each in calls],
        "quotes": [(each.quote, each.title, each.url) for text in texts for each in text.citations],
        "finish": answer.finish.reason,
        "tokens": (usage.total_input, usage.cache_read, usage.total_output, usage.reasoning),
    }


def facts_of_sdk(message: BetaMessage) -> dict[str, Any]:
    texts = [each for each in message.content if each.type == "text"]
    thoughts = {"thinking", "redacted_thinking"}
    usage = message.usage
    details = usage.output_tokens_details
    read, written = usage.cache_read_input_tokens, usage.cache_creation_input_tokens
    calls = [(each.id, each.name, each.input or {}) for each in message.content if each.type == "tool_use"]
    reason = FINISH[message.stop_reason or ""]
    if calls and reason == "stop":  # one recording has calls that code at the provider made
        reason = "tool_calls"
    return {
        "id": message.id,
        "texts": [each.text for each in texts if each.text],
        "thoughts": [
            (getattr(each, "thinking", ""), getattr(each, "signature", None) or getattr(each, "data", ""))
            for each in message.content
            if each.type in thoughts
        ],
        "calls": calls,
        "quotes": [
            (
                each.cited_text,
                getattr(each, "title", "") or getattr(each, "document_title", "") or "",
                getattr(each, "url", ""),
            )
            for text in texts
            for each in text.citations or ()
        ],
        "finish": reason,
        "tokens": (
            usage.input_tokens + (read or 0) + (written or 0),
            read,
            usage.output_tokens,
            details.thinking_tokens if details else None,
        ),
    }


def messages_of(stream: Stream) -> list[bytes]:
    """Some recordings have all streams of a conversation."""
    blocks = [*re.split(r"(?<=event: message_stop\ndata: )(.*\n+)", stream.body.decode())]
    whole = ["".join(pair) for pair in zip(blocks[::2], [*blocks[1::2], ""], strict=False)]
    return [text.encode().rstrip() + b"\n\n" for text in whole if "message_delta" in text]


@pytest.mark.parametrize("stream", [stream for stream in WHOLE if stream.name != SPLICED], ids=str)
def test_a_stream_is_what_the_sdk_reads(stream: Stream) -> None:
    messages = messages_of(stream)
    assert messages
    for body in messages:
        assert facts(gather(parts_of(body))) == facts_of_sdk(read_stream(body))


@pytest.mark.parametrize("answer", ANSWERS, ids=str)
def test_an_answer_is_what_the_sdk_reads(answer: Stream) -> None:
    found = gather(MessagesAnswerDecoder().whole(answer.body))
    assert facts(found) == facts_of_sdk(read_answer(answer.body))


@pytest.mark.parametrize("stream", STREAMS, ids=str)
def test_no_split_changes_a_part(stream: Stream) -> None:
    body = stream.body
    whole = parts_of(body)
    chance = random.Random(stream.name)
    assert parts_of(body, *range(len(body))) == whole
    for size in (10, 300, 4000):
        assert parts_of(body, *chance.sample(range(len(body)), len(body) // size)) == whole


@pytest.mark.parametrize("stream", [stream for stream in STREAMS if stream.name == SPLICED], ids=str)
def test_a_stream_that_begins_again_keeps_its_calls_apart(stream: Stream) -> None:
    answer = gather(parts_of(stream.body))
    assert answer.start.id == "msg_first"
    calls = [each for each in answer.blocks if isinstance(each, CallBlock)]
    assert [(each.index, each.id, each.arguments) for each in calls] == [
        (0, "toolu_first", '{"value":"Spark'),
        (1, "toolu_second", '{"value":"Sparkle Day"}'),
    ]
