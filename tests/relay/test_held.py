"""A held answer: bounded, counted by the budget, and discarded without a trace."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.errors import BrokenAnswer, Overloaded, StreamTruncated
from proxy.net.budget import Budget
from proxy.relay.held import Held
from tests.support import Chunk, Headers, LastChunk, Upstream, chat_events, until
from tests.support.answers import SSE_HEADERS
from tests.support.gateway import Gateway, one_provider
from tests.support.lives import live

STREAM = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}


@given(st.lists(st.binary()), st.binary())
def test_a_held_answer_is_taken_whole_once_and_counts_for_the_budget(pieces: list[bytes], last: bytes) -> None:
    budget = Budget(10**6)
    held = Held(10**6, budget)
    for piece in pieces:
        held.write(piece)
        assert budget.used == held.held
    held.end(last)
    whole = b"".join(pieces) + last
    assert (held.ended, held.held, budget.used) == (True, len(whole), len(whole))
    assert held.take() == whole
    assert (held.held, budget.used, held.take()) == (0, 0, b"")


def test_a_held_answer_has_begun_and_not_ended() -> None:
    held = Held(10, Budget(10))
    assert (held.begun, held.ended, held.fault) == (True, False, None)
    with pytest.raises(AssertionError):
        held.begin(200, b"")
    held.abort()  # there is nothing to cut
    assert (held.ended, held.fault) == (False, None)


def test_an_answer_that_broke_is_discarded() -> None:
    budget, fault = Budget(100), StreamTruncated("Cut.")
    held = Held(100, budget)
    held.write(b"x" * 60)
    held.break_off(fault, b"data: error\n\n")
    assert (held.ended, held.fault, held.held, budget.used, held.take()) == (True, fault, 0, 0, b"")


def test_the_first_fault_is_kept() -> None:
    held = Held(5, Budget(100))
    with pytest.raises(Overloaded) as caught:
        held.write(b"x" * 6)
    held.break_off(StreamTruncated("Cut."), b"")
    assert held.fault is caught.value


def test_the_limit_is_exact() -> None:
    budget = Budget(100)
    held = Held(10, budget)
    held.write(b"x" * 10)
    assert (held.fault, held.held, budget.used) == (None, 10, 10)
    with pytest.raises(Overloaded) as caught:
        held.write(b"x")
    assert (caught.value.code, caught.value.status) == ("answer_too_large", 503)
    assert held.fault is caught.value
    assert (held.held, budget.used) == (0, 0)


def test_the_budget_of_the_process_bounds_a_held_answer() -> None:
    budget = Budget(15)
    held, other = Held(100, budget), Held(100, budget)
    other.write(b"x" * 10)
    held.write(b"x" * 5)
    with pytest.raises(Overloaded) as caught:
        held.write(b"x")
    assert caught.value.code == "buffers_full"
    assert held.fault is caught.value
    assert (held.held, budget.used) == (0, 10)


def test_a_lost_event_discards_the_held_answer() -> None:
    budget, fault = Budget(100), BrokenAnswer("No JSON.")
    held = Held(100, budget)
    held.write(b"x" * 60)
    with pytest.raises(BrokenAnswer) as caught:
        held.lose(fault)
    assert caught.value is held.fault is fault
    held.write(b"late")
    held.end(b"later")
    assert (held.take(), budget.used) == (b"", 0)


@pytest.mark.parametrize("room", [5, 100])
def test_after_a_refusal_writes_are_discarded_silently(room: int) -> None:
    budget = Budget(room)
    held = Held(5, budget)
    with pytest.raises(Overloaded):
        held.write(b"x" * 6)
    held.write(b"yy")
    held.end(b"data: error\n\n")  # a relay writes its error at the end: that must not raise again
    assert (held.ended, held.take(), budget.used) == (True, b"", 0)


@pytest.mark.parametrize("leave", [Held.release, Held.detach])
def test_a_discarded_answer_frees_the_budget_at_once(leave: object) -> None:
    budget = Budget(100)
    held = Held(100, budget)
    held.write(b"x" * 60)
    assert callable(leave)
    leave(held)
    assert (held.held, budget.used, held.take()) == (0, 0, b"")
    held.write(b"late")
    held.end(b"later")
    held.release()
    assert (held.held, budget.used, held.take()) == (0, 0, b"")


@pytest.mark.parametrize(
    ("server", "code"), [({"maxAnswerMb": 0.1}, "answer_too_large"), ({"maxBufferedMb": 0.1}, "buffers_full")]
)
async def test_an_answer_too_large_to_hold_is_an_error_and_no_failure_of_the_provider(
    server: dict[str, float], code: str
) -> None:
    # Pieces of any size, so that the bound is used up when the error is written.
    text = "x" * 300
    async with Upstream() as up, Gateway(one_provider(up, server=server, routing={"maxRetries": 3})) as gw:
        up.on(lambda request: [Headers(200, SSE_HEADERS), *map(Chunk, chat_events(*[text] * 400)), LastChunk()])
        client = await gw.client()
        answer = await client.fetch(
            "POST", "/v1/chat/completions", json=STREAM, headers=[("x-router-stream-recovery", "hold")]
        )
        assert (answer.status, answer.json["error"]["code"]) == (503, code)
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["attempts"]) == ("error", code, 1)
        assert live(gw, "up/m").breaker.failures == 0
        assert gw.app.gateway is not None
        budget = gw.app.gateway._context.budget
        await until(lambda: budget.used == 0, "the held bytes to be given back")
        assert len(up.requests) == 1
