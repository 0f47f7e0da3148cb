"""Events of a stream of messages, and decoded requests."""

from __future__ import annotations

import json
from typing import Any

from proxy.dialects.anthropic.client.request_decoder import MessagesRequestDecoder
from proxy.dialects.translation.conversation import Conversation
from tests.support.answers import compact

USAGE = {"input_tokens": 9, "cache_read_input_tokens": 4, "cache_creation_input_tokens": 0, "output_tokens": 1}


def event(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind} | members))


def delta(**part: Any) -> bytes:
    return event("content_block_delta", index=0, delta=part)


def begin(**block: Any) -> bytes:
    return event("content_block_start", index=0, content_block=block)


def stop(reason: str | None, **usage: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)


START = event("message_start", message={"model": "claude-x", "content": [], "usage": USAGE})
HELLO = delta(type="text_delta", text="Hello")
STOP = event("message_stop")


def conversation(*messages: Any, **members: Any) -> Conversation:
    """A request in neutral terms. A text stands for a message of the user."""
    turns = [{"role": "user", "content": each} if isinstance(each, str) else each for each in messages or ("Hi",)]
    body = {"model": "m", "max_tokens": 9, "messages": turns} | members
    return MessagesRequestDecoder().decode(json.dumps(body).encode())
