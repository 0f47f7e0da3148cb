"""gzip and deflate (RFC 1952, RFC 1950, and the raw RFC 1951 that some send as deflate), in bounded pieces."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PIECE = 256 * 1024
MAX_MEMBERS = 10_000  # of one body; compressors of large files begin one every 64 KB
# zlib hands back what it did not take as a copy, so it is given little at a time, and least where a member begins:
# it may be one of thousands that are empty.
_STEP = 16 * 1024
_FIRST_STEP = 256

_ANY_HEADER = 32 + zlib.MAX_WBITS  # zlib detects gzip or zlib
_ONLY_GZIP = 16 + zlib.MAX_WBITS


class BadCompression(ValueError):
    """The bytes are not of the coding that was declared."""


class Inflater:
    """Decodes one body; ``finished`` once its end was seen."""

    __slots__ = ("_first", "_members", "_only_one", "_raw_allowed", "_started", "_step", "_zlib")

    def __init__(self, coding: str) -> None:
        self._zlib = zlib.decompressobj(_ANY_HEADER)
        self._only_one = coding == "deflate"
        self._members = 1
        self._step = _STEP
        self._raw_allowed = coding == "deflate"
        self._started = False
        self._first = b""  # a single byte, which does not show whether a zlib header begins

    @property
    def finished(self) -> bool:
        return self._zlib.eof

    @property
    def cut(self) -> bool:
        """Something was decoded, but its end was not seen."""
        return bool(self._started or self._first) and not self._zlib.eof

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Decoded pieces of at most ``PIECE`` bytes, each made on demand, so that a caller who counts
        them stops a bomb early. Raises BadCompression."""
        if self._raw_allowed and not self._started:
            data = self._first + data
            self._first = data[:1]
            if len(data) < 2:
                return
        at = 0
        while at < len(data):
            if self._zlib.eof:
                self._begin_member()
            portion = data[at : at + self._step]
            piece = self._decompress(portion)
            decoder = self._zlib
            left = len(decoder.unconsumed_tail) or len(decoder.unused_data)
            at += len(portion) - left
            self._step = _FIRST_STEP if decoder.eof else min(2 * self._step, _STEP)
            if piece:
                yield piece
            while len(piece) == PIECE and not (left or decoder.eof):  # it may hold more than fitted
                piece = self._decompress(b"")
                if piece:
                    yield piece

    def _begin_member(self) -> None:
        """RFC 1952 2.2: a file is a series of members."""
        if self._only_one:
            raise BadCompression("bytes behind the end")
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise BadCompression("too many members")
        self._zlib = zlib.decompressobj(_ONLY_GZIP)

    def _decompress(self, data: bytes) -> bytes:
        try:
            piece = self._zlib.decompress(data, PIECE)
        except zlib.error as exc:
            if not self._raw_allowed or self._started:
                raise BadCompression(str(exc)) from None
            self._zlib = zlib.decompressobj(-zlib.MAX_WBITS)
            self._raw_allowed = False
            return self._decompress(data)
        self._started = True
        return piece
