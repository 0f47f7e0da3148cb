"""A scripted provider of the Messages API, whose answers are written whole and also sent as streams."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.clients.native import pieces
from tests.support.answers import compact
from tests.support.messages import event

Json = dict[str, Any]

USAGE = {
    "input_tokens": 70,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 10,
    "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
    "output_tokens": 30,
    "output_tokens_details": {"thinking_tokens": 5},
}


def answer(*content: Json, finish: str = "end_turn", usage: Json = USAGE, **more: Any) -> Json:
    """A whole answer of these blocks."""
    head = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-up", "content": list(content)}
    return head | {"stop_reason": finish, "stop_sequence": None, "usage": usage} | more


def text(said: str, **more: Any) -> Json:
    return {"type": "text", "text": said} | more


def call(call_id: str, name: str, **arguments: Any) -> Json:
    return {"type": "tool_use", "id": call_id, "name": name, "input": arguments}


def events(whole: Json) -> list[bytes]:
    """The same answer as a stream."""
    usage = whole["usage"]
    begun = {"content": [], "stop_reason": None, "stop_sequence": None, "usage": usage | {"output_tokens": 1}}
    made = [event("message_start", message=whole | begun), event("ping")]
    for index, block in enumerate(whole["content"]):
        made += _block(index, block)
    ended = {name: whole[name] for name in ("stop_reason", "stop_sequence", "stop_details") if name in whole}
    final = {name: value for name, value in usage.items() if name != "cache_creation"}
    return [*made, event("message_delta", delta=ended, usage=final), event("message_stop")]


def _block(index: int, block: Json) -> Iterator[bytes]:
    yield event("content_block_start", index=index, content_block=block | _empty(block))
    yield from (event("content_block_delta", index=index, delta=delta) for delta in _deltas(block))
    yield event("content_block_stop", index=index)


def _empty(block: Json) -> Json:
    """The members of a block that deltas fill."""
    match block["type"]:
        case "text":
            return {"text": "", "citations": []} if "citations" in block else {"text": ""}
        case "thinking":
            return {"thinking": "", "signature": ""}
        case "tool_use" | "server_tool_use":
            return {"input": {}}
    return {}


def _deltas(block: Json) -> Iterator[Json]:
    match block["type"]:
        case "text":
            yield from ({"type": "text_delta", "text": piece} for piece in pieces(block["text"]))
            yield from ({"type": "citations_delta", "citation": each} for each in block.get("citations", ()))
        case "thinking":
            yield from ({"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"]))
            yield {"type": "signature_delta", "signature": block["signature"]}
        case "tool_use" | "server_tool_use":
            whole = ["", *pieces(compact(block["input"]).decode())] if block["input"] else [""]
            yield from ({"type": "input_json_delta", "partial_json": piece} for piece in whole)


def error(message: str, status: int) -> Json:
    kinds = {400: "invalid_request_error", 429: "rate_limit_error", 529: "overloaded_error"}
    return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}


def error_event(message: str) -> bytes:
    return event("error", **{name: value for name, value in error(message, 529).items() if name != "type"})
