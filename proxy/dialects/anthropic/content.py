"""Text and images in messages and system prompts, counted.

https://docs.claude.com/en/api/messages
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from proxy.dialects.anthropic.schema import Block, decode_blocks
from proxy.dialects.json_estimate import Content, Unknown, size

# A block without a type is a message. ``content`` is a source of a document.
_TEXTS: Final = frozenset({"text", "thinking", "tool_use", "search_result", "content", "compaction"})
_RESULTS: Final = ("_tool_use", "_result", "_error")  # of tools that run at the provider; there are more every month
_SEALED: Final = frozenset({"redacted_thinking", "container_upload", "tool_reference"})


def of_list(raw: bytes) -> Content:
    """Count a JSON array of messages or blocks. Raises Unknown."""
    content = Content()
    try:
        _add_list(decode_blocks(raw), content)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        raise Unknown from exc
    return content


def _add_list(blocks: Sequence[str | Block], content: Content) -> None:
    for block in blocks:
        if isinstance(block, str):
            content.text += size(block)
        else:
            _add_block(block, content)


def _add_block(block: Block, content: Content) -> None:
    kind = block.type
    if kind is None or kind in _TEXTS or kind.endswith(_RESULTS):
        _add_texts(block, content)
    elif kind == "image":
        content.images += 1
    elif kind == "document":
        _add_document(block, content)
    elif kind not in _SEALED:
        raise Unknown


def _add_texts(block: Block, content: Content) -> None:
    for text in (block.text, block.thinking, block.name, block.title, block.context, block.stdout, block.stderr):
        if text:
            content.text += size(text)
    content.text += len(block.input)
    within = block.content
    if isinstance(within, str):
        content.text += size(within)
    elif isinstance(within, list):
        _add_list(within, content)
    elif within is not None:
        _add_block(within, content)


def _add_document(block: Block, content: Content) -> None:
    """The pages of a PDF are shown to the model; a text is read."""
    source = block.source
    if isinstance(source, Block) and source.type == "text":
        content.text += size(source.data or "")
    elif isinstance(source, Block) and source.type == "content":
        _add_texts(source, content)
    else:
        content.images += 1
    for text in (block.title, block.context):
        if text:
            content.text += size(text)
