"""Sources of an answer: OpenAI's ``annotations``, and Perplexity's and xAI's lists beside the answer.

https://platform.openai.com/docs/guides/tools-web-search, https://docs.perplexity.ai/api-reference/chat-completions-post
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from proxy.dialects.translation.answer_members import number_at, object_at, objects_at, text_at
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.members import JsonObject
from proxy.dialects.translation.parts import CitationPart, Dropped


def read_annotations(delta: JsonObject) -> Iterator[CitationPart | Dropped]:
    """The parts for ``annotations`` of a delta or a message."""
    for annotation in objects_at(delta, "annotations"):
        cited = object_at(annotation, "url_citation")
        if cited:
            yield CitationPart(
                Citation(
                    text_at(cited, "url"),
                    text_at(cited, "title"),
                    text_at(cited, "content"),
                    start=number_at(cited, "start_index"),
                    end=number_at(cited, "end_index"),
                )
            )
        else:
            yield Dropped(f"annotations[{text_at(annotation, 'type')}]")


def read_sources(search_results: list[Any], addresses: list[Any]) -> Iterator[CitationPart]:
    """The parts for ``search_results``, or for the addresses in ``citations`` where there are none."""
    results = [each for each in search_results if isinstance(each, dict) and text_at(each, "url")]
    for result in results:
        yield CitationPart(Citation(text_at(result, "url"), text_at(result, "title"), text_at(result, "snippet")))
    if not results:
        for address in addresses:
            if isinstance(address, str) and address:
                yield CitationPart(Citation(address))
