"""Budgets through the real gateway: calls are refused before they could pass a cap."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from proxy.auth.apikey import new_key
from proxy.budgets.learned import LEAST_OBSERVED
from tests.support import Chunk, Headers, LastChunk, Wait, until
from tests.support.answers import SSE_HEADERS, chat_events, completion, json_answer
from tests.support.client import Answer
from tests.support.gateway import Gateway, one_provider
from tests.support.upstream import Request, Upstream
from tests.support.zones import noon_zone

CHAT = "/v1/chat/completions"
# 0.001 USD a token: the prices are USD for a million.
PRICED = [{"name": "m", "provider": "up", "prices": {"input": 1000, "output": 1000}}]
USAGE = {"prompt_tokens": 10, "completion_tokens": 10, "total_tokens": 20}  # 0.02 USD


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(lambda request: json_answer(completion("Hello") | {"usage": USAGE}))
        yield upstream


def settings(up: Upstream, *budgets: dict[str, Any], **sections: Any) -> dict[str, Any]:
    return one_provider(up, models=PRICED, budgets=[*budgets], **sections)


async def ask(gw: Gateway, *headers: tuple[str, str], path: str = CHAT, **more: Any) -> Answer:
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 100} | more
    return await (await gw.client()).fetch("POST", path, json=body, headers=headers)


async def test_calls_are_answered_until_the_next_may_pass_the_cap(up: Upstream) -> None:
    """A call may cost some 0.2 USD, and costs 0.02."""
    async with Gateway(settings(up, {"name": "all", "usd": 0.3, "window": "total"})) as gw:
        statuses = [(await ask(gw)).status for _ in range(10)]
    assert statuses[0] == 200
    assert statuses == sorted(statuses)
    answered = statuses.count(200)
    assert 2 <= answered < 10
    assert len(up.requests) == answered


async def test_a_refusal_is_final_and_says_why(up: Upstream) -> None:
    async with Gateway(settings(up, {"name": "daily", "usd": 0.01, "window": "day", "timezone": noon_zone()})) as gw:
        answer = await ask(gw)
        line = await gw.settled()
    assert (answer.status, answer.header("x-should-retry")) == (429, "false")
    error = answer.json["error"]
    assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
    assert error["message"].startswith(
        "The budget 'daily' of the whole gateway does not cover this call. It is renewed at 20"
    )
    assert "$" not in error["message"]
    assert line["error"] == "insufficient_quota"
    assert up.requests == []


async def test_parallel_calls_hold_what_they_may_cost(up: Upstream) -> None:
    go = asyncio.Event()
    up.on(lambda request: [Wait(go), *json_answer(completion("Hello") | {"usage": USAGE})])
    async with Gateway(settings(up, {"name": "all", "usd": 0.5, "window": "total"})) as gw:
        calls = [asyncio.create_task(ask(gw)) for _ in range(20)]
        await until(lambda: sum(call.done() for call in calls) >= 17, "the others to be refused")
        go.set()
        statuses = [(await call).status for call in calls]
        assert 2 <= statuses.count(200) <= 3
        assert statuses.count(200) + statuses.count(429) == 20
        assert (await ask(gw)).status == 200  # what was held is free again


async def test_each_owner_has_a_budget(up: Upstream) -> None:
    keys = [new_key() for _ in range(2)]
    auth = {
        "mode": "keys",
        "keys": [{"name": f"k{n}", "owner": f"owner{n}", "hash": key[1]} for n, key in enumerate(keys)],
    }
    budget = {"name": "own", "per": "owner", "usd": 0.25, "window": "day", "timezone": noon_zone()}
    async with Gateway(settings(up, budget, auth=auth, database={"enabled": False})) as gw:
        first = [("Authorization", f"Bearer {keys[0][0]}")]
        while (answer := await ask(gw, *first)).status == 200:
            pass
        message = answer.json["error"]["message"]
        assert "The budget 'own' of your account does not cover this call: $0.0" in message
        assert (await ask(gw, ("Authorization", f"Bearer {keys[1][0]}"))).status == 200


async def test_tokens_may_be_capped(up: Upstream) -> None:
    async with Gateway(settings(up, {"name": "t", "tokens": 215, "window": "day", "timezone": noon_zone()})) as gw:
        assert [(await ask(gw)).status for _ in range(3)] == [200, 200, 429]


async def test_a_run_ends_with_its_budget(up: Upstream) -> None:
    async with Gateway(settings(up, {"name": "runs", "per": "run", "usd": 0.25})) as gw:
        run = ("x-router-run", "r1")
        while (answer := await ask(gw, run)).status == 200:
            pass
        assert "The budget 'runs' of this run" in answer.json["error"]["message"]
        assert (await ask(gw, ("x-router-run", "r2"))).status == 200
        assert (await ask(gw)).status == 200  # belongs to no run


async def test_a_client_may_cap_its_run_where_nothing_is_configured(up: Upstream) -> None:
    async with Gateway(one_provider(up, models=PRICED)) as gw:
        capped = ("x-router-budget-usd", "0.05")
        refused = await ask(gw, ("x-router-run", "r1"), capped)
        assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")
        assert (await ask(gw, ("x-router-run", "r1"), capped, max_tokens=1, messages=[])).status in (200, 429)
        assert (await ask(gw)).status == 200


async def test_a_model_without_a_price_is_refused_unless_that_is_allowed(up: Upstream) -> None:
    budget = {"name": "all", "usd": 5, "window": "day", "timezone": noon_zone()}
    models = [{"name": "m", "provider": "up"}]
    async with Gateway(one_provider(up, models=models, budgets=[budget])) as gw:
        answer = await ask(gw)
        assert (answer.status, answer.json["error"]["code"]) == (403, "model_unpriced")
    async with Gateway(one_provider(up, models=models, budgets=[budget], billing={"onUnpriced": "allow"})) as gw:
        assert (await ask(gw)).status == 200


async def test_a_cheaper_fallback_is_taken(up: Upstream) -> None:
    models = [
        *PRICED,
        {"name": "cheap", "provider": "up", "prices": {"input": 1, "output": 1}},
    ]
    async with Gateway(
        one_provider(
            up, models=models, budgets=[{"name": "all", "usd": 0.01, "window": "day", "timezone": noon_zone()}]
        )
    ) as gw:
        assert (await ask(gw, model=["m", "cheap"])).status == 200


async def test_a_retry_holds_again(up: Upstream) -> None:
    """A failed attempt costs nothing here, so what it held is free for the next one."""
    up.queue([*_error(500)])
    async with Gateway(
        settings(
            up,
            {"name": "all", "usd": 0.25, "window": "day", "timezone": noon_zone()},
            routing={"maxRetries": 1, "retryDelay": 0},
        )
    ) as gw:
        assert (await ask(gw)).status == 200
        await gw.settled()
        (counter,) = gw.app.limiter.book
        assert (counter.spent, counter.held) == (20_000_000, 0)
    assert len(up.requests) == 2


async def test_a_stream_is_charged_by_its_usage(up: Upstream) -> None:
    def stream(_: Any) -> Iterator[Any]:
        yield Headers(200, SSE_HEADERS)
        for event in chat_events("a", "b", usage=USAGE):
            yield Chunk(event)
        yield LastChunk()

    up.on(stream)
    async with Gateway(settings(up, {"name": "t", "tokens": 232, "window": "day", "timezone": noon_zone()})) as gw:
        assert [(await ask(gw, stream=True)).status for _ in range(3)] == [200, 200, 429]


def _error(status: int) -> Iterator[Any]:
    yield from json_answer({"error": {"message": "broken"}}, status=status)


async def test_what_a_byte_costs_may_be_learned(up: Upstream) -> None:
    """A call of 100 bytes holds a token a byte at first, and once 10 tokens were seen often enough, about that many."""
    budget = {"name": "t", "tokens": 1000, "window": "day", "timezone": noon_zone()}
    async with Gateway(settings(up, budget, billing={"reserve": "learned"})) as gw:
        book = gw.app.limiter.book
        held: list[int] = []

        def answer(request: Request) -> list[Any]:
            held.append(next(iter(book)).held)
            return [*json_answer(completion("Hello", usage=USAGE))]

        up.on(answer)
        assert (await ask(gw)).status == 200
        for _ in range(LEAST_OBSERVED):
            book.ratios.observe(gw.app.gateway.catalog.deployments[0], 100, 10)
        assert (await ask(gw)).status == 200
    assert held[0] > 180
    assert 105 < held[1] < 130


async def test_a_run_that_was_capped_stays_so_for_calls_without_the_header(up: Upstream) -> None:
    async with Gateway(one_provider(up, models=PRICED)) as gw:
        run = ("x-router-run", "r1")
        assert (await ask(gw, run)).status == 200
        assert (await ask(gw, run, ("x-router-budget-usd", "0.05"))).status == 429
        refused = await ask(gw, run)
        assert (refused.status, refused.json["error"]["code"]) == (429, "insufficient_quota")
        assert (await ask(gw, ("x-router-run", "r2"))).status == 200
        assert (await ask(gw, ("session-id", "s1"), ("x-codex-parent-thread-id", "r1"))).status == 429
