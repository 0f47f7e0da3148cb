from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.demo.answer import DONE, DemoAnswer, Frame, event, event_stream, json_answer


def frames(answer: DemoAnswer) -> list[Frame]:
    return [frame for frame in answer.frames if isinstance(frame, Frame)]


def body(answer: DemoAnswer) -> bytes:
    return b"".join(frame.data for frame in frames(answer))


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 7, 8, 100])
def test_a_json_answer_has_at_most_four_pieces_and_only_the_last_ends_it(length: int) -> None:
    answer = json_answer("x" * length)
    assert json.loads(body(answer)) == "x" * length
    assert 2 <= len(answer.frames) <= 4
    assert [frame.kind for frame in frames(answer)] == ["open"] * (len(answer.frames) - 1) + ["finish"]


@given(st.recursive(st.none() | st.booleans() | st.integers(-9, 9) | st.text(), lambda each: st.lists(each)))
def test_the_pieces_of_a_json_answer_join_to_its_value(value: object) -> None:
    answer = json_answer(value, before=2.5)
    assert json.loads(body(answer)) == value
    assert (answer.content_type, answer.before, answer.sse) == ("application/json", 2.5, False)


@pytest.mark.parametrize(
    ("name", "data"),
    [("", b'data: {"a":1}\n\n'), ("response.created", b'event: response.created\ndata: {"a":1}\n\n')],
)
def test_an_event_has_a_name_only_if_it_is_given_one(name: str, data: bytes) -> None:
    assert event({"a": 1}, "word", name) == Frame(data, "word")


def test_an_event_stream_uses_the_error_event_of_its_dialect() -> None:
    assert b'"code":"demo_broken"' in event_stream([DONE], 30.0).error
    stream = event_stream([DONE], 30.0, event({"type": "error"}, name="error"))
    assert stream.error == b'event: error\ndata: {"type":"error"}\n\n'
    assert (stream.frames, stream.rate, stream.sse) == ([DONE], 30.0, True)
