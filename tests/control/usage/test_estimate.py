"""What a call would cost, without sending it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.control.usage.rig import PricedPlane
from tests.support import Answer

CHAT = {"model": "m", "messages": [{"role": "user", "content": "x" * 400}], "max_tokens": 100}


@pytest.fixture
async def plane() -> AsyncIterator[PricedPlane]:
    plane = PricedPlane()
    async with plane.server:
        yield plane


async def ask(plane: PricedPlane, body: Any, query: str = "", *headers: tuple[str, str]) -> Answer:
    path = f"/billing/estimate{query}"
    return await plane.server.fetch("POST", path, ("x-test-client", "a"), *headers, json=body)


async def test_each_candidate_has_its_tokens_and_its_cost(plane: PricedPlane) -> None:
    answer = await ask(plane, CHAT)
    assert answer.status == 200, answer.body
    first, second = answer.json["candidates"]
    tokens = first["tokens"]
    assert (first["id"], first["upstream_model"], tokens["output"]) == ("near/m", "m-1", 100)
    assert 100 <= tokens["input"] < 130
    assert first["cost_nano"] == tokens["input"] * 2000 + 100 * 10_000
    assert first["cost_usd"] == first["cost_nano"] / 1e9
    assert (first["cost_source"], first["prices"]["input"], first["prices"]["output"]) == ("operator", 2, 10)
    assert (second["id"], second["cost_usd"], second["cost_source"], second["prices"]) == (
        "far/n",
        None,
        "unpriced",
        None,
    )


async def test_without_a_limit_the_output_is_the_models(plane: PricedPlane) -> None:
    answer = await ask(plane, {"model": "m", "messages": [{"role": "user", "content": "Hi"}]})
    assert answer.json["candidates"][0]["tokens"]["output"] == 500


async def test_images_cost_what_one_costs_and_never_only_the_prompt(plane: PricedPlane) -> None:
    for query, body, nano in (
        ("?endpoint=images/generations", {"model": "m", "prompt": "a cat", "n": 3}, 120_004_000),
        ("?endpoint=images/generations", {"model": "n", "prompt": "a cat"}, None),
        ("?endpoint=audio/speech", {"model": "m", "input": "a cat", "voice": "v"}, None),
    ):
        first = (await ask(plane, body, query)).json["candidates"][0]
        assert first["cost_nano"] == nano


async def test_counting_tokens_is_free(plane: PricedPlane) -> None:
    first = (await ask(plane, {"model": "m", "input": "Hi"}, "?endpoint=responses/input_tokens")).json["candidates"][0]
    assert (first["cost_nano"], first["cost_source"]) == (0, "none")


@pytest.mark.parametrize(
    ("body", "query", "endpoint"),
    [
        (CHAT, "", "chat/completions"),
        ({**CHAT, "system": "Be brief."}, "", "messages"),
        (CHAT, "?endpoint=messages", "messages"),
        ({"model": "m", "input": "Hi"}, "", "responses"),
        ({"model": "m", "input": "Hi"}, "?endpoint=embeddings", "embeddings"),
        ({"model": "m", "prompt": "Hi"}, "", "completions"),
        ({"contents": [{"parts": [{"text": "Hi"}]}]}, "?model=m", "generateContent"),
    ],
)
async def test_a_call_of_any_api_is_recognised(plane: PricedPlane, body: Any, query: str, endpoint: str) -> None:
    answer = await ask(plane, body, query)
    assert answer.status == 200, answer.body
    assert answer.json["endpoint"] == endpoint
    assert answer.json["candidates"][0]["tokens"]["input"] > 0


@pytest.mark.parametrize(
    ("body", "query", "status", "param"),
    [
        ({"model": "m"}, "", 400, "endpoint"),
        (CHAT, "?endpoint=nothing", 400, "endpoint"),
        ({"contents": []}, "", 400, "model"),
        ([1], "", 400, None),
        ({**CHAT, "model": "unknown"}, "", 404, "model"),
    ],
)
async def test_what_cannot_be_estimated_is_refused(
    plane: PricedPlane, body: Any, query: str, status: int, param: str | None
) -> None:
    answer = await ask(plane, body, query)
    assert (answer.status, answer.json["error"]["param"]) == (status, param)


async def test_a_deployment_that_is_out_of_service_is_skipped(plane: PricedPlane) -> None:
    next(iter(plane.registry)).breaker.trip(plane.server.clock.now(), "operator")
    found = (await ask(plane, CHAT)).json
    assert len(found["candidates"]) == 1
    assert found["skipped"][0]["why"] == "breaker_open"


async def test_only_clients_may_ask(plane: PricedPlane) -> None:
    assert (await plane.server.fetch("POST", "/billing/estimate", json=CHAT)).status == 401
