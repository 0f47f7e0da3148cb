"""A Gemini stream through the relay: nothing is written that Google's SDKs cannot read, in any state."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.genai.errors import ServerError
from hypothesis import given
from hypothesis import strategies as st

from proxy.dialects.base import EventKind
from proxy.errors import BrokenAnswer, ConnectionBroken, ErrorInStream, StreamTruncated
from tests.support.gemini import candidate, data_of, document, event, events, stream_of
from tests.support.pump import Pump, relayed

DIALECT = "gemini.generate"
FIRST, SECOND, LAST = events("a", "b", "c")
OVERLOADED = event({"error": {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}})
HARMLESS = (b"\n", b"\r\n", b"data: {}\n\n")
FOREIGN = (
    b": ping\n\n",
    b":\r\n\r\n",
    b"event: ping\n\n",
    b"id: 1\n\n",
    b"retry: 5\n\n",
    b"data: [DONE]\n\n",
    b"data: {\n\n",
    b"nothing\n\n",
)


def texts(stream: bytes) -> list[str | None]:
    return [chunk.text for chunk in stream_of([stream])]


def readable(stream: bytes) -> bool:
    """Whether the stream has only ``data:`` lines with JSON, and blank lines."""
    return len(data_of(stream)) == sum(bool(line) for line in stream.splitlines())


@pytest.mark.parametrize("block", FOREIGN)
def test_a_block_that_googles_sdk_cannot_read_is_dropped(block: bytes) -> None:
    result = relayed([FIRST, block, SECOND, block, LAST, block], DIALECT)
    assert result.body == FIRST + SECOND + LAST
    assert texts(result.body) == ["a", "b", "c"]
    assert len(result.dropped) == 3


@pytest.mark.parametrize("block", HARMLESS)
def test_blank_lines_and_empty_objects_pass(block: bytes) -> None:
    result = relayed([block, FIRST, block, SECOND, LAST], DIALECT)
    assert (result.body, result.outcome, result.dropped) == (block + FIRST + block + SECOND + LAST, "ok", ())


def test_an_event_that_was_lost_leaves_no_comment() -> None:
    pump = Pump(DIALECT).feed(FIRST, b'data: {"candidates": [\n\n', SECOND, LAST)
    pump.closing_comment = pump.exchange.endpoint.dialect.writer.metadata_comment(b"{}")
    assert pump.end().body == FIRST + SECOND + LAST
    assert (pump.exchange.outcome, pump.exchange.lost_events) == ("damaged", 1)


def test_pings_stand_between_events_and_are_blank_lines() -> None:
    pump = Pump(DIALECT).feed(FIRST)
    pump.relay.ping()
    pump.feed(SECOND[:30])
    pump.relay.ping()
    pump.feed(SECOND[30:-1])
    pump.relay.ping()
    pump.feed(SECOND[-1:], LAST).end()
    assert texts(pump.body) == ["a", "b", "c"]
    assert readable(pump.body)


def test_no_empty_ping_is_written_after_an_event_with_an_id() -> None:
    pump = Pump(DIALECT, framed=True).feed(b"id: 1\r\n" + FIRST)
    writes = len(pump.outlet.writes)
    pump.relay.ping()  # an empty chunk would end the body
    assert len(pump.outlet.writes) == writes
    assert pump.feed(SECOND, LAST).end().body == b"id: 1\r\n" + FIRST + SECOND + LAST


def test_an_error_before_any_content_is_raised() -> None:
    for opening in ([], [event(document())], [event({})]):
        pump = Pump(DIALECT).feed(*opening, OVERLOADED)
        assert isinstance(pump.fault, ErrorInStream)
        assert (pump.fault.status, pump.body) == (503, b"")


@pytest.mark.parametrize(
    "chunks", [[], [b"\n"], [event(document())], [b"data: [DONE]\n\n"], [event(document(candidate()))]]
)
def test_a_stream_without_content_is_a_fault(chunks: list[bytes]) -> None:
    pump = Pump(DIALECT).feed(*chunks).end()
    assert isinstance(pump.fault, BrokenAnswer | StreamTruncated)
    assert pump.body == b""


def test_a_providers_error_after_content_goes_through_and_is_the_only_one() -> None:
    pump = Pump(DIALECT).feed(FIRST, OVERLOADED).end()
    assert pump.body.startswith(FIRST + OVERLOADED)
    assert (pump.exchange.outcome, pump.exchange.error_detail) == ("broken", "The model is overloaded.")
    with pytest.raises(ServerError, match="overloaded"):
        texts(pump.body)


def test_an_error_outside_of_any_event_becomes_an_event() -> None:
    pump = (
        Pump(DIALECT).feed(FIRST, b'[{"error": {"code": 503, "message": "Full.", "status": "UNAVAILABLE"}}]\n\n').end()
    )
    assert data_of(pump.body)[-1] == {"error": {"code": 503, "message": "Full.", "status": "UNAVAILABLE"}}


@pytest.mark.parametrize(
    "last", [[OVERLOADED], [OVERLOADED[:-4]], [b'{"error": {"code": 503, "message": "Full."}}\n'], []]
)
def test_a_stream_that_ends_with_an_error_repeats_it_without_framing(last: list[bytes]) -> None:
    """In a write of its own: older JavaScript SDKs ignore an event with an error. They raise if this is all they get."""
    pump = Pump(DIALECT).feed(FIRST, *last).end()
    *events_, tail = pump.outlet.writes
    assert json.loads(tail)["error"]["message"] == data_of(b"".join(events_))[-1]["error"]["message"]
    # No blank line, after which the SDKs would skip it together with what came before.
    assert tail.endswith(b"}\n")


def test_fewer_candidates_than_requested_are_no_cut() -> None:
    only = event(document(candidate("a", finish="STOP", index=0)))
    assert relayed([only], DIALECT, choices=3).outcome == "ok"
    assert Pump(DIALECT, choices=3).feed(only).broken(ConnectionBroken("Lost.")).exchange.outcome == "broken"


pieces = st.lists(
    st.sampled_from([FIRST, SECOND, LAST, OVERLOADED, *HARMLESS, *FOREIGN, b"\r", b"data: ", b"x"]), max_size=12
)


@given(pieces, st.sampled_from(["end", "broken", "ping"]), st.booleans())
def test_whatever_comes_the_client_gets_data_and_blank_lines(chunks: list[bytes], ending: str, framed: bool) -> None:
    pump = Pump(DIALECT, framed=framed)
    for chunk in chunks:
        if pump.fault is None and not pump.reply.ended:
            pump.feed(chunk)
            pump.relay.ping()
    if pump.fault is None:
        pump.broken(ConnectionBroken("Lost.")) if ending == "broken" else pump.end()
    lines: list[Any] = [line for line in pump.body.splitlines() if line]
    if pump.exchange.outcome == "broken":
        assert "error" in json.loads(lines.pop())
        assert any("error" in json.loads(line.removeprefix(b"data: ")) for line in lines)
    assert all(line.startswith(b"data: {") for line in lines)
    assert all(kind in (EventKind.NO_DATA, EventKind.MALFORMED) for kind in pump.dropped_marks)
