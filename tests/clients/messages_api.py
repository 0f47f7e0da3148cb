"""Anthropic's Messages API, as a provider of tools."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tests.clients.native import SIGNATURE, Api, Asked, pieces
from tests.support.messages import event
from tests.support.upstream import Request

THOUGHT = "A file has to be read."
USAGE = {
    "input_tokens": 100,
    "cache_read_input_tokens": 20,
    "cache_creation_input_tokens": 0,
    "output_tokens": 30,
}


class MessagesApi(Api):
    usage: ClassVar = {"input": 100, "cached": 20, "output": 30, "reasoning": None}

    def key(self, request: Request) -> str | None:
        return request.header("x-api-key")

    def read(self, request: Request) -> Asked:
        body = request.json
        answer: list[Any] = []
        results: list[Any] = []
        for message in body["messages"]:
            blocks = message["content"]
            if isinstance(blocks, str):
                blocks = [{"type": "text", "text": blocks}]
            if message["role"] == "assistant":
                answer, results = blocks, []
            elif message["role"] == "user":
                results += blocks
        found = [block["content"] for block in results if block["type"] == "tool_result"]
        thoughts = [block for block in answer if block["type"] == "thinking"]
        reasons = body.get("thinking", {}).get("type") in ("enabled", "adaptive")
        return Asked(
            model=body["model"],
            streamed=body.get("stream", False),
            tools=tuple(tool["name"] for tool in body.get("tools", ())),
            results=json.dumps(found) if found else "",
            signed=not reasons or [block["signature"] for block in thoughts] == [SIGNATURE],
            reasons=reasons,
        )

    def calls(self, asked: Asked, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        thought = [{"type": "thinking", "thinking": THOUGHT, "signature": SIGNATURE}] if asked.reasons else []
        call = {"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": name, "input": arguments}
        return self._message(asked, [*thought, call], "tool_use")

    def says(self, asked: Asked, text: str) -> dict[str, Any]:
        return self._message(asked, [{"type": "text", "text": text}], "end_turn")

    def _message(self, asked: Asked, content: list[Any], reason: str) -> dict[str, Any]:
        return {
            "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
            "type": "message",
            "role": "assistant",
            "model": asked.model,
            "content": content,
            "stop_reason": reason,
            "stop_sequence": None,
            "usage": USAGE,
        }

    def events(self, answer: dict[str, Any]) -> list[bytes]:
        start = answer | {"content": [], "stop_reason": None, "usage": answer["usage"] | {"output_tokens": 1}}
        made = [event("message_start", message=start), event("ping")]
        for index, block in enumerate(answer["content"]):
            made += self._block(index, block)
        ended = {"stop_reason": answer["stop_reason"], "stop_sequence": None}
        return [*made, event("message_delta", delta=ended, usage=answer["usage"]), event("message_stop")]

    def _block(self, index: int, block: dict[str, Any]) -> list[bytes]:
        match block["type"]:
            case "text":
                empty = {"text": ""}
                deltas = [{"type": "text_delta", "text": piece} for piece in pieces(block["text"])]
            case "thinking":
                empty = {"thinking": "", "signature": ""}
                deltas = [{"type": "thinking_delta", "thinking": piece} for piece in pieces(block["thinking"])]
                deltas += [{"type": "signature_delta", "signature": block["signature"]}]
            case _:
                empty = {"input": {}}  # type: ignore[dict-item]
                whole = ["", *pieces(json.dumps(block["input"]))]
                deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in whole]
        return [
            event("content_block_start", index=index, content_block=block | empty),
            *(event("content_block_delta", index=index, delta=delta) for delta in deltas),
            event("content_block_stop", index=index),
        ]

    def error(self, status: int, message: str) -> dict[str, Any]:
        kinds = {400: "invalid_request_error", 401: "authentication_error", 529: "overloaded_error"}
        return {"type": "error", "error": {"type": kinds.get(status, "api_error"), "message": message}}

    def error_event(self, message: str) -> bytes:
        return event("error", error={"type": "overloaded_error", "message": message})
