"""Events that are not expected apart: images, speech, transcripts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.base import EventKind
from proxy.dialects.openai.other_reader import OtherReader
from proxy.dialects.usage import Usage, UsageDetails
from proxy.errors import ErrorInStream
from tests.support.answers import sse


@pytest.mark.parametrize(
    ("block", "kind"),
    [(sse({"type": "transcript.text.delta", "delta": "a"}), EventKind.CONTENT), (b"data: 5\n\n", EventKind.CONTENT), (b": x\n\n", EventKind.COMMENT),
     (b"data:\n\n", EventKind.NO_DATA), (b"id: 1\n\n", EventKind.NO_DATA), (b"data: {\n\n", EventKind.MALFORMED), (sse({"error": {"message": "x"}}), EventKind.ERROR),
     (sse({"error": None}), EventKind.CONTENT), (b"data: [DONE]\n\n", EventKind.DONE)],
)  # fmt: skip
def test_events_of_an_unknown_schema_are_read(block: bytes, kind: EventKind) -> None:
    reader = OtherReader()
    assert not reader.plain(block)
    assert reader.read(block) is kind


def test_an_event_after_an_error_is_no_error() -> None:
    reader = OtherReader()
    assert reader.read(sse({"error": {"message": "x"}})) is EventKind.ERROR
    assert reader.read(sse({"type": "x"})) is EventKind.CONTENT
    assert reader.error is not None


def test_an_unknown_schema_has_no_terminal_event_but_done() -> None:
    reader = OtherReader()
    reader.read(sse({"type": "image_generation.completed"}))
    assert not reader.complete
    reader.read(b"data: [DONE]\n\n")
    assert reader.complete


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({"data": [{"b64_json": "aa"}, {"url": "http://a"}]}, Usage(details=UsageDetails(images=2))),
        ({"data": [{"b64_json": "aé"}], "usage": {"input_tokens": 20, "output_tokens": 4160}},
         Usage(20, None, 0, details=UsageDetails(image_output=4160, images=1))),
        ({"data": [{}], "usage": {"input_tokens": 20, "output_tokens": 100, "output_tokens_details": {"image_tokens": 60}}},
         Usage(20, None, 40, details=UsageDetails(image_output=60, images=1))),
        ({"text": "hi", "usage": {"type": "duration", "seconds": 9}}, Usage(details=UsageDetails(audio_ms=9000))),
        ({"text": "hi", "usage": {"type": "tokens", "input_tokens": 4, "output_tokens": 1}}, Usage(4, None, 1)),
        ({"text": "hi"}, None),
        ({"data": ["odd"], "usage": {"input_tokens": 4}}, Usage(4)),
    ],
)  # fmt: skip
def test_images_and_seconds_of_whole_answers_are_counted(body: dict[str, Any], expected: Usage | None) -> None:
    assert OtherReader.read_answer(json.dumps(body, ensure_ascii=False).encode()).usage == expected


def test_an_error_with_images_is_an_error() -> None:
    with pytest.raises(ErrorInStream):
        OtherReader.read_answer(b'{"data":[{}],"error":{"message":"no"}}')


def test_images_of_a_stream_are_counted() -> None:
    reader = OtherReader()
    reader.read(sse({"type": "image_generation.partial_image"}))
    assert reader.usage is None
    for number in (1, 2):
        reader.read(sse({"type": "image_generation.completed", "usage": {"input_tokens": 20, "output_tokens": 4160}}))
        assert reader.usage == Usage(20, None, 0, details=UsageDetails(image_output=4160, images=number))


@pytest.mark.parametrize("kind", ["transcript.text.done", "speech.audio.done"])
def test_usage_under_the_usual_name_is_read(kind: str) -> None:
    reader = OtherReader()
    usage: dict[str, Any] = {"input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 5}
    reader.read(sse({"type": kind, "usage": usage}))
    reader.read(sse({"type": "more"}))
    assert reader.usage == Usage(input=0, output=5, details=UsageDetails(audio_input=14))
