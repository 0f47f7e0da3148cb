"""``x-router-metadata: true``: answers say what they cost, streams in a comment before their end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import Upstream, chat_events, completion, error_json, json_answer, sse_answer
from tests.support.answers import USAGE, compact
from tests.support.gateway import Gateway

HI = [{"role": "user", "content": "Hi"}]
CALL: dict[str, Any] = {"model": "m", "messages": HI}
STREAM = CALL | {"stream": True}
CHAT, MESSAGES = "/v1/chat/completions", "/v1/messages"
ASKED = [("x-router-metadata", "true")]
PRICES = {"input": 1, "output": 2}
COST = 9e-6 + 4e-6
EVENTS = chat_events("Hello", usage=USAGE)


def _gateway(up: Upstream, **routing: Any) -> Gateway:
    model = {"name": "m", "provider": "up", "model": "up-model"}
    return Gateway(
        {
            "routing": {"maxRetries": 0, "rateLimitRetries": 0} | routing,
            "providers": {"up": {"baseUrl": up.url, "apiKey": "k", "dialects": {"messages": {"baseUrl": up.url}}}},
            "models": [model | {"prices": PRICES}, model | {"name": "unpriced", "model": "of-no-catalog"}],
        }
    )


def _comment(body: bytes) -> Any:
    (found,) = [block for block in body.split(b"\n\n") if block.startswith(b": _router ")]
    return json.loads(found.removeprefix(b": _router "))


async def test_a_plain_answer_says_what_it_cost_on_request() -> None:
    async with Upstream() as up, _gateway(up) as gw:
        up.on(lambda request: json_answer(completion()))
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL, headers=ASKED)
        assert answer.json["_router"]["cost_usd"] == pytest.approx(COST)
        assert "cost_usd" not in (await client.fetch("POST", CHAT, json=CALL)).json["_router"]


async def test_a_stream_says_it_before_its_terminal_event() -> None:
    async with Upstream() as up, _gateway(up) as gw:
        up.on(lambda request: sse_answer(*EVENTS))
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=STREAM, headers=ASKED)
        assert _comment(answer.body)["cost_usd"] == pytest.approx(COST)
        assert answer.body.index(b"_router") < answer.body.index(b"[DONE]")
        assert (await gw.settled())["cost_usd"] == pytest.approx(COST)


async def test_messages_say_it_after_their_last_count() -> None:
    def event(kind: str, **members: Any) -> bytes:
        return b"event: %b\ndata: %b\n\n" % (kind.encode(), compact({"type": kind} | members))

    events = [
        event("message_start", message={"content": [], "usage": {"input_tokens": 5, "output_tokens": 1}}),
        event("content_block_delta", index=0, delta={"type": "text_delta", "text": "a"}),
        event("message_delta", delta={"stop_reason": "end_turn"}, usage={"output_tokens": 10}),
        event("message_stop"),
    ]
    async with Upstream() as up, _gateway(up) as gw:
        up.on(lambda request: sse_answer(*events))
        client = await gw.client()
        answer = await client.fetch("POST", MESSAGES, json=STREAM | {"max_tokens": 5}, headers=ASKED)
        assert _comment(answer.body)["cost_usd"] == pytest.approx(5e-6 + 20e-6)


@pytest.mark.parametrize("call", [CALL, STREAM], ids=["plain", "stream"])
async def test_a_cost_that_is_not_known_is_null(call: dict[str, Any]) -> None:
    async with Upstream() as up, _gateway(up) as gw:
        client = await gw.client()
        for model, usage in (("unpriced", USAGE), ("m", None)):
            events = chat_events("Hello", usage=usage)
            up.queue(sse_answer(*events) if "stream" in call else json_answer(completion(usage=usage)))
            answer = await client.fetch("POST", CHAT, json=call | {"model": model}, headers=ASKED)
            found = _comment(answer.body) if "stream" in call else answer.json["_router"]
            if model == "unpriced" or "stream" in call:
                assert found["cost_usd"] is None
            else:  # the whole answer is there to be estimated by
                assert found["cost_usd"] > 0


async def test_the_attempts_before_the_answer_are_in_its_cost() -> None:
    async with Upstream() as up, _gateway(up, maxRetries=1, retryDelay=1) as gw:
        up.queue(json_answer(error_json(), 500), json_answer(completion()))
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL, headers=ASKED)
        assert (answer.json["_router"]["attempts"], answer.json["_router"]["cost_usd"]) == (2, pytest.approx(COST))
        up.queue(json_answer(error_json(), 504), json_answer(completion()))  # the first one has read its input
        answer = await client.fetch("POST", CHAT, json=CALL, headers=ASKED)
        input_cost = (await gw.settled(2))["bytes_in"] // 4 * 1e-6
        assert answer.json["_router"]["cost_usd"] == pytest.approx(COST + input_cost)
        up.queue(json_answer(error_json()), json_answer(completion()))  # an error with status 200
        answer = await client.fetch("POST", CHAT, json=CALL, headers=ASKED)
        assert (answer.json["_router"]["attempts"], answer.json["_router"]["cost_usd"]) == (2, None)
