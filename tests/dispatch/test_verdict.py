"""Which verdict each attempt gets at its breaker and in the statistics: over real sockets, with every kind of end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from proxy.breakers.breaker import Breaker, Permit
from proxy.dispatch import verdict
from proxy.exchange import Attempt
from proxy.routing.rules import FailureKind
from tests.support import (
    Answer,
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Stall,
    Upstream,
    Wait,
    chat_chunks,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    until,
)
from tests.support.answers import SSE_HEADERS
from tests.support.candidates import candidates
from tests.support.catalogs import rivals
from tests.support.clock import FakeClock, LoopClock
from tests.support.gateway import Gateway, one_provider
from tests.support.lives import at_rest, live
from tests.support.steps import Script, Step

CHAT = "/v1/chat/completions"
CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
BEGUN: list[Step | bytes] = [Headers(200, SSE_HEADERS), Chunk(chat_chunks("Hel", finish=None, done=False))]
SILENT: list[Step | bytes] = [Headers(200, SSE_HEADERS), Chunk(b": processing\n\n"), Stall()]
WHOLE = sse_answer(*chat_events("Hello"))
BROKEN = [*BEGUN, Close()]
LEAVING = pytest.mark.parametrize("leave", [RawClient.close, RawClient.reset], ids=["close", "reset"])


def lone(up: Upstream, **sections: Any) -> dict[str, Any]:
    breaker = {"failureThreshold": 3, "cooldownPeriodSecs": 60, "successThreshold": 2}
    return one_provider(up, circuitBreaker=breaker, **sections)


async def ask(gw: Gateway, call: dict[str, Any] = STREAM) -> Answer:
    client = await gw.client()
    answer = await client.fetch("POST", CHAT, json=call)
    client.close()
    return answer


async def content(client: RawClient) -> None:
    await client.read_head()
    await client.read_event()


# -- closed -------------------------------------------------------------------------------------------


async def test_a_deployment_that_breaks_every_stream_after_its_first_content_opens_its_breaker() -> None:
    async with Upstream() as up:
        up.on(lambda request: BROKEN)
        async with Gateway(lone(up)) as gw:
            for _ in range(3):
                assert live(gw, "up/m").breaker.state == "closed"
                assert (await ask(gw)).status == 200
            assert live(gw, "up/m").breaker.state == "open"
            assert (await ask(gw)).status != 200
            assert len(up.requests) == 3


async def test_a_whole_stream_clears_the_count_and_its_content_alone_does_not() -> None:
    gate = asyncio.Event()
    async with Upstream() as up:
        up.queue(BROKEN, BROKEN, [*BEGUN, Wait(gate), *map(Chunk, chat_events("lo")[1:]), LastChunk()])
        async with Gateway(lone(up)) as gw:
            breaker = live(gw, "up/m").breaker
            for _ in range(2):
                await ask(gw)
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await content(client)
            assert breaker.failures == 2
            gate.set()
            await client.read_body()
            await until(lambda: breaker.failures == 0, "the end of the stream")


# -- half-open ----------------------------------------------------------------------------------------


async def test_a_probe_whose_stream_breaks_after_its_success_opens_the_breaker_again() -> None:
    clock, gate = FakeClock(), asyncio.Event()
    async with Upstream() as up:
        up.queue(BROKEN, BROKEN, BROKEN, [*BEGUN, Wait(gate), Reset()])
        async with Gateway(lone(up), clock=clock) as gw:
            breaker = live(gw, "up/m").breaker
            for _ in range(3):
                await ask(gw)
            clock.advance(60)
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await content(client)
            assert (breaker.state, breaker.successes, breaker.active_probe) == ("half_open", 1, Permit.REFUSED)
            gate.set()
            await client.read_body()
            await until(lambda: breaker.state == "open", "the break to count")


# -- clients that leave -------------------------------------------------------------------------------


@LEAVING
@pytest.mark.parametrize("recovery", ["fail", "hold", "continue"])
async def test_a_client_that_leaves_while_events_flow_counts_as_a_whole_answer(
    leave: Callable[[RawClient], None], recovery: str
) -> None:
    async with Upstream() as up:
        up.queue(BROKEN)
        up.on(lambda request: [*BEGUN, Stall()])
        async with Gateway(lone(up, server={"pingAfter": 0.01})) as gw:
            await ask(gw)
            at, clock = live(gw, "up/m"), gw.app.gateway
            assert clock is not None
            assert at.breaker.failures == 1
            client = await gw.client()
            lines = [("x-router-stream-recovery", recovery)]
            await client.request("POST", CHAT, json=STREAM, headers=lines)
            await client.read_head()
            await until(lambda: at.statistics._tokens == 2, "the content")
            leave(client)
            await at_rest(gw)
            assert at.breaker.failures == 0
            assert at.statistics.counts(0.0) == (2, 1)
            assert at.statistics.slow(0.0) == 0


@LEAVING
@pytest.mark.parametrize("script", [[*BEGUN, Stall()], SILENT], ids=["idle", "firstContent"])
async def test_a_client_that_leaves_a_silent_provider_counts_as_slow_without_a_verdict(
    leave: Callable[[RawClient], None], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("proxy.dispatch.verdict.SLOW", 0.0)  # it has waited long enough as soon as it waits
    async with Upstream() as up:
        up.queue(BROKEN)
        up.on(lambda request: script)
        async with Gateway(lone(up)) as gw:
            await ask(gw)
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await up.request(1)
            leave(client)
            await at_rest(gw)
            at = live(gw, "up/m")
            assert (at.breaker.failures, at.statistics.counts(0.0), at.statistics.slow(0.0)) == (1, (1, 1), 1)
            assert (await gw.settled(2))["failures"] == ["up/m slow"]
            gw.app.observers.flush()
            reasons = {reason: int(cell.value) for (_, reason), cell in gw.app.metrics.families.attempts.cells.items()}
            assert reasons == {"broken_answer": 1, "slow": 1}


@pytest.mark.parametrize(
    ("waited", "kind"), [(0.49, FailureKind.CLIENT_GONE), (0.5, FailureKind.SLOW), (1.0, FailureKind.SLOW)]
)
def test_slow_is_a_client_that_leaves_after_at_least_half_of_the_clock(waited: float, kind: FailureKind) -> None:
    deployment = rivals(1).deployments[0]
    attempt = Attempt(deployment, Permit.NORMAL, deployment.provider.keys.take(0.0), 0.0)
    assert verdict.cancel(attempt, FailureKind.CLIENT_GONE, waited, "chat/completions", 1.0) is kind
    assert deployment.live.statistics.slow(1.0) == (kind is FailureKind.SLOW)
    assert not attempt.permit


@LEAVING
@pytest.mark.parametrize("script", [[*BEGUN, Stall()], SILENT, [Stall()]], ids=["idle", "firstContent", "no head"])
async def test_a_silent_provider_is_read_on_no_longer_than_its_clocks_say(
    leave: Callable[[RawClient], None], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where answers are read on for their usage: a probe would keep its slot for two minutes."""
    monkeypatch.setattr("proxy.dispatch.verdict.SLOW", 0.0)
    async with Upstream() as up:
        up.on(lambda request: script)
        drained = {"onDisconnect": "drain"}
        clock = LoopClock()
        async with Gateway(lone(up, provider=drained, timeouts={"firstContent": 0.3, "idle": 0.3})) as gw:
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await up.request(0)
            leave(client)
            assert gw.app.serving is not None
            running = gw.app.serving._running
            await until(lambda: all(request.gone for request in running.values()), "the client to be missed")
            await clock.advance_until(asyncio.ensure_future(at_rest(gw)))
            at = live(gw, "up/m")
            assert (at.statistics.counts(0.0), at.statistics.slow(0.0)) == ((0, 0), 1)


async def test_a_client_that_leaves_before_any_content_and_soon_is_no_verdict() -> None:
    async with Upstream() as up:
        up.queue(BROKEN)
        up.on(lambda request: SILENT)
        async with Gateway(lone(up)) as gw:
            await ask(gw)
            client = await gw.client()
            await client.request("POST", CHAT, json=STREAM)
            await up.request(1)
            client.close()
            await at_rest(gw)
            at = live(gw, "up/m")
            assert (at.breaker.failures, at.statistics.counts(0.0), at.statistics.slow(0.0)) == (1, (1, 1), 0)


# -- every permit ends once ----------------------------------------------------------------------------


class Ledger:
    """Counts what every breaker of the process gave out and got back."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.entered = 0
        self.ended: Counter[str] = Counter()
        acquire = Breaker.acquire

        def counted(breaker: Breaker, endpoint: str, now: float, *, early: bool = False) -> Permit:
            permit = acquire(breaker, endpoint, now, early=early)
            self.entered += bool(permit)
            return permit

        patch.setattr(Breaker, "acquire", counted)
        for name in ("succeed", "fail", "release"):
            patch.setattr(Breaker, name, self._ending(name, getattr(Breaker, name)))

    def _ending(self, name: str, end: Callable[..., None]) -> Callable[..., None]:
        def counted(breaker: Breaker, permit: Permit, *details: Any) -> None:
            assert permit, f"{name} of a permit that had ended"
            self.ended[name] += 1
            end(breaker, permit, *details)

        return counted


@pytest.fixture
def ledger(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    counts = Ledger(monkeypatch)
    yield counts
    assert counts.entered == counts.ended.total() > 0


ENDS: dict[str, Script] = {
    "whole": WHOLE,
    "plain": json_answer(completion()),
    "no answer": [Headers(200, SSE_HEADERS), LastChunk()],
    "broken": BROKEN,
    "an error in it": [*BEGUN, Chunk(sse(error_json("no"))), LastChunk()],
    "filtered in it": [*BEGUN, Chunk(sse(error_json("no", code="content_filter"))), LastChunk()],
    "reset": [Reset()],
    "cut": [Headers(200, SSE_HEADERS), Close()],
    "no HTTP": [b"220 mail.example ESMTP\r\n\r\n", Close()],
    "missing": json_answer(error_json("The model `m` does not exist.", code="model_not_found"), 404),
    **{str(status): json_answer(error_json("no"), status) for status in (400, 401, 429, 500)},
}


OPTIONS: dict[str, dict[str, Any]] = {
    "fail": {"streamRecovery": "fail"},
    "hold": {"streamRecovery": "hold"},
    "continue": {"streamRecovery": "continue"},
    "hedged": {"hedgeAfterMs": 1},
    "hedged hold": {"hedgeAfterMs": 1, "streamRecovery": "hold"},
    "hedged continue": {"hedgeAfterMs": 1, "streamRecovery": "continue"},
}
PLAIN = ("fail", "hedged")  # recoveries are for streams


@pytest.mark.parametrize(
    ("option", "call"),
    [*((option, STREAM) for option in OPTIONS), *((option, CALL) for option in PLAIN)],
    ids=[*(f"{option} stream" for option in OPTIONS), *(f"{option} plain" for option in PLAIN)],
)
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
async def test_each_permit_ends_in_exactly_one_verdict(
    ledger: Ledger, call: dict[str, Any], end: Script, option: str
) -> None:
    routing = OPTIONS[option] | {"rateLimitRetries": 1}
    async with candidates("abc", prefill="bc", routing=routing) as (gw, ups, _):
        for up in ups:
            up.on(lambda request: end)
        for _ in range(5):  # until breakers are open
            await ask(gw, call | {"model": ["a", "b", "c"]})


@LEAVING
@pytest.mark.parametrize("script", [[Stall()], SILENT, [*BEGUN, Stall()]], ids=["nothing", "comments", "content"])
@pytest.mark.parametrize("option", OPTIONS)
async def test_each_permit_ends_in_exactly_one_verdict_when_the_client_leaves(
    ledger: Ledger, option: str, script: Script, leave: Callable[[RawClient], None]
) -> None:
    async with candidates("ab", routing=OPTIONS[option]) as (gw, ups, _):
        for up in ups:
            up.on(lambda request: script)
        client = await gw.client()
        await client.request("POST", CHAT, json=STREAM | {"model": ["a", "b"]})
        await ups[0].request(0)
        leave(client)
        await at_rest(gw)
    assert ledger.ended["fail"] == 0
