from __future__ import annotations

import json

import pytest

from proxy.demo import faults
from proxy.demo.answer import DONE, Cut, DemoAnswer, Frame, Pause, event, event_stream, json_answer
from proxy.demo.refusal import DemoRefusal

WORDS = [event(index, "word") for index in range(6)]
STREAM = event_stream([event("role"), *WORDS, event("stop", "finish"), event("count", "usage"), DONE], 30.0)
PLAIN = json_answer({"text": "a longer text, so that it has pieces"})


def body(answer: DemoAnswer) -> bytes:
    return b"".join(frame.data for frame in answer.frames if isinstance(frame, Frame))


def test_a_cut_keeps_only_the_first_half() -> None:
    for answer in (STREAM, PLAIN):
        *kept, last = faults.cut(answer, 0).frames
        assert kept == answer.frames[: len(answer.frames) // 2]
        assert isinstance(last, Cut)


def test_truncation_removes_every_end_marker() -> None:
    assert faults.truncated(STREAM, 0).frames == STREAM.frames[:7]
    with pytest.raises(json.JSONDecodeError):
        json.loads(body(faults.truncated(PLAIN, 0)))


def test_without_done_the_rest_is_complete() -> None:
    assert faults.no_done(STREAM, 0).frames == STREAM.frames[:-1]
    assert faults.no_done(PLAIN, 0).frames == PLAIN.frames


def test_a_stall_outlasts_every_timeout() -> None:
    *few, silence = faults.stall(STREAM, 0).frames
    assert few == STREAM.frames[:5]
    assert isinstance(silence, Pause)
    assert silence.seconds > 3600
    assert len(faults.stall(PLAIN, 0).frames) == 3


def test_a_slow_start_delays_content_in_a_stream_and_the_head_elsewhere() -> None:
    assert faults.slow_start(STREAM, 3).frames == [Pause(3), *STREAM.frames]
    assert faults.slow_start(STREAM, 3).before == 0
    assert faults.slow_start(PLAIN, 3).before == 3
    assert faults.slow_headers(STREAM, 3).before == 3


def test_garbage_is_only_added() -> None:
    frames = faults.garbage(STREAM, 0).frames
    noise = [frame for frame in frames if frame not in STREAM.frames]
    assert [frame for frame in frames if frame in STREAM.frames] == STREAM.frames
    assert len(noise) == 1
    with pytest.raises(json.JSONDecodeError):
        json.loads(noise[0].data.removeprefix(b"data: "))


def test_comments_last_for_the_configured_time() -> None:
    pauses = [frame.seconds for frame in faults.comments(STREAM, 3).frames if isinstance(frame, Pause)]
    assert sum(pauses) == 3
    assert json.loads(body(faults.comments(PLAIN, 3))) == json.loads(body(PLAIN))


def test_an_error_has_the_format_of_the_response() -> None:
    assert body(faults.error_first(STREAM, 0)).startswith(b'data: {"error"')
    assert "error" in json.loads(body(faults.error_first(PLAIN, 0)))
    assert "error" in json.loads(body(faults.error_mid(PLAIN, 0)))
    assert body(faults.error_mid(STREAM, 0)) == body(faults.cut(STREAM, 0)) + STREAM.error


def test_an_html_page_is_not_an_event_stream() -> None:
    page = faults.html(STREAM, 0)
    assert (page.content_type, page.sse) == ("text/html; charset=utf-8", False)
    assert faults.empty(PLAIN, 0).frames == []


def test_a_status_is_a_refusal_in_no_dialect() -> None:
    with pytest.raises(DemoRefusal) as refused:
        faults.status(418, "No coffee.", "teapot", "short_and_stout", "cup")(STREAM, 0)
    found = refused.value
    assert (found.status, found.message, found.kind) == (418, "No coffee.", "teapot")
    assert (found.code, found.param, found.retry_after) == ("short_and_stout", "cup", None)


def test_a_rate_limit_names_the_time_to_wait() -> None:
    with pytest.raises(DemoRefusal) as refused:
        faults.rate_limited(PLAIN, 7)
    assert (refused.value.status, refused.value.retry_after) == (429, 7)
