"""Calls that nobody waits for: what their provider has read is billed, and what never reached it whole is not."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.ledger.row import Row
from tests.dispatch.streams import ask, recovering
from tests.support import Close, Stall, Upstream, completion, json_answer, within
from tests.support.answers import compact
from tests.support.clock import LoopClock
from tests.support.gateway import Gateway, one_provider
from tests.support.recorded_ledger import keep_ledger

CHAT = "/v1/chat/completions"
FORM = "/v1/audio/transcriptions"
FORM_TYPE = [("Content-Type", "multipart/form-data; boundary=b")]
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
PRICES = {"prices": {"input": 1, "output": 2}}
PER_AUDIO = 750


def sound(content: bytes) -> bytes:
    model = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n'
    return model + b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n%b\r\n--b--\r\n' % content


def gateway(up: Upstream, **sections: Any) -> Gateway:
    limits = {"rateLimiting": {"tokenEstimate": {"perAudio": PER_AUDIO}}}
    return Gateway(one_provider(up, **limits, **sections) | {"models": [{"name": "m", "provider": "up"} | PRICES]})


def costs(rows: list[Row]) -> list[tuple[str, int | None, int | None, int | None]]:
    return [(row.usage_source, row.input, row.output, row.cost) for row in rows]


@pytest.fixture(autouse=True)
async def clock() -> LoopClock:
    """No time passes by itself, in which a plain answer would be written."""
    return LoopClock()


async def leave(gw: Gateway, up: Upstream, clock: LoopClock, seconds: float, **members: Any) -> None:
    """Make a call that is not answered, and leave after so many seconds."""
    up.on(lambda request: [Stall()])
    client = await gw.client()
    await client.request("POST", CHAT, json=CALL | members)
    await within((await up.request()).complete.wait(), "the whole request")
    await clock.advance(seconds)
    client.reset()
    await gw.settled()


@pytest.mark.parametrize(
    ("members", "output"),
    [
        ({"max_tokens": 1500}, 100),
        ({"max_tokens": 1500, "n": 3}, 300),
        ({"max_tokens": 7}, 7),
        ({}, 100),
        ({"max_tokens": 1500, "stream": True}, 0),
    ],
    ids=["50 a second", "of each choice", "at most what the call may have", "without a limit", "a stream"],
)
async def test_a_plain_answer_that_a_client_left_costs_what_its_model_wrote(
    clock: LoopClock, members: dict[str, Any], output: int
) -> None:
    async with Upstream() as up, gateway(up) as gw:
        _, spool = keep_ledger(gw)
        await leave(gw, up, clock, 2.0, **members)
        tokens = spool.rows[0].bytes_in // 4
        assert costs(spool.rows) == [("estimated", tokens, output, tokens * 1000 + output * 2000)]


async def test_a_plain_answer_that_a_client_left_costs_at_most_what_was_held(clock: LoopClock) -> None:
    async with Upstream() as up, gateway(up, budgets=[{"name": "all", "usd": 1, "window": "total"}]) as gw:
        _, spool = keep_ledger(gw)
        await leave(gw, up, clock, 50.0)  # the model may have written more than is held for a call without a limit
        (counter,) = gw.app.limiter.book
        assert [row.output for row in spool.rows] == [1000]
        assert counter.spent == sum(row.cost or 0 for row in spool.rows) > 0
        assert counter.held == 0


async def test_a_provider_that_is_silent_for_a_whole_timeout_wrote_nothing(clock: LoopClock) -> None:
    async with Upstream() as up, gateway(up, provider={"timeouts": {"total": 5}}) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: [Stall()])
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await within((await up.request()).complete.wait(), "the whole request")
        await clock.advance(6.0)
        assert (await client.read_answer()).status == 504
        await gw.settled()
        assert {(row.end, row.usage_source, row.output) for row in spool.rows} == {("timeout", "estimated", 0)}


async def test_a_client_that_cuts_all_its_calls_has_none_for_nothing() -> None:
    async with Upstream() as up, gateway(up) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: [Stall()])
        for number in range(3):
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL)
            await within((await up.request(number)).complete.wait(), "the whole request")
            client.reset()
            await gw.settled(number + 1)
        tokens = spool.rows[0].bytes_in // 4
        assert tokens > 0
        assert costs(spool.rows) == [("estimated", tokens, 0, tokens * 1000)] * 3
        assert [row.end for row in spool.rows] == ["client_gone"] * 3


async def test_cut_calls_use_up_a_budget() -> None:
    async with Upstream() as up, gateway(up, budgets=[{"name": "all", "usd": 1, "window": "total"}]) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: [Stall()])
        for number in range(3):
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL)
            await within((await up.request(number)).complete.wait(), "the whole request")
            client.reset()
            await gw.settled(number + 1)
        (counter,) = gw.app.limiter.book
        assert counter.spent == sum(row.cost or 0 for row in spool.rows) > 0
        assert counter.held == 0


async def test_an_answer_of_no_use_without_usage_is_billed_by_its_bytes() -> None:
    answer = completion(usage=None)
    async with recovering("hold", count=1, model=PRICES) as (gw, ups, _):
        (ledger,) = gw.app.observers.exact
        ups[0].on(lambda request: json_answer(answer))
        await (await ask(gw, {"model": "a", "messages": CALL["messages"], "stream": True})).read_answer()
        await gw.settled()
        rows = ledger._spool.rows  # type: ignore[attr-defined]
        assert {(row.end, row.usage_source, row.output) for row in rows} == {
            ("broken_answer", "estimated", len(compact(answer)) // 4)
        }
        assert all(row.input == row.bytes_in // 4 > 0 for row in rows)


async def test_a_form_that_was_sent_whole_is_billed_as_configured() -> None:
    async with Upstream() as up, gateway(up) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: [Stall()])
        client = await gw.client()
        await client.request("POST", FORM, headers=FORM_TYPE, body=sound(b"abc"))
        await within((await up.request()).complete.wait(), "the whole form")
        client.reset()
        await gw.settled()
        assert costs(spool.rows) == [("estimated", PER_AUDIO, 0, PER_AUDIO * 1000)]


async def test_a_form_that_was_cut_short_was_not_read() -> None:
    async with Upstream() as up, gateway(up) as gw:
        _, spool = keep_ledger(gw)
        up.on_head(lambda request: [Stall()])
        client = await gw.client()
        await client.send(client.encode("POST", FORM, FORM_TYPE, sound(bytes(10_000)))[:5000])
        arrived = await up.head(0)
        client.reset()
        await within(arrived.gone.wait(), "the provider to be left")
        await gw.settled()
        assert costs(spool.rows) == [("unknown", None, None, None)]


async def test_what_a_request_of_an_untouched_path_contains_is_not_known() -> None:
    async with Upstream() as up, gateway(up, provider={"passthrough": ["POST /uploads"]}) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: [Stall()])
        client = await gw.client()
        await client.request("POST", "/proxy/up/uploads/x", body=b"abc")
        await within((await up.request()).complete.wait(), "the whole request")
        client.reset()
        await gw.settled()
        assert costs(spool.rows) == [("unknown", None, None, None)]


async def test_a_provider_that_breaks_off_is_unknown() -> None:
    async with Upstream() as up, gateway(up) as gw:
        _, spool = keep_ledger(gw)
        up.on(lambda request: [Close()])
        client = await gw.client()
        await client.fetch("POST", CHAT, json=CALL)
        await gw.settled()
        assert {row.usage_source for row in spool.rows} == {"unknown"}
