"""``streamRecovery: continue``: another model continues a stream that broke."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.dispatch.streams import (
    BREAKS,
    CHAT,
    ERROR,
    FIRST,
    HI,
    REST,
    ROLE,
    SECOND,
    STOP,
    STREAM,
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
    Reset,
    Stall,
    Wait,
    chat_events,
    error_json,
    json_answer,
    sse,
    sse_answer,
    within,
)
from tests.support.answers import DONE
from tests.support.lives import live
from tests.support.steps import Step


def spoken(*texts: str) -> list[dict[str, str]]:
    return [*HI, {"role": "assistant", "content": "".join(texts)}]


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS.keys())
async def test_another_model_continues_the_text_of_a_broken_stream(broken: list[Step | bytes]) -> None:
    text = "Hello world" if broken == BREAKS["an error event in one read with text"] else "Hello"
    silent = "a" if broken is BREAKS["silence"] else ""
    async with recovering("continue", prefill="c", silent=silent) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), *broken])
        ups[2].queue(sse_answer(*REST))
        client = await ask(gw, x_router_metadata="true")
        events = await events_of(client)
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
async def test_pings_between_the_attempts_end_no_numbered_event() -> None:
    go = asyncio.Event()
    async with recovering("continue", prefill="b", server={"pingAfter": 0.01}) as (gw, ups, _):
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


async def test_the_rest_of_the_request_body_is_not_changed() -> None:
    body = b'{"messages" : [ {"role":"user","content":"\\u0048i"} ] , "stream":true, "seed": 1e2, "model": ["a","b"]}'
    async with recovering("continue", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, sse({"choices": [{"index": 0, "delta": {"content": 'Say "h\u00ef"\n'}}]})), Close()])
        ups[1].queue(sse_answer(*REST))
        client = await gw.client()
        await client.request("POST", CHAT, headers=[("Content-Type", "application/json")], body=body)
        await events_of(client)
        sent = bytes(ups[1].requests[0].body)
        assert b'[ {"role":"user","content":"\\u0048i"} ,{"role":"assistant","content":' in sent
        assert b'"seed": 1e2' in sent
        assert json.loads(sent)["messages"][1]["content"] == 'Say "h\u00ef"\n'


async def test_a_call_without_messages_is_continued() -> None:
    async with recovering("continue", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*REST))
        await events_of(await ask(gw, STREAM | {"messages": []}))
        assert ups[1].requests[0].json["messages"] == spoken("Hello")[1:]


async def test_after_two_breaks_the_next_model_gets_all_of_the_text() -> None:
    async with recovering("continue", prefill="bc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue([*begun(*chat_events(" wide", finish=None, done=False)), Reset()])
        ups[2].queue(sse_answer(*REST))
        events = await events_of(await ask(gw))
        text = "".join(json.loads(event[6:])["choices"][0]["delta"].get("content", "") for event in events[:-1])
        assert text == "Hello wide world"
        assert [up.requests[0].json["messages"] for up in ups] == [HI, spoken("Hello"), spoken("Hello", " wide")]
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("ok", 3)


async def test_half_a_surrogate_pair_at_the_break_is_replaced() -> None:
    halves = [
        b'data: {"choices":[{"index":0,"delta":{"content":"\\u%b"}}]}\n\n' % half
        for half in (b"d83d", b"de00", b"d83d")
    ]
    async with recovering("continue", prefill="b") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, *halves), Close()])
        ups[1].queue(sse_answer(*REST))
        await events_of(await ask(gw))
        assert ups[1].requests[0].json["messages"] == spoken("\U0001f600\ufffd")


async def test_the_same_model_may_continue_its_own_text() -> None:
    async with recovering("continue", count=1, prefill="a") as (gw, ups, clock):
        ups[0].queue([*begun(ROLE, FIRST), Close()], sse_answer(*REST))
        assert await events_of(await ask(gw, STREAM | {"model": "a"})) == [ROLE, FIRST, *REST[1:]]
        assert len(clock.slept) == 1
        assert ups[0].requests[1].json["messages"] == spoken("Hello")


async def test_the_fallback_may_continue_if_it_supports_prefilling() -> None:
    async with recovering(
        "continue", prefill="c", routing={"fallback": {"enabled": True, "provider": "c", "model": "c"}}
    ) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[2].queue(sse_answer(*REST))
        assert await events_of(await ask(gw, STREAM | {"model": "a"})) == [ROLE, FIRST, *REST[1:]]
        assert (await gw.settled())["attempts"] == 2


async def test_a_continuation_that_fails_is_retried_on_the_next_model() -> None:
    async with recovering("continue", prefill="bc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(json_answer(error_json(), 500))
        ups[2].queue(sse_answer(*REST))
        assert await events_of(await ask(gw)) == [ROLE, FIRST, *REST[1:]]


async def test_if_all_continuations_fail_the_client_gets_one_error_in_band() -> None:
    async with recovering("continue", prefill="bc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Chunk(ERROR), LastChunk()])
        ups[1].on(lambda request: json_answer(error_json(), 500))
        ups[2].on(lambda request: json_answer(error_json(), 500))
        *events, error = await events_of(await ask(gw))
        assert events == [ROLE, FIRST]
        assert code_of(error) == "upstream_server_error"
        assert (await gw.settled())["outcome"] == "broken"


@pytest.mark.parametrize("broken", BREAKS.values(), ids=BREAKS.keys())
async def test_a_stream_that_no_model_can_continue_ends_byte_for_byte_as_with_fail(broken: list[Step | bytes]) -> None:
    seen = []
    for recovery in ("fail", "continue"):
        async with recovering(recovery, silent="a" if broken is BREAKS["silence"] else "") as (gw, ups, clock):
            ups[0].queue([*begun(ROLE, FIRST), *broken])
            seen.append(await events_of(await ask(gw)))
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
async def test_a_stream_with_more_than_text_is_not_continued(events: list[bytes], more: dict[str, Any]) -> None:
    async with recovering("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(*events), Close()])
        *seen, error = await events_of(await ask(gw, STREAM | more))
        assert seen == events
        assert code_of(error) == "upstream_disconnected"
        assert [up.requests for up in ups[1:]] == [[], []]


async def test_a_whole_answer_without_its_terminal_event_is_not_continued() -> None:
    async with recovering("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST, STOP), Close()])
        assert await events_of(await ask(gw)) == [ROLE, FIRST, STOP, DONE]
        assert ups[1].requests == []


async def test_a_content_filter_error_is_not_retried() -> None:
    refusal = sse(error_json("Filtered", kind="invalid_request_error", code="content_filter"))
    async with recovering("continue", prefill="abc") as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST), Chunk(refusal), LastChunk()])
        assert await events_of(await ask(gw)) == [ROLE, FIRST, refusal]
        assert [up.requests for up in ups[1:]] == [[], []]


async def test_a_client_that_leaves_during_a_continuation_cancels_it() -> None:
    async with recovering("continue", prefill="b") as (gw, ups, _):
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


async def test_the_deadline_does_not_run_while_content_comes() -> None:
    go = asyncio.Event()
    async with recovering("continue", prefill="b", routing={"deadlineSecs": 5}) as (gw, ups, clock):
        ups[0].queue([*begun(ROLE, FIRST), Wait(go), Close()])
        ups[1].queue(sse_answer(*REST))
        client = await ask(gw)
        await committed(gw, "a/a")
        clock.advance(60)
        go.set()
        assert await events_of(client) == [ROLE, FIRST, *REST[1:]]


async def test_an_answer_that_is_no_stream_is_cut() -> None:
    kind = [("Content-Type", "application/json"), ("Content-Length", "5000")]
    async with recovering("continue", prefill="abc", server={"maxAnswerMb": 0.001}) as (gw, ups, _):
        ups[0].queue([Headers(200, kind), b"[" * 2000, Close()])
        client = await ask(gw)
        assert (await client.read_head()).status == 200
        assert await client.eof() in (b"", b"[" * 2000)
        assert (await gw.settled())["outcome"] == "broken"
        assert ups[1].requests == []
