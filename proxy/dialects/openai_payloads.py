"""Where images and sound stand in JSON that is too large, or too strange, to be decoded: the long strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

SHORTEST = 4096  # bytes; shorter ones are as good as text

Kind = Literal["image", "audio", "sealed"]

_KINDS: dict[bytes, Kind] = {
    b"data": "audio",  # OpenAI has images as data URLs, and sound as bare base64 (input_audio)
    b"url": "image",
    b"image_url": "image",
    b"file_data": "image",  # a file's pages are shown to the model
    b"b64_json": "image",
    b"result": "image",  # of image_generation_call
    b"encrypted_content": "sealed",
}
_LONGEST_KEY = 64  # with the space around its colon
_SPACE = b" \t\r\n"


def payloads(body: bytes, begin: int, end: int) -> Iterator[tuple[Kind, int]]:
    """What each payload between ``begin`` and ``end`` is, and its bytes.

    Nothing is parsed: what is at least ``SHORTEST`` long, without a quote and behind a known key is a payload. One
    step passes that many bytes, so that 50 MB take about 3 ms, whatever is in them.
    """
    at = begin
    while at < end:
        quote = body.rfind(b'"', at, min(at + SHORTEST, end))
        if quote >= 0:
            at = quote + 1
            continue
        close = body.find(b'"', at, end)
        if close < 0:
            return
        if close - at >= SHORTEST and (key := _key_before(body, max(begin, at - _LONGEST_KEY), at - 1)) in _KINDS:
            yield _kind(key, body[at : at + 11]), close - at
        at = close + 1


def _key_before(body: bytes, begin: int, end: int) -> bytes:
    """The key whose value has its opening quote at ``end``; ``b""`` where there is no key."""
    close = body.rfind(b'"', begin, end)
    quote = body.rfind(b'"', begin, close) if close > begin else -1
    if quote < 0 or body[close + 1 : end].strip(_SPACE) != b":":
        return b""
    return body[quote + 1 : close]


def _kind(key: bytes, beginning: bytes) -> Kind:
    if beginning.startswith(b"data:"):
        return "audio" if beginning.startswith(b"data:audio/") else "image"
    return _KINDS[key]
