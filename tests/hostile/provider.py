"""A provider that reads every request and keeps nothing of it; some models answer with something hostile."""

from __future__ import annotations

import asyncio
import contextlib
import re
import zlib

KEY = "sk-hostile-provider-key-0123456789"
ANSWER = (
    b'{"id":"1","object":"chat.completion","model":"m","choices":[],"usage":{"prompt_tokens":1,"completion_tokens":1}}'
)
BOMB = 200 * 1024 * 1024
ENDLESS = 2000  # pieces of 64 KB
_model = re.compile(rb'"model": ?"([a-z-]+)"').search
_length = re.compile(rb"content-length: (\d+)", re.IGNORECASE).search


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Every request of one connection."""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _length(head)
            beginning = await _discard(reader, int(length[1]) if length else 0)
            model = _model(beginning)
            for piece in _answer(model[1].decode() if model else ""):
                writer.write(piece)
                await writer.drain()
    writer.close()


async def _discard(reader: asyncio.StreamReader, length: int) -> bytes:
    beginning = b""
    while length:
        piece = await reader.read(min(length, 1024 * 1024))
        if not piece:
            raise ConnectionError
        length -= len(piece)
        beginning = beginning or piece[:1000]
    return beginning


def _answer(model: str) -> list[bytes]:
    if model == "bomb":
        body = zlib.compress(bytes(BOMB), 9)
        return [_head(200, "audio/mpeg", len(body), "Content-Encoding: deflate"), body]
    if model == "endless-error":
        head = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n\r\n"
        return [head, *[b"x" * 65536] * ENDLESS]
    if model == "key-in-error":
        body = b'{"error":{"message":"Not with %b","code":"strange"}}' % KEY.encode()
        return [_head(400, "application/json", len(body)), body]
    if model == "key-in-header":
        return [_head(200, "application/json", len(ANSWER), f"X-Seen: Bearer {KEY}"), ANSWER]
    return [_head(200, "application/json", len(ANSWER)), ANSWER]


def _head(status: int, kind: str, length: int, *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status} X", f"Content-Type: {kind}", f"Content-Length: {length}", *more, "", ""]
    return "\r\n".join(lines).encode()
