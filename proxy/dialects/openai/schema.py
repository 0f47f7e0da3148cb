"""What is decoded of the JSON of the OpenAI API: structs and their decoders, without logic."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

NULL: Final = Raw(b"null")
NO_ERROR: Final = Raw(b"")


class InputDetails(Struct, gc=False):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None
    cache_write_tokens_details: Any = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class OutputDetails(Struct, gc=False):
    reasoning_tokens: int | None = None
    audio_tokens: int | None = None
    image_tokens: int | None = None


class WireUsage(Struct, gc=False):
    """``usage`` of chat, completions and embeddings (``prompt_…``) or of responses, images and audio (``input_…``).

    Transcriptions spell it ``input_token_details``, or have ``seconds`` only. The last members are of some providers,
    in several forms.
    """

    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: InputDetails | None = None
    completion_tokens_details: OutputDetails | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    input_tokens_details: InputDetails | None = None
    output_tokens_details: OutputDetails | None = None
    input_token_details: InputDetails | None = None
    seconds: Any = None
    cost: Any = None
    cost_details: Any = None
    is_byok: Any = None
    cost_in_usd_ticks: Any = None
    estimated_cost: Any = None


class ChunkChoice(Struct, gc=False):
    finish_reason: str | None = None


class Chunk(Struct, gc=False):
    """An event of a chat or completion stream, as far as ``ChatReader.plain`` needs it."""

    choices: list[ChunkChoice] = []
    usage: WireUsage | None = None
    error: Raw = NO_ERROR


class TypedEvent(Struct, gc=False):
    """An event of a response, as far as ``ResponsesReader.plain`` needs it."""

    type: str = ""
    error: Raw = NO_ERROR
    sequence_number: int = -1


class WholeAnswer(Struct, gc=False):
    """A JSON answer, as far as ``OpenAIReader.read_answer`` needs it."""

    model: str | None = None
    usage: WireUsage | None = None
    error: Raw = NULL
    service_tier: Any = None


class MadeImage(Struct, gc=False):
    """An image of an answer; its bytes are not decoded."""


class MediaAnswer(Struct, gc=False):
    """A JSON answer with images or a transcript, as far as ``OtherReader.read_answer`` needs it."""

    model: str | None = None
    usage: WireUsage | None = None
    data: list[MadeImage] = []
    error: Raw = NULL


class Node(Struct, gc=False):
    """The textual members of a message, an input item, a content part or a tool call."""

    type: str | None = None
    content: str | list[str | Node] | None = None
    text: str | None = None
    refusal: str | None = None
    name: str | None = None
    arguments: str | None = None
    input: str | None = None
    output: str | list[str | Node] | Node | None = None
    summary: list[Node] | None = None
    tool_calls: list[Node] | None = None
    function: Node | None = None
    custom: Node | None = None
    function_call: Node | None = None


decode_chunk: Final = Decoder(Chunk).decode
decode_event: Final = Decoder(TypedEvent).decode
decode_answer: Final = Decoder(WholeAnswer).decode
decode_media: Final = Decoder(MediaAnswer).decode
decode_nodes: Final = Decoder(list[str | Node]).decode
