"""The relay of a stream that is translated: a chat provider's events for a client of Anthropic's API."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.dialects.openai.chat.provider.answer_decoder import ChatAnswerDecoder
from proxy.dialects.translation.calls import MOST_BUFFERED
from proxy.dialects.translation.parts import AnswerFailed, TextDelta
from proxy.dialects.usage import Usage
from proxy.errors import BrokenAnswer, ConnectionBroken, ErrorInStream
from proxy.wire.sse import events_of
from tests.support.answers import USAGE, chat_events, compact
from tests.support.pump import Pump, split

EVENTS = chat_events("Hello", " wörld", usage=USAGE)
ROLE, HELLO, WORLD, *_ = EVENTS
ERROR = b"data: %b\n\n" % compact({"error": {"message": "overloaded", "code": "overloaded"}})


def pump(**options: object) -> Pump:
    return Pump("openai.chat", client="anthropic.messages", **options)  # type: ignore[arg-type]


def names(body: bytes) -> Iterator[str]:
    """The names of the events, and the comments."""
    for block in events_of(body):
        yield block.splitlines()[0].decode().removeprefix("event: ")


def test_a_whole_stream_is_translated() -> None:
    result = pump().feed(*EVENTS).end().relayed
    assert list(names(result.body)) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert (result.outcome, result.usage, result.concluding) == ("ok", Usage(9, None, 2, None), True)


@settings(max_examples=100)
@given(st.sets(st.integers(1, len(b"".join(EVENTS)))), st.booleans())
def test_the_client_s_bytes_do_not_depend_on_the_provider_s_reads(cuts: set[int], framed: bool) -> None:
    expected = pump().feed(*EVENTS).end().body
    assert pump(framed=framed).feed(*split(b"".join(EVENTS), cuts)).end().body == expected


def test_each_token_is_written_at_once() -> None:
    relayed = pump().feed(ROLE, HELLO)
    for block in (WORLD, HELLO, WORLD):
        before = relayed.body
        relayed.feed(block)
        assert list(names(relayed.body.removeprefix(before))) == ["content_block_delta"]


def test_nothing_is_sent_before_the_first_content() -> None:
    assert pump().feed(ROLE).body == b""
    result = pump().feed(ROLE).end()
    assert result.fault is not None
    assert result.body == b""


def test_an_error_before_the_content_is_a_fault() -> None:
    assert isinstance(pump().feed(ROLE, ERROR).fault, ErrorInStream)


def test_an_error_after_the_content_ends_the_stream_in_the_client_s_words() -> None:
    result = pump().feed(ROLE, HELLO, ERROR).end().relayed
    assert list(names(result.body))[-1] == "error"
    assert b"overloaded" in result.body
    assert result.outcome == "broken"


def test_nothing_follows_an_error() -> None:
    result = pump().feed(ROLE, HELLO, ERROR, WORLD, *EVENTS[3:]).end().relayed
    assert list(names(result.body))[-1] == "error"


def test_a_cut_stream_ends_with_an_error() -> None:
    result = pump().feed(ROLE, HELLO).end().relayed
    assert list(names(result.body))[-1] == "error"
    assert (result.outcome, result.error) == ("broken", "upstream_stream_truncated")


def test_a_connection_that_breaks_after_the_finish_reason_leaves_a_whole_answer() -> None:
    result = pump().feed(*EVENTS[:4]).broken(ConnectionBroken("The provider closed the connection early.")).relayed
    assert list(names(result.body))[-2:] == ["message_delta", "message_stop"]
    assert result.outcome == "ok"


def test_a_provider_without_a_terminal_event_leaves_a_whole_answer() -> None:
    assert list(names(pump().feed(*EVENTS[:4]).end().body))[-1] == "message_stop"


def test_comments_pass() -> None:
    assert b": still thinking\n\n" in pump().feed(ROLE, HELLO, b": still thinking\n\n").body


def test_the_closing_comment_stands_before_the_last_events() -> None:
    relayed = pump()
    relayed.closing_comment = b": _router {}\n\n"
    assert list(names(relayed.feed(*EVENTS).end().body))[-4] == ": _router {}"


def test_an_event_that_is_no_json_is_left_out() -> None:
    result = pump().feed(ROLE, HELLO, b"data: {oops\n\n", *EVENTS[2:]).end().relayed
    assert (result.outcome, result.lost) == ("damaged", 1)


def test_a_hook_gets_each_of_the_client_s_events_by_itself() -> None:
    seen: list[bytes] = []

    def hook(block: bytes, failed: bool) -> bytes:
        seen.append(block)
        return block

    body = pump(hook=hook).feed(*EVENTS).end().body
    assert b"".join(seen) == body
    assert [list(names(block)) for block in seen] == [[name] for name in names(body)]


def call_fragment(index: int, **function: str) -> dict[str, Any]:
    return {"index": index, "id": f"c{index}", "type": "function", "function": function}


def test_arguments_that_cannot_be_kept_back_break_the_answer() -> None:
    def call(index: int, **function: str) -> bytes:
        delta = {"tool_calls": [call_fragment(index, **function)]}
        return b"data: %b\n\n" % compact({"choices": [{"index": 0, "delta": delta}]})

    big = "x" * (600 * 1024)
    result = pump().feed(ROLE, call(0, name="f", arguments=""), call(1, name="g", arguments=big))
    with pytest.raises(BrokenAnswer):
        result.relay.feed(call(1, name="", arguments=big))


@pytest.mark.parametrize("count", [4, 6], ids=["without a terminal event", "with one"])
def test_an_answer_that_fails_at_its_end_ends_with_an_error(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(ChatAnswerDecoder, "end", lambda _: [TextDelta("!"), AnswerFailed("No image.")])
    result = pump().feed(*EVENTS[:count]).end().relayed
    assert list(names(result.body))[-2:] == ["content_block_delta", "error"]
    assert b"No image." in result.body
    assert (result.outcome, result.error) == ("broken", "upstream_error_in_stream")


@pytest.mark.parametrize("tail", [b"\n\n", b""], ids=["as an event", "as the rest of the body"])
def test_a_last_event_that_cannot_be_translated_leaves_no_whole_answer(tail: bytes) -> None:
    calls = [call_fragment(0, name="f", arguments=""), call_fragment(1, name="g", arguments="x" * (MOST_BUFFERED + 1))]
    last = compact({"choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": "tool_calls"}]})
    found = pump().feed(ROLE, HELLO, b"data: " + last + tail).end()
    if found.fault is not None:  # as a connection that ends hands it on
        found.broken(found.fault)
    assert list(names(found.body))[-1] == "error"
    assert found.relayed.outcome == "broken"


def test_clients_that_cannot_read_comments_get_none() -> None:
    noisy = [each for event in EVENTS for each in (b": keep-alive\n\n", event)]
    body = Pump("openai.chat", client="gemini.generate").feed(*noisy).end().relayed.body
    assert body == Pump("openai.chat", client="gemini.generate").feed(*EVENTS).end().relayed.body
    assert all(line.startswith(b"data: {") for line in body.splitlines() if line)
