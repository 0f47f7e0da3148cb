"""What a model is given, as parts of the Gemini API: texts, images, files and sound.

Source: https://ai.google.dev/api/caching#Part, https://ai.google.dev/gemini-api/docs/file-input-methods
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from proxy.dialects.gemini.provider.encoding import GeminiEncoding
from proxy.dialects.translation.absent import MediaPart
from proxy.dialects.translation.client_names import ContentNames
from proxy.dialects.translation.conversation import Audio, CacheMark, Document, Image, Part, Text
from proxy.dialects.translation.files import ANOTHER_ACCOUNT, PDF, as_text, media_type_of, text_of
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

_WEB: Final = ("https://", "http://")
# Files that are at Google already.
_OF_GOOGLE: Final = ("gs://", "https://generativelanguage.googleapis.com/")


class GeminiPartEncoder:
    """Encodes content in one place of a request. ``names``: the client's there."""

    __slots__ = ("_encoding", "_names")

    def __init__(self, encoding: GeminiEncoding, names: ContentNames) -> None:
        self._encoding = encoding
        self._names = names

    def parts(self, content: Iterable[Part]) -> Iterator[JsonObject]:
        """The parts of a user's message. Raises Untranslatable."""
        for part in content:
            match part:
                case Text():
                    yield from self.text(part)
                case Image():
                    yield self._image(part)
                case Document():
                    yield from self._document(part)
                case Audio():
                    yield self._audio(part)
                case _:
                    raise Untranslatable(self._names.place, "A message of this role cannot have such content.")

    def text(self, part: Text) -> Iterator[JsonObject]:
        """The part for a text; none if it is empty."""
        self._drop_mark(part.cache)
        if part.citations:
            self._encoding.losses.drop(self._names.citations)
        if part.text:
            yield {"text": part.text}

    def _image(self, part: Image) -> JsonObject:
        self._drop_mark(part.cache)
        if part.detail not in ("", "auto"):
            self._encoding.losses.drop(self._names.detail)
        if part.source.file_id is not None:
            raise Untranslatable(self._names.image_file, ANOTHER_ACCOUNT)
        return self._media(part, media_type_of(part.source), self._names.image)

    def _document(self, part: Document) -> Iterator[JsonObject]:
        self._drop_mark(part.cache)
        if part.cited:
            self._encoding.losses.drop(self._names.cited)
        text = text_of(part)
        if text is not None:
            yield {"text": as_text(part, text)}
            return
        source = part.source
        if source.file_id is not None:
            raise Untranslatable(self._names.document_file, ANOTHER_ACCOUNT)
        if part.name or part.context:
            yield {"text": _introduction(part)}
        usual = PDF if source.url is not None else ""
        yield self._media(part, media_type_of(source) or usual, self._names.document)

    def _audio(self, part: Audio) -> JsonObject:
        kind = f"audio/{part.format}" if part.format else part.source.media_type or "audio/wav"
        return self._media(part, kind, self._names.audio)

    def _media(self, part: MediaPart, media_type: str, name: str) -> JsonObject:
        """``inlineData`` or ``fileData``. ``name``: the client's member, for errors."""
        source = part.source
        if source.url is not None:
            return {"fileData": self._file(part, source.url, media_type, name)}
        if source.data is None:
            raise Untranslatable(name, "It must be data or have an address.")
        if not media_type:
            raise Untranslatable(name, "Its type is not known.")
        return {"inlineData": {"mimeType": media_type, "data": source.data}}

    def _file(self, part: MediaPart, address: str, media_type: str, name: str) -> JsonObject:
        """The provider fetches the address itself."""
        found = {"fileUri": address} | ({"mimeType": media_type} if media_type else {})
        if address.startswith(_OF_GOOGLE):
            return found
        if not address.lower().startswith(_WEB):
            raise Untranslatable(name, "Its address must begin with https://.")
        if not self._encoding.facts.fetches:
            self._encoding.losses.lack(part, name, "The model takes no addresses.")
        elif not media_type:
            self._encoding.losses.lack(part, name, "Its type is not known, as its address does not show one.")
        return found

    def _drop_mark(self, mark: CacheMark | None) -> None:
        """Google caches the beginning of a prompt by itself, without marks."""
        if mark is not None:
            self._encoding.losses.drop(self._names.cache)


def _introduction(part: Document) -> str:
    """What stands before a file: a part has no place for its name."""
    about = f"The file {part.name}" if part.name else "A file"
    return f"{about}: {part.context}" if part.context else f"{about}:"
