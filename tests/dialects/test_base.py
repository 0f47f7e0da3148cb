from __future__ import annotations

import json
from typing import Any

import pytest

from proxy.dialects.base import Mark, OtherReader, is_done, without_data
from proxy.dialects.openai_chat_reader import ChatReader
from proxy.dialects.openai_responses_reader import ResponsesReader
from proxy.dialects.openai_usage import Usage
from proxy.dialects.table import encode_error, reader_for
from proxy.errors import StreamTruncated
from proxy.wire.sse import Event
from tests.support.answers import sse


def test_every_dialect_has_its_tap() -> None:
    assert isinstance(reader_for("openai.chat"), ChatReader)
    assert isinstance(reader_for("openai.completions"), ChatReader)
    assert isinstance(reader_for("openai.responses"), ResponsesReader)
    assert isinstance(reader_for("openai.other"), OtherReader)


@pytest.mark.parametrize(
    ("dialect", "line", "open_ended"),
    [("openai.chat", b"data: {", False), ("openai.completions", b"data: {", False), ("openai.responses", b"event: error\n", False),
     ("openai.other", b"data: {", True)],
)  # fmt: skip
def test_every_dialect_tells_an_error_in_its_own_way(dialect: str, line: bytes, open_ended: bool) -> None:
    assert encode_error(dialect, StreamTruncated("Cut.")).startswith(line)
    assert reader_for(dialect).open_ended is open_ended


@pytest.mark.parametrize(
    ("event", "mark"),
    [(Event(), Mark.COMMENT), (Event(data=b""), Mark.EMPTY), (Event(event=b"x"), Mark.EMPTY), (Event(id=b"1"), Mark.EMPTY),
     (Event(id=b""), Mark.COMMENT), (Event(retry=0), Mark.EMPTY), (Event(data=b"x"), None), (Event(event=b"x", data=b"x"), None)],
)  # fmt: skip
def test_an_event_without_data_is_a_comment_or_unreadable(event: Event, mark: Mark | None) -> None:
    assert without_data(event) is mark


@pytest.mark.parametrize("data", [b"[DONE]", b"[DONE] ", b"[DONE]\n"])
def test_done_may_have_blanks_behind_it(data: bytes) -> None:
    assert is_done(data)


@pytest.mark.parametrize("data", [b"", b"[done]", b" [DONE]", b"[DONE]]", b'"[DONE]"', b"[DONE] x"])
def test_nothing_else_is_done(data: bytes) -> None:
    assert not is_done(data)


# Events of a schema that we do not read: images, speech, transcripts


@pytest.mark.parametrize(
    ("block", "mark"),
    [(sse({"type": "transcript.text.delta", "delta": "a"}), Mark.CONTENT), (b"data: 5\n\n", Mark.CONTENT), (b": x\n\n", Mark.COMMENT),
     (b"data:\n\n", Mark.EMPTY), (b"id: 1\n\n", Mark.EMPTY), (b"data: {\n\n", Mark.GARBAGE), (sse({"error": {"message": "x"}}), Mark.ERROR),
     (sse({"error": None}), Mark.CONTENT), (b"data: [DONE]\n\n", Mark.DONE)],
)  # fmt: skip
def test_an_unknown_schema_is_still_json_or_not(block: bytes, mark: Mark) -> None:
    reader = OtherReader()
    assert not reader.plain(block)
    assert reader.read(block) is mark


def test_what_follows_an_error_is_no_error_again() -> None:
    reader = OtherReader()
    assert reader.read(sse({"error": {"message": "x"}})) is Mark.ERROR
    assert reader.read(sse({"type": "x"})) is Mark.CONTENT
    assert reader.error is not None


def test_an_unknown_schema_has_no_terminal_event_but_done() -> None:
    reader = OtherReader()
    reader.read(sse({"type": "image_generation.completed"}))
    assert not reader.complete
    reader.read(b"data: [DONE]\n\n")
    assert reader.complete


@pytest.mark.parametrize("kind", ["transcript.text.done", "speech.audio.done", "image_generation.completed"])
def test_its_usage_is_noted_where_it_has_the_usual_name(kind: str) -> None:
    reader = OtherReader()
    usage: dict[str, Any] = {"input_tokens": 14, "input_token_details": {"audio_tokens": 14}, "output_tokens": 5}
    reader.read(sse({"type": kind, "usage": usage}))
    reader.read(sse({"type": "more"}))
    assert reader.usage == Usage(input=14, cached=None, output=5, reasoning=None)


def test_its_errors_are_told_as_data() -> None:
    assert json.loads(OtherReader().told(StreamTruncated("Cut.")).removeprefix(b"data: "))["error"]["message"] == "Cut."
