"""Streams that break, and are not broken for the client: ``routing.streamRecovery`` ``hold`` and ``continue``."""

from __future__ import annotations

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from openai import AsyncOpenAI

from tests.support import (
    Chunk,
    Close,
    Headers,
    LastChunk,
    RawClient,
    Reset,
    Stall,
    Upstream,
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
from tests.support.answers import DONE, SSE_HEADERS, USAGE
from tests.support.candidates import candidates
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway
from tests.support.lives import live
from tests.support.steps import Step

CHAT = "/v1/chat/completions"
HI = [{"role": "user", "content": "Hi"}]
STREAM = {"model": ["a", "b", "c"], "messages": HI, "stream": True}
PING = b": ping\n\n"
ROLE, FIRST, SECOND, STOP, _ = EVENTS = chat_events("Hello", " world")
WHOLE = b"".join(EVENTS)
ERROR = sse(error_json("Broken on purpose", code="no_luck"))


def begun(*events: bytes) -> list[Step | bytes]:
    """A stream as far as these events; what is next decides how it ends."""
    return [Headers(200, SSE_HEADERS), *map(Chunk, events)]


BREAKS: dict[str, list[Step | bytes]] = {
    "closed": [Close()],
    "reset": [Reset()],
    "ended without an end": [LastChunk()],
    "half an event": [Chunk(SECOND[:20]), Close()],
    "an error event": [Chunk(ERROR), LastChunk()],
    "an error event and the end": [Chunk(ERROR), Chunk(DONE), LastChunk()],
    "an error event in one read with text": [Chunk(SECOND + ERROR), Close()],
    "bytes that are no chunk": [b"nonsense\r\n"],
    "silence": [Stall()],
}


def cast(
    recovery: str, *, count: int = 3, routing: dict[str, Any] | None = None, **options: Any
) -> AbstractAsyncContextManager[tuple[Gateway, list[Upstream], FakeClock]]:
    """Models ``a``, ``b``, ...; a stream may be silent for a moment only."""
    routing = {"streamRecovery": recovery} | (routing or {})
    return candidates("abc"[:count], routing=routing, timeouts={"idle": 0.3}, **options)


async def ask(gw: Gateway, call: dict[str, Any] = STREAM, **headers: str) -> RawClient:
    client = await gw.client()
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    await client.request("POST", CHAT, json=call, headers=named)
    return client


async def told(client: RawClient) -> list[bytes]:
    """The events of the answer without pings; the client's connection must still be good."""
    assert (await client.read_head()).status == 200
    events = [event for event in await client.read_events() if event != PING]
    assert not client._unread
    return events


def code_of(event: bytes) -> str:
    code = json.loads(event.removeprefix(b"data: "))["error"]["code"]
    assert isinstance(code, str)
    return code


def router_of(event: bytes) -> dict[str, Any]:
    assert event.startswith(b": _router "), event
    member: dict[str, Any] = json.loads(event.removeprefix(b": _router "))
    return member


def without_router(events: list[bytes]) -> bytes:
    return b"".join(event for event in events if not event.startswith(b": _router "))


# -- hold --------------------------------------------------------------------------------------------------


@pytest.fixture
def _quick_pings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proxy.app.PING_EVERY", 0.02)


@pytest.mark.usefixtures("_quick_pings")
async def test_held_back_the_first_ping_that_is_due_commits_the_status() -> None:
    go = asyncio.Event()
    async with cast("hold", server={"pingAfter": 0.05}) as (gw, ups, _):
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


async def test_a_held_answer_comes_as_one_piece_when_it_is_whole_and_names_who_gave_it() -> None:
    go = asyncio.Event()
    async with cast("hold") as (gw, ups, _):
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


async def test_where_pings_are_switched_off_the_status_of_a_held_answer_comes_with_it() -> None:
    go = asyncio.Event()
    async with cast("hold", server={"pingAfter": 0}) as (gw, ups, _):
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
async def test_held_back_a_stream_that_breaks_after_content_leaves_no_trace_and_another_answers(
    broken: list[Step | bytes],
) -> None:
    async with cast("hold") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), *broken])
        ups[1].queue([*begun(ROLE), *broken])
        ups[2].queue(sse_answer(*EVENTS))
        events = await told(await ask(gw))
        assert without_router(events) == WHOLE
        router = router_of(events[-2])
        assert (router["provider"], router["attempts"]) == ("c", 3)
        assert [(error["provider"], bool(error["message"])) for error in router["errors"]] == [("a", True), ("b", True)]
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["provider"]) == ("ok", "", "c")
        assert [json.loads(up.requests[0].body)["messages"] for up in ups] == [HI] * 3
        assert [live(gw, label).breaker.failures for label in ("a/a", "b/b", "c/c")] == [1, 1, 0]


@pytest.mark.parametrize("manner", ["a plain answer", "503", "429", "refused", "an error first"])
async def test_held_back_what_fails_before_its_content_is_failed_over_as_ever(manner: str) -> None:
    scripts = {
        "a plain answer": json_answer(completion()),
        "503": json_answer(error_json(), 503),
        "429": json_answer(error_json(), 429),
        "refused": [Close()],
        "an error first": sse_answer(ERROR),
    }
    async with cast("hold") as (gw, ups, _):
        ups[0].queue(scripts[manner])
        ups[1].queue(sse_answer(*EVENTS))
        assert without_router(await told(await ask(gw))) == WHOLE


async def test_held_back_the_only_candidate_is_asked_once_more_after_a_break() -> None:
    async with cast("hold", count=1) as (gw, ups, clock):
        ups[0].queue([*begun(ROLE, FIRST), Close()], sse_answer(*EVENTS))
        assert without_router(await told(await ask(gw, STREAM | {"model": "a"}))) == WHOLE
        assert len(clock.slept) == 1
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("ok", 2)


@pytest.mark.parametrize("prefix", [[ROLE, FIRST], [ROLE], []], ids=["content", "a role", "nothing"])
async def test_held_back_everything_fails_and_the_client_gets_a_real_status(prefix: list[bytes]) -> None:
    async with cast("hold", routing={"maxRetries": 3}) as (gw, ups, clock):
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
async def test_held_back_everything_fails_after_a_ping_and_the_client_gets_one_error_in_band() -> None:
    go = asyncio.Event()
    async with cast("hold", count=1, server={"pingAfter": 0.02}) as (gw, ups, _):
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
async def test_held_back_a_refusal_of_the_request_itself_keeps_its_status_and_is_not_routed_around(status: int) -> None:
    refusal = error_json("No such tool", kind="invalid_request_error", code="bad_tool")
    async with cast("hold", count=1) as (gw, ups, _):
        ups[0].queue(json_answer(refusal, status))
        answer = await (await ask(gw, STREAM | {"model": "a"})).read_answer()
        assert (answer.status, answer.json) == (status, refusal)
        assert len(ups[0].requests) == 1


async def test_held_back_a_request_for_a_model_that_nobody_has_is_refused_with_its_status() -> None:
    async with cast("hold") as (gw, ups, _):
        answer = await (await ask(gw, STREAM | {"model": "nobody"})).read_answer()
        assert answer.status == 404
        assert [up.requests for up in ups] == [[], [], []]


async def committed(gw: Gateway, label: str) -> None:
    await until(lambda: live(gw, label).statistics.latency is not None, f"the content commit of {label}")


async def test_a_client_that_leaves_while_its_answer_is_held_takes_the_provider_along() -> None:
    async with cast("hold") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Stall()])
        client = await ask(gw)
        await committed(gw, "a/a")
        client.close()
        await within((await ups[0].request(0)).gone.wait(), "the provider to be left")
        line = await gw.settled()
        assert (line["outcome"], line["attempts"], line["bytes_out"]) == ("client_gone", 1, 0)
        assert ups[1].requests == []
        assert live(gw, "a/a").breaker.failures == 0


async def test_a_client_that_leaves_while_the_end_of_a_held_answer_is_awaited_has_had_nothing() -> None:
    async with cast("hold") as (gw, ups, _):
        ups[0].queue([*begun(*EVENTS), Stall()])
        client = await ask(gw)
        await until(lambda: held(gw) > len(STOP), "the answer to be there")
        client.close()
        assert (await gw.settled())["outcome"] == "client_gone"


def held(gw: Gateway) -> int:
    """Bytes on the budget."""
    assert gw.app.gateway is not None
    return gw.app.gateway._context.budget.used


@pytest.mark.parametrize("recovery", ["hold", "continue"])
async def test_an_answer_that_is_read_on_for_its_usage_is_nobodys_and_not_held(recovery: str) -> None:
    go = asyncio.Event()
    events = chat_events("Hello", " world", usage=USAGE)
    async with cast(recovery, prefill="ab", provider={"onDisconnect": "drain"}) as (gw, ups, _):
        ups[0].queue([*begun(*events[:2]), Wait(go), *map(Chunk, events[2:]), LastChunk()])
        client = await ask(gw)
        await committed(gw, "a/a")
        client.close()
        assert gw.app.gateway is not None
        running = gw.app.gateway._running
        await until(lambda: all(request.gone for request in running.values()), "the client to be missed")
        go.set()
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]["output"]) == ("client_gone", 2)
        assert ups[1].requests == []


@pytest.mark.parametrize("recovery", ["hold", "continue"])
async def test_when_the_gateway_stops_no_other_candidate_is_asked(recovery: str) -> None:
    async with cast(recovery, prefill="ab") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Stall()])
        client = await ask(gw)
        await committed(gw, "a/a")
        assert gw.app.gateway is not None
        await within(gw.app.gateway.drain(0), "the exchange to be ended")
        if recovery == "hold":
            assert (await client.read_answer()).status == 503
        else:
            *events, error = await told(client)
            assert (events, code_of(error)) == ([ROLE, FIRST], "shutting_down")
        assert ups[1].requests == []
        assert (await gw.settled())["outcome"] == ("cancelled" if recovery == "hold" else "broken")


# -- continue ----------------------------------------------------------------------------------------------

REST = chat_events(" world", model="up-b")


def spoken(*texts: str) -> list[dict[str, str]]:
    return [*HI, {"role": "assistant", "content": "".join(texts)}]


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS.keys())
async def test_another_goes_on_with_the_text_where_a_stream_broke(broken: list[Step | bytes]) -> None:
    text = "Hello world" if broken == BREAKS["an error event in one read with text"] else "Hello"
    async with cast("continue", prefill="c") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), *broken])
        ups[2].queue(sse_answer(*REST))
        client = await ask(gw, x_router_metadata="true")
        events = await told(client)
        before = [ROLE, FIRST, SECOND] if text == "Hello world" else [ROLE, FIRST]
        router = router_of(events.pop(-2))
        assert events == before + REST[1:]  # not a second role: clients join them
        assert (router["provider"], router["attempts"], [error["provider"] for error in router["errors"]]) == (
            "c",
            2,
            ["a"],
        )
        request = ups[2].requests[0].json
        assert request["messages"] == spoken(text)
        assert (request["model"], request["stream"]) == ("up-c", True)
        assert ups[1].requests == []  # it knows no prefilling
        line = await gw.settled()
        assert (line["outcome"], line["error"], line["attempts"]) == ("ok", "", 2)
        assert [live(gw, label).breaker.failures for label in ("a/a", "b/b", "c/c")] == [1, 0, 0]


@pytest.mark.usefixtures("_quick_pings")
async def test_while_another_is_asked_to_go_on_after_numbered_events_pings_end_no_event() -> None:
    go = asyncio.Event()
    async with cast("continue", prefill="b", server={"pingAfter": 0.01}) as (gw, ups, _):
        ups[0].queue([*begun(b"id: 1\n" + ROLE, FIRST), Close()])
        ups[1].queue([Wait(go), *sse_answer(*REST)])
        client = await ask(gw)
        await client.read_head()
        body = b""
        while b": ping\n" not in body:
            body += await client.read_chunk()
        go.set()
        body += await client.read_body()
        assert b": ping\n\n" not in body
        lines = [line for line in body.splitlines(keepends=True) if line != b": ping\n"]
        assert without_router([b"".join(lines)]) == b"id: 1\n" + ROLE + FIRST + b"".join(REST[1:])


async def test_the_rest_of_the_request_goes_on_as_the_client_wrote_it() -> None:
    body = b'{"messages" : [ {"role":"user","content":"\\u0048i"} ] , "stream":true, "seed": 1e2, "model": ["a","b"]}'
    async with cast("continue", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, sse({"choices": [{"index": 0, "delta": {"content": 'Say "h\u00ef"\n'}}]})), Close()])
        ups[1].queue(sse_answer(*REST))
        client = await gw.client()
        await client.request("POST", CHAT, headers=[("Content-Type", "application/json")], body=body)
        await told(client)
        sent = bytes(ups[1].requests[0].body)
        assert b'[ {"role":"user","content":"\\u0048i"} ,{"role":"assistant","content":' in sent
        assert b'"seed": 1e2' in sent
        assert json.loads(sent)["messages"][1]["content"] == 'Say "h\u00ef"\n'


async def test_no_messages_at_all_are_gone_on_with_too() -> None:
    async with cast("continue", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*REST))
        await told(await ask(gw, STREAM | {"messages": []}))
        assert ups[1].requests[0].json["messages"] == spoken("Hello")[1:]


async def test_a_stream_may_break_twice_and_the_next_sees_all_of_the_text() -> None:
    async with cast("continue", prefill="bc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue([*begun(*chat_events(" wide", finish=None, done=False)), Reset()])
        ups[2].queue(sse_answer(*REST))
        events = await told(await ask(gw))
        text = "".join(json.loads(event[6:])["choices"][0]["delta"].get("content", "") for event in events[:-1])
        assert text == "Hello wide world"
        assert [up.requests[0].json["messages"] for up in ups] == [HI, spoken("Hello"), spoken("Hello", " wide")]
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("ok", 3)


async def test_half_an_emoji_at_the_break_is_no_failure_of_the_gateway() -> None:
    halves = [
        b'data: {"choices":[{"index":0,"delta":{"content":"\\u%b"}}]}\n\n' % half
        for half in (b"d83d", b"de00", b"d83d")
    ]
    async with cast("continue", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, *halves), Close()])
        ups[1].queue(sse_answer(*REST))
        await told(await ask(gw))
        assert ups[1].requests[0].json["messages"] == spoken("\U0001f600\ufffd")


async def test_the_same_model_may_go_on_with_its_own_text() -> None:
    async with cast("continue", count=1, prefill="a") as (gw, ups, clock):
        ups[0].queue([*begun(ROLE, FIRST), Close()], sse_answer(*REST))
        assert await told(await ask(gw, STREAM | {"model": "a"})) == [ROLE, FIRST, *REST[1:]]
        assert len(clock.slept) == 1
        assert ups[0].requests[1].json["messages"] == spoken("Hello")


async def test_the_fallback_may_go_on_if_it_knows_prefilling() -> None:
    async with cast(
        "continue", prefill="c", routing={"fallback": {"enabled": True, "provider": "c", "model": "c"}}
    ) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[2].queue(sse_answer(*REST))
        assert await told(await ask(gw, STREAM | {"model": "a"})) == [ROLE, FIRST, *REST[1:]]
        assert (await gw.settled())["attempts"] == 2


async def test_one_that_cannot_go_on_after_all_is_failed_over_again() -> None:
    async with cast("continue", prefill="bc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(json_answer(error_json(), 500))
        ups[2].queue(sse_answer(*REST))
        assert await told(await ask(gw)) == [ROLE, FIRST, *REST[1:]]


async def test_where_all_who_could_go_on_fail_the_client_gets_one_error_in_band() -> None:
    async with cast("continue", prefill="bc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Chunk(ERROR), LastChunk()])
        ups[1].on(lambda request: json_answer(error_json(), 500))
        ups[2].on(lambda request: json_answer(error_json(), 500))
        *events, error = await told(await ask(gw))
        assert events == [ROLE, FIRST]
        assert code_of(error) == "upstream_server_error"
        assert (await gw.settled())["outcome"] == "broken"


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS.keys())
async def test_where_nobody_can_go_on_the_stream_ends_byte_for_byte_as_with_fail(broken: list[Step | bytes]) -> None:
    seen = []
    for recovery in ("fail", "continue"):
        async with cast(recovery) as (gw, ups, clock):
            ups[0].queue([*begun(ROLE, FIRST), *broken])
            seen.append(await told(await ask(gw)))
            line = await gw.settled()
            assert (line["outcome"], line["attempts"]) == ("broken", 1)
            seen.append([line["error"].encode()])
            assert [up.requests for up in ups[1:]] == [[], []]
            assert clock.slept == []
            assert live(gw, "a/a").breaker.failures == 1
    assert seen[:2] == seen[2:]


CALLS = sse({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "f"}}]}}]})
OTHER = sse({"choices": [{"index": 1, "delta": {"content": "Hey"}}]})
THOUGHT = sse({"choices": [{"index": 0, "delta": {"reasoning_content": "Hm."}}]})


@pytest.mark.parametrize(
    ("events", "more"),
    [
        ([ROLE, FIRST, CALLS], {}),
        ([ROLE, FIRST, OTHER], {}),
        ([ROLE, FIRST], {"n": 2}),
        ([ROLE, THOUGHT], {}),
    ],
    ids=["tool calls", "another choice", "several choices asked", "no text yet"],
)
async def test_where_text_is_not_all_that_was_said_nobody_goes_on(events: list[bytes], more: dict[str, Any]) -> None:
    async with cast("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(*events), Close()])
        *seen, error = await told(await ask(gw, STREAM | more))
        assert seen == events
        assert code_of(error) == "upstream_disconnected"
        assert [up.requests for up in ups[1:]] == [[], []]


async def test_a_whole_answer_that_only_loses_its_end_needs_nobody() -> None:
    async with cast("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST, STOP), Close()])
        assert await told(await ask(gw)) == [ROLE, FIRST, STOP, DONE]
        assert ups[1].requests == []


async def test_a_refusal_of_the_content_is_not_routed_around() -> None:
    refusal = sse(error_json("Filtered", kind="invalid_request_error", code="content_filter"))
    async with cast("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Chunk(refusal), LastChunk()])
        assert await told(await ask(gw)) == [ROLE, FIRST, refusal]
        assert [up.requests for up in ups[1:]] == [[], []]


async def test_a_client_that_leaves_while_another_goes_on_takes_it_along() -> None:
    async with cast("continue", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue([Stall()])
        client = await ask(gw)
        await client.read_head()
        assert [await client.read_event() for _ in range(2)] == [ROLE, FIRST]
        request = await ups[1].request(0)
        client.close()
        await within(request.gone.wait(), "the provider to be left")
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("client_gone", 2)
        assert (live(gw, "a/a").breaker.failures, live(gw, "b/b").breaker.failures) == (1, 0)


async def test_time_in_which_content_came_is_not_on_the_deadline() -> None:
    go = asyncio.Event()
    async with cast("continue", prefill="b", routing={"deadlineSecs": 5}) as (gw, ups, clock):
        ups[0].queue([*begun(ROLE, FIRST), Wait(go), Close()])
        ups[1].queue(sse_answer(*REST))
        client = await ask(gw)
        await committed(gw, "a/a")
        clock.advance(60)
        go.set()
        assert await told(client) == [ROLE, FIRST, *REST[1:]]


async def test_an_answer_that_is_no_stream_is_cut_as_ever() -> None:
    kind = [("Content-Type", "application/json"), ("Content-Length", "5000")]
    async with cast("continue", prefill="abc", server={"maxAnswerMb": 0.001}) as (gw, ups, _):
        ups[0].queue([Headers(200, kind), b"[" * 2000, Close()])
        client = await ask(gw)
        assert (await client.read_head()).status == 200
        assert await client.eof() in (b"", b"[" * 2000)
        assert (await gw.settled())["outcome"] == "broken"
        assert ups[1].requests == []


# -- whose choice it is ------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["hold", "HOLD ", "continue"])
async def test_the_requests_header_says_how_far_to_go_and_goes_no_further_itself(value: str) -> None:
    async with cast("fail", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*(REST if value == "continue" else EVENTS)))
        events = await told(await ask(gw, x_router_stream_recovery=value))
        if value == "continue":
            assert events == [ROLE, FIRST, *REST[1:]]
        else:
            assert without_router(events) == WHOLE
        for up in ups[:2]:
            assert up.requests[0].header("x-router-stream-recovery") is None


async def test_the_requests_header_may_ask_for_less_than_is_configured() -> None:
    async with cast("hold") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        *events, error = await told(await ask(gw, x_router_stream_recovery="fail"))
        assert events == [ROLE, FIRST]
        assert code_of(error) == "upstream_disconnected"


async def test_any_other_word_in_the_header_is_a_400_that_names_it() -> None:
    async with cast("fail") as (gw, ups, _):
        client = await ask(gw, x_router_stream_recovery="maybe")
        answer = await client.read_answer()
        error = answer.json["error"]
        assert (answer.status, error["param"], error["code"]) == (400, "x-router-stream-recovery", "invalid_value")
        assert "hold" in error["message"]
        assert [up.requests for up in ups] == [[], [], []]


@pytest.mark.parametrize("recovery", ["hold", "continue"])
async def test_a_plain_answer_knows_of_none_of_it(recovery: str) -> None:
    async with cast(recovery) as (gw, ups, _):
        ups[0].queue(json_answer(completion()))
        client = await ask(gw, {"model": "a", "messages": HI})
        answer = await client.read_answer()
        assert (answer.status, answer.header("x-router-provider")) == (200, "a")


async def test_what_cannot_stream_is_not_held_whatever_the_request_says() -> None:
    async with cast("hold") as (gw, ups, _):
        ups[0].queue(json_answer({"object": "list", "data": []}))
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/embeddings", json={"model": "a", "input": "Hi", "stream": True})
        assert (answer.status, answer.header("content-type")) == (200, "application/json")


async def test_a_completion_without_chat_is_not_gone_on_with() -> None:
    piece = sse({"choices": [{"index": 0, "text": "Hello", "finish_reason": None}]})
    async with cast("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(piece), Close()])
        client = await gw.client()
        await client.request("POST", "/v1/completions", json={"model": ["a", "b"], "prompt": "Hi", "stream": True})
        events = await told(client)
        assert (events[0], code_of(events[1]), ups[1].requests) == (piece, "upstream_disconnected", [])


# -- as people's clients see it ----------------------------------------------------------------------------


@pytest.mark.parametrize("recovery", ["hold", "continue"])
async def test_the_openai_package_puts_a_recovered_stream_together_as_one_answer(recovery: str) -> None:
    async with cast(recovery, prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*(REST if recovery == "continue" else EVENTS)))
        async with AsyncOpenAI(base_url=f"{gw.url}/v1", api_key="any", max_retries=0) as client:
            asked = client.chat.completions.stream(
                model="a", messages=[{"role": "user", "content": "Hi"}], extra_body={"model": ["a", "b"]}
            )
            async with asked as stream:
                message = (await stream.get_final_completion()).choices[0].message
        assert (message.role, message.content) == ("assistant", "Hello world")
