"""What a client does not get of an answer: parts that no other dialect has, and members of sources."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from msgspec import Struct

from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.parts import AnswerPart, CitationPart, Dropped

_ALL: Final = frozenset({"title", "quote", "file_id", "place"})


class CitationMembers(Struct, frozen=True):
    """The members of sources in a client's answers: of a page, which has an address, and of any other source.

    ``place``: the characters of the answer that have the source.
    """

    page: frozenset[str] = _ALL
    document: frozenset[str] = _ALL

    def lost(self, citation: Citation) -> Iterator[str]:
        """The names of members that the client does not get, such as ``citations.quote``."""
        taken = self.page if citation.url else self.document
        for name, said in (
            ("title", bool(citation.title)),
            ("quote", bool(citation.quote)),
            ("file_id", bool(citation.file_id)),
            ("place", citation.start is not None),
        ):
            if said and name not in taken:
                yield f"citations.{name}"


def lost_of(parts: Iterable[AnswerPart], cites: CitationMembers) -> Iterator[str]:
    """The names of what a client does not get of these parts."""
    for part in parts:
        if isinstance(part, Dropped):
            yield part.name
        elif isinstance(part, CitationPart):
            yield from cites.lost(part.citation)
