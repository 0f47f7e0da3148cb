"""Messages of a stream: text with citations and log probabilities, and refusals."""

from __future__ import annotations

from proxy.dialects.translation.conversation import Citation
from proxy.dialects.translation.parts import (
    AnswerPart,
    BlockEnd,
    CitationPart,
    LogprobsPart,
    RefusalDelta,
    TextDelta,
)
from tests.support.responses import Json, events_of, stream_of, types_of

TOKENS = [{"token": "Hi", "logprob": -0.5, "bytes": [72, 105], "top_logprobs": []}]


def events(*parts: AnswerPart) -> list[Json]:
    """Those about the message."""
    return events_of(stream_of(parts))[2:-1]


def content(*parts: AnswerPart) -> list[Json]:
    item = events(*parts)[-1]["item"]
    assert item["type"] == "message"
    found: list[Json] = item["content"]
    return found


def test_a_text_has_all_its_events() -> None:
    assert types_of(stream_of([TextDelta("Hel"), TextDelta("lo")]))[2:-1] == [
        *("output_item.added", "content_part.added", "output_text.delta", "output_text.delta"),
        *("output_text.done", "content_part.done", "output_item.done"),
    ]
    added, part, first, _, text, part_done, done = events(TextDelta("Hel"), TextDelta("lo"))
    assert added["item"] == {
        "id": "msg_abc_0", "type": "message", "status": "in_progress", "role": "assistant", "content": []
    }  # fmt: skip
    assert part["part"] == {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
    place = {"item_id": "msg_abc_0", "output_index": 0, "content_index": 0}
    assert first == place | {
        "type": "response.output_text.delta", "delta": "Hel", "logprobs": [], "sequence_number": 4
    }  # fmt: skip
    assert (text["text"], text["logprobs"], part_done["part"]["text"]) == ("Hello", [], "Hello")
    assert done["item"]["content"] == [part_done["part"]]
    assert done["item"]["status"] == "completed"


def test_blocks_of_text_are_one_part_and_each_citation_spans_its_block() -> None:
    found = events(
        *(TextDelta("One. "), BlockEnd(), TextDelta("Two."), CitationPart(Citation("u", "t")), BlockEnd()),
        TextDelta(" End."),
    )
    annotation = {"type": "url_citation", "url": "u", "title": "t", "start_index": 5, "end_index": 9}
    (added,) = [event for event in found if event["type"] == "response.output_text.annotation.added"]
    assert (added["annotation"], added["annotation_index"], added["content_index"]) == (annotation, 0, 0)
    (part,) = found[-1]["item"]["content"]
    assert (part["text"], part["annotations"]) == ("One. Two. End.", [annotation])


def test_a_citation_may_come_before_its_text() -> None:
    (part,) = content(CitationPart(Citation(title="n")), TextDelta("Two."))
    assert part["annotations"] == [{"type": "file_citation", "file_id": "", "filename": "n", "index": 4}]


def test_log_probabilities_come_in_an_event_without_text() -> None:
    found = events(TextDelta("Hi"), LogprobsPart(TOKENS), TextDelta("!"))
    deltas = [(event["delta"], event["logprobs"]) for event in found if event["type"].endswith("text.delta")]
    assert deltas == [("Hi", []), ("", TOKENS), ("!", [])]
    assert [event["logprobs"] for event in found if event["type"].endswith("text.done")] == [TOKENS]
    assert found[-1]["item"]["content"][0]["logprobs"] == TOKENS


def test_log_probabilities_without_a_text_are_left_out() -> None:
    assert content(RefusalDelta("No."), LogprobsPart(TOKENS, of_refusal=True)) == [
        {"type": "refusal", "refusal": "No."}
    ]


def test_a_refusal_is_a_part_of_its_own() -> None:
    found = events(TextDelta("Well."), RefusalDelta("No"), RefusalDelta("."))
    assert [event["type"].removeprefix("response.") for event in found[4:]] == [
        *("content_part.done", "content_part.added", "refusal.delta", "refusal.delta", "refusal.done"),
        *("content_part.done", "output_item.done"),
    ]
    assert [event["content_index"] for event in found[1:-1]] == [0, 0, 0, 0, 1, 1, 1, 1, 1]
    text, refusal = found[-1]["item"]["content"]
    assert (text["text"], refusal) == ("Well.", {"type": "refusal", "refusal": "No."})


def test_refusals_of_two_blocks_are_two_parts() -> None:
    found = content(RefusalDelta("No."), BlockEnd(), RefusalDelta("Never."), TextDelta("Well."))
    assert [part["type"] for part in found] == ["refusal", "refusal", "output_text"]


def test_halves_of_a_surrogate_pair_are_joined_and_others_replaced() -> None:
    """Codex ignores an event that has any, and then asks again for the whole answer."""
    halves = ("\ud83d", "a\ud83d", "\ude00", "\ud83d", "\ude00b", "c", "\ud83d", "d", "\ud83d")
    stream = stream_of(map(TextDelta, halves))
    assert b"\\ud" not in stream
    found = events_of(stream)
    deltas = [event["delta"] for event in found if event["type"].endswith("text.delta")]
    assert deltas == ["\ufffda", "😀", "😀b", "c", "\ufffdd", "\ufffd"]
    assert found[-1]["response"]["output"][0]["content"][0]["text"] == "".join(deltas)
