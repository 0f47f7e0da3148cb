"""A scripted provider of the Gemini API, whose answers are written whole and also sent as streams."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest
from typing import Any

from tests.clients.native import pieces
from tests.support.gemini import event

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


def call(name: str, arguments: Json, call_id: str = "", **more: Any) -> Json:
    """``call_id``: Google gives one only since Gemini 3."""
    found = {"name": name, "args": arguments} | ({"id": call_id} if call_id else {})
    return {"functionCall": found} | more


def several(*answers: Json) -> Json:
    """One answer whose candidates are those of ``answers``."""
    candidates = [one | {"index": index} for index, each in enumerate(answers) for one in each["candidates"]]
    return answers[0] | {"candidates": candidates}


def events(whole: Json) -> list[bytes]:
    """The same answer as a stream, in which candidates take turns. A text's signature comes alone, after it.

    A blocked prompt is one event.
    """
    if "candidates" not in whole:
        return [event(whole)]
    same = {name: whole[name] for name in ("modelVersion", "responseId")}
    same["usageMetadata"] = {"promptTokenCount": whole["usageMetadata"]["promptTokenCount"]}
    turns = zip_longest(*(_candidate(each) for each in whole["candidates"]))
    *others, last = [one for turn in turns for one in turn if one is not None]
    made = [event({"candidates": [one]} | same) for one in others]
    return [*made, event({"candidates": [last]} | same | {"usageMetadata": whole["usageMetadata"]})]


def _candidate(whole: Json) -> Iterator[Json]:
    chunks = [part for each in whole["content"]["parts"] for part in _pieces(each)] or [text("")]
    for part in chunks[:-1]:
        yield {"content": {"parts": [part], "role": "model"}, "index": whole["index"]}
    yield whole | {"content": {"parts": chunks[-1:], "role": "model"}}


def _pieces(part: Json) -> Iterator[Json]:
    if "text" not in part:
        yield part
        return
    rest = {name: value for name, value in part.items() if name not in ("text", "thoughtSignature")}
    yield from ({"text": piece} | rest for piece in pieces(part["text"]))
    if "thoughtSignature" in part:
        yield {"text": "", "thoughtSignature": part["thoughtSignature"]}


def error(message: str, status: int) -> Json:
    words = {400: "INVALID_ARGUMENT", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
    return {"error": {"code": status, "message": message, "status": words[status]}}
