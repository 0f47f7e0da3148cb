"""``streamRecovery: hold``: the client gets whole streams only."""

from __future__ import annotations

import asyncio
import json

import pytest

from tests.dispatch.streams import (
    BREAKS,
    CHAT,
    ERROR,
    EVENTS,
    FIRST,
    HI,
    PING,
    ROLE,
    STOP,
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
    LastChunk,
    Stall,
    Wait,
    completion,
    error_json,
    json_answer,
    sse_answer,
    until,
    within,
)
from tests.support.gateway import Gateway
from tests.support.lives import live
from tests.support.steps import Step


@pytest.mark.usefixtures("_quick_pings")
async def test_the_first_ping_commits_the_status() -> None:
    go = asyncio.Event()
    async with recovering("hold", server={"pingAfter": 0.05}) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Wait(go), *map(Chunk, EVENTS[2:]), LastChunk()])
        client = await ask(gw)
        head = await client.read_head()
        assert (head.status, head.header("content-type")) == (200, "text/event-stream; charset=utf-8")
        assert [await client.read_event() for _ in range(4)] == [PING] * 4
        go.set()
        events = [event for event in await client.read_events() if event != PING]
        assert router_of(events[-2])["provider"] == "a"
        assert without_router(events) == WHOLE
        line = await gw.settled()
        assert (line["outcome"], line["status"], line["attempts"], line["provider"]) == ("ok", 200, 1, "a")


async def test_a_held_answer_comes_in_one_piece_and_names_its_deployment() -> None:
    go = asyncio.Event()
    async with recovering("hold") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue([*begun(*EVENTS[:-1]), Wait(go), Chunk(EVENTS[-1]), LastChunk()])
        client = await ask(gw)
        await committed(gw, "b/b")
        assert client.received == b""
        go.set()
        head = await client.read_head()
        assert (head.status, head.header("content-type")) == (200, "text/event-stream")
        assert (head.header("x-router-provider"), head.header("x-router-attempts")) == ("b", "2")
        answer = await client.read_chunk()
        events = answer.split(b"\n\n")
        assert router_of(events.pop(-3)) | {"errors": 0} == {
            "provider": "b",
            "model_name": "b",
            "attempts": 2,
            "fallback_used": False,
            "errors": 0,
        }
        assert b"\n\n".join(events) == WHOLE
        assert await client.read_chunk() == b""


async def test_without_pings_the_status_comes_with_the_answer() -> None:
    go = asyncio.Event()
    async with recovering("hold", server={"pingAfter": 0}) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Wait(go), *map(Chunk, EVENTS[2:]), LastChunk()])
        client = await ask(gw)
        await committed(gw, "a/a")
        assert client.received == b""
        go.set()
        assert (await client.read_head()).status == 200
        events = await client.read_events()
        assert PING not in events
        assert without_router(events) == WHOLE


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS.keys())
async def test_a_stream_that_breaks_after_its_content_leaves_no_trace_in_the_answer_of_another(
    broken: list[Step | bytes],
) -> None:
    async with recovering("hold", silent="ab" if broken is BREAKS["silence"] else "") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), *broken])
        ups[1].queue([*begun(ROLE), *broken])
        ups[2].queue(sse_answer(*EVENTS))
        events = await events_of(await ask(gw))
        assert without_router(events) == WHOLE
        router = router_of(events[-2])
        assert (router["provider"], router["attempts"]) == ("c", 3)
        assert [(error["provider"], bool(error["message"])) for error in router["errors"]] == [("a", True), ("b", True)]
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["provider"]) == ("ok", "", "c")
        assert [json.loads(up.requests[0].body)["messages"] for up in ups] == [HI] * 3
        assert [live(gw, label).breaker.failures for label in ("a/a", "b/b", "c/c")] == [1, 1, 0]


@pytest.mark.parametrize("manner", ["a plain answer", "503", "429", "refused", "an error first"])
async def test_a_failure_before_the_content_is_retried(manner: str) -> None:
    scripts = {
        "a plain answer": json_answer(completion()),
        "503": json_answer(error_json(), 503),
        "429": json_answer(error_json(), 429),
        "refused": [Close()],
        "an error first": sse_answer(ERROR),
    }
    async with recovering("hold") as (gw, ups, _):
        ups[0].queue(scripts[manner])
        ups[1].queue(sse_answer(*EVENTS))
        assert without_router(await events_of(await ask(gw))) == WHOLE


async def test_the_only_candidate_is_tried_again_after_a_break() -> None:
    async with recovering("hold", count=1) as (gw, ups, clock):
        ups[0].queue([*begun(ROLE, FIRST), Close()], sse_answer(*EVENTS))
        assert without_router(await events_of(await ask(gw, STREAM | {"model": "a"}))) == WHOLE
        assert len(clock.slept) == 1
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("ok", 2)


@pytest.mark.parametrize("prefix", [[ROLE, FIRST], [ROLE], []], ids=["content", "a role", "nothing"])
async def test_if_all_attempts_fail_the_client_gets_an_error_status(prefix: list[bytes]) -> None:
    async with recovering("hold", routing={"maxRetries": 3}) as (gw, ups, clock):
        for up in ups:
            up.on(lambda request: [*begun(*prefix), Close()])
        client = await ask(gw)
        answer = await client.read_answer()
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_disconnected")
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["status"]) == ("error", "upstream_disconnected", 502)
        for label in ("a/a", "b/b", "c/c"):
            # However often it was asked, an exchange is one failure of a deployment.
            assert live(gw, label).breaker.failures == 1
            assert live(gw, label).statistics.counts(clock.now()) == (1, 1)
        ups[0].queue(json_answer(completion()))
        assert (await client.fetch("POST", CHAT, json={"model": "a", "messages": HI})).status == 200


@pytest.mark.usefixtures("_quick_pings")
async def test_if_all_attempts_fail_after_a_ping_the_client_gets_one_error_in_band() -> None:
    go = asyncio.Event()
    async with recovering("hold", count=1, server={"pingAfter": 0.02}) as (gw, ups, _):
        ups[0].on(lambda request: [*begun(ROLE, FIRST), Wait(go), Close()])
        client = await ask(gw, STREAM | {"model": "a"})
        assert (await client.read_head()).status == 200
        assert await client.read_event() == PING
        go.set()
        events = [event for event in await client.read_events() if event != PING]
        assert [code_of(event) for event in events] == ["upstream_disconnected"]
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["status"]) == ("broken", "upstream_disconnected", 200)


@pytest.mark.parametrize("status", [400, 404, 422])
async def test_an_error_about_the_request_keeps_its_status_and_is_not_retried(status: int) -> None:
    refusal = error_json("No such tool", kind="invalid_request_error", code="bad_tool")
    async with recovering("hold", count=1) as (gw, ups, _):
        ups[0].queue(json_answer(refusal, status))
        answer = await (await ask(gw, STREAM | {"model": "a"})).read_answer()
        assert (answer.status, answer.json) == (status, refusal)
        assert len(ups[0].requests) == 1


async def test_a_request_for_an_unknown_model_gets_a_404() -> None:
    async with recovering("hold") as (gw, ups, _):
        answer = await (await ask(gw, STREAM | {"model": "nobody"})).read_answer()
        assert answer.status == 404
        assert [up.requests for up in ups] == [[], [], []]


async def test_a_client_that_leaves_while_its_answer_is_held_cancels_the_upstream_request() -> None:
    async with recovering("hold") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Stall()])
        client = await ask(gw)
        await committed(gw, "a/a")
        client.close()
        await within((await ups[0].request(0)).gone.wait(), "the provider to be left")
        line = await gw.settled()
        assert (line["outcome"], line["attempts"], line["bytes_out"]) == ("client_gone", 1, 0)
        assert ups[1].requests == []
        assert live(gw, "a/a").breaker.failures == 0


async def test_a_client_that_leaves_before_the_end_of_a_held_answer_was_not_served() -> None:
    async with recovering("hold") as (gw, ups, _):
        ups[0].queue([*begun(*EVENTS), Stall()])
        client = await ask(gw)
        await until(lambda: held(gw) > len(STOP), "the answer to be there")
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"


def held(gw: Gateway) -> int:
    """Bytes on the budget."""
    assert gw.app.gateway is not None
    return gw.app.gateway._context.budget.used
