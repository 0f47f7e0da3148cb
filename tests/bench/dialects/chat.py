"""OpenAI's chat completions."""

from __future__ import annotations

import json

from tests.bench.conversation import Conversation, Tool, Turn
from tests.bench.dialects.spelling import TEXT, compact
from tests.bench.traffic import RECEIVED, Events, Json, Traffic

_FUNCTION = {"name": "tool_00", "arguments": ""}
_DONE = b"data: [DONE]\n\n"


def _chunk(delta: Json, finish_reason: str | None = None) -> Json:
    return {
        "id": "chatcmpl-BvT5kQ2xW8nR4mY",
        "object": "chat.completion.chunk",
        "created": 1750000000,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_34a54ae93c",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
        "usage": None,
    }


def _event(value: object) -> bytes:
    return b"data: %s\n\n" % compact(value)


def _arguments(text: str) -> bytes:
    return _event(_chunk({"tool_calls": [{"index": 0, "function": {"arguments": text}}]}))


def _choice(chunk: Json) -> Json:
    return next(iter(chunk["choices"]), {})


def _read_text(chunk: Json) -> tuple[str, str]:
    choice = _choice(chunk)
    return choice.get("delta", {}).get("content") or "", choice.get("finish_reason") or ""


def _read_calls(chunk: Json) -> tuple[str, str]:
    choice = _choice(chunk)
    calls = choice.get("delta", {}).get("tool_calls") or ()
    arguments = "".join(call["function"].get("arguments") or "" for call in calls)
    return arguments, choice.get("finish_reason") or ""


def _tool(tool: Tool) -> Json:
    function = {"name": tool.name, "description": tool.description, "parameters": tool.schema}
    return {"type": "function", "function": function}


def _turn(turn: Turn) -> list[Json]:
    call_id = f"call_{turn.number:020d}"
    function = {"name": turn.tool, "arguments": json.dumps(turn.arguments)}
    call = {"id": call_id, "type": "function", "function": function}
    return [
        {"role": "assistant", "content": turn.text, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call_id, "content": turn.result},
    ]


def _body(model: str, said: Conversation, stream: bool) -> Json:
    first = [{"role": "system", "content": said.system}, {"role": "user", "content": said.content}]
    body: Json = {
        "model": model,
        "messages": [*first, *(message for turn in said.turns for message in _turn(turn))],
        "temperature": 0.7,
        "max_tokens": 1000,
        "stream": stream,
    }
    return body | ({"tools": [_tool(tool) for tool in said.tools]} if said.tools else {})


_USAGE = _event(
    {
        **_chunk({}),
        "choices": [],
        "usage": {"prompt_tokens": 25, "completion_tokens": 250, "total_tokens": 275},
    }
)

CHAT = Traffic(
    "chat",
    path="/v1/chat/completions",
    served=b"/chat/completions",
    body=_body,
    client_lines=("Authorization: Bearer sk-bench-0123456789abcdef", "User-Agent: OpenAI/Python 2.8.1"),
    provider_lines=(
        b"openai-version: 2020-10-01\r\nopenai-processing-ms: 120\r\n"
        b"x-request-id: req_5f2c6f3e8b1d4a7c9e0f1a2b3c4d5e6f\r\n"
    ),
    text=Events(
        _event(_chunk({"content": "?"})),
        (_event(_chunk({}, "stop")), _DONE),
        read=_read_text,
        close=b"[DONE]",
        usage=_USAGE,
    ),
    calls=Events(
        _arguments("?"),
        (_arguments('"}'), _event(_chunk({}, "tool_calls")), _DONE),
        read=_read_calls,
        close=b"[DONE]",
        before=(
            _event(
                _chunk(
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {
                                "index": 0,
                                "id": "call_7mZVbR0nTfQ2yLkD4wXcEa1s",
                                "type": "function",
                                "function": _FUNCTION,
                            }
                        ],
                    }
                )
            ),
            _arguments('{"path":"'),
        ),
        usage=_USAGE,
    ),
    answer=compact(
        {
            "id": "chatcmpl-BvT5kQ2xW8nR4mY",
            "object": "chat.completion",
            "created": 1750000000,
            "model": "gpt-4o-mini-2024-07-18",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": f"@?; {TEXT}", "refusal": None},
                    "logprobs": None,
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": RECEIVED, "completion_tokens": 9, "total_tokens": 34},
            "service_tier": "default",
            "system_fingerprint": "fp_34a54ae93c",
        }
    ),
)
