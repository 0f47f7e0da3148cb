"""A scripted provider of the Gemini API, whose answers are written whole and also sent as streams.

It refuses what the real one does (``gemini_rules.py``), and remembers the signatures that it gave.
"""

from __future__ import annotations

import base64
import json
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

from tests.clients.native import pieces
from tests.support import Upstream, json_answer, sse_answer
from tests.support.gateway import Gateway
from tests.support.gemini import event
from tests.support.steps import Script
from tests.support.upstream import Request
from tests.translation import gemini_rules

Json = dict[str, Any]

USAGE = {
    "promptTokenCount": 90,
    "cachedContentTokenCount": 20,
    "candidatesTokenCount": 25,
    "thoughtsTokenCount": 5,
    "totalTokenCount": 120,
}


def answer(*parts: Json, finish: str = "STOP", usage: Json = USAGE, **members: Any) -> Json:
    """A whole answer of these parts. ``members`` are those of its candidate."""
    candidate = {"content": {"parts": list(parts), "role": "model"}, "finishReason": finish, "index": 0} | members
    return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-up", "responseId": "r1"}


def text(said: str, **more: Any) -> Json:
    return {"text": said} | more


def thought(said: str) -> Json:
    return {"text": said, "thought": True}


def call(name: str, arguments: Json, **more: Any) -> Json:
    return {"functionCall": {"name": name, "args": arguments}} | more


def signature(word: str) -> str:
    return base64.b64encode(word.encode()).decode()


def events(whole: Json) -> list[bytes]:
    """The same answer as a stream. A text's signature comes alone, after it."""
    (candidate,) = whole["candidates"]
    head = {name: whole[name] for name in ("modelVersion", "responseId")}
    chunks = [part for each in candidate["content"]["parts"] for part in _pieces(each)] or [text("")]
    made = []
    for at, part in enumerate(chunks):
        one: Json = {"content": {"parts": [part], "role": "model"}, "index": 0}
        usage = {"promptTokenCount": whole["usageMetadata"]["promptTokenCount"]}
        if at == len(chunks) - 1:
            one = {name: value for name, value in candidate.items() if name != "content"} | one
            usage = whole["usageMetadata"]
        made.append(event({"candidates": [one], "usageMetadata": usage} | head))
    return made


def _pieces(part: Json) -> Iterator[Json]:
    if "text" not in part:
        yield part
        return
    rest = {name: value for name, value in part.items() if name not in ("text", "thoughtSignature")}
    yield from ({"text": piece} | rest for piece in pieces(part["text"]))
    if "thoughtSignature" in part:
        yield {"text": "", "thoughtSignature": part["thoughtSignature"]}


def error(message: str, status: int) -> Json:
    words = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": words[status]}}


class GeminiProvider:
    """Answers in turn as it is told, and then with a text. ``asked``: the bodies that it took."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.asked: list[Json] = []
        self.requests: list[Request] = []
        self.answers: deque[Json] = deque()
        self.scripts: deque[Script] = deque()
        self._signatures: set[str] = set()

    def __call__(self, request: Request) -> Script:
        self.requests.append(request)
        model = gemini_rules.model_of(request) or gemini_rules.MODEL
        reasons = [
            *gemini_rules.of_head(request),
            *gemini_rules.of_body(request.json, model, self._signatures),
        ]
        if reasons:
            self.refused += reasons
            return json_answer(error(reasons[0], 400), 400)
        self.asked.append(request.json)
        if self.scripts:
            return self.scripts.popleft()
        found = self.answers.popleft() if self.answers else answer(text("Fine, thanks."))
        self._remember(found)
        if "streamGenerateContent" in request.target:
            return sse_answer(*events(found))
        return json_answer(found)

    def _remember(self, whole: Json) -> None:
        parts = whole["candidates"][0]["content"]["parts"]
        self._signatures.update(part["thoughtSignature"] for part in parts if "thoughtSignature" in part)


@asynccontextmanager
async def served(provider: GeminiProvider, model: str = gemini_rules.MODEL, **sections: Any) -> AsyncIterator[Gateway]:
    """A gateway with one model ``m`` of the provider."""
    async with Upstream() as up:
        up.on(provider)
        config = {
            "routing": {"maxRetries": 0, "rateLimitRetries": 0},
            "providers": {"up": {"kind": "gemini", "baseUrl": f"{up.origin}/v1beta", "apiKey": gemini_rules.KEY}},
            "models": [{"name": "m", "provider": "up", "model": model}],
        }
        async with Gateway(config | sections) as gw:
            yield gw


def said(body: Json) -> str:
    """A body as one text, to look for words in it."""
    return json.dumps(body)
