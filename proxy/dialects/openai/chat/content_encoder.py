"""What a model is given, as content parts of chat messages: texts, images, files and sound.

https://platform.openai.com/docs/api-reference/chat/create, and the types of the package openai 3.57
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from typing import Final

from proxy.dialects.openai.chat import cache_breakpoints
from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.translation.client_names import ContentNames
from proxy.dialects.translation.conversation import Audio, ContentSource, Document, Image, Part, Text
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

SEPARATOR: Final = "\n\n"  # between texts that become one string

_PDF: Final = "application/pdf"
_TEXTS: Final = frozenset({"application/json", "application/xml", "application/yaml", "application/x-yaml"})
_ENDINGS: Final = {_PDF: ".pdf"}
_ANOTHER_ACCOUNT: Final = "The file belongs to an account at another provider. Send its content."


class ChatContentEncoder:
    """Encodes content in one place of a request. ``names``: the client's there."""

    __slots__ = ("_encoding", "_names")

    def __init__(self, encoding: ChatEncoding, names: ContentNames) -> None:
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
                    raise Untranslatable(
                        self._encoding.client.message_content, "A user's message has what only others can have."
                    )

    def text(self, part: Text) -> Iterator[JsonObject]:
        """The part for a text; none if it is empty, which providers refuse."""
        if part.citations:
            self._encoding.losses.drop(self._names.citations)
        if part.text:
            found: JsonObject = {"type": "text", "text": part.text}
            cache_breakpoints.mark(found, part.cache, self._encoding, self._names.cache)
            yield found

    def _image(self, part: Image) -> JsonObject:
        source = part.source
        if source.file_id is not None:
            raise Untranslatable(self._names.image_file, _ANOTHER_ACCOUNT)
        if source.url is None and source.data is None:
            raise Untranslatable(self._names.image, "An image must be data or have an address.")
        image = {"url": source.url if source.url is not None else _data_url(source, "image/png")}
        if part.detail:
            image["detail"] = part.detail
        return self._marked({"type": "image_url", "image_url": image}, part)

    def _document(self, part: Document) -> Iterator[JsonObject]:
        if part.cited:
            self._encoding.losses.drop(self._names.cited)
        text = _text_of(part.source)
        if text is not None:
            yield self._marked({"type": "text", "text": _as_text(part, text)}, part)
            return
        if part.context:
            yield {"type": "text", "text": f"About the file {_name_of(part)}: {part.context}"}
        yield self._marked({"type": "file", "file": self._file(part)}, part)

    def _file(self, part: Document) -> JsonObject:
        source = part.source
        if source.file_id is not None:
            if not (self._encoding.facts.openai and source.owner.startswith("openai.")):
                raise Untranslatable(self._names.document_file, _ANOTHER_ACCOUNT)
            return {"file_id": source.file_id}
        if source.data is None:
            raise Untranslatable(self._names.document, "A file must be sent whole, not by its address.")
        return {"filename": _name_of(part), "file_data": _data_url(source, _PDF)}

    def _audio(self, part: Audio) -> JsonObject:
        source = part.source
        if source.data is None:
            raise Untranslatable(self._names.audio, "Sound must be sent whole, not by its address.")
        form = part.format or source.media_type.partition("/")[2] or "wav"
        return {"type": "input_audio", "input_audio": {"data": source.data, "format": form}}

    def _marked(self, found: JsonObject, part: Image | Document) -> JsonObject:
        cache_breakpoints.mark(found, part.cache, self._encoding, self._names.cache)
        return found


def compact(parts: list[JsonObject]) -> str | list[JsonObject]:
    """Content as a string where it is only text, which every server takes."""
    if len(parts) == 1 and len(parts[0]) == 2 and "text" in parts[0]:  # the usual case, at half the cost
        text: str = parts[0]["text"]
        return text
    if all(part.keys() == {"type", "text"} for part in parts):
        return SEPARATOR.join(part["text"] for part in parts)
    return parts


def _as_text(part: Document, text: str) -> str:
    """A text file as text for the model, with its name and what the client says of it."""
    name = f' name="{part.name}"' if part.name else ""
    context = f"{part.context}\n\n" if part.context else ""
    return f"<document{name}>\n{context}{text}\n</document>"


def _text_of(source: ContentSource) -> str | None:
    """The text of a text file; ``None``: it is another file, or not here."""
    if source.text is not None:
        return source.text
    kind = source.media_type.partition(";")[0].strip().lower()
    if source.data is None or not (kind.startswith("text/") or kind in _TEXTS):
        return None
    try:
        return base64.b64decode(source.data + "=" * (-len(source.data) % 4)).decode()
    except ValueError:
        return None


def _name_of(part: Document) -> str:
    """A name with the ending that OpenAI knows the type of the file by."""
    ending = _ENDINGS.get(part.source.media_type or _PDF, "")
    name = part.name or "document"
    return name if name.lower().endswith(ending) else name + ending


def _data_url(source: ContentSource, usual: str) -> str:
    return f"data:{source.media_type or usual};base64,{source.data}"
