"""What a model is given, as content parts of input items: texts, images and files.

https://platform.openai.com/docs/api-reference/responses/create (input), and the types of the package openai 3.57, which
have no sound there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from proxy.dialects.openai.chat import cache_breakpoints
from proxy.dialects.openai.chat.encoding import ChatEncoding
from proxy.dialects.openai.chat.provider.content_encoder import SEPARATOR
from proxy.dialects.openai.file_content import data_url, name_of
from proxy.dialects.translation.client_names import ContentNames
from proxy.dialects.translation.conversation import Audio, ContentSource, Document, Image, Part, Text
from proxy.dialects.translation.files import ANOTHER_ACCOUNT, PDF, as_text, text_of
from proxy.dialects.translation.members import JsonObject
from proxy.errors import Untranslatable

_PLAIN: Final = {"type", "text"}


class ResponsesContentEncoder:
    """Encodes content in one place of a request. ``names``: the client's there."""

    __slots__ = ("_encoding", "_names")

    def __init__(self, encoding: ChatEncoding, names: ContentNames) -> None:
        self._encoding = encoding
        self._names = names

    def parts(self, content: Iterable[Part]) -> Iterator[JsonObject]:
        """The parts of a user's message or of a tool's result. Raises Untranslatable."""
        for part in content:
            match part:
                case Text():
                    yield from self.text(part)
                case Image():
                    yield self._image(part)
                case Document():
                    yield from self._document(part)
                case Audio():
                    raise Untranslatable(self._names.audio, "The Responses API takes no sound.")
                case _:
                    raise Untranslatable(
                        self._encoding.client.message_content, "A user's message has what only others can have."
                    )

    def text(self, part: Text) -> Iterator[JsonObject]:
        """The part for a text; none if it is empty."""
        if part.citations:
            self._encoding.losses.drop(self._names.citations)
        if part.text:
            yield self._marked({"type": "input_text", "text": part.text}, part)

    def _image(self, part: Image) -> JsonObject:
        source = part.source
        self._require_address(part, self._names.image)
        found: JsonObject = {"type": "input_image", "detail": part.detail or "auto"}
        if source.file_id is not None:
            found["file_id"] = self._own_file(source, self._names.image_file)
        elif source.url is None and source.data is None:
            raise Untranslatable(self._names.image, "An image must be data or have an address.")
        else:
            found["image_url"] = source.url if source.url is not None else data_url(source, "image/png")
        return self._marked(found, part)

    def _document(self, part: Document) -> Iterator[JsonObject]:
        if part.cited:
            self._encoding.losses.drop(self._names.cited)
        text = text_of(part)
        if text is not None:
            yield self._marked({"type": "input_text", "text": as_text(part, text)}, part)
            return
        if part.context:
            yield {"type": "input_text", "text": f"About the file {name_of(part)}: {part.context}"}
        yield self._marked({"type": "input_file"} | self._file(part), part)

    def _file(self, part: Document) -> JsonObject:
        """The members that say where a file is. One that has an address keeps the name from there."""
        source = part.source
        self._require_address(part, self._names.document)
        if source.file_id is not None:
            return {"file_id": self._own_file(source, self._names.document_file)}
        if source.url is not None:
            return {"file_url": source.url}
        return {"filename": name_of(part), "file_data": data_url(source, PDF)}

    def _require_address(self, part: Image | Document, name: str) -> None:
        """Note that content is lacking if the provider takes no address of it."""
        if part.source.url is not None and not self._encoding.facts.fetches:
            self._encoding.losses.lack(part, name, "The provider takes no addresses.")

    def _own_file(self, source: ContentSource, name: str) -> str:
        if source.file_id is None or not (self._encoding.facts.openai and source.owner.startswith("openai.")):
            raise Untranslatable(name, ANOTHER_ACCOUNT)
        return source.file_id

    def _marked(self, found: JsonObject, part: Text | Image | Document) -> JsonObject:
        cache_breakpoints.mark(found, part.cache, self._encoding, self._names.cache)
        return found


def joined(parts: list[JsonObject]) -> str | None:
    """Content as one string; ``None``: it has more than text."""
    if all(part.keys() == _PLAIN for part in parts):
        return SEPARATOR.join(part["text"] for part in parts)
    return None
