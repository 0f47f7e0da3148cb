"""Budgets beside everything else that a call meets: candidates, fallbacks, hedges, recoveries, and other endpoints."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.dispatch.streams import FIRST, REST, ROLE, SECOND, begun, events_of
from tests.support import Close, Stall, Wait, completion, error_json, json_answer, sse_answer, until
from tests.support.candidates import candidates
from tests.support.client import Answer
from tests.support.gateway import Gateway, one_provider
from tests.support.upstream import Upstream

CHAT = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hi"}]
DEAR = {"input": 1000, "output": 1000}  # 0.001 USD a token: a call of these tests may cost some 0.2 USD
CHEAP = {"input": 1, "output": 1}
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}
HELLO = completion("Hello") | {"usage": USAGE}


def total(usd: float, **more: Any) -> list[dict[str, Any]]:
    return [{"name": "all", "usd": usd, "window": "total"} | more]


async def ask(gw: Gateway, path: str = CHAT, **more: Any) -> Answer:
    body = {"model": "a", "messages": MESSAGES, "max_tokens": 100} | more
    return await (await gw.client()).fetch("POST", path, json=body)


def held(gw: Gateway) -> list[int]:
    return [counter.held for counter in gw.app.limiter.book]


def spent(gw: Gateway) -> list[int]:
    return [counter.spent for counter in gw.app.limiter.book]


# Candidates


async def test_answers_say_that_a_candidate_was_skipped_for_its_budget() -> None:
    prices = {"a": {"prices": DEAR}, "b": {}, "c": {"prices": CHEAP}}
    async with candidates("abc", per_model=prices, budgets=total(0.01)) as (gw, ups, _):
        ups[2].queue(json_answer(HELLO))
        answer = await ask(gw, model=["a", "b", "c"])
        assert answer.status == 200
        assert answer.json["_router"]["skipped"] == [
            {"model": "a/a", "reason": "budget"},
            {"model": "b/b", "reason": "no_price"},
        ]
        assert ups[0].requests == ups[1].requests == []


async def test_if_no_candidate_is_left_the_client_is_told_of_the_budget_rather_than_the_missing_price() -> None:
    prices = {"a": {"prices": DEAR}, "b": {}}
    async with candidates("ab", per_model=prices, budgets=total(0.01)) as (gw, _, _):
        for model in (["a", "b"], ["b", "a"]):
            answer = await ask(gw, model=model)
            assert (answer.status, answer.json["error"]["code"]) == (429, "insufficient_quota")
        answer = await ask(gw, model="b")
        assert (answer.status, answer.json["error"]["code"]) == (403, "model_unpriced")


async def test_a_rate_limit_that_ends_soon_is_told_before_a_budget() -> None:
    limits = {"enabled": True, "perModel": {"requestsPerMinute": 1}}
    prices = {"a": {"prices": CHEAP}, "b": {"prices": DEAR}}
    async with candidates("ab", per_model=prices, budgets=total(0.01), rateLimiting=limits) as (gw, ups, _):
        ups[0].queue(json_answer(HELLO))
        assert (await ask(gw)).status == 200
        for model in (["a", "b"], ["b", "a"]):
            answer = await ask(gw, model=model)
            assert (answer.status, answer.json["error"]["code"]) == (429, "rate_limit_exceeded")
            assert answer.header("x-should-retry") is None


async def test_a_failure_before_a_refusal_is_told_with_the_budget() -> None:
    """The client may repeat a 502: another call to the first model may be covered. It is refused if it is not."""
    prices = {"a": {"prices": CHEAP}, "b": {"prices": DEAR}}
    async with candidates("ab", per_model=prices, budgets=total(0.01), routing={"maxRetries": 2}) as (gw, ups, _):
        ups[0].queue(json_answer(error_json("Broken on purpose"), 500))
        answer = await ask(gw, model=["a", "b"])
        assert (answer.status, answer.header("x-should-retry")) == (502, None)
        message = answer.json["error"]["message"]
        assert "b/b: a budget does not cover it" in message
        assert "Broken on purpose" in message
        assert [len(up.requests) for up in ups] == [1, 0]
        await until(lambda: held(gw) == [0], "everything to be released")


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "routing", [{}, {"hedgeAfterMs": 1}, {"streamRecovery": "hold"}, {"streamRecovery": "continue"}, {"maxRetries": 0}]
)
async def test_however_a_call_is_made_its_refusal_is_a_status(routing: dict[str, Any], stream: bool) -> None:
    async with candidates("ab", model={"prices": DEAR}, budgets=total(0.01), routing=routing) as (gw, ups, _):
        answer = await ask(gw, model=["a", "b"], stream=stream)
        assert (answer.status, answer.json["error"]["code"]) == (429, "insufficient_quota")
        assert answer.header("x-should-retry") == "false"
        assert ups[0].requests == ups[1].requests == []


async def test_a_retry_that_the_budget_no_longer_covers_is_told_as_the_failure() -> None:
    """The first attempt was cut after some output, which is charged."""
    routing = {"maxRetries": 1, "retryDelay": 0, "streamRecovery": "hold"}
    async with candidates("a", model={"prices": DEAR}, budgets=total(0.22), routing=routing) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST, *[SECOND] * 40), Close()])
        answer = await ask(gw, stream=True)
        assert (answer.status, answer.header("x-should-retry")) == (502, None)
        assert "a/a: a budget does not cover it" in answer.json["error"]["message"]
        assert len(ups[0].requests) == 1
        refused = await ask(gw, stream=True)
        assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")


# The fallback


@pytest.mark.parametrize(
    ("on_limit", "prices", "budget", "status"),
    [
        (False, CHEAP, {}, 429),  # its operator has not allowed it
        (True, CHEAP, {}, 200),
        (True, DEAR, {}, 429),  # the budget does not cover it either
        (True, None, {}, 429),  # nobody knows what it costs
        (False, CHEAP, {"per": "model", "only": ["a"]}, 429),
        (True, CHEAP, {"per": "model", "only": ["a"]}, 200),
        (True, DEAR, {"per": "model", "only": ["a"]}, 200),  # only the other model has a budget
    ],
)
async def test_the_fallback_is_no_way_around_a_budget(
    on_limit: bool, prices: Any, budget: dict[str, Any], status: int
) -> None:
    """Like a rate limit, a budget leads to the fallback only with ``onLimit``; then the fallback has to fit, too."""
    routing = {"fallback": {"provider": "b", "model": "b", "onLimit": on_limit}}
    models = {"a": {"prices": DEAR}, "b": {} if prices is None else {"prices": prices}}
    async with candidates("ab", per_model=models, budgets=total(0.01, **budget), routing=routing) as (gw, ups, _):
        ups[1].on(lambda request: json_answer(HELLO))
        answer = await ask(gw)
        assert answer.status == status
        if status == 429:
            assert answer.json["error"]["code"] == "insufficient_quota"
        assert [len(up.requests) for up in ups] == [0, int(status == 200)]


# Several attempts at a time, and one after the other


async def test_a_hedge_holds_both_attempts_and_is_charged_for_both() -> None:
    go = asyncio.Event()
    async with candidates("ab", model={"prices": DEAR}, budgets=total(0.5), routing={"hedgeAfterMs": 1}) as (
        gw,
        ups,
        _,
    ):
        ups[0].queue([Stall()])
        ups[1].queue([Wait(go), *json_answer(HELLO)])
        call = asyncio.create_task(ask(gw, model=["a", "b"]))
        await until(lambda: all(up.requests for up in ups), "both attempts")
        (both,) = held(gw)
        assert 300_000_000 < both < 500_000_000
        go.set()
        assert (await call).status == 200
        await until(lambda: held(gw) == [0], "everything to be released")
        (cost,) = spent(gw)
        assert 20_000_000 < cost < 100_000_000  # the winner's usage, and the input of the other


async def test_a_hedge_that_no_budget_covers_is_not_made() -> None:
    go = asyncio.Event()
    async with candidates("ab", model={"prices": DEAR}, budgets=total(0.3), routing={"hedgeAfterMs": 1}) as (
        gw,
        ups,
        _,
    ):
        ups[0].queue([Wait(go), *json_answer(HELLO)])
        call = asyncio.create_task(ask(gw, model=["a", "b"]))
        await until(lambda: bool(ups[0].requests), "the first attempt")
        await until(lambda: gw.app.limiter.book.find("all/total/") is not None, "a hold")
        go.set()
        assert (await call).status == 200
        assert ups[1].requests == []
        assert spent(gw) == [20_000_000]


@pytest.mark.parametrize(("usd", "answers"), [(0.5, True), (0.25, False)])
async def test_a_stream_that_another_model_repeats_is_charged_twice(usd: float, answers: bool) -> None:
    """``hold``: the broken stream cost its input and some output, so the next attempt may not be covered."""
    routing = {"streamRecovery": "hold"}
    async with candidates("ab", model={"prices": DEAR}, budgets=total(usd), routing=routing) as (gw, ups, _):
        ups[0].queue([*begun(ROLE, FIRST, *[SECOND] * 40), Close()])
        ups[1].queue(sse_answer(ROLE, FIRST, *REST[1:]))
        answer = await ask(gw, model=["a", "b"], stream=True)
        assert (answer.status == 200) is answers
        if not answers:
            assert "b/b: a budget does not cover it" in answer.json["error"]["message"]
        assert len(ups[1].requests) == int(answers)
        await until(lambda: held(gw) == [0], "everything to be released")
        assert spent(gw)[0] >= 42_000_000


async def test_a_stream_that_another_model_continues_is_charged_for_both() -> None:
    routing = {"streamRecovery": "continue"}
    async with candidates("ab", prefill="b", model={"prices": DEAR}, budgets=total(0.5), routing=routing) as (
        gw,
        ups,
        _,
    ):
        ups[0].queue([*begun(ROLE, FIRST), Close()])
        ups[1].queue(sse_answer(*REST))
        client = await gw.client()
        body = {"model": ["a", "b"], "messages": MESSAGES, "max_tokens": 100, "stream": True}
        await client.request("POST", CHAT, json=body)
        assert len(await events_of(client)) > 3
        line = await gw.settled()
        assert (line["outcome"], line["attempts"]) == ("ok", 2)
        await until(lambda: held(gw) == [0], "everything to be released")
        assert spent(gw)[0] > 20_000_000


async def test_a_continuation_that_no_budget_covers_breaks_the_stream() -> None:
    routing = {"streamRecovery": "continue"}
    async with candidates("ab", prefill="b", model={"prices": DEAR}, budgets=total(0.25), routing=routing) as (
        gw,
        ups,
        _,
    ):
        ups[0].queue([*begun(ROLE, FIRST, *[SECOND] * 40), Close()])
        client = await gw.client()
        body = {"model": ["a", "b"], "messages": MESSAGES, "max_tokens": 100, "stream": True}
        await client.request("POST", CHAT, json=body)
        events = await events_of(client)
        assert b"upstream_disconnected" in events[-1]
        assert ups[1].requests == []
        await until(lambda: held(gw) == [0], "everything to be released")


# Other endpoints

FORM = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\na\r\n--b--\r\n'
FORM_TYPE = [("Content-Type", "multipart/form-data; boundary=b")]


@pytest.fixture
async def up() -> Any:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer({"data": [], "text": "Hello", "input_tokens": 3, "usage": USAGE}))
        yield upstream


def settings(up: Upstream, budgets: list[dict[str, Any]], **sections: Any) -> dict[str, Any]:
    return one_provider(up, models=[{"name": "a", "provider": "up", "prices": DEAR}], budgets=budgets, **sections)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/embeddings", {"model": "a", "input": "x" * 100}),
        ("/v1/images/generations", {"model": "a", "prompt": "a cat", "n": 1}),
        ("/v1/audio/speech", {"model": "a", "input": "x" * 100, "voice": "alloy"}),
        ("/v1/moderations", {"model": "a", "input": "x" * 100}),
        ("/v1/audio/transcriptions", None),
        ("/v1/images/edits", None),
    ],
)
async def test_other_endpoints_have_the_same_budgets(up: Upstream, path: str, body: dict[str, Any] | None) -> None:
    for usd, status in ((0.01, 429), (1000, 200)):
        async with Gateway(settings(up, total(usd))) as gw:
            client = await gw.client()
            if body is None:
                answer = await client.fetch("POST", path, body=FORM, headers=FORM_TYPE)
            else:
                answer = await client.fetch("POST", path, json=body)
            assert answer.status == status, answer.body
            if status == 429:
                assert answer.json["error"]["code"] == "insufficient_quota"
                assert up.requests == []
            else:
                await until(lambda: held(gw) == [0], "everything to be released")


async def test_tokens_are_counted_for_nothing(up: Upstream) -> None:
    up.on(lambda request: json_answer({"input_tokens": 3}))
    provider = {"kind": "anthropic", "baseUrl": up.url, "apiKey": "k"}
    models = [{"name": "a", "provider": "up", "prices": DEAR}]
    async with Gateway({"providers": {"up": provider}, "models": models, "budgets": total(0.0001)}) as gw:
        client = await gw.client()
        body = {"model": "a", "messages": MESSAGES}
        answer = await client.fetch("POST", "/v1/messages/count_tokens", json=body)
        assert (answer.status, answer.json) == (200, {"input_tokens": 3})
        assert (await client.fetch("POST", "/v1/messages", json=body | {"max_tokens": 9})).status == 429
        assert spent(gw) == held(gw) == [0]


async def test_what_is_relayed_untouched_has_no_price_unless_it_only_reads(up: Upstream) -> None:
    provider = {"baseUrl": up.url, "passthrough": ["GET /files", "POST /files"]}
    base = {"providers": {"up": provider}}
    async with Gateway(base | {"budgets": total(5)}) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/proxy/up/files")).status == 200
        refused = await client.fetch("POST", "/proxy/up/files", json={})
        assert (refused.status, refused.json["error"]["code"]) == (403, "model_unpriced")
        assert len(up.requests) == 1
    async with Gateway(base | {"budgets": total(5), "billing": {"onUnpriced": "allow"}}) as gw:
        assert (await (await gw.client()).fetch("POST", "/proxy/up/files", json={})).status == 200


async def test_a_background_response_is_refused_as_its_usage_is_never_known() -> None:
    """Another response could read its answer (``previous_response_id``) for little."""
    body = {"model": "a", "input": "Hi", "max_output_tokens": 10, "background": True}
    queued: dict[str, Any] = {"id": "resp_1", "object": "response", "status": "queued", "output": [], "usage": None}
    for budgets, billing, status in (
        (total(1), {}, 400),
        (total(1, soft=True), {}, 200),
        (total(1), {"onUnpriced": "allow"}, 200),
        ([], {}, 200),
    ):
        async with Upstream() as up:
            up.on(lambda request: json_answer(queued))
            provider = one_provider(up, models=[{"name": "a", "provider": "up", "prices": DEAR}])
            provider["providers"]["up"]["dialects"] = {"responses": {}}
            async with Gateway(provider | {"budgets": budgets, "billing": billing}) as gw:
                answer = await (await gw.client()).fetch("POST", "/v1/responses", json=body)
                assert answer.status == status, answer.json
                await gw.settled()
                assert held(gw) in ([], [0])
                if status == 400:
                    assert answer.json["error"]["param"] == "background"
                    assert up.requests == []
