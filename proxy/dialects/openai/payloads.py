"""Images and sound in JSON that is too large or too unusual to decode, found as long strings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

SHORTEST: Final = 4096  # bytes; shorter strings count as text

Kind = Literal["image", "audio", "sealed"]

_KINDS: Final[dict[bytes, Kind]] = {
    b"data": "audio",  # OpenAI has images as data URLs, and sound as bare base64 (input_audio)
    b"url": "image",
    b"image_url": "image",
    b"file_data": "image",  # a file's pages are shown to the model
    b"b64_json": "image",
    b"result": "image",  # of image_generation_call
    b"encrypted_content": "sealed",
}
_LONGEST_KEY: Final = 64  # with the space around its colon
_SPACE: Final = b" \t\r\n"


def payloads(body: bytes, begin: int, end: int) -> Iterator[tuple[Kind, int]]:
    """Kind and size in bytes of each payload between ``begin`` and ``end``.

    Nothing is parsed: a payload is at least ``SHORTEST`` bytes long, has no quote, and follows a known key. A step
    skips that many bytes, so 50 MB take about 3 ms, whatever the content.
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
