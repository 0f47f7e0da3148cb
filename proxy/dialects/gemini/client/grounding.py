"""Sources of an answer's text as ``groundingMetadata``.

Positions are bytes of the text in UTF-8. Of a source with an address, the text that was quoted has no place, so its
loss is told.
Source: https://ai.google.dev/api/generate-content#GroundingMetadata
"""

from __future__ import annotations

from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.members import JsonObject


class Grounding:
    """Collects the sources of one answer.

    The text comes in blocks. ``begin_part``: the blocks are parts of their own, and positions count within each.
    """

    __slots__ = ("_begin", "_chunks", "_cited", "_is_ascii", "_part", "_supports", "_written")

    def __init__(self) -> None:
        self._chunks: list[JsonObject] = []
        self._supports: list[JsonObject] = []
        self._cited: list[Citation] = []  # by the block that is being written
        self._begin = 0  # of this block
        self._written = 0  # bytes
        self._is_ascii = True  # whether characters of this block are bytes
        self._part: int | None = None

    def wrote(self, text: str) -> None:
        """More of the text. Called once per token."""
        if text.isascii():
            self._written += len(text)
        else:
            self._written += len(text.encode("utf-8", "surrogatepass"))
            self._is_ascii = False

    def cite(self, citation: Citation) -> None:
        """A source of the block that is being written."""
        self._cited.append(citation)

    def end_block(self) -> None:
        """The block ends, and with it the range of sources that name none."""
        for citation in self._cited:
            self._support(citation)
        self._cited.clear()
        self._begin, self._is_ascii = self._written, True

    def begin_part(self, index: int) -> None:
        self._part = index
        self._begin = self._written = 0

    def members(self) -> JsonObject:
        """``groundingMetadata`` of the candidate; empty if there are no sources."""
        self.end_block()
        if not self._chunks:
            return {}
        return {"groundingMetadata": {"groundingChunks": self._chunks, "groundingSupports": self._supports}}

    def _support(self, citation: Citation) -> None:
        chunk = _chunk(citation)
        if chunk not in self._chunks:
            self._chunks.append(chunk)
        index = self._chunks.index(chunk)
        begin, end = self._begin, self._written
        if self._is_ascii and citation.start is not None and citation.end is not None:
            begin, end = begin + citation.start, min(begin + citation.end, end)
        segment: JsonObject = {"startIndex": begin, "endIndex": end}
        if self._part is not None:
            segment["partIndex"] = self._part
        last = self._supports[-1] if self._supports else {}
        if last.get("segment") == segment:
            last["groundingChunkIndices"].append(index)
        else:
            self._supports.append({"segment": segment, "groundingChunkIndices": [index]})


def _chunk(citation: Citation) -> JsonObject:
    if citation.url:
        return {"web": _without_empty(uri=citation.url, title=citation.title)}
    return {
        "retrievedContext": _without_empty(title=citation.title, text=citation.quote, documentName=citation.file_id)
    }


def _without_empty(**members: str) -> JsonObject:
    return {name: value for name, value in members.items() if value}
