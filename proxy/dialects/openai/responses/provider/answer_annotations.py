"""Sources of an answer: the annotations of its texts.

https://platform.openai.com/docs/guides/tools-web-search
"""

from __future__ import annotations

from proxy.dialects.translation.answer_members import number_at, text_at
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import CitationPart, Dropped


def read_annotation(annotation: JsonObject) -> CitationPart | Dropped:
    """The part for one annotation."""
    kind = text_at(annotation, "type")
    if kind not in ("url_citation", "file_citation", "container_file_citation"):
        return Dropped(f"annotations[{kind}]")
    return CitationPart(
        Citation(
            text_at(annotation, "url"),
            text_at(annotation, "title") or text_at(annotation, "filename"),
            file_id=text_at(annotation, "file_id"),
            start=number_at(annotation, "start_index"),
            end=number_at(annotation, "end_index"),
        )
    )
