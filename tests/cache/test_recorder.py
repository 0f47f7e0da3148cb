"""The copy of an answer on its way to the client."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.cache.recorder import AnswerRecorder, Recordings, own_events
from proxy.errors import BrokenAnswer
from proxy.exchange import Exchange
from proxy.routing.endpoints import ENDPOINTS
from proxy.server.outlet import OutletWrapper

JSON = b"Content-Type: application/json\r\nx-router-dropped: seed\r\nx-request-id: 1\r\n"
EVENTS = b"content-type: text/event-stream; charset=utf-8\r\n"
BODY = b'{"id":"1","a":",\\"_router\\":"}'
SENT = BODY[:-1] + b',"_router":{"errors":[]}}'
FAULT = BrokenAnswer("It broke.")


class Sink(OutletWrapper):
    """The client."""

    def __init__(self, frames: bool = True) -> None:
        self.written: list[Any] = []
        self.frames = frames

    def send(self, status: int, header_lines: bytes, body: bytes = b"") -> None:
        self.written.append(body)

    def begin(self, status: int, header_lines: bytes, first: bytes = b"", *, length: int | None = None) -> None:
        self.written.append(first)

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def for_frames(self) -> Any:
        return self.written.append if self.frames else None

    def end(self, last: bytes = b"") -> None:
        self.written.append(last)

    def break_off(self, fault: object, last: bytes) -> None:
        self.written.append(last)

    def lose(self, fault: object) -> None:
        self.written.append("lost")

    def abort(self) -> None:
        self.written.append("aborted")


def made(most: int = 1000, path: str = "chat/completions", **options: Any) -> tuple[AnswerRecorder, Sink, Recordings]:
    endpoint = next(each for each in ENDPOINTS if each.path == path)
    sink, recordings = Sink(**options), Recordings(most, most)
    return AnswerRecorder(sink, Exchange(endpoint, None, "r", 0.0), recordings), sink, recordings  # type: ignore[arg-type]


def test_a_plain_answer_is_copied_without_what_is_of_its_request() -> None:
    recorder, sink, recordings = made()
    recorder._exchange.dropped = ("seed",)
    recorder.send(200, JSON, SENT)
    assert recorder.whole
    assert (recorder.body(), recorder.content_type, recorder.lines) == (
        BODY,
        b"application/json",
        b"x-router-dropped: seed\r\n",
    )
    assert sink.written == [SENT[:-2] + b',"cache":{"status":"miss"}}}']
    assert recordings.used == len(BODY)
    recorder.release()
    assert recordings.used == 0


def test_an_answer_of_a_dialect_without_metadata_is_copied_as_it_is() -> None:
    recorder, sink, _ = made(path="messages")
    recorder.send(200, JSON, SENT)
    assert (recorder.whole, recorder.body(), sink.written) == (True, SENT, [SENT])


def test_an_answer_that_only_lenient_parsers_read_is_not_kept() -> None:
    recorder, sink, _ = made()
    recorder._exchange.lenient_events = 1
    recorder.send(200, JSON, b'{"a":NaN}')
    assert (recorder.whole, sink.written) == (False, [b'{"a":NaN}'])


@pytest.mark.parametrize("status", [201, 204, 400, 500])
def test_other_statuses_are_not_kept(status: int) -> None:
    recorder, sink, _ = made()
    recorder.send(status, JSON, SENT)
    assert (recorder.whole, sink.written) == (False, [SENT])


def test_a_stream_is_copied_from_writes_and_frames() -> None:
    recorder, sink, recordings = made()
    recorder.begin(200, EVENTS, b"data: 1\n\n")
    forward = recorder.for_frames()
    assert forward is not None
    for framed in (b"9\r\ndata: 2\n\n\r\n", b"a\r\ndata: 33\n\n\r\n"):
        forward(framed)
    recorder.write(b"data: 4\n\n")
    forward(b"9\r\ndata: 5\n\n\r\n")
    assert not recorder.whole
    recorder.end(b"data: [DONE]\n\n")
    assert recorder.whole
    assert recorder.body() == b"data: 1\n\ndata: 2\n\ndata: 33\n\ndata: 4\n\ndata: 5\n\ndata: [DONE]\n\n"
    assert sink.written[1] == b"9\r\ndata: 2\n\n\r\n"
    recorder.release()
    assert recordings.used == 0


def test_a_stream_that_is_sent_at_once() -> None:
    recorder, _, _ = made()
    recorder.send(200, EVENTS, b": _router {}\n\ndata: 1\n\n")
    assert (recorder.whole, recorder.body()) == (True, b"data: 1\n\n")


def test_a_plain_answer_in_pieces_is_not_kept() -> None:
    recorder, sink, _ = made()
    recorder.begin(200, JSON, b'{"a":', length=7)
    recorder.write(b"1}")
    recorder.end()
    assert (recorder.whole, sink.written) == (False, [b'{"a":', b"1}", b""])


@pytest.mark.parametrize("how", ["break_off", "lose", "abort"])
def test_a_stream_that_is_not_whole_is_not_kept(how: str) -> None:
    recorder, _, recordings = made()
    recorder.begin(200, EVENTS, b"data: 1\n\n")
    arguments = {"break_off": (FAULT, b""), "lose": (FAULT,), "abort": ()}[how]
    getattr(recorder, how)(*arguments)
    if how == "lose":
        recorder.end(b"data: [DONE]\n\n")
    assert not recorder.whole
    assert recordings.used == 0


def test_a_copy_that_grows_too_large_is_dropped_and_the_client_gets_on() -> None:
    recorder, sink, recordings = made(most=20)
    recorder.begin(200, EVENTS, b"data: 1\n\n")
    forward = recorder.for_frames()
    assert forward is not None
    for _ in range(3):
        forward(b"9\r\ndata: 2\n\n\r\n")
    recorder.end(b"data: 3\n\n")
    assert (recorder.whole, recordings.used, len(sink.written)) == (False, 0, 5)
    assert recorder.for_frames() == sink.written.append


def test_all_copies_together_are_bounded() -> None:
    one, _, recordings = made(most=30)
    other = AnswerRecorder(Sink(), one._exchange, recordings)
    one.begin(200, EVENTS, b"x" * 20)
    other.begin(200, EVENTS, b"y" * 20)
    other.end()
    one.end()
    assert (one.whole, other.whole, recordings.used) == (True, False, 20)


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
