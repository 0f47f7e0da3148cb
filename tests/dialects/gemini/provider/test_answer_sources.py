from __future__ import annotations

from typing import Any

from proxy.dialects.gemini.provider.answer_sources import GeminiSources
from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.parts import Dropped

WEB = {"web": {"uri": "https://a.example", "title": "A"}}
RETRIEVED = {"retrievedContext": {"uri": "gs://b/c", "title": "C", "text": "The source."}}


def sources(*candidates: Any, ascii_: bool = True) -> list[Citation]:
    found = GeminiSources()
    found.ascii = ascii_
    for candidate in candidates:
        list(found.read(candidate))
    return [part.citation for part in found.parts()]


def grounded(*chunks: Any, supports: Any = (), **members: Any) -> dict[str, Any]:
    return {"groundingMetadata": {"groundingChunks": list(chunks), "groundingSupports": list(supports)} | members}


def support(*indices: Any, **segment: Any) -> dict[str, Any]:
    return {"groundingChunkIndices": list(indices), "segment": segment}


def test_each_place_of_a_source_is_a_citation() -> None:
    supports = [support(0, 1, endIndex=5), support(0, startIndex=6, endIndex=11)]
    assert sources(grounded(WEB, RETRIEVED, supports=supports)) == [
        Citation("https://a.example", "A", start=0, end=5),
        Citation("gs://b/c", "C", "The source.", start=0, end=5),
        Citation("https://a.example", "A", start=6, end=11),
    ]


def test_a_source_without_a_place_is_a_citation_too() -> None:
    maps = {"maps": {"uri": "https://maps.example", "title": "M", "text": "A place."}}
    image = {"image": {"sourceUri": "https://i.example", "title": "I"}}
    assert sources(grounded(WEB, maps, image, supports=[support(0)])) == [
        Citation("https://a.example", "A"),
        Citation("https://maps.example", "M", "A place."),
        Citation("https://i.example", "I"),
    ]


def test_places_are_left_out_where_bytes_are_not_characters() -> None:
    assert sources(grounded(WEB, supports=[support(0, endIndex=5)]), ascii_=False) == [
        Citation("https://a.example", "A")
    ]


def test_the_last_metadata_counts() -> None:
    assert sources(grounded(WEB), grounded(WEB, RETRIEVED), {}) == [
        Citation("https://a.example", "A"),
        Citation("gs://b/c", "C", "The source."),
    ]


def test_recited_texts_are_citations_by_either_name() -> None:
    recited = {"startIndex": 3, "endIndex": 9, "uri": "https://r.example", "title": "R"}
    wanted = [Citation("https://r.example", "R", start=3, end=9)]
    assert sources({"citationMetadata": {"citations": [recited]}}) == wanted
    assert sources({"citationMetadata": {"citationSources": [recited]}}) == wanted


def test_what_belongs_to_a_search_is_told() -> None:
    found = GeminiSources()
    told = list(found.read(grounded(webSearchQueries=["a"], searchEntryPoint={"renderedContent": "<b>"})))
    assert told == [Dropped("groundingMetadata.searchEntryPoint"), Dropped("groundingMetadata.webSearchQueries")]


def test_a_document_has_its_name_and_the_text_of_its_piece() -> None:
    found = {"retrievedContext": {"title": "C", "documentName": "stores/a/c", "ragChunk": {"text": "The source."}}}
    assert sources(grounded(found)) == [Citation("", "C", "The source.", "stores/a/c")]
    assert list(GeminiSources().read(grounded(found))) == []


def test_what_else_a_source_has_is_told() -> None:
    found = GeminiSources()
    chunks = [
        WEB,
        {"maps": {"title": "M", "placeAnswerSources": {"reviewSnippets": [{}]}, "route": {}}},
        {"retrievedContext": {"text": "a", "ragChunk": {"text": "b"}}},
        {"video": {"uri": "v"}},
    ]
    told = list(found.read(grounded(*chunks) | {"citationMetadata": {"citations": [{"uri": "u", "license": "mit"}]}}))
    assert [each.name for each in told] == [
        "groundingChunks[].maps.placeAnswerSources",
        "groundingChunks[].retrievedContext.ragChunk",
        "groundingChunks[video]",
        "citationMetadata.license",
    ]


def test_odd_metadata_is_left_out() -> None:
    odd = grounded(5, {}, {"web": "x"}, WEB, supports=[support(9, "a", -1, 0), {"groundingChunkIndices": 5}, 5])
    assert sources(odd) == [Citation("https://a.example", "A")]
    assert sources({"groundingMetadata": 5, "citationMetadata": {"citations": 5}}) == []
