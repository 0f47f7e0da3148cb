"""Sources of an answer: ``groundingMetadata`` of a search, and ``citationMetadata`` of what the model recites.

Places in the text are in bytes of UTF-8.
Source: https://ai.google.dev/gemini-api/docs/google-search, and google-genai 3.6 (``GroundingMetadata``)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from proxy.dialects.translation.answer_members import list_at, number_at, object_at, objects_at, text_at
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import CitationPart, Dropped

_KINDS: Final = ("web", "retrievedContext", "maps", "image")
_LOST: Final = (
    *("searchEntryPoint", "webSearchQueries", "imageSearchQueries", "retrievalQueries"),
    *("googleMapsWidgetContextToken", "sourceFlaggingUris"),
)
# Of a source: what a citation has, or what says no more.
_TAKEN: Final = frozenset({"uri", "sourceUri", "title", "text", "documentName", "domain", "placeId"})
_RECITED: Final = frozenset({"uri", "title", "startIndex", "endIndex"})


class GeminiSources:
    """Notes the sources of one answer. A stream repeats them as they become more, so they are parts of its end.

    ``ascii``: all of the text so far is, so that its bytes are its characters. For any other text the places are left
    out, as a stream does not keep its text.
    """

    __slots__ = ("_citations", "_grounding", "ascii")

    def __init__(self) -> None:
        self.ascii = True
        self._grounding: JsonObject = {}
        self._citations: list[JsonObject] = []

    def read(self, candidate: JsonObject) -> Iterator[Dropped]:
        """Note what a candidate has, and yield what nobody else can say."""
        grounding = object_at(candidate, "groundingMetadata")
        if grounding:
            self._grounding = grounding
            yield from (Dropped(f"groundingMetadata.{name}") for name in _LOST if grounding.get(name))
            for chunk in objects_at(grounding, "groundingChunks"):
                yield from _lost_of(chunk)
        metadata = object_at(candidate, "citationMetadata")
        # The Gemini API and Vertex AI have different names for the same list.
        citations = objects_at(metadata, "citationSources") or objects_at(metadata, "citations")
        self._citations = citations or self._citations
        for citation in citations:
            yield from (Dropped(f"citationMetadata.{name}") for name in citation if name not in _RECITED)

    def parts(self) -> Iterator[CitationPart]:
        """One for each place of each source; one for a source without a place."""
        chunks = [_source(each) for each in list_at(self._grounding, "groundingChunks")]
        used: set[int] = set()
        for support in objects_at(self._grounding, "groundingSupports"):
            start, end = self._place(object_at(support, "segment"))
            for index in list_at(support, "groundingChunkIndices"):
                if isinstance(index, int) and 0 <= index < len(chunks) and chunks[index] is not None:
                    used.add(index)
                    yield _cited(chunks[index], start, end)
        yield from (_cited(each, None, None) for at, each in enumerate(chunks) if at not in used and each is not None)
        for citation in self._citations:
            start, end = self._place(citation)
            yield CitationPart(Citation(text_at(citation, "uri"), text_at(citation, "title"), start=start, end=end))

    def _place(self, holder: JsonObject) -> tuple[int | None, int | None]:
        """The beginning is left out where it is 0."""
        end = number_at(holder, "endIndex")
        return (number_at(holder, "startIndex") or 0, end) if self.ascii and end is not None else (None, None)


def _source(chunk: object) -> Citation | None:
    """What a grounding chunk says of its source; ``None``: nothing."""
    for kind in _KINDS:
        found = object_at(chunk, kind)
        if found:
            url = text_at(found, "uri") or text_at(found, "sourceUri")
            quote = text_at(found, "text") or text_at(object_at(found, "ragChunk"), "text")
            return Citation(url, text_at(found, "title"), quote, text_at(found, "documentName"))
    return None


def _lost_of(chunk: JsonObject) -> Iterator[Dropped]:
    """What nobody else can say of a source, such as the reviews of a place."""
    for kind, found in chunk.items():
        if kind not in _KINDS:
            yield Dropped(f"groundingChunks[{kind}]")
        elif isinstance(found, dict):
            names = (name for name, value in found.items() if value and name not in _TAKEN)
            yield from (Dropped(f"groundingChunks[].{kind}.{name}") for name in names if not _is_quote(name, found))


def _is_quote(name: str, source: JsonObject) -> bool:
    """Whether a member is a piece of a document that has nothing but the quoted text."""
    return name == "ragChunk" and not text_at(source, "text") and object_at(source, name).keys() <= {"text"}


def _cited(source: Citation | None, start: int | None, end: int | None) -> CitationPart:
    found = source or Citation()
    return CitationPart(Citation(found.url, found.title, found.quote, found.file_id, start, end))
