"""The copy of a stream on its way to the client."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.cache.stream_recorder import Recordings, StreamRecorder, own_events
from proxy.errors import BrokenAnswer
from tests.cache.answers import Sink, exchange_of

JSON = b"Content-Type: application/json\r\n"
EVENTS = b"content-type: text/event-stream; charset=utf-8\r\n"
FAULT = BrokenAnswer("It broke.")


def made(most: int = 1000, **options: Any) -> tuple[StreamRecorder, Sink, Recordings]:
    sink, recordings = Sink(**options), Recordings(most, most)
    return StreamRecorder(sink, exchange_of("chat/completions"), recordings), sink, recordings


def test_a_stream_is_copied_from_writes_and_frames() -> None:
    recorder, sink, recordings = made()
    recorder.begin(200, EVENTS, b"data: 1\n\n")
    forward = recorder.for_frames()
    assert forward is not None
    for framed in (b"9\r\ndata: 2\n\n\r\n", b"a\r\ndata: 33\n\n\r\n"):
        forward(framed)
    recorder.write(b"data: 4\n\n")
    forward(b"9\r\ndata: 5\n\n\r\n")
    assert recorder.copy() is None
    recorder.end(b"data: [DONE]\n\n")
    assert recorder.copy() == b"data: 1\n\ndata: 2\n\ndata: 33\n\ndata: 4\n\ndata: 5\n\ndata: [DONE]\n\n"
    assert sink.written[1] == b"9\r\ndata: 2\n\n\r\n"
    recorder.release()
    assert recordings.used == 0


def test_a_stream_that_is_sent_at_once() -> None:
    recorder, _, _ = made()
    recorder.send(200, EVENTS, b": _router {}\n\ndata: 1\n\n")
    assert recorder.copy() == b"data: 1\n\n"


def test_a_plain_answer_to_a_request_for_a_stream() -> None:
    recorder, _, _ = made()
    recorder.send(200, JSON, b'{"id":"1"}')
    assert recorder.copy() == b'{"id":"1"}'
    recorder, sink, _ = made()
    recorder.begin(200, JSON, b'{"a":', length=7)
    recorder.write(b"1}")
    recorder.end()
    assert (recorder.copy(), sink.written) == (None, [b'{"a":', b"1}", b""])


@pytest.mark.parametrize("how", ["break_off", "lose", "abort"])
def test_a_stream_that_is_not_whole_is_not_kept(how: str) -> None:
    recorder, _, recordings = made()
    recorder.begin(200, EVENTS, b"data: 1\n\n")
    arguments = {"break_off": (FAULT, b""), "lose": (FAULT,), "abort": ()}[how]
    getattr(recorder, how)(*arguments)
    if how == "lose":
        recorder.end(b"data: [DONE]\n\n")
    assert recorder.copy() is None
    assert recordings.used == 0


def test_a_copy_that_grows_too_large_is_dropped_and_the_client_gets_on() -> None:
    recorder, sink, recordings = made(most=20)
    recorder.begin(200, EVENTS, b"data: 1\n\n")
    forward = recorder.for_frames()
    assert forward is not None
    for _ in range(3):
        forward(b"9\r\ndata: 2\n\n\r\n")
    recorder.end(b"data: 3\n\n")
    assert (recorder.copy(), recordings.used, len(sink.written)) == (None, 0, 5)
    assert recorder.for_frames() == sink.written.append


def test_all_copies_together_are_bounded() -> None:
    one, _, recordings = made(most=30)
    other = StreamRecorder(Sink(), one._exchange, recordings)
    one.begin(200, EVENTS, b"x" * 20)
    other.begin(200, EVENTS, b"y" * 20)
    other.end()
    one.end()
    assert (one.copy(), other.copy(), recordings.used) == (b"x" * 20, None, 20)


def test_without_frames_every_byte_is_written() -> None:
    recorder, _, _ = made(frames=False)
    assert recorder.for_frames() is None


@pytest.mark.parametrize(
    ("body", "kept"),
    [
        (b"data: 1\n\ndata: 2\n\n", b"data: 1\n\ndata: 2\n\n"),
        (b": hi\n\ndata: 1\n\n: _router {}\n\ndata: [DONE]\n\n", b"data: 1\n\ndata: [DONE]\n\n"),
        (b"id: 1\r\ndata: 1\r\n\r\n: ping\r\ndata: 2\r\n\r\n", b"id: 1\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n"),
        (b"event: ping\ndata: {}\n\ndata: : 1\n\n", b"data: : 1\n\n"),
    ],
)
def test_events_without_comments_and_pings(body: bytes, kept: bytes) -> None:
    assert own_events(body, b"event: ping\ndata: {}\n\n") == kept
