from __future__ import annotations

from typing import Any

from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.parts import BlockEnd, CitationPart, Dropped, RefusalDelta, TextDelta
from tests.support.response_events import delta, done, event, message, parts, text_delta

CITED: dict[str, Any] = {
    "type": "url_citation",
    "url": "https://a.example",
    "title": "A",
    "start_index": 0,
    "end_index": 2,
}
CITATION = CitationPart(Citation("https://a.example", "A", start=0, end=2))


def annotated(annotation: dict[str, Any]) -> dict[str, Any]:
    return event("output_text.annotation.added", output_index=0, content_index=0, annotation=annotation)


def test_two_parts_of_a_message_are_two_blocks() -> None:
    expected = [TextDelta("a"), BlockEnd(), TextDelta("b"), BlockEnd()]
    assert parts(text_delta("a"), text_delta("b", 0, 1), done(message("a", "b"))) == expected
    assert parts(done(message("a", "b"))) == expected


def test_a_complete_part_makes_up_for_lost_deltas_in_its_place() -> None:
    whole = event("content_part.done", output_index=0, content_index=0, part={"type": "output_text", "text": "abc"})
    assert parts(text_delta("a"), whole, text_delta("d", 0, 1), done(message("abc", "d"))) == [
        TextDelta("a"),
        TextDelta("bc"),
        BlockEnd(),
        TextDelta("d"),
        BlockEnd(),
    ]


def test_sources_come_once() -> None:
    whole = message({"type": "output_text", "text": "Hi", "annotations": [CITED]})
    expected = [TextDelta("Hi"), CITATION, BlockEnd()]
    assert parts(text_delta("Hi"), annotated(CITED), done(whole)) == expected
    assert parts(text_delta("Hi"), done(whole)) == expected


def test_a_file_is_a_source_too_and_other_annotations_are_told() -> None:
    file = {"type": "file_citation", "file_id": "file_1", "filename": "a.pdf", "index": 3}
    assert parts(annotated(file), annotated({"type": "file_path", "file_id": "file_1"})) == [
        CitationPart(Citation(title="a.pdf", file_id="file_1")),
        Dropped("annotations[file_path]"),
    ]


def test_a_refusal_after_a_text_is_another_block() -> None:
    refused = message("Well.", {"type": "refusal", "refusal": "No."})
    expected = [TextDelta("Well."), BlockEnd(), RefusalDelta("No."), BlockEnd()]
    assert parts(text_delta("Well."), delta("refusal", "No.", content_index=1), done(refused)) == expected


def test_unknown_content_is_told() -> None:
    assert parts(done(message({"type": "output_audio"}))) == [Dropped("content[output_audio]")]
