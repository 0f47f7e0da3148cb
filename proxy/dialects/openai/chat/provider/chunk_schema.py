"""An event of a chat stream that holds nothing but text, reasoning or arguments of a call: structs without logic.

Members that must be ``null`` or empty are named here: any other value fails the decoding, and the event is read with
all its members (``answer_decoder.py``).
"""

from __future__ import annotations

from typing import Final, TypeAlias

from msgspec import Struct
from msgspec.json import Decoder

from proxy.dialects.openai.schema import WireUsage

_Empty: TypeAlias = tuple[()] | None


class PlainFunction(Struct, gc=False):
    arguments: str | None = None
    name: str | None = None


class PlainCall(Struct, gc=False):
    index: int
    function: PlainFunction
    id: str | None = None
    custom: None = None
    extra_content: None = None


class PlainDelta(Struct, gc=False):
    """``reasoning_content`` and ``reasoning`` are two names of the same text."""

    content: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[PlainCall] | None = None
    reasoning_details: _Empty = None
    refusal: None = None
    function_call: None = None
    annotations: _Empty = None
    audio: None = None
    images: _Empty = None
    extra_content: None = None


class PlainChoice(Struct, gc=False):
    delta: PlainDelta
    index: int = 0
    finish_reason: str | None = None
    logprobs: None = None


class PlainChunk(Struct, gc=False):
    choices: list[PlainChoice]
    usage: WireUsage | None = None
    citations: _Empty = None
    search_results: _Empty = None
    x_groq: None = None
    moderation: None = None


decode_plain: Final = Decoder(PlainChunk).decode
