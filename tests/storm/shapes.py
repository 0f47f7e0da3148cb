"""Responses of the endpoints, complete and as events between which a fault can occur."""

from __future__ import annotations

import json
from typing import Any

from msgspec import Struct

from tests.storm.bills import Tokens, usage_of
from tests.storm.words import numbers_of, pieces, text_of


class Shape(Struct, frozen=True):
    """``whole``: the response as JSON. The other fields are the events of a stream, in order."""

    whole: bytes
    stream: bool = False
    opening: bytes = b""
    content: tuple[bytes, ...] = ()
    finish: bytes = b""
    usage: bytes = b""  # empty where the finish or the last event reports it
    last: bytes = b""
    error: bytes = b""  # an error event


ERROR = {"error": {"message": "provider's own words", "type": "server_error", "param": None, "code": "boom"}}
DONE = b"data: [DONE]\n\n"


def shape_of(path: str, body: dict[str, Any], name: str, tokens: Tokens) -> Shape:
    """Return the successful response to this request, which reports ``tokens``."""
    stream = bool(body.get("stream"))
    model, usage = body["model"], usage_of(path, tokens)
    if path == "embeddings":
        entry = {"object": "embedding", "index": 0, "embedding": numbers_of(name)}
        return Shape(_json({"object": "list", "data": [entry], "model": model, "usage": usage}))
    if path == "responses":
        return _response(text_of(name), model, stream, usage)
    text = text_of(name)
    if path == "completions":
        return _completion(text, model, stream, usage)
    return _chat(text.removeprefix(_prefill(body)), text, model, stream, usage)


def _prefill(body: dict[str, Any]) -> str:
    """Return the prefilled assistant text of a continuation request."""
    last = body["messages"][-1]
    return str(last["content"]) if last["role"] == "assistant" else ""


def _chat(rest: str, text: str, model: str, stream: bool, usage: dict[str, Any]) -> Shape:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    same = {"id": "c", "created": 1, "model": model}
    whole = _json({**same, "object": "chat.completion", "choices": [choice], "usage": usage})
    if not stream:
        return Shape(whole)

    def event(delta: dict[str, Any], finish: str | None = None) -> bytes:
        choices = [{"index": 0, "delta": delta, "finish_reason": finish}]
        return _event({**same, "object": "chat.completion.chunk", "choices": choices})

    return Shape(
        whole,
        True,
        event({"role": "assistant", "content": ""}),
        tuple(event({"content": piece}) for piece in pieces(rest)),
        event({}, "stop"),
        _event({**same, "object": "chat.completion.chunk", "choices": [], "usage": usage}),
        DONE,
        _event(ERROR),
    )


def _completion(text: str, model: str, stream: bool, usage: dict[str, Any]) -> Shape:
    same = {"id": "c", "object": "text_completion", "created": 1, "model": model}

    def completion(piece: str, finish: str | None) -> dict[str, Any]:
        return {**same, "choices": [{"index": 0, "text": piece, "finish_reason": finish}]}

    whole = _json({**completion(text, "stop"), "usage": usage})
    if not stream:
        return Shape(whole)
    content = tuple(_event(completion(piece, None)) for piece in pieces(text))
    counts = _event({**same, "choices": [], "usage": usage})
    return Shape(whole, True, b"", content, _event(completion("", "stop")), counts, DONE, _event(ERROR))


def _response(text: str, model: str, stream: bool, usage: dict[str, Any]) -> Shape:
    output = [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}]
    done = {"id": "r", "object": "response", "status": "completed", "model": model, "output": output, "usage": usage}
    if not stream:
        return Shape(_json(done))
    begun = {"id": "r", "object": "response", "status": "in_progress", "model": model, "output": []}
    return Shape(
        _json(done),
        True,
        _named("response.created", 0, response=begun),
        tuple(_named("response.output_text.delta", n, delta=piece) for n, piece in enumerate(pieces(text), 1)),
        b"",
        b"",
        _named("response.completed", 99, response=done),
        _named("error", 98, code="boom", message="provider's own words", param=None),
    )


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _event(value: Any) -> bytes:
    return b"data: " + _json(value) + b"\n\n"


def _named(kind: str, number: int, **members: Any) -> bytes:
    return b"event: " + kind.encode() + b"\n" + _event({"type": kind, "sequence_number": number, **members})
