"""Anthropic's messages."""

from __future__ import annotations

from tests.bench.conversation import Conversation, Tool, Turn
from tests.bench.dialects.spelling import compact, filled_answer, filled_event, named_event
from tests.bench.traffic import RECEIVED, Events, Json, Traffic

MESSAGE: Json = {
    "model": "claude-sonnet-4-5-20250929",
    "id": "msg_011KesBgMXsn4DYGsUr31oei",
    "type": "message",
    "role": "assistant",
}


def _start() -> bytes:
    message = {
        **MESSAGE,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 25, "output_tokens": 1},
    }
    return named_event("message_start", message=message)


def _begin(block: Json) -> bytes:
    return named_event("content_block_start", index=0, content_block=block)


def _delta(delta: Json) -> bytes:
    return named_event("content_block_delta", index=0, delta=delta)


def _arguments(text: str) -> bytes:
    return _delta({"type": "input_json_delta", "partial_json": text})


def _end(stop_reason: str) -> tuple[bytes, ...]:
    return (
        named_event("content_block_stop", index=0),
        named_event(
            "message_delta",
            delta={"stop_reason": stop_reason, "stop_sequence": None},
            usage={"input_tokens": 25, "output_tokens": 250},
        ),
        named_event("message_stop"),
    )


def _read_text(event: Json) -> tuple[str, str]:
    delta = event.get("delta", {})
    return delta.get("text") or "", delta.get("stop_reason") or ""


def _read_calls(event: Json) -> tuple[str, str]:
    delta = event.get("delta", {})
    return delta.get("partial_json") or "", delta.get("stop_reason") or ""


def _tool(tool: Tool) -> Json:
    return {"name": tool.name, "description": tool.description, "input_schema": tool.schema}


def _turn(turn: Turn) -> list[Json]:
    call_id = f"toolu_{turn.number:018d}"
    call = {"type": "tool_use", "id": call_id, "name": turn.tool, "input": turn.arguments}
    return [
        {"role": "assistant", "content": [{"type": "text", "text": turn.text}, call]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call_id, "content": turn.result}]},
    ]


def _body(model: str, said: Conversation, stream: bool) -> Json:
    first = {"role": "user", "content": said.content}
    body: Json = {
        "model": model,
        "system": said.system,
        "messages": [first, *(message for turn in said.turns for message in _turn(turn))],
        "temperature": 0.7,
        "max_tokens": 1000,
        "stream": stream,
    }
    return body | ({"tools": [_tool(tool) for tool in said.tools]} if said.tools else {})


MESSAGES = Traffic(
    "messages",
    path="/v1/messages",
    served=b"/messages",
    body=_body,
    client_lines=(
        "x-api-key: sk-bench-0123456789abcdef",
        "anthropic-version: 2023-06-01",
        "User-Agent: Anthropic/Python 0.125.0",
    ),
    provider_lines=(
        b"anthropic-organization-id: 5f2c6f3e-8b1d-4a7c\r\nx-envoy-upstream-service-time: 120\r\n"
        b"request-id: req_5f2c6f3e8b1d4a7c9e0f1a2b3c4d5e6f\r\n"
    ),
    text=Events(
        filled_event(_delta({"type": "text_delta", "text": "? %"})),
        _end("end_turn"),
        read=_read_text,
        close=b"message_stop",
        before=(_start(), _begin({"type": "text", "text": ""})),
    ),
    calls=Events(
        _arguments("?"),
        (_arguments('"}'), *_end("tool_use")),
        read=_read_calls,
        close=b"message_stop",
        before=(
            _start(),
            _begin({"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "tool_00", "input": {}}),
            _arguments('{"path":"'),
        ),
    ),
    answer=filled_answer(
        compact(
            {
                **MESSAGE,
                "content": [{"type": "text", "text": "@?; %"}],
                "stop_reason": "end_turn",
                "stop_sequence": None,
                "usage": {"input_tokens": RECEIVED, "output_tokens": 9, "service_tier": "standard"},
            }
        )
    ),
)
