"""gzip and deflate (RFC 1952, RFC 1950, and the raw RFC 1951 that some send as deflate), in bounded pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PIECE = 256 * 1024

CODINGS = frozenset(("gzip", "x-gzip", "deflate"))
_ANY_HEADER = 32 + zlib.MAX_WBITS  # zlib's "gzip or zlib, look yourself"


class BadCompression(ValueError):
    """The bytes are not of the coding that was declared."""


class Inflater:
    """Decodes one body; ``finished`` once its end was seen."""

    __slots__ = ("_raw_allowed", "_started", "_zlib")

    def __init__(self, coding: str) -> None:
        self._zlib = zlib.decompressobj(_ANY_HEADER)
        self._raw_allowed = coding == "deflate"
        self._started = False

    @property
    def finished(self) -> bool:
        return self._zlib.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most ``PIECE`` bytes, each made when it is asked for, so that whoever counts
        them stops a bomb early. Raises BadCompression."""
        while data and not self._zlib.eof:
            piece = self._step(data)
            data = self._zlib.unconsumed_tail
            if piece:
                yield piece

    def _step(self, data: bytes) -> bytes:
        try:
            piece = self._zlib.decompress(data, PIECE)
        except zlib.error as exc:
            if not self._raw_allowed or self._started:
                raise BadCompression(str(exc)) from None
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            self._raw_allowed = False
            return self._step(data)
        self._started = True
        return piece
