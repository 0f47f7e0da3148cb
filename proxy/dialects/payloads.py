"""Images and sound in JSON that is too large or too unusual to decode, found as long strings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Literal

SHORTEST: Final = 4096  # bytes; shorter strings count as text

Kind = Literal["image", "audio", "sealed"]

_LONGEST_KEY: Final = 64  # with the space around its colon
_SPACE: Final = b" \t\r\n"


def payloads(body: bytes, begin: int, end: int, kinds: Mapping[bytes, Kind]) -> Iterator[tuple[Kind, int]]:
    """Kind and size in bytes of each payload between ``begin`` and ``end``. ``kinds``: by the keys of a dialect."""
    for kind, start, stop in payload_spans(body, begin, end, kinds):
        yield kind, stop - start


def payload_spans(body: bytes, begin: int, end: int, kinds: Mapping[bytes, Kind]) -> Iterator[tuple[Kind, int, int]]:
    """Kind, begin and end of each payload between ``begin`` and ``end``, without its quotes.

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
        if close - at >= SHORTEST and (key := _key_before(body, max(begin, at - _LONGEST_KEY), at - 1)) in kinds:
            yield _kind(kinds[key], body[at : at + 11]), at, close
        at = close + 1


def _key_before(body: bytes, begin: int, end: int) -> bytes:
    """The key whose value has its opening quote at ``end``; ``b""`` where there is no key."""
    close = body.rfind(b'"', begin, end)
    quote = body.rfind(b'"', begin, close) if close > begin else -1
    if quote < 0 or body[close + 1 : end].strip(_SPACE) != b":":
        return b""
    return body[quote + 1 : close]


def _kind(usual: Kind, beginning: bytes) -> Kind:
    if beginning.startswith(b"data:"):
        return "audio" if beginning.startswith(b"data:audio/") else "image"
    return usual
