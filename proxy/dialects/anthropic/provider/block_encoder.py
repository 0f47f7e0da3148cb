"""Content that a model is given, as content blocks: texts, images and documents.

Source: https://platform.claude.com/docs/en/build-with-claude/vision, .../pdf-support, and the types of the package
anthropic 2.14
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from proxy.dialects.anthropic.provider import cache_marks
from proxy.dialects.anthropic.provider.cache_marks import Block
from proxy.dialects.translation.client_names import ContentNames
from proxy.dialects.translation.conversation import Audio, ContentSource, Document, Image, Part, Text, ToolResult
from proxy.dialects.translation.files import ANOTHER_ACCOUNT, PDF, media_type_of, text_of
from proxy.dialects.translation.loss import Losses
from proxy.errors import Untranslatable

_IMAGES: Final = frozenset({"image/jpeg", "image/png", "image/gif", "image/webp"})
_FAILED: Final = "The tool failed without a message."


class BlockEncoder:
    """Encodes content in one place of a request. ``names``: the client's there, for errors and ``losses``.

    ``fetches``: the provider takes addresses.
    """

    __slots__ = ("_fetches", "_losses", "_names")

    def __init__(self, losses: Losses, names: ContentNames, *, fetches: bool = True) -> None:
        self._losses = losses
        self._names = names
        self._fetches = fetches

    def blocks(self, parts: Iterable[Part]) -> list[Block]:
        """The blocks of parts. Raises Untranslatable for those that the API lacks."""
        return [block for part in parts if (block := self._block(part)) is not None]

    def text(self, part: Text) -> Block | None:
        """``None``: there is nothing but white space, which the API refuses. It takes no citations of other APIs."""
        if part.citations:
            self._losses.drop(self._names.citations)
        if not part.text or part.text.isspace():
            if part.cache is not None:
                self._losses.drop(self._names.cache)
            return None
        block: Block = {"type": "text", "text": part.text}
        cache_marks.add(block, part.cache)
        return block

    def result(self, part: ToolResult, call_id: str) -> Block:
        block: Block = {"type": "tool_result", "tool_use_id": call_id}
        content = self.blocks(part.content)
        cache_marks.move(content, block)
        if not content and part.is_error:  # refused: the content must not be empty then
            content = [{"type": "text", "text": _FAILED}]
        if content:
            block["content"] = compact(content)
        if part.is_error:
            block["is_error"] = True
        cache_marks.add(block, part.cache)
        return block

    def _block(self, part: Part) -> Block | None:
        match part:
            case Text():
                return self.text(part)
            case Image():
                return self._image(part)
            case Document():
                return self._document(part)
            case Audio():
                raise Untranslatable(self._names.place, "The provider's models take no sound.")
        raise Untranslatable(self._names.place, "A message of this role cannot have such content.")

    def _image(self, part: Image) -> Block:
        if part.detail not in ("", "auto"):
            self._losses.drop(self._names.detail)
        source = part.source
        block: Block = {
            "type": "image",
            "source": self._by_address(part, self._names.image, self._names.image_file) or self._image_data(source),
        }
        cache_marks.add(block, part.cache)
        return block

    def _image_data(self, source: ContentSource) -> Block:
        data = source.data or ""
        media_type = media_type_of(source)
        if media_type not in _IMAGES:
            raise Untranslatable(self._names.image, "An image must be a JPEG, PNG, GIF or WebP file.")
        return {"type": "base64", "media_type": media_type, "data": data}

    def _document(self, part: Document) -> Block:
        block: Block = {
            "type": "document",
            "source": self._by_address(part, self._names.document, self._names.document_file) or self._file(part),
        }
        if part.name:
            block["title"] = part.name
        if part.context:
            block["context"] = part.context
        if part.cited:
            block["citations"] = {"enabled": True}
        cache_marks.add(block, part.cache)
        return block

    def _file(self, part: Document) -> Block:
        text = text_of(part)
        if text is not None:
            return {"type": "text", "media_type": "text/plain", "data": text}
        if media_type_of(part.source) == PDF:
            return {"type": "base64", "media_type": PDF, "data": part.source.data or ""}
        raise Untranslatable(self._names.document, "A file must be a PDF or a text in UTF-8.")

    def _by_address(self, part: Image | Document, name: str, file: str) -> Block | None:
        """A source that the provider fetches; ``None``: the content is here.

        ``name`` and ``file``: the client's names for the content, and for the id of a file.
        """
        source = part.source
        if source.file_id is not None:
            raise Untranslatable(file, ANOTHER_ACCOUNT)
        if source.url is None:
            return None
        if not self._fetches:
            self._losses.lack(part, name, "The provider takes no addresses.")
        elif isinstance(part, Document) and media_type_of(source) not in ("", PDF):
            self._losses.lack(part, name, "The provider takes addresses of PDFs and images only.")
        return {"type": "url", "url": source.url}


def compact(blocks: list[Block]) -> str | list[Block]:
    """Content as a string where it is only a text."""
    if len(blocks) == 1 and blocks[0].keys() == {"type", "text"}:
        text: str = blocks[0]["text"]
        return text
    return blocks
