"""The pump of event streams, without sockets: the reader, the relay and the reply are real (tests/support/pump.py)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from openai._streaming import SSEDecoder

from proxy.dialects.base import EventKind
from proxy.dialects.table import CHAT
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer, ClockExpired, ConnectionBroken, ErrorInStream, UpstreamAuthFailed, UpstreamFault
from proxy.relay.event_filter import HELD_COMMENTS, HELD_EVENTS
from proxy.wire.sse import BOM, MAX_BLOCK
from tests.support.answers import DONE, USAGE, chat_events, compact, sse
from tests.support.pump import Pump, Relayed, relayed, split

ROLE, HELLO, WORLD, STOP, _ = chat_events("Hello", " world")
COUNT = chat_events(usage=USAGE)[-2]
COUNTED = Usage(9, None, 2, None)
CUT = ConnectionBroken("The provider closed the connection early.", detail="reset")


def response(kind: str, **members: Any) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind} | members))


CREATED = response("response.created", response={"id": "resp_1", "model": "up-model"}, sequence_number=0)
DELTA = response("response.output_text.delta", delta="Hello", sequence_number=1)
COMPLETED = response("response.completed", response={"model": "up-model"}, sequence_number=2)


def in_band_error(body: bytes) -> Any:
    """The document of the last event."""
    last = body.rstrip(b"\n").rpartition(b"\n\n")[2]
    return json.loads(last.rpartition(b"data: ")[2])


# Bytes go through


def test_a_whole_stream_goes_through_byte_for_byte() -> None:
    events = chat_events("Hello", " wörld", usage=USAGE)
    result = relayed(events)
    assert result.body == b"".join(events)
    assert (result.outcome, result.error, result.events) == ("ok", "", len(events))
    assert (result.usage, result.response_model, result.concluding) == (COUNTED, "up-model", True)


def test_every_event_is_forwarded_at_once_and_unchanged() -> None:
    pump = Pump().feed(ROLE, HELLO)
    for block in (WORLD, b": ping\n\n", b'data:{"choices":[]}\r\n\r\n', STOP, DONE):
        before = pump.body
        pump.feed(block)
        assert pump.body == before + block


def test_half_an_event_waits_for_its_other_half() -> None:
    pump = Pump().feed(ROLE, HELLO, WORLD[:20])
    assert pump.body == ROLE + HELLO
    assert pump.feed(WORLD[20:]).body == ROLE + HELLO + WORLD


@pytest.mark.parametrize("begun", [b": note\n", b"event: chunk\n", b'data: {"a":\n', b"data: 1,\n"])
def test_a_read_that_looks_like_an_event_is_none_within_another_event(begun: bytes) -> None:
    assert relayed([ROLE, HELLO, begun, WORLD, STOP, DONE]) == relayed([ROLE, HELLO, begun + WORLD, STOP, DONE])


def test_many_events_in_one_read_are_one_write() -> None:
    pump = Pump().feed(ROLE, HELLO)
    writes = len(pump.outlet.writes)
    pump.feed(HELLO + WORLD + WORLD)
    assert pump.outlet.writes[writes:] == [HELLO + WORLD + WORLD]
    assert pump.exchange.events == 5


def test_a_chunk_that_is_one_event_is_forwarded_with_its_framing() -> None:
    pump = Pump(framed=True).feed(ROLE, HELLO)
    assert pump.on_frame is not None
    frame = b"%X;a=b\r\n%b\r\n" % (len(WORLD), WORLD)  # no other could have written it
    assert pump.on_frame(WORLD, frame)
    assert pump.outlet.writes[-1] is frame
    assert (pump.exchange.events, pump.reply.bytes_out) == (3, len(ROLE + HELLO + WORLD))


@pytest.mark.parametrize("chunk", [STOP, DONE, HELLO + WORLD, HELLO[:-1], b": ping\n\n", b"data: x\n\n"])
def test_a_chunk_that_is_not_plain_is_not_forwarded_with_its_framing(chunk: bytes) -> None:
    pump = Pump(framed=True).feed(ROLE, HELLO)
    assert pump.on_frame is not None
    writes = list(pump.outlet.writes)
    assert not pump.on_frame(chunk, b"-")
    assert pump.outlet.writes == writes


def test_chunks_keep_their_framing_only_while_no_event_has_begun() -> None:
    pump = Pump(framed=True).feed(ROLE)
    assert pump.on_frame is None  # nothing is committed
    assert pump.feed(HELLO).on_frame is not None
    assert pump.feed(WORLD[:9]).on_frame is None
    assert pump.feed(WORLD[9:]).on_frame is not None
    assert Pump(framed=False).feed(ROLE, HELLO).on_frame is None  # the client's body is not chunked


def test_nothing_is_written_to_a_client_that_disconnected() -> None:
    pump = Pump(framed=True).feed(ROLE, HELLO)
    writes = list(pump.outlet.writes)
    pump.reply.detach()
    pump.on_frame = None  # as the attempt does
    pump.feed(b": note\n\n", WORLD, WORLD)
    assert pump.outlet.writes == writes
    assert pump.exchange.events == 4


def test_no_chunk_goes_past_a_hook() -> None:
    assert Pump(framed=True, hook=lambda block, failed: block).feed(ROLE, HELLO).on_frame is None


def test_the_longest_gap_is_between_two_reads_of_content() -> None:
    pump = Pump()
    for moment, block in ((0, ROLE), (50, HELLO), (53, WORLD), (60, b": ping\n\n"), (64, STOP + DONE)):
        pump.last_read = moment - 1.0
        pump.feed(block)
    assert pump.exchange.longest_gap == 7.0


# The content commit


@pytest.mark.parametrize(
    "quiet",
    [ROLE, b": waiting\n\n", sse({"choices": [], "prompt_filter_results": [{}]}), b"\xef\xbb\xbf" + ROLE, b"\n"],
)
def test_nothing_is_sent_before_the_first_content(quiet: bytes) -> None:
    pump = Pump().feed(quiet)
    assert pump.outlet.writes == []
    assert pump.commits == 0
    pump.feed(HELLO)
    assert pump.body == quiet + HELLO
    assert pump.commits == 1
    assert len(pump.outlet.writes) == 1


def test_events_without_content_are_held_back_up_to_a_bound() -> None:
    quiet = sse({"choices": [], "padding": "x" * 10_000})
    pump = Pump()
    while not pump.commits:
        assert len(quiet) * pump.exchange.events <= HELD_EVENTS
        pump.feed(quiet)
    assert pump.body == quiet * pump.exchange.events


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        ({"message": "m", "type": "server_error", "code": None}, 500, "upstream_error_in_stream"),
        ({"message": "m", "type": "requests", "code": "rate_limit_exceeded"}, 429, "rate_limit_exceeded"),
        ({"message": "m", "type": "overloaded_error"}, 503, "upstream_error_in_stream"),
        ({"message": "m", "code": 504}, 504, "504"),
        ({"message": "m"}, 502, "upstream_error_in_stream"),
        ({"message": "key", "code": 401}, 502, "upstream_auth_failed"),
    ],
)
@pytest.mark.parametrize("before", [b"", ROLE, b": x\n\n" + ROLE])
def test_an_error_before_any_content_is_raised_with_the_status_it_should_have_had(
    before: bytes, error: dict[str, Any], status: int, code: str
) -> None:
    result = relayed([before, sse({"error": error})])
    assert result.body == b""
    assert result.fault is not None
    kind = UpstreamAuthFailed if code == "upstream_auth_failed" else ErrorInStream
    assert result.fault[:3] == (kind, status, code)


@pytest.mark.parametrize(
    ("stream", "code"),
    [(b"", "upstream_empty_answer"), (b": x\n\n", "upstream_empty_answer"), (b"\n\n", "upstream_empty_answer"),
     (DONE, "upstream_empty_answer"), (ROLE + DONE, "upstream_empty_answer"), (b"data: {\n\n", "upstream_broken_answer"),
     (ROLE, "upstream_stream_truncated"), (HELLO[:-20], "upstream_empty_answer"), (ROLE + HELLO[:-20], "upstream_stream_truncated")],
)  # fmt: skip
def test_a_stream_that_ends_before_any_content_is_raised(stream: bytes, code: str) -> None:
    result = relayed([stream])
    assert result.body == b""
    assert result.fault is not None
    assert result.fault[1:3] == (502, code)


def test_an_error_in_the_same_read_as_the_first_content_is_sent_in_band() -> None:
    error = sse({"error": {"message": "late"}})
    assert relayed([HELLO + error]).body == HELLO + error


# What is left out


GARBAGE = [b"data: {nothing\n\n", b"data: <html>\r\n\r\n", b"data: [DONE\n\n", b'data: {"a":\xff}\n\n']
# JSON to Python's json.loads(strict=False) and its like, and to no strict parser.
LENIENT = [
    b'data: {"choices":[{"index":0,"delta":{"content":"x"},"logprobs":{"content":[{"logprob":-Infinity}]}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"a\tb"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"x"}}],"score":NaN}\r\n\r\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"\xf0\x9f"}}]}\n\n',
    b'data: {"choices":[{"index":0,"delta":{"content":"caf\xe9"}}]}\n\n',
]


@pytest.mark.parametrize("block", GARBAGE)
def test_malformed_data_before_the_content_is_a_broken_answer(block: bytes) -> None:
    for before in (b"", ROLE, b": note\n\n"):
        result = relayed([before, block, HELLO, STOP, DONE])
        assert result.body == b""
        assert result.fault == (BrokenAnswer, 502, BrokenAnswer.code, "The provider sent an event that is not JSON.")
        assert (result.dropped, result.lost) == ((), 0)


def test_malformed_data_in_a_stream_of_responses_is_reported_before_its_terminal_event() -> None:
    pump = Pump("openai.responses")
    pump.closing_comment = b": closing\n\n"
    result = pump.feed(CREATED, DELTA, GARBAGE[0], COMPLETED).end().relayed
    assert result.body == CREATED + DELTA + COMPLETED + b": closing\n\n"
    assert (result.outcome, result.lost) == ("damaged", 1)


@pytest.mark.parametrize("block", GARBAGE)
@pytest.mark.parametrize("end", [STOP + DONE, STOP], ids=["done", "finish reason only"])
def test_malformed_data_after_the_content_is_left_out_with_a_comment(block: bytes, end: bytes) -> None:
    for stream in ([ROLE, HELLO, block, end], [ROLE + HELLO + block + end]):
        pump = Pump()
        pump.closing_comment = b": closing\n\n"
        result = pump.feed(*stream).end().relayed
        assert result.body == ROLE + HELLO + STOP + b": closing\n\n" + (DONE if DONE in end else b"")
        assert (result.dropped, result.lost) == ((EventKind.MALFORMED,), 1)
        assert (result.outcome, result.error) == ("damaged", "upstream_event_lost")


def test_malformed_data_in_a_stream_that_breaks_is_reported_too() -> None:
    for last in (b"", sse({"error": {"message": "late"}})):
        pump = Pump()
        pump.closing_comment = b": closing\n\n"
        pump.feed(ROLE, HELLO, GARBAGE[0], last).broken(CUT)
        assert pump.body.count(b": closing\n\n") == 1
        assert (pump.exchange.outcome, pump.exchange.lost_events) == ("broken", 1)
        assert b'{"error":' in pump.body


@pytest.mark.parametrize("dialect", ["openai.chat", "openai.other"])
def test_malformed_data_after_the_terminal_event_is_no_loss(dialect: str) -> None:
    result = relayed([HELLO, STOP, DONE, GARBAGE[0]], dialect)
    assert result.body == HELLO + STOP + DONE
    assert (result.outcome, result.dropped, result.lost) == ("ok", (EventKind.MALFORMED,), 0)


@pytest.mark.parametrize("block", LENIENT)
@pytest.mark.parametrize("dialect", ["openai.chat", "openai.other"])
def test_an_event_that_only_lenient_parsers_read_is_forwarded_unchanged(dialect: str, block: bytes) -> None:
    for stream in ([block, STOP, DONE], [ROLE, HELLO, block, STOP, DONE]):
        result = relayed(stream, dialect)
        assert result.body == b"".join(stream)
        assert (result.outcome, result.dropped, result.lenient) == ("ok", (), 1)


def test_the_usage_in_a_lenient_event_counts() -> None:
    stop = b'data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop","logprob":-Infinity}]}\n\n'
    count = b'data: {"model":"m","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":2,"cost":NaN}}\n\n'
    result = relayed([HELLO, stop, count])
    assert (result.outcome, result.usage, result.lenient) == ("ok", COUNTED, 2)
    error = relayed([b'data: {"error":{"message":"no","code":429},"at":NaN}\n\n'])
    assert error.fault is not None
    assert error.fault[:2] == (ErrorInStream, 429)


@pytest.mark.parametrize(
    "block", [b"data:\n\n", b"data: \r\n\r\n", b"id: 7\n\n", b"retry: 100\n\n", b"event: ping\n\n"]
)
def test_an_event_without_data_is_left_out_and_counted(block: bytes) -> None:
    result = relayed([ROLE, HELLO, block, STOP, DONE])
    assert result.body == ROLE + HELLO + STOP + DONE
    assert result.dropped == (EventKind.NO_DATA,)


def test_the_usage_event_is_left_out_if_only_the_gateway_requested_it() -> None:
    stream = [ROLE, HELLO, STOP, COUNT, DONE]
    assert relayed(stream).body == b"".join(stream)
    result = relayed(stream, swallow=True)
    assert result.body == ROLE + HELLO + STOP + DONE
    assert (result.usage, result.dropped) == (COUNTED, ())


def test_usage_that_comes_with_choices_stays() -> None:
    block = sse({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": USAGE})
    assert relayed([HELLO, block, DONE], swallow=True).body == HELLO + block + DONE


def test_comments_before_the_first_event_are_kept_up_to_16_kib() -> None:
    comment = b": " + b"x" * 1020 + b"\n\n"
    stream = [*[comment] * 20, HELLO, comment * 20, STOP, DONE]
    assert len(comment) * 16 == HELD_COMMENTS
    for chunks in (stream, [b"".join(stream)]):
        assert relayed(chunks).body == comment * 16 + HELLO + comment * 20 + STOP + DONE


def test_a_cr_lf_split_across_reads_is_left_out_with_its_event() -> None:
    stream = b"data: {nothing\r\n\r\n" + WORLD
    for cut in range(len(stream)):
        assert relayed([HELLO, stream[:cut], stream[cut:], STOP, DONE]).body == HELLO + WORLD + STOP + DONE


# Endings


@pytest.mark.parametrize("choices", [1, 2])
def test_finish_reasons_for_all_choices_end_a_stream_without_done(choices: int) -> None:
    finishes = [sse({"choices": [{"index": i, "delta": {}, "finish_reason": "stop"}]}) for i in range(choices)]
    whole = relayed([HELLO, *finishes], choices=choices)
    assert whole.body == HELLO + b"".join(finishes)
    assert whole.outcome == "ok"
    cut = relayed([HELLO, *finishes[:-1]], choices=choices)
    assert cut.body.startswith(HELLO + b"".join(finishes[:-1]))
    assert in_band_error(cut.body)["error"]["code"] == "upstream_stream_truncated"
    assert cut.outcome == "broken"


@pytest.mark.parametrize(
    ("dialect", "stream"),
    [("openai.chat", [ROLE, HELLO]), ("openai.completions", [sse({"choices": [{"index": 0, "text": "a"}]})])],
)
def test_a_cut_stream_ends_with_an_error_and_never_looks_complete(dialect: str, stream: list[bytes]) -> None:
    result = relayed(stream, dialect)
    body = b"".join(stream)
    assert result.body.startswith(body + b'data: {"error":')
    assert b"[DONE]" not in result.body
    assert in_band_error(result.body)["error"] == {
        "message": "The provider's answer was cut off before its end.",
        "type": "upstream_error",
        "param": None,
        "code": "upstream_stream_truncated",
    }
    assert (result.outcome, result.error) == ("broken", "upstream_stream_truncated")


def test_a_cut_stream_of_responses_ends_with_a_failed_response() -> None:
    result = relayed([CREATED, DELTA], "openai.responses")
    assert result.body.startswith(CREATED + DELTA + b"event: response.failed\ndata: ")
    assert in_band_error(result.body)["error"]["code"] == "upstream_stream_truncated"
    assert in_band_error(result.body)["sequence_number"] == 2
    assert in_band_error(result.body)["response"]["id"] == "resp_1"


@pytest.mark.parametrize("kind", ["response.completed", "response.incomplete"])
def test_a_terminal_event_ends_a_stream_of_responses(kind: str) -> None:
    last = response(kind, response={"usage": {"input_tokens": 3, "output_tokens": 4}})
    result = relayed([CREATED, DELTA, last], "openai.responses")
    assert result.body == CREATED + DELTA + last
    assert (result.outcome, result.usage) == ("ok", Usage(3, None, 4, None))


def test_a_stream_of_responses_is_not_ended_by_done() -> None:
    assert relayed([CREATED, DELTA, DONE], "openai.responses").outcome == "broken"


@pytest.mark.parametrize("fault", [CUT, ClockExpired("idle", 5)])
@pytest.mark.parametrize(
    ("dialect", "stream"),
    [
        ("openai.chat", [ROLE, HELLO]),
        ("openai.responses", [CREATED, DELTA]),
        ("openai.other", [sse({"type": "speech.audio.delta"})]),
    ],
)
def test_a_stream_that_breaks_gets_one_error_in_every_dialect(
    dialect: str, stream: list[bytes], fault: UpstreamFault
) -> None:
    pump = Pump(dialect).feed(*stream, HELLO[:10]).broken(fault).end()
    body = b"".join(stream)
    assert pump.body.startswith(body)
    document = in_band_error(pump.body.removeprefix(body))
    assert document["error"]["code"] == fault.code
    assert pump.body.count(b"data: ") == len(stream) + 1
    assert pump.reply.ended
    assert (pump.exchange.outcome, pump.exchange.error) == ("broken", fault.code)
    assert pump.deliveries == 1


@pytest.mark.parametrize(
    ("dialect", "stream"), [("openai.chat", [HELLO, STOP, DONE]), ("openai.responses", [CREATED, DELTA, COMPLETED])]
)
def test_a_break_after_the_terminal_event_changes_nothing(dialect: str, stream: list[bytes]) -> None:
    pump = Pump(dialect).feed(*stream).broken(CUT)
    assert pump.body == b"".join(stream)
    assert (pump.exchange.outcome, pump.deliveries, pump.relay.complete) == ("ok", 1, True)


def test_a_dialect_without_terminal_event_ends_where_http_ends_it() -> None:
    block = sse({"type": "image_generation.partial_image"})
    pump = Pump("openai.other").feed(block)
    assert not pump.relay.complete
    result = pump.end().relayed
    assert (result.body, result.outcome) == (block, "ok")


@pytest.mark.parametrize("done", [b"", DONE])
@pytest.mark.parametrize(
    "error",
    [
        sse({"error": {"message": "late", "code": "c"}}),
        b'event: error\ndata: {"error":{"message":"late","code":"c"}}\n\n',
    ],
)
def test_a_providers_own_error_ends_the_stream(error: bytes, done: bytes) -> None:
    result = relayed([ROLE, HELLO, error, done])
    assert result.body == ROLE + HELLO + error + done
    assert (result.outcome, result.error) == ("broken", "c")


def test_a_connection_that_breaks_after_the_providers_own_error_adds_nothing() -> None:
    error = sse({"error": {"message": "late", "code": "c"}})
    pump = Pump().feed(HELLO, error).broken(CUT)
    assert pump.body == HELLO + error
    assert (pump.exchange.outcome, pump.exchange.error, pump.exchange.error_detail) == ("broken", "c", "late")


def test_a_failed_response_is_the_providers_own_error() -> None:
    failed = response("response.failed", response={"error": {"code": "server_error", "message": "down"}})
    result = relayed([CREATED, DELTA, failed], "openai.responses")
    assert result.body == CREATED + DELTA + failed
    assert (result.outcome, result.error) == ("broken", "server_error")


@pytest.mark.parametrize("missing", [1, 2])
@pytest.mark.parametrize("last", [DONE, STOP])
def test_a_last_event_without_its_blank_line_is_completed(last: bytes, missing: int) -> None:
    result = relayed([HELLO, last[:-missing]])
    assert result.body == HELLO + last
    assert result.outcome == "ok"


@pytest.mark.parametrize("ending", [b"\r\n", b"\r"])
def test_a_last_event_of_another_line_end_is_completed_too(ending: bytes) -> None:
    last = STOP.removesuffix(b"\n\n") + ending
    result = relayed([HELLO, last])
    assert result.body.removeprefix(HELLO + last) in (b"\n", b"\n\n")
    assert result.outcome == "ok"


def test_a_first_event_may_be_the_last_and_lack_its_blank_line() -> None:
    both = sse({"choices": [{"index": 0, "delta": {"content": "all"}, "finish_reason": "stop"}]})
    result = relayed([both[:-2]])
    assert (result.body, result.outcome) == (both, "ok")


def test_half_of_a_last_event_is_not_forwarded() -> None:
    result = relayed([ROLE, HELLO, WORLD[:30]])
    assert result.body.startswith(ROLE + HELLO + b'data: {"error":')
    assert (result.outcome, result.dropped) == (
        "broken",
        (),
    )  # it is cut off, which the error says: no event to leave out


# Size


def test_an_event_of_a_megabyte_goes_through_in_any_pieces() -> None:
    big = sse({"choices": [{"index": 0, "delta": {"content": "ü" * 500_000}}]})
    stream = ROLE + big + STOP + DONE
    for step in (1000, 65536, len(stream)):
        result = relayed(split(stream, range(0, len(stream), step)))
        assert (result.body == stream, result.outcome) == (True, "ok")


def test_an_event_beyond_the_limit_ends_the_stream_after_the_events_before_it() -> None:
    flood = b"data: " + b"x" * MAX_BLOCK
    for chunks in ([ROLE, HELLO, flood], [ROLE + HELLO + flood]):
        result = relayed(chunks)
        assert result.body.startswith(ROLE + HELLO + b'data: {"error":')
        assert in_band_error(result.body)["error"]["message"] == "The provider sent an event that is too large."
    first = relayed([ROLE, flood])
    assert first.fault is not None
    assert first.body == b""


# Pings


def test_a_ping_stands_between_events_and_never_after_the_end() -> None:
    pump = Pump()
    pump.relay.ping()
    assert pump.outlet.writes == []
    pump.feed(HELLO, WORLD[:20])
    pump.relay.ping()
    pump.feed(WORLD[20:], STOP, DONE).end()
    pump.relay.ping()
    assert pump.body == HELLO + b": ping\n\n" + WORLD + STOP + DONE


def test_after_a_status_commit_the_held_events_follow_the_pings() -> None:
    pump = Pump()
    pump.reply.begin(200, b"", b": ping\n\n")
    pump.feed(ROLE)
    assert pump.body == b": ping\n\n"
    pump.feed(HELLO)
    assert pump.body == b": ping\n\n" + ROLE + HELLO


def numbered(*events: bytes) -> list[bytes]:
    return [b"id: %d\n%b" % (number, event) for number, event in enumerate(events, 1)]


ID_ROLE, ID_HELLO, ID_WORLD, ID_STOP = numbered(ROLE, HELLO, WORLD, STOP)


def test_after_an_id_a_ping_is_the_first_line_of_the_next_event() -> None:
    pump = Pump().feed(ROLE, HELLO)
    pump.relay.ping()
    assert not pump.reply.numbered
    pump.feed(ID_WORLD)
    assert pump.reply.numbered
    pump.relay.ping()
    pump.feed(STOP[:20])
    pump.relay.ping()
    pump.feed(STOP[20:], DONE)
    assert pump.body == ROLE + HELLO + b": ping\n\n" + ID_WORLD + b": ping\n: ping\n" + STOP + DONE


@pytest.mark.parametrize("events", [[ID_ROLE, HELLO], [ROLE, ID_HELLO], [ROLE + ID_HELLO]])
def test_after_an_id_the_closing_comment_has_no_blank_line(events: list[bytes]) -> None:
    for last in (DONE, b"data: [DONE]\n"):
        pump = Pump()
        pump.closing_comment = b": closing\n\n"
        pump.feed(*events, STOP, last).end()
        assert pump.body == b"".join(events) + STOP + b": closing\n" + DONE


def test_an_id_that_the_client_did_not_get_changes_nothing() -> None:
    count = b"id: 9\n" + COUNT
    pump = Pump(swallow=True).feed(ROLE, HELLO, b"id: 7\n\n", count)
    pump.relay.ping()
    assert pump.body == ROLE + HELLO + b": ping\n\n"
    held = Pump().feed(ID_ROLE)
    assert not held.reply.numbered  # a ping of another writer comes before it
    assert held.feed(HELLO).reply.numbered


def test_after_an_id_the_providers_comments_and_blank_lines_end_no_event_either() -> None:
    stream = [ID_ROLE, b": c\n\n", HELLO, b"\n", b": d\r\n\r\n", b": e\n: f\n\n", STOP, DONE]
    result = relayed(stream)
    assert result.body == ID_ROLE + b": c\n" + HELLO + b": d\n: e\n: f\n" + STOP + DONE
    assert result.outcome == "ok"


@pytest.mark.parametrize("first", [ROLE, ID_ROLE])
def test_a_ping_never_stands_within_a_cr_lf(first: bytes) -> None:
    ping = b": ping\n" if first is ID_ROLE else b": ping\n\n"
    hello = HELLO.replace(b"\n", b"\r\n")
    for cut in range(len(hello) + 1):
        pump = Pump().feed(first, HELLO, hello[:cut])
        pump.relay.ping()
        pump.feed(hello[cut:], STOP, DONE)
        assert pump.body.count(ping) == 1
        assert pump.body.replace(ping, b"") == first + HELLO + hello + STOP + DONE
        assert b"\r" + ping not in pump.body


# A stream that is cut between its finish reason and [DONE]


@pytest.mark.parametrize("fault", [CUT, ClockExpired("idle", 5)])
@pytest.mark.parametrize(("wants_usage", "events"), [(False, [STOP]), (True, [STOP, COUNT]), (True, [COUNT, STOP])])
def test_a_stream_that_lacks_only_done_gets_it(wants_usage: bool, events: list[bytes], fault: UpstreamFault) -> None:
    for half in (b"", b"data: [DO"):
        pump = Pump(wants_usage=wants_usage)
        pump.closing_comment = b": closing\n\n"
        pump.feed(ROLE, HELLO, *events, half).broken(fault)
        assert pump.body == ROLE + HELLO + b"".join(events) + b": closing\n\n" + DONE
        assert (pump.exchange.outcome, pump.exchange.error, pump.deliveries) == ("ok", "", 1)


def test_a_stream_that_lacks_the_requested_usage_is_cut() -> None:
    pump = Pump(wants_usage=True).feed(ROLE, HELLO, STOP).broken(CUT)
    assert pump.body.startswith(ROLE + HELLO + STOP + b'data: {"error":')
    assert b"[DONE]" not in pump.body
    assert (pump.exchange.outcome, pump.exchange.error) == ("broken", CUT.code)


def test_usage_that_only_the_gateway_requested_may_be_missing() -> None:
    pump = Pump(swallow=True).feed(ROLE, HELLO, STOP).broken(CUT)
    assert pump.body == ROLE + HELLO + STOP + DONE


@pytest.mark.parametrize("half", [b"data: [DO", b'data: {"choices":[],"usage":{"prompt'])
def test_half_an_event_after_the_finish_reason_is_a_cut_even_if_the_body_ends_in_order(half: bytes) -> None:
    assert relayed([ROLE, HELLO, STOP, half]).body == ROLE + HELLO + STOP + DONE
    pump = Pump(wants_usage=True).feed(ROLE, HELLO, STOP, half).end()
    assert in_band_error(pump.body)["error"]["code"] == "upstream_stream_truncated"


@pytest.mark.parametrize("wants_usage", [False, True])
def test_a_stream_without_done_that_ends_in_order_is_whole(wants_usage: bool) -> None:
    pump = Pump(wants_usage=wants_usage).feed(ROLE, HELLO, STOP).end()
    assert (pump.body, pump.exchange.outcome) == (ROLE + HELLO + STOP, "ok")


# An error outside of any event

BARE = [
    b'{"error": {"message": "late", "code": 429}}',
    b'{"error": {"message": "late", "code": 429}}\n\n',
    b'{\n  "error": {\n    "message": "late",\n    "code": 429\n  }\n}\n',
    b'\xef\xbb\xbf[{"error": {"message": "late", "code": 429}}]\r\n\r\n',
]


@pytest.mark.parametrize("block", BARE)
@pytest.mark.parametrize("dialect", ["openai.chat", "openai.responses", "openai.other"])
def test_an_error_object_instead_of_events_is_that_error(dialect: str, block: bytes) -> None:
    result = relayed([block], dialect)
    assert result.body == b""
    assert result.fault is not None
    assert result.fault == (ErrorInStream, 429, "429", "late")


@pytest.mark.parametrize("block", BARE[:3])
@pytest.mark.parametrize(
    ("dialect", "events"), [("openai.chat", [ROLE, HELLO]), ("openai.responses", [CREATED, DELTA])]
)
def test_an_error_object_among_events_becomes_an_event(dialect: str, events: list[bytes], block: bytes) -> None:
    result = relayed([*events, block], dialect)
    line = b"event: response.failed\ndata: {" if dialect == "openai.responses" else b'data: {"error":'
    assert result.body.startswith(b"".join(events) + line)
    assert in_band_error(result.body)["error"]["message"] == "late"
    assert (result.outcome, result.error) == ("broken", "429")


@pytest.mark.parametrize("block", [b'{"choices": []}\n\n', b"{nothing\n\n", b'{"error": null}\n\n', b"<html>\n\n"])
def test_other_text_outside_of_events_is_ignored(block: bytes) -> None:
    assert relayed([ROLE, HELLO, block, STOP, DONE]).outcome == "ok"
    assert relayed([block]).fault is not None


# Hooks


def test_a_hook_sees_every_event_and_may_change_or_drop_it() -> None:
    seen: list[bytes] = []

    def hook(block: bytes, failed: bool) -> bytes:
        assert not failed
        seen.append(block)
        return b"" if block == WORLD else block.replace(b"Hello", b"Howdy")

    pump = Pump(hook=hook).feed(b": c\n\n", ROLE, HELLO + WORLD, STOP, DONE).end()
    assert seen == [ROLE, HELLO, WORLD, STOP, DONE]
    assert pump.body == b": c\n\n" + ROLE + HELLO.replace(b"Hello", b"Howdy") + STOP + DONE
    assert pump.exchange.outcome == "ok"


# Every split of every stream

deltas = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


def chunk_event(delta: dict[str, Any], finish: str | None = None, index: int = 0, **members: Any) -> bytes:
    return compact(
        {"model": "up-model", "choices": [{"index": index, "delta": delta, "finish_reason": finish}]} | members
    )


documents = st.one_of(
    deltas.map(lambda text: chunk_event({"content": text})),
    deltas.map(lambda text: chunk_event({"content": text}, usage={"prompt_tokens": 5, "completion_tokens": len(text)})),
    st.just(chunk_event({"role": "assistant", "content": ""})),
    st.builds(chunk_event, st.just({}), st.just("stop"), st.integers(0, 2)),
    st.just(compact({"model": "up-model", "choices": [], "usage": USAGE})),
    st.just(compact({"model": "up-model", "choices": [], "x_groq": {"usage": USAGE}})),
    st.just(compact({"choices": [], "prompt_filter_results": []})),
    st.just(compact({"error": {"message": "late", "code": 500}})),
    st.sampled_from(
        [b"[DONE]", b"", b"nothing", b"{", b'{"choices":[{"delta":{"content":"\\ud83d"}}]}', b"5", b'"\xff"', b"\xff"]
        + [block.splitlines()[0][6:] for block in LENIENT]
    ),
)


@st.composite
def blocks(draw: st.DrawFn) -> bytes:
    """One block of any shape that the specification of event streams knows."""
    end = draw(st.sampled_from([b"\n", b"\n", b"\r\n", b"\r"]))
    lines: list[bytes] = []
    before = st.sampled_from(
        [b": ping", b":", b"event: error", b"event: chunk", b"id: 7", b"retry: 10", b"unknown: x", b"data"]
    )
    if draw(st.integers(0, 3)) == 0:
        lines += draw(st.lists(before, max_size=2))
    if draw(st.integers(0, 5)):
        data = draw(documents)
        pieces = data.replace(b',"', b',\n"').split(b"\n") if draw(st.integers(0, 4)) == 0 else [data]
        colon = draw(st.sampled_from([b"data: ", b"data: ", b"data:"]))
        lines += [colon + piece for piece in pieces]
    return b"".join(line + end for line in lines) + end


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """A whole stream: perhaps a BOM, some blocks, perhaps cut off anywhere."""
    stream = draw(st.sampled_from([b"", b"", b"\xef\xbb\xbf"])) + b"".join(draw(st.lists(blocks(), max_size=8)))
    cut = draw(st.one_of(st.none(), st.integers(0, len(stream))))
    return stream[:cut]


def in_pieces(stream: bytes, cuts: Iterable[int], **options: Any) -> Relayed:
    return relayed(split(stream, cuts), **options)


@settings(max_examples=400, deadline=None)
@given(streams(), st.lists(st.integers(0, 400), max_size=12), st.booleans(), st.sampled_from([1, 2, 3]))
@example(b"data: {\r\r\n\n" + HELLO + DONE, [9, 10], True, 1)
@example(HELLO + b"data: [DONE]\r\n\r\n", [len(HELLO) + 15], True, 1)
@example(b"\xef\xbb\xbf" + HELLO + DONE, [1, 2, 3], False, 1)
def test_every_split_gives_the_client_the_same_bytes_and_the_exchange_the_same_facts(
    stream: bytes, cuts: list[int], swallow: bool, choices: int
) -> None:
    whole = in_pieces(stream, [], swallow=swallow, choices=choices)
    assert in_pieces(stream, cuts, swallow=swallow, choices=choices) == whole
    assert in_pieces(stream, range(len(stream)), swallow=swallow, choices=choices) == whole
    # Where a line ends a chunk can look like an event of its own although it is a part of one.
    lines = [at + 1 for at, byte in enumerate(stream) if byte in b"\r\n"]
    assert in_pieces(stream, lines, swallow=swallow, choices=choices) == whole
    for cut in lines:
        assert in_pieces(stream, [cut], swallow=swallow, choices=choices) == whole
    # Nor does it matter whether the chunks may go on as they came.
    events = [at + 2 for at in range(len(stream)) if stream[at : at + 2] == b"\n\n"]
    for marks in (cuts, events, lines):
        assert in_pieces(stream, marks, swallow=swallow, choices=choices, framed=True) == whole


@settings(deadline=None)
@given(streams(), st.sampled_from(["openai.responses", "openai.other"]), st.lists(st.integers(0, 400), max_size=12))
def test_the_same_holds_for_the_other_dialects(stream: bytes, dialect: str, cuts: list[int]) -> None:
    whole = in_pieces(stream, [], dialect=dialect)
    assert in_pieces(stream, cuts, dialect=dialect) == whole
    assert in_pieces(stream, range(len(stream)), dialect=dialect) == whole


@settings(deadline=None)
@given(
    st.lists(st.one_of(deltas, st.just("ü" * 300)), min_size=1, max_size=6), st.lists(st.integers(0, 3000), max_size=12)
)
def test_a_valid_stream_is_forwarded_to_the_byte(texts: list[str], cuts: list[int]) -> None:
    stream = b"".join(chat_events(*texts, usage=USAGE))
    result = in_pieces(stream, cuts)
    assert result.body == stream
    assert (result.outcome, result.events, result.usage) == ("ok", len(texts) + 4, COUNTED)


@settings(deadline=None)
@given(streams(), st.lists(st.integers(0, 400), max_size=12), st.booleans())
def test_pings_anywhere_change_nothing_that_the_openai_package_reads(
    stream: bytes, cuts: list[int], closing: bool
) -> None:
    def body(pinged: bool) -> bytes:
        pump = Pump()
        pump.closing_comment = b": closing\n\n" if closing else b""
        for piece in split(stream, cuts):
            pump.feed(piece)
            if pump.fault is not None:
                return b""
            if pinged:
                pump.relay.ping()
        return pump.end().body

    def read(body: bytes) -> list[tuple[str | None, str]]:
        # The package decodes strictly; bytes that are not UTF-8 are tested elsewhere.
        lines = body.decode("utf-8", "replace").encode()
        return [(event.event, event.data) for event in SSEDecoder().iter_bytes(iter([lines.removeprefix(BOM)]))]

    events = read(body(pinged=True))
    assert events == read(body(pinged=False))
    assert all(data for _, data in events)


@settings(deadline=None)
@given(streams(), st.integers(0, 400))
def test_a_stream_that_breaks_anywhere_shows_only_whole_events_and_then_the_error(stream: bytes, cut: int) -> None:
    whole = relayed([stream])
    pump = Pump().feed(stream[:cut])
    if pump.reply.ended or pump.fault is not None:
        return
    complete, error = pump.reader.complete, pump.reader.error
    closing = CHAT.writer.terminal if complete and error is None and not pump.reader.ended else b""
    before = pump.body
    pump.broken(CUT)
    if not pump.relay.committed:
        assert pump.body == b""
        return
    assert whole.body.startswith(before)
    ended = complete or error is not None
    assert (pump.body == before + closing) == ended
    if not ended:
        assert in_band_error(pump.body)["error"]["code"] == CUT.code
