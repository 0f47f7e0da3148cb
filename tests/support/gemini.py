"""Gemini's answers: made up ones, recorded ones, and Google's own SDK to read them."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import pytest
from google import genai
from google.genai.client import AsyncClient
from google.genai.types import GenerateContentResponse, Part, PartialArg

from tests.support.answers import compact
from tests.support.recorded import SHARED, cases

USAGE = {"promptTokenCount": 9, "candidatesTokenCount": 2, "totalTokenCount": 11}
MODEL = "gemini-up"
FIXTURES = SHARED / "translate" / "vercel-ai" / "packages" / "google" / "src" / "__fixtures__"
# Recordings of streams in this dialect, by name.
WIRE = [case for case in cases("gemini") if case.streamed and "anthropic" not in case.name]
CHUNKS = sorted(FIXTURES.glob("*.chunks.txt"))


def candidate(*parts: Any, finish: str | None = None, index: int | None = None) -> dict[str, Any]:
    """A candidate whose parts are dicts, or texts."""
    made: dict[str, Any] = {}
    if parts:
        made["content"] = {
            "parts": [{"text": part} if isinstance(part, str) else part for part in parts],
            "role": "model",
        }
    if finish is not None:
        made["finishReason"] = finish
    return made if index is None else made | {"index": index}


def document(*candidates: dict[str, Any], usage: dict[str, Any] | None = USAGE, **members: Any) -> dict[str, Any]:
    """A whole answer, or the data of an event."""
    made: dict[str, Any] = {"candidates": list(candidates)} if candidates else {}
    if usage is not None:
        made["usageMetadata"] = usage
    return made | {"modelVersion": MODEL, "responseId": "r"} | members


def event(data: Any, end: bytes = b"\r\n") -> bytes:
    """An event, with the line ends that Google sends."""
    return b"data: " + compact(data) + end + end


def events(*texts: str, finish: str | None = "STOP", end: bytes = b"\r\n") -> list[bytes]:
    """A stream as one ``bytes`` per event; the last one has the finish reason."""
    last = len(texts) - 1
    made = [candidate(text, finish=finish if place == last else None) for place, text in enumerate(texts)]
    return [event(document(each), end) for each in made]


def framed(path: Path, end: bytes = b"\r\n") -> bytes:
    """A recording of one JSON document a line, framed again as events."""
    lines = [line for line in path.read_bytes().splitlines() if line.strip()]
    return b"".join(b"data: " + line + end + end for line in lines)


def recordings() -> dict[str, bytes]:
    """Recorded streams by name."""
    return {case.name: case.response for case in WIRE} | {path.name: framed(path) for path in CHUNKS}


def data_of(stream: bytes) -> list[Any]:
    """The documents of a stream, by the rules of the specification for one line of data."""
    return [json.loads(line[6:]) for line in stream.splitlines() if line.startswith(b"data: ")]


class Reader:
    """The SDK, to which every request is answered with ``answer``. Making one takes 50 ms, so one does for all."""

    def __init__(self) -> None:
        self.answer = httpx2.Response(200)
        transport = httpx2.MockTransport(lambda request: self.answer)
        options: Any = {"base_url": "http://gateway.test", "httpx_client": httpx2.Client(transport=transport)}
        self.sdk = genai.Client(api_key="k", http_options=options)


@cache
def _reader() -> Reader:
    return Reader()


def client(answer: httpx2.Response) -> genai.Client:
    """The SDK, to which every request is answered so, until the next call."""
    reader = _reader()
    reader.answer = answer
    return reader.sdk


@asynccontextmanager
async def connected(url: str, **options: Any) -> AsyncIterator[AsyncClient]:
    """The SDK, connected to the server at ``url``. ``options`` are those of its transport.

    It gets a transport, as its own is a subclass of ``aiohttp.ClientSession``, of which aiohttp warns.
    """
    # Without certificates: reading the system's takes longer than many calls, and the SDK does it twice.
    tls: Any = {"verify": ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)}
    async with httpx2.AsyncClient(timeout=20.0, **tls, **options) as transport:
        http: Any = {
            "base_url": url,
            "httpx_async_client": transport,
            "client_args": tls,
            "async_client_args": tls | {"ssl": tls["verify"]},
        }
        async with genai.Client(api_key="any", vertexai=False, http_options=http).aio as client:
            yield client


def stream_of(pieces: Iterable[bytes]) -> Iterator[GenerateContentResponse]:
    """What the SDK reads of a stream that arrives in these pieces."""
    answer = httpx2.Response(200, headers={"Content-Type": "text/event-stream"}, content=iter(pieces))
    yield from client(answer).models.generate_content_stream(model=MODEL, contents="Hi")


def answer_of(body: bytes) -> GenerateContentResponse:
    """What the SDK reads of a whole answer."""
    answer = httpx2.Response(200, headers={"Content-Type": "application/json"}, content=body)
    return client(answer).models.generate_content(model=MODEL, contents="Hi")


def calls_of(parts: Iterable[Part]) -> list[tuple[str, str, Any]]:
    """The calls of an answer, each with its name, id and arguments. The SDK does not join those that come in pieces."""
    found: list[tuple[str, str, Any]] = []
    for part in parts:
        call = part.function_call
        if call is None:
            continue
        if call.name:
            found.append((call.name, call.id or "", call.args or {}))
        for piece in call.partial_args or ():
            _place(found[-1][2], piece)
    return [(name, given, _listed(arguments)) for name, given, arguments in found]


def _place(holder: Any, piece: PartialArg) -> None:
    """Paths have one form in the recordings."""
    *outer, last = (piece.json_path or "").removeprefix("$.").replace("[", ".").replace("]", "").split(".")
    for name in outer:
        holder = holder.setdefault(name, {})
    if piece.string_value is not None:
        holder[last] = holder.get(last, "") + piece.string_value
    else:
        holder[last] = piece.number_value if piece.number_value is not None else piece.bool_value


def _listed(value: Any) -> Any:
    """Arguments whose arrays are still objects of numbers."""
    if not isinstance(value, dict):
        return value
    members = {name: _listed(each) for name, each in value.items()}
    return list(members.values()) if members and all(name.isdigit() for name in members) else members


needs_recordings = pytest.mark.skipif(not WIRE, reason=f"no recorded traffic at {SHARED} (set SLUICE_SHARED)")
