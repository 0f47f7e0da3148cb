"""OpenAI's Responses API, as a provider of tools."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from tests.clients.native import SIGNATURE, Api, Asked, pieces
from tests.support.messages import event
from tests.support.upstream import Request

NAMESPACES = {"spawn_agent": "collaboration"}  # of tools that do not stand alone
CUSTOM = ("exec",)  # tools that take a text instead of an object
USAGE = {
    "input_tokens": 140,
    "input_tokens_details": {"cached_tokens": 20},
    "output_tokens": 40,
    "output_tokens_details": {"reasoning_tokens": 10},
    "total_tokens": 180,
}


class ResponsesApi(Api):
    usage: ClassVar = {"input": 120, "cached": 20, "output": 30, "reasoning": 10}

    def key(self, request: Request) -> str | None:
        return (request.header("authorization") or "").removeprefix("Bearer ")

    def read(self, request: Request) -> Asked:
        body = request.json
        items = body["input"]
        if isinstance(items, str):
            items = [{"type": "message", "role": "user", "content": items}]
        asked = max((at for at, item in enumerate(items) if item.get("role") == "user"), default=0)
        since = items[asked:]
        found = [item["output"] for item in since if _type(item).endswith("_call_output")]
        sealed = [item["encrypted_content"] for item in since if _type(item) == "reasoning"]
        reasons = "reasoning.encrypted_content" in (body.get("include") or ())
        return Asked(
            model=body["model"],
            streamed=body.get("stream", False),
            tools=_names(body.get("tools", ()), items),
            results=json.dumps(found) if found else "",
            signed=not reasons or sealed == [SIGNATURE],
            reasons=reasons,
        )

    def calls(self, asked: Asked, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        thought = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": SIGNATURE}
        if name in CUSTOM:
            call = {"type": "custom_tool_call", "id": "ctc_1", "input": arguments["input"]}
        else:
            call = {"type": "function_call", "id": "fc_1", "arguments": json.dumps(arguments)}
        call |= {"call_id": "call_1", "name": name, "status": "completed"}
        if name in NAMESPACES:
            call["namespace"] = NAMESPACES[name]
        return self._response(asked, [thought, call] if asked.reasons else [call])

    def says(self, asked: Asked, text: str) -> dict[str, Any]:
        part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
        message = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        return self._response(asked, [message])

    def _response(self, asked: Asked, output: list[Any]) -> dict[str, Any]:
        return {
            "id": "resp_1",
            "object": "response",
            "created_at": 1_790_000_000,
            "status": "completed",
            "error": None,
            "incomplete_details": None,
            "model": asked.model,
            "output": output,
            "parallel_tool_calls": True,
            "tool_choice": "auto",
            "tools": [],
            "usage": USAGE,
        }

    def events(self, answer: dict[str, Any]) -> list[bytes]:
        begun = answer | {"status": "in_progress", "output": [], "usage": None}
        made: list[tuple[str, dict[str, Any]]] = [
            ("response.created", {"response": begun}),
            ("response.in_progress", {"response": begun}),
        ]
        for index, item in enumerate(answer["output"]):
            made += self._item(index, item)
        made.append(("response.completed", {"response": answer}))
        return [event(kind, **members, sequence_number=number) for number, (kind, members) in enumerate(made)]

    def _item(self, index: int, item: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
        place = {"output_index": index}
        about = place | {"item_id": item["id"]}
        match item["type"]:
            case "function_call":
                started = item | {"arguments": "", "status": "in_progress"}
                name = "response.function_call_arguments"
                inner = [(f"{name}.delta", about | {"delta": piece}) for piece in pieces(item["arguments"])]
                inner.append((f"{name}.done", about | {"arguments": item["arguments"], "name": item["name"]}))
            case "custom_tool_call":
                started = item | {"input": "", "status": "in_progress"}
                name = "response.custom_tool_call_input"
                inner = [(f"{name}.delta", about | {"delta": piece}) for piece in pieces(item["input"])]
                inner.append((f"{name}.done", about | {"input": item["input"]}))
            case "message":
                part = item["content"][0]
                started = item | {"content": [], "status": "in_progress"}
                about |= {"content_index": 0}
                inner = [
                    ("response.content_part.added", about | {"part": part | {"text": ""}}),
                    *(
                        ("response.output_text.delta", about | {"delta": piece, "logprobs": []})
                        for piece in pieces(part["text"])
                    ),
                    ("response.output_text.done", about | {"text": part["text"], "logprobs": []}),
                    ("response.content_part.done", about | {"part": part}),
                ]
            case _:
                started, inner = item, []
        return [
            ("response.output_item.added", place | {"item": started}),
            *inner,
            ("response.output_item.done", place | {"item": item}),
        ]

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None}}

    def error_event(self, message: str) -> bytes:
        return event("error", code="server_error", message=message, param=None, sequence_number=9)


def _type(item: dict[str, Any]) -> str:
    found: str = item.get("type", "message")
    return found


def _names(tools: Iterable[dict[str, Any]], items: Iterable[dict[str, Any]]) -> tuple[str, ...]:
    """Of functions and custom tools, also of those within namespaces, and of those that are an item of the input."""
    found = list(tools)
    for item in items:
        found += item["tools"] if _type(item) == "additional_tools" else []
    inner = [within for tool in found if tool["type"] == "namespace" for within in tool["tools"]]
    return tuple(tool["name"] for tool in (*found, *inner) if tool["type"] in ("function", "custom"))
