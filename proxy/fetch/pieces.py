"""Content that is converted while it arrives: 20 MB at once would block the loop."""

from __future__ import annotations

import codecs
from abc import ABC, abstractmethod
from binascii import b2a_base64

from proxy.dialects.translation.conversation import ContentSource
from proxy.fetch.content_type import ContentType
from proxy.fetch.unavailable import ContentUnavailable


class ContentPieces(ABC):
    """Takes the pieces of one response body."""

    __slots__ = ()

    @abstractmethod
    def add(self, piece: bytes) -> None:
        """Convert a piece. Raises ContentUnavailable if the content is not what its type says."""

    @abstractmethod
    def source(self) -> ContentSource:
        """The whole content. Call it once, after the last piece. Raises ContentUnavailable."""


class Base64Pieces(ContentPieces):
    """Base64 without line ends. Three bytes become four characters, so up to two wait for the next piece."""

    __slots__ = ("_media_type", "_rest", "_texts")

    def __init__(self, media_type: str) -> None:
        self._media_type = media_type
        self._rest = b""
        self._texts: list[str] = []

    def add(self, piece: bytes) -> None:
        piece = self._rest + piece
        whole = len(piece) - len(piece) % 3
        self._rest = piece[whole:]
        self._texts.append(b2a_base64(memoryview(piece)[:whole], newline=False).decode("ascii"))

    def source(self) -> ContentSource:
        self._texts.append(b2a_base64(self._rest, newline=False).decode("ascii"))
        return ContentSource(data="".join(self._texts), media_type=self._media_type)


class TextPieces(ContentPieces):
    """A text in the codec of its type."""

    __slots__ = ("_decoder", "_media_type", "_texts")

    def __init__(self, found: ContentType) -> None:
        self._media_type = found.media_type
        self._decoder = codecs.getincrementaldecoder(found.codec)()
        self._texts: list[str] = []

    def add(self, piece: bytes) -> None:
        self._decode(piece, last=False)

    def source(self) -> ContentSource:
        self._decode(b"", last=True)
        return ContentSource(text="".join(self._texts), media_type=self._media_type)

    def _decode(self, piece: bytes, *, last: bool) -> None:
        if b"\0" in piece:
            raise ContentUnavailable("is no text, although its server says so")
        try:
            self._texts.append(self._decoder.decode(piece, last))
        except UnicodeDecodeError:
            raise ContentUnavailable("is no text, although its server says so") from None


def pieces_of(found: ContentType) -> ContentPieces:
    return TextPieces(found) if found.codec else Base64Pieces(found.media_type)
