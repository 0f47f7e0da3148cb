"""Neutral parts as a whole answer of the Messages API.

Source: https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from proxy.dialects.anthropic import stop, usage
from proxy.dialects.anthropic.citation import location_of, markdown_of
from proxy.dialects.anthropic.client import answer_blocks
from proxy.dialects.translation import blobs
from proxy.dialects.translation.base import AnswerContext
from proxy.dialects.translation.call_arguments import object_of
from proxy.dialects.translation.gathered import CallBlock, GatheredAnswer, ReasoningBlock, TextBlock, gather
from proxy.dialects.translation.parts import AnswerPart
from proxy.wire import document


def encode_message(context: AnswerContext, parts: Iterable[AnswerPart]) -> bytes:
    """The message that the parts make, as JSON."""
    answer = gather(parts)
    message = answer_blocks.message(context, answer.start.model)
    message["content"] = list(_blocks(context, answer))
    called = any(isinstance(block, CallBlock) for block in answer.blocks)
    refused = any(isinstance(block, TextBlock) and block.refusal for block in answer.blocks)
    message |= stop.members_of(answer.finish, called=called, refused=refused)
    message["usage"] = usage.message_counts(answer.usage, context.input_tokens)
    return document.encode(message)


def _blocks(context: AnswerContext, answer: GatheredAnswer) -> Iterator[dict[str, Any]]:
    for block in answer.blocks:
        if isinstance(block, TextBlock):
            yield from _text(block)
        elif isinstance(block, CallBlock):
            yield from _call(context, block)
        elif context.request.thinking.mode != "off":
            yield from _thinking(context, block)


def _text(block: TextBlock) -> Iterator[dict[str, Any]]:
    """A text with its citations. Citations without a text become one, as an empty text could not be sent back."""
    text = block.text or "".join(map(markdown_of, block.citations))
    if not text:
        return
    found = answer_blocks.text(text)
    if block.text and block.citations:
        found["citations"] = list(map(location_of, block.citations))
    yield found


def _call(context: AnswerContext, block: CallBlock) -> Iterator[dict[str, Any]]:
    """A call; before it a block for its signature, for which ``tool_use`` has no place."""
    if block.blob is not None:
        yield answer_blocks.thinking("", blobs.pack_call(block.blob, context.issuer))
    yield answer_blocks.call(block.id, block.name, object_of(block.arguments, block.kind))


def _thinking(context: AnswerContext, block: ReasoningBlock) -> Iterator[dict[str, Any]]:
    """Thinking, and what it was redacted to. It always has a signature, as the stream encoder's."""
    redacted = block.blob if block.blob is not None and block.blob.kind == "redacted" else None
    signing = block.blob if redacted is None else None
    if block.text or signing is not None:
        hidden = block.text if context.request.thinking.shown == "omitted" else ""
        yield answer_blocks.thinking("" if hidden else block.text, blobs.pack(signing, context.issuer, hidden))
    if redacted is not None:
        yield answer_blocks.redacted(redacted, context)
