"""Realistic OpenAI answers, as the bytes and the steps that an upstream writes."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tests.support.steps import Chunk, HeaderList, Headers, LastChunk, Send, Step

DONE = b"data: [DONE]\n\n"
USAGE = {"prompt_tokens": 9, "completion_tokens": 2, "total_tokens": 11}
SSE_HEADERS: HeaderList = [("Content-Type", "text/event-stream"), ("Transfer-Encoding", "chunked")]


def compact(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def sse(*events: bytes | str | dict[str, Any]) -> bytes:
    """The events one after the other: a dict as JSON, a str as data (``[DONE]``), bytes as they stand."""
    return b"".join(_event(event) for event in events)


def _event(event: bytes | str | dict[str, Any]) -> bytes:
    if isinstance(event, bytes):
        return event
    return b"data: " + (event.encode() if isinstance(event, str) else compact(event)) + b"\n\n"


def chat_events(
    *deltas: str,
    model: str = "up-model",
    finish: str | None = "stop",
    usage: dict[str, Any] | None = None,
    done: bool = True,
) -> list[bytes]:
    """A chat completion stream as one ``bytes`` per event: role, each delta, finish, usage if given, [DONE]."""
    events = [_chat_event({"role": "assistant", "content": ""}, None, model)]
    events += [_chat_event({"content": text}, None, model) for text in deltas]
    if finish is not None:
        events.append(_chat_event({}, finish, model))
    if usage is not None:
        events.append(sse(_chat_chunk([], model) | {"usage": usage}))
    return [*events, DONE] if done else events


def chat_chunks(*deltas: str, **options: Any) -> bytes:
    """The same as one string of bytes."""
    return b"".join(chat_events(*deltas, **options))


def _chat_event(delta: dict[str, Any], finish: str | None, model: str) -> bytes:
    return sse(_chat_chunk([{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}], model))


def _chat_chunk(choices: list[dict[str, Any]], model: str) -> dict[str, Any]:
    return {
        "id": "chatcmpl-test",
        "object": "chat.completion.chunk",
        "created": 1_700_000_000,
        "model": model,
        "choices": choices,
    }


def completion(text: str = "Hello world", *, model: str = "up-model", usage: Any = USAGE) -> dict[str, Any]:
    """A chat completion object; ``usage=None`` leaves the member out."""
    message = {"role": "assistant", "content": text, "refusal": None}
    answer = {
        "id": "chatcmpl-test",
        "object": "chat.completion",
        "created": 1_700_000_000,
        "model": model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
    }
    return answer if usage is None else answer | {"usage": usage}


def error_json(
    message: str = "Broken on purpose", *, kind: str = "server_error", code: str | None = None
) -> dict[str, Any]:
    """An OpenAI error object."""
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def json_answer(value: Any, status: int = 200, headers: Iterable[tuple[str, str]] = ()) -> list[Step | bytes]:
    """A script: the value as a JSON answer with Content-Length."""
    body = compact(value)
    own = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return [Headers(status, [*own, *headers]), Send(body)]


def sse_answer(*events: bytes, headers: Iterable[tuple[str, str]] = ()) -> list[Step | bytes]:
    """A script: a chunked event stream, each event in a separate chunk and write."""
    return [Headers(200, [*SSE_HEADERS, *headers]), *(Chunk(event) for event in events), LastChunk()]


ROUTER = b'"_router":'


def unspliced(body: bytes) -> tuple[bytes, dict[str, Any]]:
    """The gateway's JSON answer as the provider's bytes and the member that was put at their end.

    An AssertionError if the member is not exactly there, once and compact.
    """
    before, _, after = body.rpartition(ROUTER)
    member, length = json.JSONDecoder().raw_decode(after.decode())
    rest = after[len(after.decode()[:length].encode()) :]
    assert before.rstrip()[-1:] in (b",", b"{"), body
    assert compact(member) == after[: len(after) - len(rest)]
    assert rest.startswith(b"}"), rest
    assert rest[1:].strip() == b"", rest
    return before.removesuffix(b",") + rest, member


def answered_by(model: str = "m", provider: str = "up", **members: Any) -> dict[str, Any]:
    """The member ``_router`` of a successful first attempt, updated with ``members``."""
    return {
        "provider": provider,
        "model_name": model,
        "attempts": 1,
        "fallback_used": False,
        "errors": [],
    } | members
