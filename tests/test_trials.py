"""What an attempt came to, in the log, the metrics and ``_router``: also one after which nothing follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from proxy.responder import Responder
from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Stall,
    Upstream,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    until,
)
from tests.support.answers import DONE, SSE_HEADERS, compact, unspliced
from tests.support.gateway import Gateway, one_provider
from tests.support.lives import at_rest, live
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
BEGUN: list[Step | bytes] = [Headers(200, SSE_HEADERS), *map(Chunk, chat_events("Hello", finish=None, done=False))]
WORDS = "The provider's own words"
ERROR = Chunk(sse(error_json(WORDS, code="no_luck")))


def pair(first: Upstream, second: Upstream, **routing: Any) -> dict[str, Any]:
    """Model ``m`` at the first, model ``n`` at the second."""
    return {
        "providers": {"first": {"baseUrl": first.url}, "second": {"baseUrl": second.url}},
        "models": [{"name": "m", "provider": "first"}, {"name": "n", "provider": "second"}],
        "routing": {"retryDelay": 1} | routing,
    }


async def reasons(gw: Gateway) -> dict[str, int]:
    """Of all attempts, by the metrics."""
    gw.app.observers.flush()
    return {reason: int(cell.value) for (_, reason), cell in gw.app.metrics.attempts.cells.items()}


@pytest.mark.parametrize(
    ("rest", "kind"),
    [
        ([Close()], "broken_answer"),
        ([LastChunk()], "broken_answer"),
        ([b"no chunk\r\n"], "broken_answer"),
        ([ERROR, LastChunk()], "server_error"),
        ([Stall()], "timeout"),
    ],
    ids=["cut", "ended", "no chunk", "error", "stalled"],
)
async def test_an_attempt_whose_stream_broke_after_its_first_content_failed(
    rest: list[Step | bytes], kind: str
) -> None:
    async with Upstream() as up:
        up.on(lambda request: [*BEGUN, *rest])
        async with Gateway(one_provider(up, timeouts={"idle": 0.1})) as gw:
            client = await gw.client()
            answer = await client.fetch("POST", CHAT, json=CALL | {"stream": True})
            line = await gw.settled()
            assert (answer.status, line["outcome"], line["failures"]) == (200, "broken", [f"up/m {kind}"])
            assert await reasons(gw) == {kind: 1}
            assert live(gw, "up/m").breaker.failures == 1


@pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset, RawClient.half_close])
async def test_an_attempt_whose_client_left_says_so(leave: Callable[[RawClient], None]) -> None:
    async with Upstream() as up:
        up.on(lambda request: [*BEGUN, Stall()])
        async with Gateway(one_provider(up)) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL | {"stream": True})
            await client.read_head()
            await client.read_event()
            leave(client)
            line = await gw.settled()
            assert (line["outcome"], line["failures"]) == ("client_gone", ["up/m client_gone"])
            assert await reasons(gw) == {"client_gone": 1}
            assert live(gw, "up/m").breaker.failures == 0


@pytest.mark.parametrize("more", [[], [Chunk(DONE)]], ids=["an error", "an error and the end"])
async def test_a_client_that_leaves_once_it_heard_the_providers_error_was_told_that_the_answer_broke(
    more: list[Step | bytes],
) -> None:
    """SDKs raise at the error, and close the connection before the provider ends its answer."""
    async with Upstream() as up:
        up.on(lambda request: [*BEGUN, ERROR, *more, Stall()])
        async with Gateway(one_provider(up)) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL | {"stream": True})
            await client.read_head()
            while WORDS.encode() not in await client.read_event():
                pass
            for _ in more:
                assert await client.read_event() == DONE
            client.close()
            line = await gw.settled()
            assert (line["outcome"], line["error"], line["failures"]) == ("broken", "no_luck", ["up/m server_error"])
            assert live(gw, "up/m").breaker.failures == 1
            await at_rest(gw)


async def test_a_client_that_leaves_with_its_whole_answer_was_served_whatever_the_gateway_still_has_to_do() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        async with Gateway(one_provider(up)) as gw:
            gateway, left = gw.app.gateway, asyncio.Event()
            assert gateway is not None
            serve, deliveries = gateway._handler, []

            async def slowly(responder: Responder) -> None:
                deliveries.append(responder)
                await serve(responder)
                await left.wait()

            gateway._handler = slowly
            client = await gw.client()
            assert (await client.fetch("POST", CHAT, json=CALL)).status == 200
            client.close()
            await until(lambda: deliveries[0].request.gone, "the gateway to hear that the client left")
            left.set()
            assert (await gw.settled())["outcome"] == "ok"


async def test_an_attempt_that_lost_a_race_says_so_and_is_no_error_of_the_answer() -> None:
    async with Upstream() as slow, Upstream() as fast:
        slow.on(lambda request: [Stall()])
        fast.on(lambda request: json_answer(completion()))
        async with Gateway(pair(slow, fast, hedgeAfterMs=5)) as gw:
            answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": ["m", "n"]})
            _, router = unspliced(answer.body)
            assert (router["provider"], router["attempts"], router["errors"]) == ("second", 2, [])
            assert answer.header("x-router-errors") is None
            assert (await gw.settled())["failures"] == ["first/m outrun"]
            assert await reasons(gw) == {"outrun": 1, "ok": 1}
            await at_rest(gw)


async def test_what_a_provider_said_with_a_200_is_told_to_no_client_that_another_one_served() -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: json_answer(error_json(WORDS)))
        second.on(lambda request: json_answer(completion()))
        async with Gateway(pair(first, second)) as gw:
            answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": ["m", "n"]})
            _, router = unspliced(answer.body)
            assert [error["message"] for error in router["errors"]] == [
                "the provider told an error instead of an answer"
            ]
            assert WORDS.encode() not in compact(answer.head.headers) + answer.body


async def test_the_last_providers_words_stand_beside_the_reasons_of_all() -> None:
    async with Upstream() as first, Upstream() as second:
        first.on(lambda request: json_answer(error_json(WORDS)))
        second.on(lambda request: sse_answer(sse(error_json(WORDS))))
        async with Gateway(pair(first, second)) as gw:
            answer = await (await gw.client()).fetch("POST", CHAT, json=CALL | {"model": ["m", "n"], "stream": True})
            assert answer.status == 502
            assert "told an error instead of an answer" in answer.json["error"]["message"]
            assert answer.json["error"]["message"].count(WORDS) == 1


async def test_a_client_that_left_is_pinged_no_more() -> None:
    """Its connection is closed a moment before the attempt has ended, and a write to it would be a mistake."""
    async with Upstream() as up:
        up.on(lambda request: [Stall()])
        async with Gateway(one_provider(up)) as gw:
            gateway = gw.app.gateway
            assert gateway is not None
            serve, deliveries = gateway._handler, []

            async def known(responder: Responder) -> None:
                deliveries.append(responder)
                await serve(responder)

            gateway._handler = known
            client = await gw.client()
            await client.request("POST", CHAT, json=CALL | {"stream": True})
            await up.request(0)
            client.close()
            assert (await gw.settled())["outcome"] == "client_gone"
            deliveries[0].ping()
            assert not deliveries[0].request.reply.begun
