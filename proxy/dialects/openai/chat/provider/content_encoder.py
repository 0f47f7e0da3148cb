"""What a model is given, as content parts of chat messages: texts, images, files and sound.

https://platform.openai.com/docs/api-reference/chat/create, and the types of the package openai 3.57
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from proxy.dialects.openai.chat import cache_breakpoints
from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.file_content import data_url, name_of
from proxy.dialects.translation.client_names import ContentNames
from proxy.dialects.translation.conversation import Audio, Document, Image, Part, Text
from proxy.dialects.translation.files import ANOTHER_ACCOUNT, PDF, as_text, text_of
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

SEPARATOR: Final = "\n\n"  # between texts that become one string


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

    def text(self, part: Text) -> list[JsonObject]:
        """The part for a text; none if it is empty, which providers refuse."""
        if part.citations:
            self._encoding.losses.drop(self._names.citations)
        if not part.text:
            return []
        found: JsonObject = {"type": "text", "text": part.text}
        if part.cache is not None:
            cache_breakpoints.mark(found, part.cache, self._encoding, self._names.cache)
        return [found]

    def _image(self, part: Image) -> JsonObject:
        source = part.source
        if source.file_id is not None:
            raise Untranslatable(self._names.image_file, ANOTHER_ACCOUNT)
        if source.url is None and source.data is None:
            raise Untranslatable(self._names.image, "An image must be data or have an address.")
        if source.url is not None and not self._encoding.facts.fetches:
            self._encoding.losses.lack(part, self._names.image, "The provider takes no addresses of images.")
        image = {"url": source.url if source.url is not None else data_url(source, "image/png")}
        if part.detail:
            image["detail"] = part.detail
        return self._marked({"type": "image_url", "image_url": image}, part)

    def _document(self, part: Document) -> Iterator[JsonObject]:
        if part.cited:
            self._encoding.losses.drop(self._names.cited)
        text = text_of(part)
        if text is not None:
            yield self._marked({"type": "text", "text": as_text(part, text)}, part)
            return
        if part.context:
            yield {"type": "text", "text": f"About the file {name_of(part)}: {part.context}"}
        yield self._marked({"type": "file", "file": self._file(part)}, part)

    def _file(self, part: Document) -> JsonObject:
        source = part.source
        if source.file_id is not None:
            if not (self._encoding.facts.openai and source.owner.startswith("openai.")):
                raise Untranslatable(self._names.document_file, ANOTHER_ACCOUNT)
            return {"file_id": source.file_id}
        if source.data is None:
            self._encoding.losses.lack(part, self._names.document, "The provider takes no addresses of files.")
        return {"filename": name_of(part), "file_data": data_url(source, PDF)}

    def _audio(self, part: Audio) -> JsonObject:
        source = part.source
        if source.data is None:
            self._encoding.losses.lack(part, self._names.audio, "The provider takes no addresses of sound.")
        form = part.format or source.media_type.partition("/")[2] or "wav"
        return {"type": "input_audio", "input_audio": {"data": source.data, "format": form}}

    def _marked(self, found: JsonObject, part: Image | Document) -> JsonObject:
        cache_breakpoints.mark(found, part.cache, self._encoding, self._names.cache)
        return found


def only_text(content: Sequence[Part]) -> str:
    """The text of content that is one text, without a mark or sources; ``""`` for any other."""
    part = content[0] if len(content) == 1 else None
    return part.text if isinstance(part, Text) and part.cache is None and not part.citations else ""


def compact(parts: list[JsonObject]) -> str | list[JsonObject]:
    """Content as a string where it is only text, which every server takes."""
    if len(parts) == 1 and len(parts[0]) == 2 and "text" in parts[0]:  # the usual case, at half the cost
        text: str = parts[0]["text"]
        return text
    if all(part.keys() == {"type", "text"} for part in parts):
        return SEPARATOR.join(part["text"] for part in parts)
    return parts
