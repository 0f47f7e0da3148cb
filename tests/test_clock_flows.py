"""The six timeouts over real sockets: the client's error, and the canceled upstream request."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from proxy.net.clocks import TICK
from proxy.relay.upstream_call import UpstreamCall
from proxy.server.request import Request
from tests.support import (
    Answer,
    Blackhole,
    Chunk,
    Headers,
    Send,
    Stall,
    Upstream,
    Wait,
    answered_by,
    chat_events,
    completion,
    json_answer,
    sse_answer,
    unspliced,
    until,
    within,
)
from tests.support.answers import DONE, SSE_HEADERS, compact
from tests.support.clock import LoopClock
from tests.support.gateway import Gateway, one_provider
from tests.support.steps import Script, Step

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
SPEECH = {"model": "m", "input": "Hi", "voice": "v"}
OFF = {"connect": 0, "headers": 0, "firstContent": 0, "idle": 0, "total": 0, "clientStall": 0}
MODEL = {"name": "m", "provider": "up", "model": "up-model"}
UNTIMED = MODEL | {"name": "untimed", "timeouts": OFF}
EVENTS = chat_events("Hello", " world")
BOTH = pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])


def only(**clocks: float) -> dict[str, float]:
    """Only these timeouts."""
    return OFF | clocks


def assert_timeout(answer: Answer, clock: str) -> None:
    assert answer.status == 504
    error = answer.json["error"]
    assert error["code"] == f"timeout_{clock}"
    assert f"the {clock} clock" in error["message"]
    assert "127.0.0.1" not in error["message"]


def dripping(step: Step, every: float) -> Script:
    """Repeat the step until the peer disconnects."""

    def drip() -> Any:
        while True:
            yield step
            yield Wait(after(every))

    return drip()


def running_call(gw: Gateway) -> UpstreamCall:
    """The only upstream call."""
    assert gw.app.gateway is not None
    (call,) = gw.app.gateway._context.ticker._watches
    assert isinstance(call, UpstreamCall)
    return call


async def paused(gw: Gateway) -> Request:
    """The only request, once its client takes no more."""
    assert gw.app.serving is not None
    (request,) = gw.app.serving._running.values()
    await until(lambda: request.writing_paused, "the client to stall")
    return request


def after(seconds: float) -> asyncio.Event:
    event = asyncio.Event()
    asyncio.get_running_loop().call_later(seconds, event.set)
    return event


# -- before the answer ------------------------------------------------------------------------------------


@BOTH
async def test_the_connect_timeout_is_a_504(call: dict[str, Any]) -> None:
    with Blackhole() as hole:
        config = {"providers": {"up": {"baseUrl": hole.url}}, "models": [{"name": "m", "provider": "up"}]}
        async with Gateway(config | {"timeouts": only(connect=0.1)}) as gw:
            assert_timeout(await (await gw.client()).fetch("POST", CHAT, json=call), "connect")
            line = await gw.settled()
            assert (line["error"], line["status"]) == ("timeout_connect", 504)
            assert str(hole.port) in line["detail"]


async def test_the_total_timeout_applies_while_connecting_and_is_named() -> None:
    with Blackhole() as hole:
        config = {"providers": {"up": {"baseUrl": hole.url}}, "models": [{"name": "m", "provider": "up"}]}
        async with Gateway(config | {"timeouts": only(connect=9, total=0.1)}) as gw:
            assert_timeout(await (await gw.client()).fetch("POST", CHAT, json=CALL), "total")


async def failed(call: dict[str, Any], clocks: dict[str, float], script: Script, step: float = TICK) -> Answer:
    """Return the response, and check that the upstream connection was closed.

    Time stands still until the provider has the request. The second request uses a model without timeouts.
    """
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=clocks, models=[MODEL, UNTIMED])) as gw:
        up.queue(script)
        client = await gw.client()
        answering = asyncio.ensure_future(client.fetch("POST", CHAT, json=call))
        await up.request(0)
        answer = await clock.advance_until(answering, step)
        await within(up.requests[0].gone.wait(), "the provider to be left")
        code = answer.json["error"]["code"] if answer.status != 200 else None
        line = await gw.settled()
        assert code in (None, line["error"])
        up.queue(json_answer(completion("again")))
        assert (await client.fetch("POST", CHAT, json=CALL | {"model": "untimed"})).status == 200
        assert len(up.connections) == 2
        return answer


async def test_the_headers_timeout_is_a_504() -> None:
    assert_timeout(await failed(STREAM, only(headers=0.1), [Stall()]), "headers")


async def test_headers_and_first_content_apply_to_streams_only() -> None:
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(headers=0.05, firstContent=0.05))) as gw:
        up.queue([Wait(after(0.3)), *json_answer(completion("slow"))])
        assert (await (await gw.client()).fetch("POST", CHAT, json=CALL)).status == 200


@pytest.mark.parametrize(
    "begun",
    [
        [],
        [Headers(200, SSE_HEADERS)],
        [Headers(200, SSE_HEADERS), Chunk(EVENTS[0])],
    ],
    ids=["before the head", "after the head", "after the role"],
)
async def test_the_first_content_timeout_is_a_504(begun: list[Any]) -> None:
    assert_timeout(await failed(STREAM, only(firstContent=0.1), [*begun, Stall()]), "firstContent")


async def test_comments_do_not_reset_the_first_content_timeout() -> None:
    comments = dripping(Chunk(b": still thinking\n\n"), 0.02)
    script = (step for steps in ([Headers(200, SSE_HEADERS)], comments) for step in steps)
    assert_timeout(await failed(STREAM, only(firstContent=0.2, idle=5), script), "firstContent")


async def test_first_content_does_not_limit_the_rest_of_the_stream() -> None:
    clock, go = LoopClock(), asyncio.Event()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(firstContent=0.1))) as gw:
        head, *chunks = sse_answer(*EVENTS)
        up.queue([head, *chunks[:2], Wait(go), *chunks[2:]])
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        assert (await client.read_head()).status == 200  # with the first content
        await clock.advance(0.3)
        go.set()
        assert await client.read_body() == b"".join(EVENTS)


@BOTH
async def test_the_idle_timeout_before_any_output_is_a_504(call: dict[str, Any]) -> None:
    script = [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "99")]), b'{"id": ', Stall()]
    if "stream" in call:
        script = [Headers(200, SSE_HEADERS), Chunk(EVENTS[0]), Stall()]
    assert_timeout(await failed(call, only(idle=0.1), script), "idle")


async def test_the_idle_timeout_starts_at_the_response_head() -> None:
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(idle=0.05))) as gw:
        up.queue([Wait(after(0.3)), *json_answer(completion("slow"))])
        assert (await (await gw.client()).fetch("POST", CHAT, json=CALL)).status == 200


async def test_received_bytes_reset_the_idle_timeout() -> None:
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(idle=0.25))) as gw:
        body = json_answer(completion("x" * 100))[1].data  # type: ignore[union-attr]
        pieces = [body[at : at + 40] for at in range(0, len(body), 40)]
        head = Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])

        turns = [asyncio.Event() for _ in pieces]

        def script() -> Any:
            yield head
            for turn, piece in zip(turns, pieces, strict=True):
                yield Wait(turn)
                yield Send(piece)

        up.queue(script())
        answering = asyncio.ensure_future((await gw.client()).fetch("POST", CHAT, json=CALL))
        await up.request(0)
        call = running_call(gw)
        connection = call._connection
        assert connection is not None
        await until(lambda: call.headed_at is not None, "the head to be read")
        for turn in turns:
            await clock.advance(0.2)
            turn.set()
            await until(lambda: connection.last_read == clock.now(), "the piece to be read")
        answer = await within(answering, "the answer")
        assert unspliced(answer.body) == (body, answered_by())


@BOTH
async def test_the_total_timeout_before_any_output_is_a_504(call: dict[str, Any]) -> None:
    assert_timeout(await failed(call, only(total=1.0), [Stall()], step=0.5), "total")  # a connection is to be made


# -- within the answer ----------------------------------------------------------------------------------------


def in_band(event: bytes) -> dict[str, Any]:
    error: dict[str, Any] = json.loads(event.removeprefix(b"data: "))["error"]
    return error


async def test_the_idle_timeout_after_content_is_an_in_band_error() -> None:
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(idle=0.15))) as gw:
        up.queue([Headers(200, SSE_HEADERS), *map(Chunk, EVENTS[:2]), Stall()])
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert answer.status == 200
        assert answer.body.startswith(b"".join(EVENTS[:2]))
        rest = answer.body[len(b"".join(EVENTS[:2])) :]
        assert in_band(rest)["code"] == "timeout_idle"
        assert DONE not in answer.body
        await within(up.requests[0].gone.wait(), "the provider to be left")
        line = await gw.settled()
        assert (line["outcome"], line["error"]) == ("broken", "timeout_idle")


async def test_the_total_timeout_ends_an_endless_stream() -> None:
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(total=0.3))) as gw:
        endless = dripping(Chunk(EVENTS[1]), 0.01)
        up.queue(step for steps in ([Headers(200, SSE_HEADERS)], endless) for step in steps)
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM)
        assert (await client.read_head()).status == 200
        *events, last = await clock.advance_until(asyncio.ensure_future(client.read_events()))
        assert set(events) == {EVENTS[1]}
        assert in_band(last)["code"] == "timeout_total"
        assert (await gw.settled())["outcome"] == "broken"


async def test_the_idle_timeout_in_a_binary_response_aborts_the_connection() -> None:
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(idle=0.1))) as gw:
        up.queue([Headers(200, [("Content-Type", "audio/mpeg"), ("Content-Length", "99")]), b"sound", Stall()])
        client = await gw.client()
        await client.request("POST", "/v1/audio/speech", json=SPEECH)
        assert (await client.read_head()).status == 200
        assert await client.eof() == b"sound"
        line = await gw.settled()
        assert (line["outcome"], line["error"]) == ("broken", "timeout_idle")


async def test_a_provider_that_stays_open_after_done_does_not_delay_the_client(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("proxy.relay.pump.AFTER_DONE_SECS", 0.1)
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only())) as gw:
        up.queue([*sse_answer(*EVENTS)[:-1], Stall()])
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=STREAM)
        assert answer.body == b"".join(EVENTS)
        assert (await gw.settled())["outcome"] == "ok"
        await within(up.requests[0].gone.wait(), "the provider to be left")


# -- the client's stall timeout, and the others meanwhile -----------------------------------------------

BIG = chat_events(*["x" * 100_000] * 300)  # 30 MB: no buffer of any kernel holds that
SMALL_WINDOW = 64 * 1024


async def test_a_stalled_client_is_disconnected_after_its_timeout() -> None:
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(clientStall=0.2, idle=0.1))) as gw:
        up.queue(sse_answer(*BIG))
        client = await gw.client(receive_buffer=SMALL_WINDOW)
        await client.request("POST", CHAT, json=STREAM)
        request = await up.request(0)
        await paused(gw)
        await clock.advance(0.15)  # beyond the idle clock
        assert not request.gone.is_set()
        await clock.advance(0.1)
        await within(request.gone.wait(), "the provider to be left")
        line = await gw.settled()
        assert (line["outcome"], line["error"]) == ("client_gone", "timeout_clientStall")
        assert DONE not in await client.eof()


async def test_a_slow_but_reading_client_is_served_to_the_end() -> None:
    """The client pauses longer than any timeout; upstream timeouts pause with it, and its own sees progress."""
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(clientStall=1.5, idle=0.3))) as gw:
        up.queue(sse_answer(*BIG))
        client = await gw.client(receive_buffer=SMALL_WINDOW)
        await client.request("POST", CHAT, json=STREAM)
        await client.read_head()
        body = b""
        for _ in range(3):
            request = await paused(gw)
            await clock.advance(0.6)  # twice the idle clock
            unsent = request.unsent
            while request.writing_paused and request.unsent >= unsent:
                body += await client.read_some()
        body += await client.read_body()
        assert body == b"".join(BIG)
        assert (await gw.settled())["outcome"] == "ok"


async def test_a_client_that_stalls_on_a_collected_response_is_disconnected() -> None:
    value = completion("x" * 20_000_000)
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(clientStall=0.2))) as gw:
        up.queue(json_answer(value))
        client = await gw.client(receive_buffer=SMALL_WINDOW)
        await client.request("POST", CHAT, json=CALL)
        line = await gw.settled()
        assert (line["outcome"], line["error"]) == ("client_gone", "timeout_clientStall")
        assert len(await client.eof()) < 20_000_000


async def test_a_slow_reader_of_a_collected_response_gets_all_of_it() -> None:
    value = completion("x" * 8_000_000)
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(clientStall=0.5))) as gw:
        up.queue(json_answer(value))
        client = await gw.client(receive_buffer=SMALL_WINDOW)
        await client.request("POST", CHAT, json=CALL)
        await client.read_head()
        await paused(gw)
        await clock.advance(0.4)
        assert gw.exchanges == []  # an undelivered response is not settled
        body = await client.read_body()
        assert unspliced(body) == (compact(value), answered_by())
        line = await gw.settled()
        assert (line["outcome"], line["bytes_out"]) == ("ok", len(body))


async def test_closing_a_half_read_collected_response_is_a_client_disconnect() -> None:
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only())) as gw:
        up.queue(json_answer(completion("x" * 20_000_000)))
        client = await gw.client(receive_buffer=SMALL_WINDOW)
        await client.request("POST", CHAT, json=CALL)
        await client.read_head()
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"


async def test_a_client_that_stalls_after_the_last_event_is_disconnected() -> None:
    events = [*BIG[:200], DONE]
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(clientStall=0.2))) as gw:
        up.queue([Headers(200, SSE_HEADERS), Chunk(b"".join(events)), Stall()])
        client = await gw.client(receive_buffer=SMALL_WINDOW)
        await client.request("POST", CHAT, json=STREAM)
        line = await gw.settled()
        assert line["error"] == "timeout_clientStall"


# -- precedence of settings ----------------------------------------------------------------------------------------


async def test_routing_timeout_sets_first_content_for_streams_and_total_otherwise() -> None:
    async with Upstream() as up, Gateway(one_provider(up, routing={"timeoutSecs": 0.1})) as gw:
        up.on(lambda request: [Stall()])
        client = await gw.client()
        assert_timeout(await client.fetch("POST", CHAT, json=STREAM), "firstContent")
        assert_timeout(await client.fetch("POST", CHAT, json=CALL), "total")


async def test_the_most_specific_setting_wins() -> None:
    async with Upstream() as up:
        config = one_provider(
            up,
            provider={"timeouts": {"total": 0.1}},
            timeouts={"total": 60},
            routing={"timeoutSecs": 60},
        )
        config["models"].append({"name": "slow", "provider": "up", "timeouts": {"total": 60, "idle": 0.1}})
        async with Gateway(config) as gw:
            up.on(lambda request: [Headers(200, [("Content-Type", "application/json")]), b"{", Stall()])
            client = await gw.client()
            assert_timeout(await client.fetch("POST", CHAT, json=CALL), "total")
            assert_timeout(await client.fetch("POST", CHAT, json=CALL | {"model": "slow"}), "idle")


async def test_timeouts_restart_for_each_request_of_a_connection() -> None:
    clock = LoopClock()
    async with Upstream() as up, Gateway(one_provider(up, timeouts=only(total=4))) as gw:
        client = await gw.client()
        for _ in range(3):
            go = asyncio.Event()
            up.queue([Wait(go), *json_answer(completion("slow"))])
            await client.request("POST", CHAT, json=CALL)
            await up.request()
            await clock.advance(2)
            go.set()
            assert (await client.read_answer()).status == 200
        assert len(up.connections) == 1


@pytest.mark.parametrize(
    ("path", "body"),
    [("images/generations", {"model": "m", "prompt": "a cat"}), ("audio/speech", SPEECH)],
)
async def test_timeout_secs_does_not_end_images_and_audio(path: str, body: dict[str, Any]) -> None:
    async with Upstream() as up, Gateway(one_provider(up, routing={"timeoutSecs": 0.1})) as gw:
        ended = asyncio.Event()
        slow = [Wait(ended), *json_answer(completion())]
        up.on(lambda request: [Stall()] if request.target.endswith("completions") else slow)
        media = asyncio.ensure_future((await gw.client()).fetch("POST", f"/v1/{path}", json=body))
        await up.request()
        assert_timeout(await (await gw.client()).fetch("POST", CHAT, json=CALL), "total")  # it began later
        ended.set()
        assert (await media).status == 200
