from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.openai.transcript import MAX_TEXT, Transcript
from tests.support.answers import DONE, chat_events, sse


def transcript_of(*blocks: bytes) -> Transcript:
    transcript = Transcript()
    for block in blocks:
        transcript.add(block)
    return transcript


def delta(content: Any = None, *, index: int = 0, finish: str | None = None, **members: Any) -> bytes:
    said = members if content is None else {"content": content, **members}
    return sse({"choices": [{"index": index, "delta": said, "finish_reason": finish}]})


def test_an_empty_stream_cannot_be_continued() -> None:
    transcript = Transcript()
    assert (transcript.text, transcript.continuable) == ("", False)


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_the_text_of_the_assistant_is_kept_exactly(words: list[str]) -> None:
    transcript = transcript_of(*chat_events(*words, finish=None, done=False))
    assert (transcript.text, transcript.continuable) == ("".join(words), any(words))


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls"])
def test_a_finished_text_cannot_be_continued(reason: str) -> None:
    transcript = transcript_of(delta("Hello"), delta(finish=reason))
    assert (transcript.text, transcript.continuable) == ("Hello", False)
    assert not transcript_of(*chat_events("Hello", usage={"prompt_tokens": 1})).continuable
    assert not transcript_of(delta("Hello", finish=reason)).continuable


@pytest.mark.parametrize(
    "block",
    [b": ping\n\n", b"\n\n", b"event: x\n\n", b"data:\n\n", DONE, b"data: {\n\n", b"data: 5\n\n", b"data: []\n\n", b"data: \xff\n\n",
     sse({}), sse({"choices": None}), sse({"choices": {}}), sse({"choices": "Hello"}), sse({"choices": []}),
     sse({"choices": [], "usage": {"prompt_tokens": 1}}), delta(role="assistant"), delta(7), delta(["Hello"]),
     delta(reasoning_content="Hm."), delta("", tool_calls=[], refusal=None), sse({"error": {"message": "x"}})],
)  # fmt: skip
def test_blocks_without_text_are_ignored(block: bytes) -> None:
    transcript = transcript_of(delta("a"), block, delta("b"))
    assert (transcript.text, transcript.continuable) == ("ab", True)


@pytest.mark.parametrize(
    "block",
    [delta("Hello", index=1), delta(index=1, finish="stop"), delta(tool_calls=[{"index": 0}]), delta(function_call={"name": "f"}),
     delta(audio={"data": ""}), delta(refusal="No."), sse({"choices": [5]}), sse({"choices": [{"index": 0}]}),
     sse({"choices": [{"index": 0, "delta": None}]}), sse({"choices": [{"text": "Hello"}]})],
)  # fmt: skip
def test_an_answer_of_more_than_text_cannot_be_continued(block: bytes) -> None:
    transcript = transcript_of(delta("a"), block)
    assert (transcript.text, transcript.continuable) == ("a", False)
    transcript.add(delta("b"))  # and nothing more is kept
    assert (transcript.text, transcript.continuable) == ("a", False)


def test_several_choices_in_one_chunk_are_noticed_too() -> None:
    both = [{"index": number, "delta": {"content": "x"}} for number in range(2)]
    assert not transcript_of(sse({"choices": both})).continuable
    assert not transcript_of(sse({"choices": both[::-1]})).continuable


def test_an_index_may_be_left_out() -> None:
    assert transcript_of(sse({"choices": [{"delta": {"content": "x"}}]})).text == "x"


def test_a_chunk_may_have_any_form_of_an_event() -> None:
    crlf = delta("a").replace(b"\n", b"\r\n")
    assert (
        transcript_of(crlf, b"id: 1\n" + delta("b"), b'data: {"choices":\ndata: [{"delta":{"content":"c"}}]}\n\n').text
        == "abc"
    )


def test_a_text_that_is_too_long_cannot_be_continued() -> None:
    half = delta("x" * (MAX_TEXT // 2))
    transcript = transcript_of(half, half)
    assert transcript.continuable
    assert len(transcript.text) == MAX_TEXT
    transcript.add(delta("x"))
    transcript.add(delta("x"))
    assert not transcript.continuable
    assert len(transcript.text) == MAX_TEXT + 1


@pytest.mark.parametrize(
    ("block", "opens"),
    [(chat_events()[0], True), (delta(role="assistant"), True), (delta("", role="assistant", refusal=None), True),
     (delta("Hi", role="assistant"), False), (delta("Hi"), False), (delta(""), False), (delta(finish="stop"), False),
     (delta(role="assistant", tool_calls=[{"index": 0}]), False), (delta(role="assistant", reasoning_content="Hm."), False),
     (delta(role="assistant", finish="stop"), False), (sse({"choices": []}), False), (b": ping\n\n", False), (DONE, False)],
)  # fmt: skip
def test_an_event_that_only_opens_an_answer_is_recognized(block: bytes, opens: bool) -> None:
    assert Transcript().add(block) is opens
