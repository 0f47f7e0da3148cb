"""The demo behind the gateway's `auto`: fast responses, and a model for each criterion."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from proxy.demo.configured import deployments
from proxy.demo.models import MODELS
from tests.support.gateway import Gateway

SLOW = {"demo-slow", "demo-long"}


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with Gateway({"demo": "auto"}) as gw:
        yield gw


async def chosen(gw: Gateway, **criteria: Any) -> str:
    """The model that answers; the client takes the head alone and leaves."""
    client = await gw.client()
    body = {"messages": [{"role": "user", "content": "Hi"}], "max_tokens": 3, "stream": True} | criteria
    await client.request("POST", "/v1/chat/completions", json=body)
    head = await client.read_head()
    client.close()
    assert head.status == 200
    return str(head.header("x-router-model"))


def test_failing_and_slow_models_have_no_weight() -> None:
    weights = {model.name: model.weight for model in deployments()}
    assert {name for name, weight in weights.items() if not weight} == SLOW | {
        each.name for each in MODELS if each.fault
    }


async def test_auto_chooses_no_slow_model(gw: Gateway) -> None:
    assert not {await chosen(gw) for _ in range(12)} & SLOW


@pytest.mark.parametrize(
    ("criteria", "expected"),
    [
        ({"tags": ["code"]}, {"demo", "demo-fast", "demo-reasoning"}),
        ({"tags": ["code", "general"]}, {"demo", "demo-fast"}),
        ({"tags": ["long"]}, {"demo-long"}),
        ({"type": "reasoning"}, {"demo-reasoning"}),
        ({"type": "reasoning", "tags": ["code"]}, {"demo-reasoning"}),
        ({"type": "fast"}, {"demo-fast", "demo-instant"}),
        ({"min_context_size": 100_000}, {"demo-instant", "demo-reasoning"}),
        ({"min_context_size": 100_000, "type": "fast"}, {"demo-instant"}),
        ({"json_response": True}, {"demo", "demo-fast", "demo-instant", "demo-reasoning"}),
        ({"prefer_fast": True}, {"demo", "demo-fast", "demo-instant", "demo-reasoning"}),
        ({"min_success_rate": 0.9}, {"demo", "demo-fast", "demo-instant", "demo-reasoning"}),
    ],
)
async def test_each_criterion_matches_models_of_the_demo(gw: Gateway, criteria: Any, expected: set[str]) -> None:
    assert {await chosen(gw, **criteria) for _ in range(3)} <= expected


async def test_a_slow_model_serves_its_name(gw: Gateway) -> None:
    assert await chosen(gw, model="demo-long") == "demo-long"
