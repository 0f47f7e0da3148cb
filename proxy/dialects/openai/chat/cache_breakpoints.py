"""Breakpoints of a provider's prompt cache, on parts of chat messages.

OpenAI's ``prompt_cache_breakpoint``: https://developers.openai.com/api/docs/guides/prompt-caching. ``cache_control``:
https://openrouter.ai/docs/features/prompt-caching
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.translation.conversation import CacheMark
from proxy.dialects.translation.members import JsonObject

# Lifetimes that need not be said, as the usual one is as long, and those that can be said.
_USUAL: Final = {"breakpoint": ("", "5m", "30m"), "cache_control": ("", "5m")}
_SAYABLE: Final = {"breakpoint": ("30m", "12h"), "cache_control": ("5m", "1h")}
_OF_REQUEST: Final = ("30m",)  # of a whole request, in the types of the package openai 3.57


def mark(part: JsonObject, cache: CacheMark | None, encoding: ChatEncoding, name: str) -> None:
    """Mark the end of a part. ``name``: the client's for the mark, if it is lost."""
    if cache is None:
        return
    kind = encoding.facts.cache_marks
    if kind == "none":
        encoding.losses.drop(name)
        return
    ttl = _ttl(cache, encoding, name, _SAYABLE[kind])
    if kind == "breakpoint":
        part["prompt_cache_breakpoint"] = {"mode": "explicit"} | ttl
    else:
        part["cache_control"] = {"type": "ephemeral"} | ttl


def mark_end(body: JsonObject, cache: CacheMark | None, encoding: ChatEncoding) -> None:
    """Mark the end of the prompt. OpenAI does so by itself, where it is not told otherwise."""
    if cache is None:
        return
    name, kind = encoding.client.cache_end, encoding.facts.cache_marks
    if kind == "breakpoint":
        body["prompt_cache_options"] = {"mode": "implicit"} | _ttl(cache, encoding, name, _OF_REQUEST)
        return
    last = body["messages"][-1]
    content = last["content"]
    if isinstance(content, str) and kind == "cache_control":
        content = last["content"] = [{"type": "text", "text": content}]
    if isinstance(content, list):
        mark(content[-1], cache, encoding, name)
    else:
        encoding.losses.drop(name)


def _ttl(cache: CacheMark, encoding: ChatEncoding, name: str, sayable: Sequence[str]) -> JsonObject:
    if cache.ttl in sayable:
        return {"ttl": cache.ttl}
    if cache.ttl not in _USUAL[encoding.facts.cache_marks]:
        encoding.losses.drop(f"{name}.ttl")
    return {}
