"""OpenAI's Chat Completions API, as a provider of tools."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tests.clients.native import Api, Asked, pieces
from tests.support.answers import DONE, sse
from tests.support.upstream import Request

USAGE = {"prompt_tokens": 90, "completion_tokens": 30, "total_tokens": 120}


class ChatApi(Api):
    """Without reasoning, for which this API has no standard."""

    usage: ClassVar = {"input": 90, "cached": None, "output": 30, "reasoning": None}

    def key(self, request: Request) -> str | None:
        return (request.header("authorization") or "").removeprefix("Bearer ")

    def read(self, request: Request) -> Asked:
        body = request.json
        results = [message["content"] for message in body["messages"] if message["role"] == "tool"]
        return Asked(
            model=body["model"],
            streamed=body.get("stream", False),
            tools=tuple(tool["function"]["name"] for tool in body.get("tools", ())),
            results=json.dumps(results) if results else "",
            signed=True,
            reasons=False,
        )

    def calls(self, asked: Asked, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": json.dumps(arguments)}}
        return self._completion(asked, {"content": None, "tool_calls": [call]}, "tool_calls")

    def says(self, asked: Asked, text: str) -> dict[str, Any]:
        return self._completion(asked, {"content": text}, "stop")

    def _completion(self, asked: Asked, message: dict[str, Any], reason: str) -> dict[str, Any]:
        choice = {"index": 0, "message": {"role": "assistant", "refusal": None} | message, "finish_reason": reason}
        head = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1_790_000_000, "model": asked.model}
        return head | {"choices": [choice | {"logprobs": None}], "usage": USAGE}

    def events(self, answer: dict[str, Any]) -> list[bytes]:
        (choice,) = answer["choices"]
        message = choice["message"]
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": piece} for piece in pieces(message["content"] or "")]
        for index, call in enumerate(message.get("tool_calls", ())):
            function = call["function"]
            start = call | {"index": index, "function": function | {"arguments": ""}}
            more = [{"index": index, "function": {"arguments": piece}} for piece in pieces(function["arguments"])]
            deltas += [{"tool_calls": [part]} for part in (start, *more)]
        choices = [{"index": 0, "delta": delta, "finish_reason": None} for delta in deltas]
        choices.append({"index": 0, "delta": {}, "finish_reason": choice["finish_reason"]})
        head = answer | {"object": "chat.completion.chunk", "usage": None}
        usage = head | {"choices": [], "usage": answer["usage"]}
        return [*(sse(head | {"choices": [choice]}) for choice in choices), sse(usage), DONE]

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": "broken"}}

    def error_event(self, message: str) -> bytes:
        return sse({"error": {"message": message, "type": "server_error", "param": None, "code": None}})
