"""Which wrappers an exchange gets, by configuration and by header, and that any two of them work together."""

from __future__ import annotations

import asyncio

import pytest
from openai import AsyncOpenAI

from tests.dispatch.streams import (
    ERROR,
    EVENTS,
    FIRST,
    HI,
    REST,
    ROLE,
    STREAM,
    WHOLE,
    ask,
    begun,
    code_of,
    committed,
    events_of,
    recovering,
    router_of,
    without_router,
)
from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    Stall,
    Wait,
    chat_events,
    completion,
    error_json,
    json_answer,
    sse,
    sse_answer,
    until,
    within,
)
from tests.support.answers import SSE_HEADERS, USAGE
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import live

RECOVERIES = pytest.mark.parametrize("recovery", ["hold", "continue"])


@pytest.mark.parametrize("value", ["hold", "HOLD ", "continue"])
async def test_the_header_chooses_the_recovery_and_is_not_forwarded(value: str) -> None:
    async with recovering("fail", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*(REST if value == "continue" else EVENTS)))
        events = await events_of(await ask(gw, x_router_stream_recovery=value))
        if value == "continue":
            assert events == [ROLE, FIRST, *REST[1:]]
        else:
            assert without_router(events) == WHOLE
        for up in ups[:2]:
            assert up.requests[0].header("x-router-stream-recovery") is None


async def test_the_header_may_switch_a_configured_recovery_off() -> None:
    async with recovering("hold") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        *events, error = await events_of(await ask(gw, x_router_stream_recovery="fail"))
        assert events == [ROLE, FIRST]
        assert code_of(error) == "upstream_disconnected"


async def test_an_unknown_value_in_the_header_is_a_400_that_names_it() -> None:
    async with recovering("fail") as (gw, ups, _):
        client = await ask(gw, x_router_stream_recovery="maybe")
        answer = await client.read_answer()
        error = answer.json["error"]
        assert (answer.status, error["param"], error["code"]) == (400, "x-router-stream-recovery", "invalid_value")
        assert "hold" in error["message"]
        assert [up.requests for up in ups] == [[], [], []]


@RECOVERIES
async def test_a_plain_answer_is_not_recovered(recovery: str) -> None:
    async with recovering(recovery) as (gw, ups, _):
        ups[0].queue(json_answer(completion()))
        client = await ask(gw, {"model": "a", "messages": HI})
        answer = await client.read_answer()
        assert (answer.status, answer.header("x-router-provider")) == (200, "a")


async def test_an_endpoint_that_cannot_stream_is_not_held() -> None:
    async with recovering("hold") as (gw, ups, _):
        ups[0].queue(json_answer({"object": "list", "data": []}))
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/embeddings", json={"model": "a", "input": "Hi", "stream": True})
        assert (answer.status, answer.header("content-type")) == (200, "application/json")


async def test_a_legacy_completion_is_not_continued() -> None:
    piece = sse({"choices": [{"index": 0, "text": "Hello", "finish_reason": None}]})
    async with recovering("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(piece), Close()])
        client = await gw.client()
        await client.request("POST", "/v1/completions", json={"model": ["a", "b"], "prompt": "Hi", "stream": True})
        events = await events_of(client)
        assert (events[0], code_of(events[1]), ups[1].requests) == (piece, "upstream_disconnected", [])


# -- hedging with a recovery -------------------------------------------------------------------------------

NO_VERDICT, FAILURE, SUCCESS = (0, (0, 0)), (1, (1, 1)), (0, (1, 0))
AT_ONCE = {"hedgeAfterMs": 1}


def verdicts(gw: Gateway, clock: FakeClock) -> list[tuple[int, tuple[int, int]]]:
    """Of each deployment: failures in a row, and (attempts that ended, failures) in the statistics."""
    lives = [live(gw, f"{label}/{label}") for label in "abc"]
    return [(each.breaker.failures, each.statistics.counts(clock.now())) for each in lives]


@RECOVERIES
async def test_a_slow_first_attempt_loses_against_the_second(recovery: str) -> None:
    async with recovering(recovery, prefill="abc", routing=AT_ONCE) as (gw, ups, clock):
        ups[0].queue([Headers(200, SSE_HEADERS), Chunk(sse(b"id: 1\n", ROLE)), Stall()])
        ups[1].queue(sse_answer(*EVENTS))
        client = await ask(gw, x_router_metadata="true")
        head = await client.read_head()
        events = await client.read_events()
        assert without_router(events) == WHOLE
        assert router_of(events[-2]) | {"errors": []} == {
            "provider": "b",
            "model_name": "b",
            "attempts": 2,
            "fallback_used": False,
            "errors": [],
            "cost_usd": None,
        }
        assert (head.header("x-router-provider"), head.header("x-router-attempts")) == ("b", "2")
        await within(ups[0].requests[0].gone.wait(), "the loser to be canceled")
        assert verdicts(gw, clock) == [NO_VERDICT, SUCCESS, NO_VERDICT]
        line = await gw.settled()
        assert (line["outcome"], line["failures"]) == ("ok", ["a/a outrun"])


@RECOVERIES
async def test_the_first_attempt_may_still_win(recovery: str) -> None:
    go = asyncio.Event()
    async with recovering(recovery, prefill="abc", routing=AT_ONCE) as (gw, ups, clock):
        ups[0].queue([Wait(go), *sse_answer(*EVENTS)])
        ups[1].queue([Headers(200, SSE_HEADERS), Chunk(ROLE), Stall()])
        client = await ask(gw)
        await ups[1].request(0)
        go.set()
        assert without_router(await events_of(client)) == WHOLE
        await within(ups[1].requests[0].gone.wait(), "the loser to be canceled")
        assert verdicts(gw, clock) == [SUCCESS, NO_VERDICT, NO_VERDICT]


@pytest.mark.parametrize("winner", ["a", "b"])
@RECOVERIES
async def test_a_winner_that_breaks_is_recovered_by_the_next(recovery: str, winner: str) -> None:
    """The loser is canceled at the winner's first content, and has no part in the recovery."""
    go = asyncio.Event()
    async with recovering(recovery, prefill="abc", routing=AT_ONCE) as (gw, ups, clock):
        first, second = (ups[0], ups[1]) if winner == "a" else (ups[1], ups[0])
        first.queue([Wait(go), *begun(ROLE, FIRST), Close()])
        second.queue([Headers(200, SSE_HEADERS), Chunk(ROLE), Stall()])
        ups[2].queue(sse_answer(*(EVENTS if recovery == "hold" else REST)))
        client = await ask(gw)
        await second.request(0)
        await first.request(0)
        go.set()
        events = await events_of(client)
        assert without_router(events) == (WHOLE if recovery == "hold" else b"".join([ROLE, FIRST, *REST[1:]]))
        assert ups[2].requests[0].json["messages"] == [
            *HI,
            *([{"role": "assistant", "content": "Hello"}] if recovery == "continue" else []),
        ]
        expected = [FAILURE, NO_VERDICT, SUCCESS] if winner == "a" else [NO_VERDICT, FAILURE, SUCCESS]
        assert verdicts(gw, clock) == expected
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("ok", 3)


@RECOVERIES
async def test_the_loser_may_recover_the_winners_stream(recovery: str) -> None:
    go = asyncio.Event()
    async with recovering(recovery, count=2, prefill="ab", routing=AT_ONCE) as (gw, ups, _):
        ups[0].queue([Wait(go), *begun(ROLE, FIRST), Close()])
        ups[1].queue([Stall()], sse_answer(*(EVENTS if recovery == "hold" else REST)))
        client = await ask(gw, STREAM | {"model": ["a", "b"]})
        await ups[1].request(0)
        go.set()
        events = await events_of(client)
        assert without_router(events) == (WHOLE if recovery == "hold" else b"".join([ROLE, FIRST, *REST[1:]]))
        assert [len(up.requests) for up in ups] == [1, 2]
        assert (await gw.settled())["outcome"] == "ok"


@RECOVERIES
async def test_content_of_the_loser_is_not_in_the_answer(recovery: str) -> None:
    """Both are ready in the same turn of the loop, again and again; one of them is the answer."""
    go = asyncio.Event()
    own = {label: chat_events("Hello", f" from {label}") for label in "ab"}
    async with recovering(recovery, prefill="abc", routing=AT_ONCE) as (gw, ups, clock):
        for up, label in zip(ups, own, strict=False):
            up.on(lambda request, label=label: [Wait(go), *sse_answer(*own[label])])  # type: ignore[misc]
        for turn in range(10):
            go.clear()
            client = await ask(gw)
            for up in ups[:2]:
                await up.request(turn)
            go.set()
            assert without_router(await events_of(client)) in map(b"".join, own.values())
            line = await gw.settled(turn + 1)
            assert (line["outcome"], line["attempts"]) == ("ok", 2)
        (a, counted_a), (b, counted_b), _ = verdicts(gw, clock)
        assert (a, b, counted_a[0] + counted_b[0]) == (0, 0, 10)


@RECOVERIES
async def test_if_no_candidate_is_left_after_the_winner_the_client_gets_its_error(recovery: str) -> None:
    async with recovering(recovery, count=2, prefill="ab", routing=AT_ONCE | {"maxRetries": 2}) as (gw, ups, _):
        ups[0].queue([Stall()])
        ups[0].on(lambda request: json_answer(error_json(code="no_luck"), 500))
        ups[1].on(lambda request: [*begun(ROLE, FIRST), Chunk(ERROR), LastChunk()])
        client = await ask(gw, STREAM | {"model": ["a", "b"]})
        if recovery == "hold":
            answer = await client.read_answer()
            assert (answer.status, answer.json["error"]["code"]) == (502, "no_luck")
        else:
            *events, error = await events_of(client)
            assert (events[:2], code_of(error)) == ([ROLE, FIRST], "no_luck")
        assert (await gw.settled())["failures"][:3] == ["a/a outrun", "b/b server_error", "a/a server_error"]


@RECOVERIES
@pytest.mark.parametrize("events", [[], [ROLE], [ROLE, FIRST]], ids=["nothing", "a role", "content"])
async def test_a_client_that_leaves_a_race_cancels_both(recovery: str, events: list[bytes]) -> None:
    async with recovering(recovery, prefill="abc", routing=AT_ONCE) as (gw, ups, clock):
        ups[0].queue([Stall()])
        ups[1].queue([*begun(*events), Stall()] if events else [Stall()])
        client = await ask(gw)
        requests = [await up.request(0) for up in ups[:2]]
        if FIRST in events:
            await committed(gw, "b/b")
        client.close()
        for request in requests:
            await within(request.gone.wait(), "both to be canceled")
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("client_gone", 2)
        assert verdicts(gw, clock)[0] == NO_VERDICT
        assert ups[2].requests == []


@RECOVERIES
async def test_limits_of_the_loser_are_given_back(recovery: str) -> None:
    limits = {"enabled": True, "perProvider": {"concurrent": 1}}
    async with recovering(recovery, prefill="abc", routing=AT_ONCE, rateLimiting=limits) as (gw, ups, _):
        ups[0].on(lambda request: [Stall()])
        ups[1].on(lambda request: sse_answer(*EVENTS))
        for turn in range(3):  # without its slot a provider would be passed over
            assert without_router(await events_of(await ask(gw))) == WHOLE
            assert (await gw.settled(turn + 1))["failures"] == ["a/a outrun"]
        assert ups[2].requests == []


@RECOVERIES
async def test_a_plain_call_is_hedged_whatever_the_recovery_is(recovery: str) -> None:
    async with recovering(recovery, prefill="abc", routing=AT_ONCE) as (gw, ups, clock):
        ups[0].queue([Stall()])
        ups[1].queue(json_answer(completion()))
        answer = await (await ask(gw, STREAM | {"stream": False})).read_answer()
        assert (answer.status, answer.header("x-router-provider")) == (200, "b")
        assert verdicts(gw, clock)[:2] == [NO_VERDICT, SUCCESS]


# -- both recoveries ---------------------------------------------------------------------------------------


@RECOVERIES
async def test_an_answer_that_is_drained_for_its_usage_is_not_held(recovery: str) -> None:
    go = asyncio.Event()
    events = chat_events("Hello", " world", usage=USAGE)
    async with recovering(recovery, prefill="ab", provider={"onDisconnect": "drain"}) as (gw, ups, _):
        ups[0].queue([*begun(*events[:2]), Wait(go), *map(Chunk, events[2:]), LastChunk()])
        client = await ask(gw)
        await committed(gw, "a/a")
        client.close()
        assert gw.app.serving is not None
        running = gw.app.serving._running
        await until(lambda: all(request.gone for request in running.values()), "the client to be missed")
        go.set()
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]["output"]) == ("client_gone", 2)
        assert ups[1].requests == []


@RECOVERIES
async def test_when_the_gateway_stops_no_other_candidate_is_tried(recovery: str) -> None:
    async with recovering(recovery, prefill="ab") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Stall()])
        client = await ask(gw)
        await committed(gw, "a/a")
        assert gw.app.serving is not None
        await within(gw.app.serving.drain(0), "the exchange to be ended")
        if recovery == "hold":
            assert (await client.read_answer()).status == 503
        else:
            *events, error = await events_of(client)
            assert (events, code_of(error)) == ([ROLE, FIRST], "shutting_down")
        assert ups[1].requests == []
        assert (await gw.settled())["outcome"] == ("cancelled" if recovery == "hold" else "broken")


@RECOVERIES
async def test_the_openai_package_reads_a_recovered_stream_as_one_answer(recovery: str) -> None:
    async with recovering(recovery, prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*(REST if recovery == "continue" else EVENTS)))
        async with AsyncOpenAI(base_url=f"{gw.url}/v1", api_key="any", max_retries=0) as client:
            asked = client.chat.completions.stream(
                model="a", messages=[{"role": "user", "content": "Hi"}], extra_body={"model": ["a", "b"]}
            )
            async with asked as stream:
                message = (await stream.get_final_completion()).choices[0].message
        assert (message.role, message.content) == ("assistant", "Hello world")
