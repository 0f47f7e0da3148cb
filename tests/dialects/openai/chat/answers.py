"""Answers for tests of the encoders, in neutral parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from proxy.dialects.openai.chat.client.answer_encoder import encode_completion
from proxy.dialects.openai.chat.client.stream_encoder import ChatStreamEncoder
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.conversation import Blob, Citation, Conversation, ThinkingSettings
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CallDelta,
    CallEnd,
    CallStart,
    CitationPart,
    Finish,
    LogprobsPart,
    ReasoningBlob,
    ReasoningDelta,
    RefusalDelta,
    Start,
    TextDelta,
    UsagePart,
)
from proxy.dialects.usage import Usage
from tests.support.openai_sdk import read_completion, read_stream


def context(model: str = "", *, hide: bool = False, legacy: bool = False, usage: bool = True) -> AnswerContext:
    thinking = ThinkingSettings(shown="omitted" if hide else "")
    request = Conversation("openai.chat", [], thinking=thinking, wants_usage=usage, legacy_functions=legacy)
    return AnswerContext(request, "a1", 1_700_000_000, model, issuer="here")


def streamed(parts: Iterable[AnswerPart], of: AnswerContext) -> bytes:
    encoder = ChatStreamEncoder(of)
    return b"".join(map(encoder.encode, parts)) + encoder.finish()


def both(*parts: AnswerPart, of: AnswerContext | None = None) -> list[ChatCompletion]:
    """The answer as the SDK reads it, streamed and whole."""
    of = of or context()
    return [read_stream(streamed(parts, of)), read_completion(encode_completion(of, parts))]


def message(*parts: AnswerPart, of: AnswerContext | None = None) -> dict[str, Any]:
    """The message of an answer, which is the same streamed and whole."""
    stream, whole = (plain(each)["message"] for each in both(Start(), *parts, Finish("stop"), of=of))
    assert stream == whole
    return whole


def plain(completion: ChatCompletion) -> dict[str, Any]:
    """The only choice, without what is null, and with no difference between an empty text and none.

    Without members that other servers have beside the finish reason, which the SDK does not keep of a stream.
    """
    choice: dict[str, Any] = completion.model_dump(exclude_none=True)["choices"][0]
    for name in ("stop_reason", "native_finish_reason"):
        choice.pop(name, None)
    found = choice["message"]
    found.setdefault("content", "")
    found.pop("parsed", None)
    for call in found.get("tool_calls", ()):
        call.pop("index", None)
        call.get("function", {}).pop("parsed_arguments", None)
    for annotation in found.get("annotations", ()):
        annotation.pop("index", None)
    return choice


_TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=5)
_BLOB = st.builds(Blob, _TEXT, st.sampled_from(["signature", "redacted", "encrypted"]))
_PIECES = st.lists(_TEXT, min_size=1, max_size=3)
_CITATION = st.builds(Citation, _TEXT, _TEXT, st.just("") | _TEXT)


@st.composite
def _texts(draw: st.DrawFn) -> list[AnswerPart]:
    parts: list[AnswerPart] = [TextDelta(each) for each in draw(_PIECES)]
    parts += [CitationPart(each) for each in draw(st.lists(_CITATION, max_size=2))]
    if draw(st.booleans()):
        parts.append(LogprobsPart([{"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}]))
    return [*parts, BlockEnd()]


@st.composite
def _thoughts(draw: st.DrawFn) -> list[AnswerPart]:
    summary = draw(st.booleans())
    parts: list[AnswerPart] = [ReasoningDelta(each, summary) for each in draw(st.just([]) | _PIECES)]
    parts += [ReasoningBlob(each) for each in draw(st.lists(_BLOB, max_size=1))]
    return [*parts, BlockEnd()]


@st.composite
def _calls(draw: st.DrawFn) -> list[AnswerPart]:
    """Calls whose arguments interleave."""
    count = draw(st.integers(0, 3))
    kinds = draw(st.lists(st.sampled_from(["function", "custom"]), min_size=count, max_size=count))
    blobs = draw(st.lists(st.none() | st.builds(Blob, _TEXT), min_size=count, max_size=count))
    parts: list[AnswerPart] = [
        CallStart(index * 2, f"id{index}", f"f{index}", kind, blob=blob)
        for index, (kind, blob) in enumerate(zip(kinds, blobs, strict=True))
    ]
    if count:
        pieces = draw(st.lists(st.tuples(st.integers(0, count - 1), _TEXT), max_size=6))
        parts += [CallDelta(index * 2, text) for index, text in pieces]
    return [*parts, *(CallEnd(index * 2) for index in range(count))]


@st.composite
def answers(draw: st.DrawFn) -> list[AnswerPart]:
    """Whole answers of all kinds of parts."""
    refusals: list[AnswerPart] = [RefusalDelta(each) for each in draw(st.just([]) | _PIECES)]
    blocks = draw(st.lists(_texts() | _thoughts(), max_size=4))
    usage = draw(st.none() | st.builds(Usage, st.integers(0, 9), st.none() | st.integers(0, 9), st.integers(0, 9)))
    reason = draw(st.sampled_from(["stop", "stop_sequence", "length", "tool_calls", "refusal", "pause", "context"]))
    return [
        Start("up", "their-model"),
        *(part for block in blocks for part in block),
        *refusals,
        *draw(_calls()),
        *([UsagePart(usage)] if usage else []),
        Finish(reason, draw(st.just("") | _TEXT)),
    ]
