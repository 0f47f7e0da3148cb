"""Content blocks of requests that are content of their own: texts, images, documents and search results.

Source: https://docs.claude.com/en/api/messages, and the parameter types of the package anthropic 2.14
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Final, TypeAlias

from proxy.dialects.anthropic.citation import citation_of
from proxy.dialects.translation import members
from proxy.dialects.translation.conversation import CacheMark, Citation, ContentSource, Document, Image, Text
from proxy.dialects.translation.loss import Losses
from proxy.dialects.translation.members import JsonObject, Within
from proxy.errors import Untranslatable

NAME: Final = "anthropic.messages"  # the dialect

Content: TypeAlias = Text | Image | Document

_USUAL_TEXT: Final = frozenset(("type", "text"))
_TEXT: Final = frozenset(("type", "text", "cache_control", "citations"))
_IMAGE: Final = frozenset(("type", "source", "cache_control"))
_DOCUMENT: Final = frozenset(("type", "source", "cache_control", "citations", "context", "title"))
_SEARCH_RESULT: Final = frozenset(("type", "content", "source", "title", "cache_control", "citations"))
_TOOL_REFERENCE: Final = frozenset(("type", "tool_name", "cache_control"))
_SOURCE: Final = frozenset(("type", "data", "media_type", "url", "file_id", "content"))
_LOCATIONS: Final = (
    "char_location",
    "page_location",
    "content_block_location",
    "search_result_location",
    "web_search_result_location",
)
_LOCATION: Final = frozenset(("type", "url", "source", "title", "document_title", "cited_text", "file_id"))
_MARK: Final = frozenset(("type", "ttl"))


class ContentDecoder:
    """Decodes the blocks at one place.

    ``path`` is that place in names of losses, such as ``messages[].content[]``; ``""``: the body itself.
    """

    __slots__ = ("_losses", "_path")

    def __init__(self, losses: Losses, path: str) -> None:
        self._losses = losses
        self._path = path and path + "."

    def contents(self, holder: JsonObject) -> list[Content]:
        """The member ``content``: a string, blocks, or nothing. Raises Untranslatable for a block of another type."""
        content = holder.get("content")
        if isinstance(content, str):
            return [Text(content)] if content else []
        return list(chain.from_iterable(members.each(holder, "content", self._known)))

    def content(self, block: JsonObject) -> list[Content] | None:
        """The content of a block; ``None`` for a block of another type. An empty text is nothing."""
        match block.get("type"):
            case "text":
                text = self.text(block)
                return [text] if text.text else []
            case "image":
                return [self._image(block)]
            case "document":
                return self._document(block)
            case "search_result":
                return [self._search_result(block)]
            case "tool_reference":
                return [self._tool_reference(block)]
        return None

    def text(self, block: JsonObject) -> Text:
        found = Text(members.text(block, "text"))
        if block.keys() != _USUAL_TEXT:
            self.note_unknown(block, _TEXT)
            found.cache = self.cache_mark(block)
            found.citations = self._citations(block)
        return found

    def _citations(self, block: JsonObject) -> tuple[Citation, ...]:
        """The sources of a text. Which words of a source it was has no neutral term."""
        found = []
        for location in members.objects(block, "citations"):
            citation = citation_of(location) if location.get("type") in _LOCATIONS else None
            if citation is None:
                self._losses.drop(self._path + "citations[]")
            else:
                said = {name: value for name, value in location.items() if value}  # 0 and "" are the gateway's own
                self.note_unknown(said, _LOCATION, "citations[].")
                found.append(citation)
        return tuple(found)

    def cache_mark(self, holder: JsonObject) -> CacheMark | None:
        """The member ``cache_control``."""
        mark = members.mapping(holder, "cache_control") if "cache_control" in holder else None
        if mark is None:
            return None
        self.note_unknown(mark, _MARK, "cache_control.")
        with Within("cache_control"):
            return CacheMark(members.text(mark, "ttl"))

    def note_unknown(self, holder: JsonObject, known: frozenset[str], path: str = "") -> None:
        """Tell the members that are not known. ``path`` is that of ``holder`` within the block."""
        if not known.issuperset(holder):  # the usual case is worth a comparison, as this runs for every block
            self._losses.drop(*members.unknown(holder, known, self._path + path))

    def _known(self, block: JsonObject) -> list[Content]:
        found = self.content(block)
        if found is None:
            raise unknown_block(block)
        return found

    def _image(self, block: JsonObject) -> Image:
        self.note_unknown(block, _IMAGE)
        return Image(_place(self._source(block)), cache=self.cache_mark(block))

    def _document(self, block: JsonObject) -> list[Content]:
        """One document; or its blocks, where there are images among them."""
        self.note_unknown(block, _DOCUMENT)
        source = self._source(block)
        title, context = members.text(block, "title"), members.text(block, "context")
        mark, is_cited = self.cache_mark(block), self._is_cited(block)
        if source.get("type") != "content":
            return [Document(_place(source, "application/pdf", or_text=True), title, context, is_cited, mark)]
        contents = self._contents_of(source)
        if all(isinstance(each, Text) for each in contents):
            return [Document(self._joined(contents, "source.content[]."), title, context, is_cited, mark)]
        heading = "\n".join(filter(None, (title, context)))
        contents[-1].cache = mark or contents[-1].cache
        if is_cited:
            self._losses.drop(self._path + "citations")
        return [Text(heading), *contents] if heading else contents

    def _search_result(self, block: JsonObject) -> Document:
        """A search result becomes a text file with its title. Its address is the context."""
        self.note_unknown(block, _SEARCH_RESULT)
        within = ContentDecoder(self._losses, self._path + "content[]")
        return Document(
            self._joined(members.each(block, "content", within.text), "content[]."),
            members.text(block, "title"),
            members.text(block, "source"),
            self._is_cited(block),
            self.cache_mark(block),
        )

    def _tool_reference(self, block: JsonObject) -> Text:
        """A tool that a search found. All tools of the request are loaded, so its name is enough."""
        self.note_unknown(block, _TOOL_REFERENCE)
        return Text(f"Found the tool {members.required_text(block, 'tool_name')}.", self.cache_mark(block))

    def _source(self, block: JsonObject) -> JsonObject:
        source = members.required_mapping(block, "source")
        self.note_unknown(source, _SOURCE, "source.")
        return source

    def _contents_of(self, source: JsonObject) -> list[Content]:
        with Within("source"):
            return ContentDecoder(self._losses, self._path + "source.content[]").contents(source)

    def _joined(self, texts: Sequence[Content], path: str) -> ContentSource:
        """One text of all; ``path`` is theirs within the block."""
        pieces = [text for text in texts if isinstance(text, Text)]
        if any(piece.cache is not None for piece in pieces):
            self._losses.drop(f"{self._path}{path}cache_control")
        if any(piece.citations for piece in pieces):
            self._losses.drop(f"{self._path}{path}citations")
        text = "\n".join(piece.text for piece in pieces)
        return ContentSource(text=text, media_type="text/plain")

    def _is_cited(self, block: JsonObject) -> bool:
        settings = members.mapping(block, "citations") or {}
        self.note_unknown(settings, frozenset(("enabled",)), "citations.")
        with Within("citations"):
            return members.flag(settings, "enabled") is True


def unknown_block(block: JsonObject) -> Untranslatable:
    """The error for a block that is not known where it stands."""
    return Untranslatable("type", f"It has no blocks of the type {members.required_text(block, 'type')!r}.")


def _place(source: JsonObject, media_type: str = "", *, or_text: bool = False) -> ContentSource:
    """Where the content of a block is. ``media_type`` is that of an address. ``or_text``: the source may be a text."""
    with Within("source"):
        match source.get("type"):
            case "base64":
                data = members.required_text(source, "data")
                return ContentSource(data=data, media_type=members.required_text(source, "media_type"))
            case "url":
                return ContentSource(url=members.required_text(source, "url"), media_type=media_type)
            case "file":
                return ContentSource(file_id=members.required_text(source, "file_id"), owner=NAME)
            case "text" if or_text:
                return ContentSource(text=members.text(source, "data"), media_type="text/plain")
        raise Untranslatable("type", f"It has no sources of the type {members.required_text(source, 'type')!r}.")
