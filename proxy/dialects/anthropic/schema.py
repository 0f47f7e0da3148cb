"""What is decoded of the JSON of the Messages API: structs and their decoders, without logic."""

from __future__ import annotations

from typing import Any, Final

from msgspec import Raw, Struct
from msgspec.json import Decoder

NULL: Final = Raw(b"null")
NOTHING: Final = Raw(b"")


class CacheCreation(Struct, gc=False):
    """Tokens written to the cache, by how long they stay there."""

    ephemeral_5m_input_tokens: int | None = None
    ephemeral_1h_input_tokens: int | None = None


class OutputTokensDetails(Struct, gc=False):
    thinking_tokens: int | None = None


class MessageUsage(Struct, gc=False):
    """``usage`` of a message, and of the events ``message_start`` and ``message_delta``, where it is cumulative.

    The last members are in several forms, of Anthropic or of OpenRouter.
    """

    input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_creation: CacheCreation | None = None
    output_tokens: int | None = None
    output_tokens_details: OutputTokensDetails | None = None
    server_tool_use: Any = None
    iterations: Any = None
    service_tier: Any = None
    speed: Any = None
    inference_geo: Any = None
    cost: Any = None
    cost_details: Any = None
    is_byok: Any = None


class ContentDelta(Struct, tag_field="type", tag="content_block_delta", gc=False):
    """An event of content. Decoding proves its type, and that all of it is JSON."""

    error: Raw = NOTHING


class WholeMessage(Struct, gc=False):
    """A JSON answer, as far as ``MessagesReader.read_answer`` needs it."""

    model: str | None = None
    usage: MessageUsage | None = None
    error: Raw = NULL


class Block(Struct, gc=False):
    """The textual members of a message, a content block, or the source of one. ``input`` is that of a tool."""

    type: str | None = None
    text: str | None = None
    thinking: str | None = None
    content: str | list[str | Block] | Block | None = None
    name: str | None = None
    input: Raw = NOTHING
    source: str | Block | None = None
    data: str | None = None
    title: str | None = None
    context: str | None = None
    stdout: str | None = None
    stderr: str | None = None


decode_delta: Final = Decoder(ContentDelta).decode
decode_message: Final = Decoder(WholeMessage).decode
decode_blocks: Final = Decoder(list[str | Block]).decode
