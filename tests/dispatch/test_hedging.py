"""Hedged requests (``routing.hedgeAfterMs``): a second candidate where the first is slow; one answer, one truth."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from proxy.server.reply import Reply
from tests.support import (
    Answer,
    Chunk,
    Close,
    Headers,
    RawClient,
    Send,
    Stall,
    Upstream,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    unspliced,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS
from tests.support.candidates import candidates
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import live
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
CALL = {"model": ["a", "b", "c"], "messages": [{"role": "user", "content": "Hi"}]}
STREAM = CALL | {"stream": True}
EVENTS = chat_events("Hello", " world")
AT_ONCE, NEVER = 1, 60_000  # milliseconds
MANNERS = pytest.mark.parametrize("manner", ["plain", "stream"])


def hedged(
    after: int = AT_ONCE, count: int = 3, **options: Any
) -> AbstractAsyncContextManager[tuple[Gateway, list[Upstream], FakeClock]]:
    routing = {"hedgeAfterMs": after} | options.pop("routing", {})
    return candidates("abc"[:count], routing=routing, **options)


def good(manner: str) -> list[Step | bytes]:
    return sse_answer(*EVENTS) if manner == "stream" else json_answer(completion())


async def ask(gw: Gateway, manner: str, call: dict[str, Any] = CALL, **headers: str) -> RawClient:
    client = await gw.client()
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    await client.request("POST", CHAT, json=call | {"stream": manner == "stream"}, headers=named)
    return client


def whole(answer: Answer, manner: str) -> None:
    """The provider's answer, and nothing of another's."""
    assert answer.status == 200
    if manner == "stream":
        assert answer.body == b"".join(EVENTS)
    else:
        assert json.loads(unspliced(answer.body)[0]) == completion()


def verdicts(gw: Gateway, clock: FakeClock) -> dict[str, tuple[int, tuple[int, int]]]:
    """Failures in a row, and (ends, failures) in the statistics."""
    lives = {label: live(gw, f"{label}/{label}") for label in "abc"}
    return {label: (each.breaker.failures, each.statistics.counts(clock.now())) for label, each in lives.items()}


NOTHING = (0, (0, 0))
SUCCESS = (0, (1, 0))
FAILURE = (1, (1, 1))


@MANNERS
async def test_a_fast_first_attempt_is_the_only_one(manner: str) -> None:
    async with hedged(NEVER) as (gw, ups, clock):
        ups[0].queue(good(manner))
        answer = await (await ask(gw, manner)).read_answer()
        whole(answer, manner)
        assert answer.header("x-router-attempts") == "1"
        assert [len(up.requests) for up in ups] == [1, 0, 0]
        assert verdicts(gw, clock) == {"a": SUCCESS, "b": NOTHING, "c": NOTHING}


@MANNERS
@pytest.mark.parametrize("begins", [False, True], ids=["silent", "begun"])
async def test_if_the_first_is_slow_the_second_wins_and_the_first_is_canceled_without_a_verdict(
    manner: str, begins: bool
) -> None:
    begun: list[Step | bytes] = [Headers(200, SSE_HEADERS), Chunk(EVENTS[0])]  # a role only
    if manner == "plain":
        begun = [Headers(200, [("Content-Type", "application/json"), ("Content-Length", "99")]), Send(b"{")]
    async with hedged() as (gw, ups, clock):
        ups[0].queue([*(begun if begins else []), Stall()])
        ups[1].queue(good(manner))
        answer = await (await ask(gw, manner, x_router_decision="true")).read_answer()
        whole(answer, manner)
        assert (answer.header("x-router-provider"), answer.header("x-router-attempts")) == ("b", "2")
        assert answer.header("x-router-errors") is None
        assert json.loads(answer.header("x-router-decision") or "")["chosen"] == "b/b"
        if manner == "plain":
            assert unspliced(answer.body)[1] == {
                "provider": "b",
                "model_name": "b",
                "attempts": 2,
                "fallback_used": False,
                "errors": [],
            }
        await within((await ups[0].request(0)).gone.wait(), "the slow one to be left")
        assert verdicts(gw, clock) == {"a": NOTHING, "b": SUCCESS, "c": NOTHING}
        line = await gw.settled()
        assert (line["outcome"], line["provider"], line["attempts"]) == ("ok", "b", 2)


async def test_no_ping_of_the_loser_follows_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ticker may look at the slow one after the answer went out, and before its end is noted."""
    go = asyncio.Event()
    monkeypatch.setattr("proxy.relay.context.PING_EVERY", 0)  # a ping at each look
    async with hedged(server={"pingAfter": 0.01}) as (gw, ups, _):
        ups[0].queue([Stall()])
        ups[1].queue([Wait(go), *sse_answer(*EVENTS)])
        assert gw.app.gateway is not None
        ticker, end = gw.app.gateway._context.ticker, Reply.end

        def end_before_a_tick(reply: Reply, last: bytes = b"") -> None:
            end(reply, last)
            ticker._tick()

        monkeypatch.setattr(Reply, "end", end_before_a_tick)
        client = await ask(gw, "stream")
        await client.read_head()
        assert (await client.read_event()).startswith(b": ping")
        go.set()
        await client.read_events()
        assert (await client.fetch("GET", "/health/live")).status == 200


@MANNERS
async def test_the_first_may_win_after_all(manner: str) -> None:
    go = asyncio.Event()
    async with hedged() as (gw, ups, clock):
        ups[0].queue([Wait(go), *good(manner)])
        ups[1].queue([Stall()])
        client = await ask(gw, manner, x_router_decision="true", x_router_metadata="true")
        rival = await ups[1].request(0)
        go.set()
        answer = await client.read_answer()
        assert (answer.header("x-router-provider"), answer.header("x-router-model")) == ("a", "a")
        assert json.loads(answer.header("x-router-decision") or "")["chosen"] == "a/a"
        assert answer.header("x-router-attempts") == "2"
        assert (b'"provider":"a"' in answer.body, b'"provider":"b"' in answer.body) == (True, False)
        await within(rival.gone.wait(), "the rival to be left")
        assert verdicts(gw, clock) == {"a": SUCCESS, "b": NOTHING, "c": NOTHING}
        assert (await gw.settled())["provider"] == "a"


async def test_the_race_ends_with_the_first_content_of_a_stream() -> None:
    go = asyncio.Event()
    async with hedged() as (gw, ups, _):
        head, *chunks = sse_answer(*EVENTS)
        ups[0].queue([Stall()])
        ups[1].queue([head, *chunks[:2], Wait(go), *chunks[2:]])
        client = await ask(gw, "stream")
        await client.read_head()
        assert [await client.read_event() for _ in range(2)] == EVENTS[:2]
        await within((await ups[0].request(0)).gone.wait(), "the loser to be left")
        assert [live(gw, label).in_flight for label in ("a/a", "b/b")] == [0, 1]
        go.set()
        assert await client.read_events() == EVENTS[2:]


async def test_a_winner_that_breaks_ends_with_an_error_in_band_and_is_a_failure_of_its_own() -> None:
    async with hedged() as (gw, ups, clock):
        ups[0].queue([Stall()])
        ups[1].queue([Headers(200, SSE_HEADERS), *map(Chunk, EVENTS[:2]), Close()])
        client = await ask(gw, "stream")
        await client.read_head()
        *events, error = await client.read_events()
        assert events == EVENTS[:2]
        assert json.loads(error[6:])["error"]["code"] == "upstream_disconnected"
        assert verdicts(gw, clock) == {"a": NOTHING, "b": FAILURE, "c": NOTHING}
        assert ups[2].requests == []


@MANNERS
@pytest.mark.parametrize("order", ["ab", "ba"])
async def test_if_both_fail_the_next_is_tried_and_both_are_named(manner: str, order: str) -> None:
    fail = {label: asyncio.Event() for label in order}
    async with hedged() as (gw, ups, clock):
        ups[0].queue([Wait(fail["a"]), *json_answer(error_json(), 500)])
        ups[1].queue([Wait(fail["b"]), *json_answer(error_json(), 503)])
        ups[2].queue(good(manner))
        client = await ask(gw, manner)
        await ups[1].request(0)
        for label in order:
            assert ups[2].requests == []  # the other may still win
            fail[label].set()
            await until(lambda label=label: live(gw, f"{label}/{label}").breaker.failures, f"the failure of {label}")  # type: ignore[misc]
        answer = await client.read_answer()
        assert (answer.status, answer.header("x-router-provider"), answer.header("x-router-attempts")) == (
            200,
            "c",
            "3",
        )
        assert answer.header("x-router-errors") == "a/a=server_error, b/b=server_error"
        assert verdicts(gw, clock) == {"a": FAILURE, "b": FAILURE, "c": SUCCESS}


@MANNERS
async def test_if_the_first_fails_the_second_still_runs(manner: str) -> None:
    fail, go = asyncio.Event(), asyncio.Event()
    async with hedged() as (gw, ups, clock):
        ups[0].queue([Wait(fail), Close()])
        ups[1].queue([Wait(go), *good(manner)])
        client = await ask(gw, manner)
        await ups[1].request(0)
        fail.set()
        await until(lambda: live(gw, "a/a").breaker.failures, "the failure")
        go.set()
        answer = await client.read_answer()
        assert (answer.status, answer.header("x-router-provider"), answer.header("x-router-attempts")) == (
            200,
            "b",
            "2",
        )
        assert (answer.header("x-router-errors") or "").startswith("a/a=")
        assert verdicts(gw, clock) == {"a": FAILURE, "b": SUCCESS, "c": NOTHING}


@MANNERS
async def test_a_first_attempt_that_fails_early_is_retried(manner: str) -> None:
    async with hedged(NEVER) as (gw, ups, clock):
        ups[0].queue(json_answer(error_json(), 500))
        ups[1].queue(good(manner))
        answer = await (await ask(gw, manner)).read_answer()
        whole(answer, manner)
        assert verdicts(gw, clock) == {"a": FAILURE, "b": SUCCESS, "c": NOTHING}


@MANNERS
async def test_if_all_fail_the_client_gets_one_error_with_all_reasons(manner: str) -> None:
    async with hedged(routing={"maxRetries": 3}) as (gw, ups, clock):
        go = asyncio.Event()
        ups[0].queue([Wait(go), *json_answer(error_json(), 500)])
        ups[1].queue([Wait(go), *json_answer(error_json(), 503)])
        for up in ups:
            up.on(lambda request: json_answer(error_json(), 500))
        client = await ask(gw, manner)
        await ups[1].request(0)
        go.set()
        answer = await client.read_answer()
        assert answer.status == 502
        message = answer.json["error"]["message"]
        assert all(f"{label}/{label}: status 50" in message for label in "abc"), message
        assert {label: failures for label, (failures, _) in verdicts(gw, clock).items()} == {"a": 1, "b": 1, "c": 1}


@MANNERS
async def test_an_error_with_a_200_does_not_win(manner: str) -> None:
    go = asyncio.Event()
    error = error_json("Out of luck")
    async with hedged() as (gw, ups, clock):
        ups[0].queue([Wait(go), *good(manner)])
        ups[1].queue(sse_answer(sse(error)) if manner == "stream" else json_answer(error))
        client = await ask(gw, manner)
        await until(lambda: live(gw, "b/b").breaker.failures, "the rival's failure")
        go.set()
        answer = await client.read_answer()
        assert (answer.status, answer.header("x-router-provider")) == (200, "a")
        assert verdicts(gw, clock) == {"a": SUCCESS, "b": FAILURE, "c": NOTHING}


@MANNERS
@pytest.mark.parametrize("refuser", [0, 1])
async def test_an_error_about_the_request_ends_the_race_and_is_not_retried(manner: str, refuser: int) -> None:
    go = asyncio.Event()
    refusal = json_answer(error_json("Filtered", kind="invalid_request_error", code="content_filter"), 400)
    async with hedged() as (gw, ups, clock):
        ups[refuser].queue([Wait(go), *refusal])
        ups[1 - refuser].queue([Stall()])
        client = await ask(gw, manner)
        await ups[1].request(0)
        go.set()
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (400, "content_filter")
        await within(ups[1 - refuser].requests[0].gone.wait(), "the other to be left")
        assert verdicts(gw, clock) == {"a": NOTHING, "b": NOTHING, "c": NOTHING}
        assert ups[2].requests == []


@MANNERS
async def test_a_429_of_the_loser_starts_a_cooldown(manner: str) -> None:
    fail, go = asyncio.Event(), asyncio.Event()
    async with hedged() as (gw, ups, clock):
        ups[0].queue([Wait(fail), *json_answer(error_json(), 429, [("Retry-After", "30")])])
        ups[1].queue([Wait(go), *good(manner)])
        client = await ask(gw, manner)
        await ups[1].request(0)
        fail.set()
        await until(lambda: live(gw, "a/a").breaker.failures, "the refusal")
        go.set()
        assert (await client.read_answer()).status == 200
        assert live(gw, "a/a").quota.cooldown_until == pytest.approx(clock.now() + 30)


@MANNERS
async def test_without_another_candidate_the_first_is_waited_for(manner: str) -> None:
    go = asyncio.Event()
    async with hedged(count=1) as (gw, ups, _):
        ups[0].queue([Wait(go), *good(manner)])
        client = await ask(gw, manner, CALL | {"model": "a"})
        await ups[0].request(0)
        asyncio.get_running_loop().call_later(0.05, go.set)
        whole(await client.read_answer(), manner)
        assert (await gw.settled())["attempts"] == 1


@MANNERS
async def test_without_another_candidate_a_failure_is_retried(manner: str) -> None:
    go = asyncio.Event()
    async with hedged(count=1) as (gw, ups, clock):
        ups[0].queue([Wait(go), *json_answer(error_json(), 500)], good(manner))
        client = await ask(gw, manner, CALL | {"model": "a"})
        await ups[0].request(0)
        asyncio.get_running_loop().call_later(0.05, go.set)
        whole(await client.read_answer(), manner)
        assert len(clock.slept) == 1


@MANNERS
async def test_the_second_request_counts_toward_max_retries(manner: str) -> None:
    go = asyncio.Event()
    async with hedged(routing={"maxRetries": 0}) as (gw, ups, _):
        ups[0].queue([Wait(go), *good(manner)])
        client = await ask(gw, manner)
        await ups[0].request(0)
        asyncio.get_running_loop().call_later(0.05, go.set)
        whole(await client.read_answer(), manner)
        assert [len(up.requests) for up in ups] == [1, 0, 0]


@pytest.mark.parametrize(
    ("path", "call", "count"),
    [
        ("/v1/responses", {"input": "Hi"}, 1),
        ("/v1/responses", {"input": "Hi", "store": False}, 2),
        ("/v1/images/generations", {"prompt": "Hi"}, 1),
        ("/v1/embeddings", {"input": "Hi"}, 2),
    ],
    ids=["a stored response", "a response that is not stored", "an image", "embeddings"],
)
async def test_only_a_request_that_may_run_twice_is_hedged(path: str, call: dict[str, Any], count: int) -> None:
    go = asyncio.Event()
    async with hedged() as (gw, ups, _):
        ups[0].queue([Wait(go), *json_answer({"object": "some"})])
        ups[1].queue([Stall()])
        client = await gw.client()
        await client.request("POST", path, json={"model": ["a", "b"]} | call)
        await ups[0].request(0)
        if count == 2:
            await ups[1].request(0)
            go.set()
        else:
            asyncio.get_running_loop().call_later(0.05, go.set)
        answer = await client.read_answer()
        assert (answer.status, answer.header("x-router-attempts")) == (200, str(count))
        assert sum(len(up.requests) for up in ups) == count


# -- how a race ends from outside --------------------------------------------------------------------------


@MANNERS
@pytest.mark.parametrize("on_disconnect", ["cancel", "drain"])
async def test_a_client_that_leaves_during_the_race_ends_both_without_a_verdict(
    manner: str, on_disconnect: str
) -> None:
    go = asyncio.Event()
    async with hedged(provider={"onDisconnect": on_disconnect}) as (gw, ups, clock):
        for up in ups[:2]:
            up.queue([Wait(go), *good(manner)])
        client = await ask(gw, manner)
        requests = [await up.request(0) for up in ups[:2]]
        assert [live(gw, label).in_flight for label in ("a/a", "b/b")] == [1, 1]
        client.close()
        if on_disconnect == "cancel":
            for request in requests:
                await within(request.gone.wait(), "both to be left")
        assert gw.app.serving is not None
        running = gw.app.serving._running
        await until(lambda: all(request.gone for request in running.values()), "the client to be missed")
        go.set()
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("client_gone", 2)
        assert [failures for failures, _ in verdicts(gw, clock).values()] == [0, 0, 0]
        assert ups[2].requests == []


@MANNERS
async def test_a_stop_during_the_race_ends_both_and_is_a_503(manner: str) -> None:
    async with hedged() as (gw, ups, clock):
        for up in ups[:2]:
            up.queue([Stall()])
        client = await ask(gw, manner)
        requests = [await up.request(0) for up in ups[:2]]
        assert gw.app.serving is not None
        await within(gw.app.serving.drain(0), "the exchange to be ended")
        assert (await client.read_answer()).status == 503
        for request in requests:
            await within(request.gone.wait(), "both to be left")
        assert verdicts(gw, clock) == {"a": NOTHING, "b": NOTHING, "c": NOTHING}
        assert (await gw.settled())["outcome"] == "cancelled"


async def test_a_probe_that_loses_frees_its_slot() -> None:
    async with hedged(circuitBreaker={"failureThreshold": 1, "cooldownPeriodSecs": 5}) as (gw, ups, clock):
        breaker = live(gw, "a/a").breaker
        breaker.fail(breaker.acquire("chat/completions", clock.now()), clock.now(), "x")
        clock.advance(6)
        ups[0].queue([Stall()])
        ups[1].queue(good("plain"))
        answer = await (await ask(gw, "plain")).read_answer()
        assert answer.header("x-router-provider") == "b"
        await until(lambda: not live(gw, "a/a").in_flight, "the loser to end")
        assert (breaker.state, bool(breaker.active_probe), breaker.successes) == ("half_open", False, 0)


async def test_two_answers_at_once_give_one_answer() -> None:
    go = asyncio.Event()
    async with hedged() as (gw, ups, clock):
        for up in ups[:2]:
            up.on(lambda request: [Wait(go), *good(("plain", "stream")[request.json["stream"]])])
        for round_ in range(20):
            manner = ("plain", "stream")[round_ % 2]
            go.clear()
            client = await ask(gw, manner)
            await ups[0].request(round_)
            await ups[1].request(round_)
            go.set()
            whole(await client.read_answer(), manner)
            await until(lambda: not live(gw, "a/a").in_flight + live(gw, "b/b").in_flight, "both to end")
            line = await gw.settled(round_ + 1)
            assert (line["outcome"], line["attempts"]) == ("ok", 2)
        counted = verdicts(gw, clock)
        assert counted["a"][1][0] + counted["b"][1][0] == 20
        assert (counted["a"][0], counted["b"][0]) == (0, 0)


async def test_stream_options_that_one_provider_refuses_are_not_held_against_the_other() -> None:
    go = asyncio.Event()
    minds = json_answer(error_json("Unknown parameter: stream_options", kind="invalid_request_error"), 400)
    async with hedged() as (gw, ups, _):
        ups[0].queue([Wait(go), *minds], sse_answer(*EVENTS))
        ups[1].queue([Stall()])
        gw.app.gateway.catalog.providers["b"].learnt.asks_usage = False  # type: ignore[union-attr]
        client = await ask(gw, "stream")
        await ups[1].request(0)
        assert "stream_options" in ups[0].requests[0].json
        assert "stream_options" not in ups[1].requests[0].json
        go.set()
        await until(lambda: not live(gw, "a/a").in_flight, "the refusal")
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"
        assert gw.app.gateway.catalog.providers["a"].learnt.asks_usage is False  # type: ignore[union-attr]
