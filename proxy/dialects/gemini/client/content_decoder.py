"""Parts of requests that are content of their own: texts, images, documents and sound.

Source: https://ai.google.dev/api/caching#Part, and the types of the package google-genai 3.6
"""

from __future__ import annotations

import re
from typing import Final, TypeAlias

from proxy.dialects.gemini.client.spelling import known_members
from proxy.dialects.gemini.signatures import standard_base64
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import Audio, ContentSource, Document, Image, Text
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable

NAME: Final = "gemini.generate"  # the dialect

GeminiContentPart: TypeAlias = Text | Image | Document | Audio

_INLINE: Final = frozenset(("mimeType", "data", "displayName"))
_FILE: Final = frozenset(("mimeType", "fileUri", "displayName"))

# By the endings of addresses whose type is not said.
_TYPES: Final = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "pdf": "application/pdf",
    "txt": "text/plain",
    "wav": "audio/wav",
    "mp3": "audio/mp3",
    "mp4": "video/mp4",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
# As OpenAI names the formats of sound.
_FORMATS: Final = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav", "x-flac": "flac", "x-aac": "aac"}

_is_address: Final = re.compile(r"https?://", re.IGNORECASE).match
# Files of Google's own: https://ai.google.dev/gemini-api/docs/files
_is_own: Final = re.compile(r"https://generativelanguage\.googleapis\.com/", re.IGNORECASE).match
_is_video: Final = re.compile(r"https?://(www\.|m\.)?(youtube\.com|youtu\.be)/", re.IGNORECASE).match
_ending: Final = re.compile(r"\.([A-Za-z0-9]{2,4})(?:[?#]|$)").search


class GeminiContentDecoder:
    """Decodes the content at one place: ``path``, in names of losses, such as ``contents[].parts[]``."""

    __slots__ = ("_losses", "_path")

    def __init__(self, losses: Losses, path: str) -> None:
        self._losses = losses
        self._path = path + "."

    def inline(self, part: JsonObject) -> GeminiContentPart:
        """The member ``inlineData``. Raises Untranslatable for video."""
        blob = members.required_mapping(part, "inlineData")
        blob = known_members(blob, _INLINE, self._path + "inlineData.", self._losses)
        with Within("inlineData"):
            kind = _media_type(members.required_text(blob, "mimeType"))
            data = standard_base64(members.required_text(blob, "data"))
            return self._content(ContentSource(data=data, media_type=kind), members.text(blob, "displayName"))

    def file(self, part: JsonObject) -> GeminiContentPart:
        """The member ``fileData``: content by its address, or a file at Google."""
        file = members.required_mapping(part, "fileData")
        file = known_members(file, _FILE, self._path + "fileData.", self._losses)
        with Within("fileData"):
            address, name = members.required_text(file, "fileUri"), members.text(file, "displayName")
            if _is_video(address):
                raise Untranslatable("fileUri", "Only Gemini sees videos.")
            kind = _media_type(members.text(file, "mimeType")) or _type_of(address)
            if _is_address(address) and not _is_own(address):
                return self._content(ContentSource(url=address, media_type=kind), name)
            return self._content(ContentSource(file_id=address, media_type=kind, owner=NAME), name)

    def _content(self, source: ContentSource, name: str) -> GeminiContentPart:
        kind, _, format_ = source.media_type.partition("/")
        if kind == "video":
            raise Untranslatable("mimeType", "Only Gemini sees videos.")
        if kind not in ("image", "audio"):
            return Document(source, name)
        if name:
            self._losses.drop(self._path + ("fileData" if source.data is None else "inlineData") + ".displayName")
        return Image(source) if kind == "image" else Audio(source, _FORMATS.get(format_, format_))


def _media_type(value: str) -> str:
    """The type without its parameters."""
    return value.partition(";")[0].strip().lower()


def _type_of(address: str) -> str:
    """The type by the ending of an address, ``""`` where that does not say it."""
    found = _ending(address)
    return _TYPES.get(found[1].lower(), "") if found is not None else ""
