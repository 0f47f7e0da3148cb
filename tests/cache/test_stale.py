"""Stale answers while no provider answers, through the whole gateway."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.cache.flows import CALL, Clock, ask, cached, state
from tests.support import (
    Upstream,
    Wait,
    completion,
    error_json,
    json_answer,
    until,
)
from tests.support.gateway import Gateway


async def test_the_cost_of_a_stale_answer_is_that_of_the_failed_attempts() -> None:
    models = [{"name": "m", "provider": "up", "model": "up-model", "inputPrice": 1000.0, "outputPrice": 1000.0}]
    async with Upstream() as up, Gateway(cached(up, {"ttlSecs": 60, "staleSecs": 60}, models=models)) as gw:
        up.queue(json_answer(completion("Hello")))
        clock, client = Clock(gw), await gw.client()
        await ask(client)
        clock.seconds += 61
        up.on(lambda request: json_answer(error_json("too late"), 504))  # the provider may bill what it has read
        answer = await ask(client, CALL, ("x-router-metadata", "true"))
        assert state(answer) == "stale"
        assert answer.json["_router"]["cost_usd"] > 0


async def test_a_stale_answer_names_who_gave_it_once() -> None:
    models = [
        {"name": "m", "provider": "up", "model": "one"},
        {"name": "m", "provider": "other", "model": "two"},
    ]
    async with Upstream() as up, Upstream() as down:
        down.on(lambda request: json_answer(error_json("down"), 503))
        providers = {
            "up": {"baseUrl": up.url, "apiKey": "secret-key"},
            "other": {"baseUrl": down.url, "apiKey": "secret-key"},
        }
        routing = {"maxRetries": 2, "rateLimitRetries": 0, "retryDelay": 0}
        source = cached(up, {"ttlSecs": 60, "staleSecs": 60}, models=models, providers=providers, routing=routing)
        async with Gateway(source) as gw:
            up.queue(json_answer(completion("Hello")))
            clock, client = Clock(gw), await gw.client()
            await ask(client)
            clock.seconds += 61
            up.on(lambda request: json_answer(error_json("down"), 503))
            answer = await ask(client)
            assert (answer.status, state(answer)) == (200, "stale")
            assert answer.json["_router"]["provider"] == "up"
            attempts = str(answer.json["_router"]["attempts"])
            for name, value in (("x-router-provider", "up"), ("x-router-model", "m"), ("x-router-attempts", attempts)):
                assert answer.header(name) == value


QUOTA = {"error": {"message": "You exceeded your quota.", "type": "insufficient_quota", "code": "insufficient_quota"}}


@pytest.mark.parametrize(("status", "error"), [(429, QUOTA), (402, QUOTA), (500, error_json("down"))])
async def test_an_error_that_a_provider_is_to_blame_for_gives_a_stale_answer(status: int, error: Any) -> None:
    async with Upstream() as up, Gateway(cached(up, {"ttlSecs": 60, "staleSecs": 60})) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        clock, client = Clock(gw), await gw.client()
        await ask(client)
        clock.seconds += 61
        up.on(lambda request: json_answer(error, status))
        answer = await ask(client)
        assert (answer.status, state(answer)) == (200, "stale")
        line = await gw.settled(2)
        assert (line["outcome"], line["error"]) == ("ok", "")


async def test_an_error_that_the_client_is_to_blame_for_gives_no_stale_answer() -> None:
    async with Upstream() as up, Gateway(cached(up, {"ttlSecs": 60, "staleSecs": 60})) as gw:
        up.on(lambda request: json_answer(completion("Hello")))
        clock, client = Clock(gw), await gw.client()
        await ask(client)
        clock.seconds += 61
        up.on(lambda request: json_answer(error_json("wrong"), 400))
        answer = await ask(client)
        assert (answer.status, state(answer)) == (400, "miss")
        assert answer.json["error"]["message"] == "wrong"


@pytest.mark.parametrize("level", ["perModel", "perProvider"])
async def test_a_limit_of_the_gateway_is_no_reason_for_a_stale_answer(level: str) -> None:
    limits = {"enabled": True, level: {"tokensPerMinute": 10}}
    models = [{"name": "m", "provider": "up", "model": "up-model"}]
    async with Upstream() as up:
        source = cached(up, {"ttlSecs": 60, "staleSecs": 60}, models=models, rateLimiting=limits)
        async with Gateway(source) as gw:
            up.on(lambda request: json_answer(completion("Hello")))
            clock, client = Clock(gw), await gw.client()
            first = await ask(client)
            clock.seconds += 61
            answer = await ask(client)
            assert (first.status, answer.status) == (200, 429)
            assert (state(first), state(answer)) == ("miss", "miss")


async def test_requests_that_wait_get_a_stale_answer_with_the_first_one() -> None:
    """Else each of them would be sent to a provider that is down."""
    async with Upstream() as up, Gateway(cached(up, {"ttlSecs": 60, "staleSecs": 60})) as gw:
        up.queue(json_answer(completion("Hello")))
        clock = Clock(gw)
        await ask(await gw.client())
        clock.seconds += 61
        gate = asyncio.Event()
        up.on(lambda request: [Wait(gate), *json_answer(error_json("down"), 503)])
        clients = [await gw.client() for _ in range(20)]
        asking = [asyncio.ensure_future(ask(client)) for client in clients]
        await until(lambda: gw.app.serving.running == 20, "all requests to run")
        gate.set()
        answers = await asyncio.gather(*asking)
        assert {(answer.status, state(answer)) for answer in answers} == {(200, "stale")}
        assert len(up.requests) == 2
        counters = gw.app.cache.counters
        assert (counters.miss, counters.stale) == (1, 20)
