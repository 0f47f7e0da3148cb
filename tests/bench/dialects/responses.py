"""OpenAI's responses. Sequence numbers are left at 0: the mock upstream writes all events from the same bytes."""

from __future__ import annotations

import json

from tests.bench.conversation import Conversation, Tool, Turn
from tests.bench.dialects.spelling import compact, filled_answer, filled_event, named_event
from tests.bench.traffic import RECEIVED, Events, Json, Traffic

_ITEM = "msg_68a2f1c04b7481a2"
_CALL = "fc_68a2f1c04b7481a2"
_STATE: Json = {
    "id": "resp_68a2f1be90fc81a2a4c2b1e0d3f5a7c9",
    "object": "response",
    "created_at": 1750000000,
    "status": "in_progress",
    "error": None,
    "incomplete_details": None,
    "model": "gpt-4o-mini-2024-07-18",
    "output": [],
    "parallel_tool_calls": True,
    "store": False,
    "usage": None,
}


def _event(name: str, **members: object) -> bytes:
    return named_event(name, sequence_number=0, **members)


def _begin(item: Json) -> tuple[bytes, ...]:
    return (
        _event("response.created", response=_STATE),
        _event("response.in_progress", response=_STATE),
        _event("response.output_item.added", output_index=0, item=item),
    )


def _end(item: Json) -> tuple[bytes, ...]:
    usage = {"input_tokens": 25, "output_tokens": 250, "total_tokens": 275}
    done = {**_STATE, "status": "completed", "output": [item], "usage": usage}
    return (
        _event("response.output_item.done", output_index=0, item=item),
        _event("response.completed", response=done),
    )


def _message(status: str, content: list[Json]) -> Json:
    return {"id": _ITEM, "type": "message", "status": status, "role": "assistant", "content": content}


def _call(status: str, arguments: str) -> Json:
    called = {"call_id": "call_7mZVbR0nTfQ2yLkD4wXcEa1s", "name": "tool_00", "arguments": arguments}
    return {"id": _CALL, "type": "function_call", "status": status, **called}


def _text(text: str) -> bytes:
    place = {"item_id": _ITEM, "output_index": 0, "content_index": 0}
    return _event("response.output_text.delta", **place, delta=text)


def _arguments(text: str) -> bytes:
    return _event("response.function_call_arguments.delta", item_id=_CALL, output_index=0, delta=text)


def _read(event: Json) -> tuple[str, str]:
    """The piece of a delta; the status of a response that has ended."""
    status = event.get("response", {}).get("status", "in_progress")
    return event.get("delta") or "", "" if status == "in_progress" else status


def _tool(tool: Tool) -> Json:
    return {"type": "function", "name": tool.name, "description": tool.description, "parameters": tool.schema}


def _turn(turn: Turn) -> list[Json]:
    call_id = f"call_{turn.number:020d}"
    said = {"type": "output_text", "text": turn.text, "annotations": []}
    return [
        {"type": "message", "role": "assistant", "content": [said]},
        {"type": "function_call", "call_id": call_id, "name": turn.tool, "arguments": json.dumps(turn.arguments)},
        {"type": "function_call_output", "call_id": call_id, "output": turn.result},
    ]


def _body(model: str, said: Conversation, stream: bool) -> Json:
    first = {"type": "message", "role": "user", "content": said.content}
    body: Json = {
        "model": model,
        "instructions": said.system,
        "input": [first, *(item for turn in said.turns for item in _turn(turn))],
        "temperature": 0.7,
        "max_output_tokens": 1000,
        "stream": stream,
        "store": False,
    }
    return body | ({"tools": [_tool(tool) for tool in said.tools]} if said.tools else {})


_EMPTY: Json = {"type": "output_text", "text": "", "annotations": []}

RESPONSES = Traffic(
    "responses",
    path="/v1/responses",
    served=b"/responses",
    body=_body,
    client_lines=("Authorization: Bearer sk-bench-0123456789abcdef", "User-Agent: OpenAI/Python 2.8.1"),
    provider_lines=(
        b"openai-version: 2020-10-01\r\nopenai-processing-ms: 120\r\n"
        b"x-request-id: req_5f2c6f3e8b1d4a7c9e0f1a2b3c4d5e6f\r\n"
    ),
    text=Events(
        filled_event(_text("?%")),
        _end(_message("completed", [_EMPTY])),
        read=_read,
        close=b"response.completed",
        before=(
            *_begin(_message("in_progress", [])),
            _event("response.content_part.added", item_id=_ITEM, output_index=0, content_index=0, part=_EMPTY),
        ),
    ),
    calls=Events(
        _arguments("?"),
        (_arguments('"}'), *_end(_call("completed", ""))),
        read=_read,
        close=b"response.completed",
        before=(*_begin(_call("in_progress", "")), _arguments('{"path":"')),
    ),
    answer=filled_answer(
        compact(
            {
                **_STATE,
                "status": "completed",
                "output": [_message("completed", [{"type": "output_text", "text": "@?; %", "annotations": []}])],
                "usage": {"input_tokens": RECEIVED, "output_tokens": 9, "total_tokens": 34},
            }
        )
    ),
)
