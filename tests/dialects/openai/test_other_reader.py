"""Events that are not expected apart: images, speech, transcripts."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.dialects.base import EventKind
from proxy.dialects.openai.other_reader import OtherReader
from proxy.dialects.usage import Usage, UsageDetails
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


@pytest.mark.parametrize("kind", ["transcript.text.done", "speech.audio.done", "image_generation.completed"])
def test_usage_under_the_usual_name_is_read(kind: str) -> None:
    reader = OtherReader()
    usage: dict[str, Any] = {"input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 5}
    reader.read(sse({"type": kind, "usage": usage}))
    reader.read(sse({"type": "more"}))
    assert reader.usage == Usage(input=0, output=5, details=UsageDetails(audio_input=14))
