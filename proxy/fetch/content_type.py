"""The type of fetched content: what its first bytes show, where that agrees with what the server says.

Sources: https://mimesniff.spec.whatwg.org/#matching-a-mime-type-pattern, RFC 9110 section 8.3
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from proxy.dialects.translation.absent import ContentKind
from proxy.dialects.translation.files import PDF, is_text_type
from proxy.fetch.unavailable import ContentUnavailable

BEGINNING: Final = 16  # bytes that show a type

# By their first bytes. Sound is called as OpenAI calls its formats.
_IMAGES: Final = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_SOUNDS: Final = {
    b"ID3": "audio/mp3",
    b"\xff\xfb": "audio/mp3",
    b"\xff\xf3": "audio/mp3",
    b"\xff\xf2": "audio/mp3",
    b"fLaC": "audio/flac",
    b"OggS": "audio/ogg",
}
_FILES: Final = {b"%PDF-": PDF}
_IN_RIFF: Final = {b"WEBP": "image/webp", b"WAVE": "audio/wav"}
_BEGINNINGS: Final[Mapping[bytes, str]] = _IMAGES | _SOUNDS | _FILES
_WANTED: Final[Mapping[ContentKind, str]] = {
    "image": "is no PNG, JPEG, GIF or WebP image",
    "file": "is neither a PDF nor a text",
    "audio": "is no MP3, WAV, FLAC or Ogg file",
}
_GENERIC: Final = frozenset(("", "application/octet-stream", "binary/octet-stream"))
# Python has more codecs, some of which are slow.
_CODECS: Final = {
    "": "utf-8-sig",
    "utf-8": "utf-8-sig",
    "utf8": "utf-8-sig",
    "us-ascii": "utf-8-sig",
    "ascii": "utf-8-sig",
    "iso-8859-1": "cp1252",  # https://encoding.spec.whatwg.org/#names-and-labels
    "windows-1252": "cp1252",
}


class ContentType(Struct, frozen=True):
    """``codec``: of a text; ``""``: it is none."""

    media_type: str
    codec: str = ""


def content_type_of(kind: ContentKind, header: str, beginning: bytes) -> ContentType:
    """The type of content whose first bytes are ``beginning``. ``header``: the response's Content-Type, or ``""``.

    Raises ContentUnavailable if it is not of the wanted kind, or if the header says something else.
    """
    named, _, parameters = header.partition(";")
    named = named.strip().lower()
    found = _shown_by(beginning)
    if not found:
        if kind == "file" and is_text_type(named):
            return ContentType(named, _codec(parameters))
        raise ContentUnavailable(_WANTED[kind])
    if _kind_of(found) != kind:
        raise ContentUnavailable(_WANTED[kind])
    if named not in _GENERIC and named.partition("/")[0] != found.partition("/")[0]:
        raise ContentUnavailable("is of another type than its server says")
    return ContentType(found)


def _shown_by(beginning: bytes) -> str:
    if beginning.startswith(b"RIFF"):
        return _IN_RIFF.get(beginning[8:12], "")
    return next((found for first, found in _BEGINNINGS.items() if beginning.startswith(first)), "")


def _kind_of(media_type: str) -> ContentKind:
    if media_type == PDF:
        return "file"
    return "image" if media_type.startswith("image/") else "audio"


def _codec(parameters: str) -> str:
    """The codec for the parameter ``charset``."""
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            codec = _CODECS.get(value.strip().strip('"').lower())
            if codec is None:
                raise ContentUnavailable("is a text that is not in UTF-8")
            return codec
    return _CODECS[""]
