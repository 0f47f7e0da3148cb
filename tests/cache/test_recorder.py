"""The copy of a plain answer on its way to the client."""

from __future__ import annotations

import pytest

from proxy.cache.recorder import AnswerRecorder, content_type_of, kept_lines
from tests.cache.answers import Sink, exchange_of

JSON = b"Content-Type: application/json\r\nx-router-dropped: seed\r\nx-request-id: 1\r\n"
BODY = b'{"id":"1","a":",\\"_router\\":"}'
SENT = BODY[:-1] + b',"_router":{"errors":[]}}'


def made(path: str = "chat/completions") -> tuple[AnswerRecorder, Sink]:
    sink = Sink()
    return AnswerRecorder(sink, exchange_of(path)), sink


def test_a_plain_answer_is_copied_without_what_is_of_its_request() -> None:
    recorder, sink = made()
    recorder.send(200, JSON, SENT)
    assert (recorder.copy(), recorder.header_lines) == (BODY, JSON)
    assert sink.written == [SENT[:-2] + b',"cache":{"status":"miss"}}}']
    recorder.release()
    assert recorder.copy() is None


def test_an_answer_of_a_dialect_without_metadata_is_copied_as_it_is() -> None:
    recorder, sink = made(path="messages")
    recorder.send(200, JSON, SENT)
    assert (recorder.copy(), sink.written) == (SENT, [SENT])


def test_an_answer_that_only_lenient_parsers_read_is_not_kept() -> None:
    recorder, sink = made()
    recorder._exchange.lenient_events = 1
    recorder.send(200, JSON, b'{"a":NaN}')
    assert (recorder.copy(), sink.written) == (None, [b'{"a":NaN}'])


@pytest.mark.parametrize("status", [201, 204, 400, 500])
def test_other_statuses_are_not_kept(status: int) -> None:
    recorder, sink = made()
    recorder.send(status, JSON, SENT)
    assert (recorder.copy(), sink.written) == (None, [SENT])


def test_a_plain_answer_in_pieces_is_not_kept() -> None:
    recorder, sink = made()
    recorder.begin(200, JSON, b'{"a":', length=7)
    recorder.write(b"1}")
    recorder.end()
    assert (recorder.copy(), sink.written) == (None, [b'{"a":', b"1}", b""])


def test_the_end_of_another_header_name_is_no_content_type() -> None:
    assert content_type_of(b"X-Content-Type: text/plain\r\n" + JSON) == b"application/json"


def test_header_lines() -> None:
    assert kept_lines(JSON) == b"x-router-dropped: seed\r\n"
    for lines in (
        JSON,
        b"x-other: 1\r\nContent-Type: application/json\r\n",
        b"a: b\r\ncontent-type:application/json\r\n",
    ):
        assert content_type_of(lines) == b"application/json"
    assert content_type_of(b"x-content-type: a\r\n") == b""
