"""The pump of a stream of messages: the commit, errors, and what the gateway adds."""

from __future__ import annotations

import anthropic
import pytest

from proxy.dialects.base import EventKind
from proxy.dialects.table import MESSAGES
from proxy.dialects.usage import Usage
from proxy.errors import ConnectionBroken, ErrorInStream, UpstreamAuthFailed
from tests.support.anthropic_sdk import read_stream
from tests.support.messages import HELLO, START, STOP, begin, delta, event, stop
from tests.support.pump import Pump

OPEN = begin(type="text", text="")
CLOSE = event("content_block_stop", index=0)
END = stop("end_turn", output_tokens=5)
STREAM = (START, OPEN, HELLO, HELLO, CLOSE, END, STOP)
OVERLOADED = event("error", error={"type": "overloaded_error", "message": "Overloaded"})
PING = MESSAGES.writer.ping
CUT = ConnectionBroken("The provider closed the connection early.")


def pump(*chunks: bytes, framed: bool = False) -> Pump:
    return Pump("anthropic.messages", framed=framed).feed(*chunks)


@pytest.mark.parametrize("framed", [False, True])
def test_a_stream_passes_event_by_event(framed: bool) -> None:
    found = pump(*STREAM, framed=framed).end().relayed
    assert (found.body, found.outcome, found.events) == (b"".join(STREAM), "ok", len(STREAM))
    assert (found.usage, found.response_model, found.concluding) == (Usage(9, 4, 5, None), "claude-x", True)


def test_nothing_is_sent_before_the_first_content() -> None:
    quiet = pump(START, event("ping"), OPEN, delta(type="text_delta", text=""))
    assert (quiet.outlet.writes, quiet.commits) == ([], 0)
    assert quiet.feed(HELLO).commits == 1
    assert quiet.body == START + event("ping") + OPEN + delta(type="text_delta", text="") + HELLO


def test_the_name_of_a_tool_commits() -> None:
    assert pump(START, begin(type="tool_use", id="toolu_1", name="f", input={})).commits == 1


@pytest.mark.parametrize(
    ("error", "fault", "status"),
    [
        (OVERLOADED, ErrorInStream, 503),
        (event("error", error={"type": "rate_limit_error", "message": "Slow"}), ErrorInStream, 429),
        (event("error", error={"type": "authentication_error", "message": "No"}), UpstreamAuthFailed, 502),
        (b'{"type":"error","error":{"type":"overloaded_error","message":"x"}}', ErrorInStream, 503),
    ],
)
def test_an_error_before_any_content_can_become_a_status(error: bytes, fault: type, status: int) -> None:
    found = pump(START, event("ping"), OPEN, error).end()
    assert (type(found.fault), found.fault and found.fault.status, found.outlet.writes) == (fault, status, [])


def test_an_error_after_content_passes_as_it_is() -> None:
    found = pump(START, OPEN, HELLO, OVERLOADED).end()
    assert found.body == START + OPEN + HELLO + OVERLOADED
    assert (found.exchange.outcome, found.exchange.error_detail) == ("broken", "Overloaded")


@pytest.mark.parametrize("clean", [False, True])
def test_a_stream_that_is_cut_ends_with_one_error(clean: bool) -> None:
    cut = pump(START, OPEN, HELLO)
    body = (cut.end() if clean else cut.broken(CUT)).body
    assert body.startswith(START + OPEN + HELLO + b"event: error\ndata: ")
    assert body.count(b"event: error") == 1
    with pytest.raises(anthropic.APIStatusError) as caught:
        read_stream(body)
    assert caught.value.type == "api_error"


@pytest.mark.parametrize("clean", [False, True])
def test_a_stream_that_lost_only_its_last_event_gets_it(clean: bool) -> None:
    lost = pump(*STREAM[:-1])
    found = lost.end() if clean else lost.broken(CUT)
    assert found.body == b"".join(STREAM[:-1]) + MESSAGES.writer.terminal
    assert found.exchange.outcome == "ok"
    assert read_stream(found.body).stop_reason == "end_turn"


def test_an_answer_without_content_is_whole() -> None:
    found = pump(START, stop("end_turn", output_tokens=1), STOP).end()
    assert (found.commits, found.exchange.outcome) == (1, "ok")


def test_a_stream_that_stops_without_a_reason_or_content_is_empty() -> None:
    found = pump(START, STOP).end()
    assert (found.fault and found.fault.code, found.commits) == ("upstream_empty_answer", 0)


def test_the_closing_comment_goes_before_the_terminal_event() -> None:
    found = pump(*STREAM[:-1])
    found.closing_comment = MESSAGES.writer.metadata_comment(b"{}")
    assert found.feed(STOP).end().body == b"".join(STREAM[:-1]) + found.closing_comment + STOP


@pytest.mark.parametrize("number", [b"", b"id: 7\n"])
def test_a_ping_is_an_event_between_two_others(number: bytes) -> None:
    found = pump(START, number + OPEN, HELLO)
    found.relay.ping()
    found.feed(HELLO, CLOSE, END, STOP).end()
    assert found.body == START + number + OPEN + HELLO + PING + HELLO + CLOSE + END + STOP
    assert read_stream(found.body).to_dict()["content"] == [{"type": "text", "text": "HelloHello"}]


def test_an_event_that_is_not_json_is_dropped_and_counted() -> None:
    found = pump(START, OPEN, HELLO, b"event: content_block_delta\ndata: {\n\n", CLOSE, END, STOP).end().relayed
    assert (found.dropped, found.lost, found.outcome) == ((EventKind.MALFORMED,), 1, "damaged")
