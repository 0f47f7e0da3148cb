"""Streams of up to three candidates over real sockets, with a recovery and, maybe, hedging."""

from __future__ import annotations

import json
from contextlib import AbstractAsyncContextManager
from typing import Any

from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Stall,
    Upstream,
    chat_events,
    error_json,
    sse,
    until,
)
from tests.support.answers import DONE, SSE_HEADERS
from tests.support.candidates import candidates
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import live
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
STREAM = {"model": ["a", "b", "c"], "messages": HI, "stream": True}
PING = b": ping\n\n"
ROLE, FIRST, SECOND, STOP, _ = EVENTS = chat_events("Hello", " world")
WHOLE = b"".join(EVENTS)
REST = chat_events(" world", model="up-b")  # of a model that continues "Hello"
ERROR = sse(error_json("Broken on purpose", code="no_luck"))


def begun(*events: bytes) -> list[Step | bytes]:
    """A stream as far as these events; what is next decides how it ends."""
    return [Headers(200, SSE_HEADERS), *map(Chunk, events)]


BREAKS: dict[str, list[Step | bytes]] = {
    "closed": [Close()],
    "reset": [Reset()],
    "ended without an end": [LastChunk()],
    "half an event": [Chunk(SECOND[:20]), Close()],
    "an error event": [Chunk(ERROR), LastChunk()],
    "an error event and the end": [Chunk(ERROR), Chunk(DONE), LastChunk()],
    "an error event in one read with text": [Chunk(SECOND + ERROR), Close()],
    "bytes that are no chunk": [b"nonsense\r\n"],
    "silence": [Stall()],
}


def recovering(
    recovery: str, *, count: int = 3, silent: str = "", routing: dict[str, Any] | None = None, **options: Any
) -> AbstractAsyncContextManager[tuple[Gateway, list[Upstream], FakeClock]]:
    """Models ``a``, ``b``, ...; a stream of those in ``silent`` may be silent for a moment only."""
    routing = {"streamRecovery": recovery} | (routing or {})
    short = {name: {"timeouts": {"idle": 0.3}} for name in silent}
    return candidates("abc"[:count], routing=routing, per_model=short, **options)


async def ask(gw: Gateway, call: dict[str, Any] = STREAM, **headers: str) -> RawClient:
    client = await gw.client()
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    await client.request("POST", CHAT, json=call, headers=named)
    return client


async def events_of(client: RawClient) -> list[bytes]:
    """The events of the answer without pings; the client's connection must still be good."""
    assert (await client.read_head()).status == 200
    events = [event for event in await client.read_events() if event != PING]
    assert not client._unread
    return events


def code_of(event: bytes) -> str:
    code = json.loads(event.removeprefix(b"data: "))["error"]["code"]
    assert isinstance(code, str)
    return code


def router_of(event: bytes) -> dict[str, Any]:
    assert event.startswith(b": _router "), event
    member: dict[str, Any] = json.loads(event.removeprefix(b": _router "))
    return member


def without_router(events: list[bytes]) -> bytes:
    return b"".join(event for event in events if not event.startswith(b": _router "))


async def committed(gw: Gateway, label: str) -> None:
    await until(lambda: live(gw, label).statistics.latency is not None, f"the content commit of {label}")
