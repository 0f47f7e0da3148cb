"""Sources as ``groundingMetadata``."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.gemini.client.grounding import Grounding
from proxy.dialects.translation.conversation import Citation

WEB = Citation("https://a.example", "A")


def supports(grounding: Grounding) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = grounding.members()["groundingMetadata"]["groundingSupports"]
    return found


def test_without_sources_there_is_no_member() -> None:
    grounding = Grounding()
    grounding.wrote("a")
    assert grounding.members() == {}


def test_a_source_without_a_range_is_of_the_whole_block() -> None:
    grounding = Grounding()
    grounding.wrote("abc")
    grounding.end_block()
    grounding.cite(WEB)
    grounding.wrote("déf")
    assert supports(grounding) == [{"segment": {"startIndex": 3, "endIndex": 7}, "groundingChunkIndices": [0]}]


@pytest.mark.parametrize(("text", "begin", "end"), [("abcdef", 1, 4), ("äbcdef", 0, 7)])
def test_a_range_of_characters_is_one_of_bytes(text: str, begin: int, end: int) -> None:
    """Where characters are no bytes, the range is that of the block."""
    grounding = Grounding()
    grounding.wrote(text)
    grounding.cite(Citation("https://a.example", start=1, end=4))
    assert supports(grounding)[0]["segment"] == {"startIndex": begin, "endIndex": end}


def test_a_range_ends_with_its_block() -> None:
    grounding = Grounding()
    grounding.wrote("abc")
    grounding.cite(Citation("https://a.example", start=1, end=99))
    assert supports(grounding)[0]["segment"] == {"startIndex": 1, "endIndex": 3}


def test_a_source_is_listed_once() -> None:
    grounding = Grounding()
    for citation in (WEB, Citation("https://a.example", "A", "quoted"), Citation("https://b.example")):
        grounding.wrote("ab")
        grounding.cite(citation)
        grounding.end_block()
    found = grounding.members()["groundingMetadata"]
    assert found["groundingChunks"] == [
        {"web": {"uri": "https://a.example", "title": "A"}},
        {"web": {"uri": "https://b.example"}},
    ]
    assert [each["groundingChunkIndices"] for each in found["groundingSupports"]] == [[0], [0], [1]]


@given(st.lists(st.text(max_size=4), max_size=6))
def test_blocks_are_counted_in_bytes(texts: list[str]) -> None:
    grounding = Grounding()
    for text in texts:
        grounding.wrote(text)
        grounding.cite(WEB)
        grounding.end_block()
    whole = "".join(texts).encode()
    segments = [each["segment"] for each in supports(grounding)] if texts else []
    found = {whole[each["startIndex"] : each["endIndex"]].decode() for each in segments}
    assert found == set(texts)
