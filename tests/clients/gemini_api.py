"""Google's generateContent, as a provider of tools."""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from tests.clients.native import SIGNATURE, Api, Asked, pieces
from tests.support.gemini import event
from tests.support.upstream import Request

_method = re.compile(r"/models/([^:/]+):(\w+)")
USAGE = {
    "promptTokenCount": 160,
    "cachedContentTokenCount": 20,
    "candidatesTokenCount": 40,
    "thoughtsTokenCount": 10,
    "totalTokenCount": 210,
}
STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}


class GeminiApi(Api):
    usage: ClassVar = {"input": 140, "cached": 20, "output": 40, "reasoning": 10}

    def key(self, request: Request) -> str | None:
        return request.header("x-goog-api-key")

    def read(self, request: Request) -> Asked:
        body = request.json
        found = _method.search(request.target)
        assert found, request.target
        contents = body["contents"]
        parts = contents[-1]["parts"]
        results = [part["functionResponse"]["response"] for part in parts if "functionResponse" in part]
        before = contents[-2]["parts"] if len(contents) > 1 else []
        # Google checks the first call of each step only.
        signatures = [part.get("thoughtSignature") for part in before if "functionCall" in part][:1]
        return Asked(
            model=found[1],
            streamed=found[2] == "streamGenerateContent",
            tools=tuple(
                function["name"] for tool in body.get("tools", ()) for function in tool.get("functionDeclarations", ())
            ),
            results=json.dumps(results) if results else "",
            signed=signatures == [SIGNATURE],
            reasons=True,
        )

    def calls(self, asked: Asked, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        thought = {"text": "A file has to be read.", "thought": True}
        call = {"functionCall": {"name": name, "args": arguments}, "thoughtSignature": SIGNATURE}
        return self._document(asked, [thought, call])

    def says(self, asked: Asked, text: str) -> dict[str, Any]:
        return self._document(asked, [{"text": text}])

    def _document(self, asked: Asked, parts: list[Any]) -> dict[str, Any]:
        return {
            "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": USAGE,
            "modelVersion": asked.model,
            "responseId": "r1",
        }

    def events(self, answer: dict[str, Any]) -> list[bytes]:
        (candidate,) = answer["candidates"]
        parts = [
            part | {"text": piece} if "text" in part else part
            for part in candidate["content"]["parts"]
            for piece in (pieces(part["text"]) if "text" in part else [""])
        ]
        last = len(parts) - 1
        made = []
        for at, part in enumerate(parts):
            one = {"content": {"parts": [part], "role": "model"}, "index": 0}
            made.append(event(answer | {"candidates": [one | ({"finishReason": "STOP"} if at == last else {})]}))
        return made

    def error(self, status: int, message: str) -> dict[str, Any]:
        return {"error": {"code": status, "message": message, "status": STATUSES.get(status, "INTERNAL")}}

    def error_event(self, message: str) -> bytes:
        return json.dumps(self.error(503, message), indent=2).encode() + b"\n"  # no event
