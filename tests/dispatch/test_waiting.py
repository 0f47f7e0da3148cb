"""Rate limits where no other deployment is left: short ones are waited for, long ones probed by one request at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import count
from typing import Any

import pytest

from proxy.dispatch.waiting import POLL
from tests.support import (
    Answer,
    Signal,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import at_rest, live
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
HOUR = 3600


class Polling(FakeClock):
    """A look at a probe that runs takes a moment of real time and none of the clock's; ``polls`` counts them."""

    polls = 0

    async def sleep(self, seconds: float) -> None:
        if seconds > POLL:
            await super().sleep(seconds)
        else:
            self.polls += 1
            await asyncio.sleep(0.002)


def good(request: Request) -> Script:
    if request.json.get("stream"):
        return sse_answer(*chat_events("Hello"))
    return json_answer(completion("Hello"))


def limited(wait: int = 0) -> Script:
    return json_answer(error_json("Slow down."), 429, [("Retry-After", str(wait))] if wait else [])


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(good)
        yield upstream


@pytest.fixture
async def clock() -> FakeClock:
    return FakeClock()


def lone(up: Upstream, **sections: Any) -> dict[str, Any]:
    return {
        "providers": {"up": {"baseUrl": up.url}},
        "models": [{"name": "m", "provider": "up"}, {"name": "n", "provider": "up"}],
        "routing": {"rateLimitRetries": 0},
        "circuitBreaker": {"failureThreshold": 3, "cooldownPeriodSecs": 600, "successThreshold": 2},
    } | sections


async def ask(gw: Gateway, **body: Any) -> Answer:
    client = await gw.client()
    answer = await client.fetch("POST", CHAT, json=CALL | body)
    client.close()
    return answer


# -- a short cooldown ---------------------------------------------------------------------------------


async def test_a_request_waits_for_the_only_deployment_until_its_short_cooldown_is_over(
    up: Upstream, clock: FakeClock
) -> None:
    async with Gateway(lone(up), clock=clock) as gw:
        up.queue(limited(40))
        assert (await ask(gw)).status == 429
        assert clock.slept == []
        answer = await ask(gw)
        assert (answer.status, answer.header("x-router-attempts")) == (200, "1")
        assert clock.slept == [pytest.approx(40)]
        assert len(up.requests) == 2


async def test_the_request_whose_429_opens_the_breaker_is_the_probe_after_the_cooldown(
    up: Upstream, clock: FakeClock
) -> None:
    breaker = {"failureThreshold": 1, "cooldownPeriodSecs": 600, "successThreshold": 1}
    async with Gateway(lone(up, circuitBreaker=breaker, routing={"rateLimitRetries": 1}), clock=clock) as gw:
        up.queue(limited(7))
        answer = await ask(gw)
        assert (answer.status, answer.header("x-router-attempts"), clock.slept) == (200, "2", [pytest.approx(7)])
        assert live(gw, "up/m").breaker.state == "closed"


async def test_a_stream_gets_pings_while_it_waits_for_the_cooldown(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(lone(up), clock=clock) as gw:
        up.queue(limited(40))
        await ask(gw)
        answer = await ask(gw, stream=True)
        assert (answer.status, answer.body.count(b": ping\n\n")) == (200, 2)
        assert answer.body.endswith(b"data: [DONE]\n\n")


async def test_with_another_deployment_no_request_waits(up: Upstream, clock: FakeClock) -> None:
    config = lone(up)
    config["routing"] = {"rateLimitRetries": 0, "fallback": {"provider": "up", "model": "n"}}
    async with Gateway(config, clock=clock) as gw:
        up.queue(limited(40))
        for _ in range(2):
            assert (await ask(gw)).header("x-router-model") == "n"
        assert clock.slept == []


@pytest.mark.parametrize("bounds", [{"deadlineSecs": 20}, {"maxRetryAfterSecs": 0}], ids=["deadline", "a minute"])
async def test_no_request_waits_beyond_the_deadline_or_for_more_than_a_minute(
    up: Upstream, clock: FakeClock, bounds: dict[str, float]
) -> None:
    config = lone(up, routing={"rateLimitRetries": 0} | bounds)
    async with Gateway(config, clock=clock) as gw:
        up.queue(limited(40 if "deadlineSecs" in bounds else 70))
        for _ in range(3):
            assert (await ask(gw)).status == 429
        assert (clock.slept, len(up.requests)) == ([], 1)


async def test_of_two_deployments_that_rest_the_first_to_be_free_is_waited_for(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(lone(up), clock=clock) as gw:
        for wait, model in ((50, "m"), (20, "n")):
            up.queue(limited(wait))
            assert (await ask(gw, model=model)).status == 429
        assert (await ask(gw, model=["m", "n"])).header("x-router-model") == "n"
        assert clock.slept == [pytest.approx(20)]


async def test_keys_that_are_all_rate_limited_are_waited_for(up: Upstream, clock: FakeClock) -> None:
    config = lone(up)
    config["providers"]["up"]["apiKeys"] = ["key-1", "key-2"]
    async with Gateway(config, clock=clock) as gw:
        up.queue(limited(30), limited(50))
        assert (await ask(gw)).status == 429
        assert (await ask(gw, model="n")).status == 200
        assert clock.slept == [pytest.approx(30)]
        assert up.requests[-1].header("authorization") == "Bearer key-1"


async def test_a_client_that_leaves_while_it_waits_costs_no_request(up: Upstream) -> None:
    async with Gateway(lone(up)) as gw:
        up.queue(limited(1))
        await ask(gw)
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        assert gw.app.serving is not None
        running = gw.app.serving._running
        await until(lambda: running, "the request to wait")
        client.close()
        assert (await gw.settled(2))["outcome"] == "client_gone"
        await at_rest(gw)
        assert len(up.requests) == 1


async def test_a_provider_that_refuses_one_request_in_eight_fails_none(up: Upstream) -> None:
    """12 % of rate limits are retried by those who got them, and are no reason to refuse the others."""
    number, refused = count(1), set()

    def answer(request: Request) -> Script:
        if next(number) % 8 or request.json["seed"] in refused:
            return good(request)
        refused.add(request.json["seed"])
        return limited()

    up.on(answer)
    async with Gateway(lone(up, routing={"retryDelay": 20})) as gw:

        async def client(name: int) -> list[int]:
            return [(await ask(gw, seed=name * 100 + turn)).status for turn in range(15)]

        statuses = [status for each in await asyncio.gather(*map(client, range(6))) for status in each]
        assert (statuses.count(200), len(refused) > 5) == (len(statuses), True)


# -- a breaker that rate limits opened ----------------------------------------------------------------


async def opened(gw: Gateway, up: Upstream, *script: Script) -> None:
    for each in script:
        up.queue(each)
        assert (await ask(gw)).status != 200
    assert live(gw, "up/m").breaker.state == "open"


async def test_a_breaker_that_rate_limits_opened_is_probed_by_one_request_at_a_time(up: Upstream) -> None:
    clock = Polling()
    async with Gateway(lone(up), clock=clock) as gw:
        await opened(gw, up, *[limited(1)] * 3)
        gate = asyncio.Event()
        up.on(lambda request: [Wait(gate), *good(request)])
        asking = [asyncio.create_task(ask(gw)) for _ in range(5)]
        await up.request(3)
        await until(lambda: clock.polls >= 8, "the others to wait")
        assert (len(up.requests), live(gw, "up/m").breaker.state) == (4, "half_open")
        up.on(good)
        gate.set()
        assert [answer.status for answer in await asyncio.gather(*asking)] == [200] * 5
        assert live(gw, "up/m").breaker.state == "closed"


async def test_a_breaker_that_failures_opened_is_not_probed_before_its_cooldown_is_over(
    up: Upstream, clock: FakeClock
) -> None:
    async with Gateway(lone(up), clock=clock) as gw:
        broken = json_answer(error_json(), 500)
        up.on(lambda request: broken)
        for _ in range(3):
            assert (await ask(gw)).status == 502
        asked, slept = len(up.requests), len(clock.slept)
        assert (await ask(gw)).status == 503
        assert (len(up.requests), len(clock.slept)) == (asked, slept)


async def test_a_breaker_that_an_operator_opened_is_not_probed(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(lone(up), clock=clock) as gw:
        await opened(gw, up, *[limited(1)] * 3)
        live(gw, "up/m").breaker.trip(clock.now(), "rate_limited")
        assert (await ask(gw)).status != 200
        assert len(up.requests) == 3


# -- a long Retry-After -------------------------------------------------------------------------------


async def test_a_retry_after_of_an_hour_rests_for_a_minute_and_then_one_request_is_sent_as_a_probe(
    up: Upstream, clock: FakeClock
) -> None:
    async with Gateway(lone(up), clock=clock) as gw:
        up.queue(limited(HOUR))
        for _ in range(3):
            assert (await ask(gw)).status == 429
        assert (len(up.requests), clock.slept) == (1, [])
        clock.advance(60)
        gate, arrived = asyncio.Event(), asyncio.Event()
        up.queue([Signal(arrived), Wait(gate), *limited(HOUR)])
        probe = asyncio.create_task(ask(gw))
        await within(arrived.wait(), "the probe")
        for _ in range(3):
            assert (await ask(gw)).status == 429
        gate.set()
        assert ((await probe).status, len(up.requests)) == (429, 2)
        clock.advance(59)
        assert ((await ask(gw)).status, len(up.requests)) == (429, 2)
        clock.advance(1)
        for _ in range(5):
            assert (await ask(gw)).status == 200
        assert len(up.requests) == 7


@pytest.mark.parametrize("stream", [False, True], ids=["plain", "stream"])
async def test_an_answer_from_before_the_429_does_not_end_its_cooldown(
    up: Upstream, clock: FakeClock, stream: bool
) -> None:
    gate, arrived = asyncio.Event(), asyncio.Event()
    async with Gateway(lone(up), clock=clock) as gw:
        up.on(lambda request: [Signal(arrived), Wait(gate), *good(request)])
        before = asyncio.create_task(ask(gw, stream=stream))
        await within(arrived.wait(), "the first request")
        clock.advance(1)
        up.queue(limited(HOUR))
        assert (await ask(gw)).status == 429
        gate.set()
        assert (await before).status == 200
        await at_rest(gw)
        assert ((await ask(gw)).status, len(up.requests)) == (429, 2)


async def test_a_probe_whose_client_leaves_is_followed_by_another_after_a_minute(
    up: Upstream, clock: FakeClock
) -> None:
    arrived = asyncio.Event()
    async with Gateway(lone(up), clock=clock) as gw:
        up.queue(limited(HOUR))
        await ask(gw)
        clock.advance(60)
        up.queue([Signal(arrived), Stall()])
        client = await gw.client()
        await client.request("POST", CHAT, json=CALL)
        await within(arrived.wait(), "the probe")
        client.close()
        await at_rest(gw)
        assert (await ask(gw)).status == 429
        clock.advance(60)
        assert (await ask(gw)).status == 200


async def test_the_bound_of_a_retry_after_is_configured_and_holds_for_keys_too(up: Upstream, clock: FakeClock) -> None:
    config = lone(up, routing={"rateLimitRetries": 0, "maxRetryAfterSecs": 10})
    config["providers"]["up"]["apiKeys"] = ["key-1", "key-2"]
    async with Gateway(config, clock=clock) as gw:
        up.queue(limited(HOUR), limited(HOUR))
        assert (await ask(gw)).status == 429
        clock.advance(10)
        assert (await ask(gw)).status == 200


async def test_a_reset_ends_a_long_cooldown_at_once(up: Upstream, clock: FakeClock) -> None:
    async with Gateway(lone(up), clock=clock) as gw:
        up.queue(limited(HOUR))
        await ask(gw)
        client = await gw.client()
        head = [("Authorization", "Bearer the-admin-token-of-a-test")]
        assert (await client.fetch("POST", "/admin/state/m/reset", headers=head)).status == 200
        for _ in range(3):
            assert (await ask(gw)).status == 200
