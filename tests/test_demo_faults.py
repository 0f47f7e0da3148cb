"""Fault models of the demo provider do not affect its other models."""

from __future__ import annotations

import asyncio

from proxy.demo.models import MODELS
from tests.support import RawClient
from tests.support.clock import FakeClock
from tests.support.gateway import Gateway

CHAT = "/v1/chat/completions"
SILENT = ("demo-stall", "demo-slow-start", "demo-slow-headers", "demo-comments")


def call(model: str | None, stream: bool = True) -> dict[str, object]:
    named = {} if model is None else {"model": model}
    return named | {"messages": [{"role": "user", "content": "Hi"}], "stream": stream, "max_tokens": 3}


async def play(gw: Gateway, name: str) -> None:
    """Request a fault model until its breaker opens; disconnect if it stalls."""
    for stream in (True, False, True, False):
        client = await gw.client()
        if name in SILENT:
            await client.request("POST", CHAT, json=call(name, stream))
            client.close()
        else:
            await client.fetch("POST", CHAT, json=call(name, stream))


async def good(client: RawClient, model: str | None) -> bool:
    answer = await client.fetch("POST", CHAT, json=call(model))
    return answer.status == 200 and answer.body.endswith(b"data: [DONE]\n\n") and b"error" not in answer.body


async def test_fault_models_do_not_affect_other_models() -> None:
    source = {"demo": "auto", "routing": {"maxRetries": 3, "rateLimitRetries": 0, "retryDelay": 1}}
    async with Gateway(source, clock=FakeClock()) as gw:  # no real wait for Retry-After
        await asyncio.gather(*(play(gw, model.name) for model in MODELS if model.fault is not None))
        client = await gw.client()
        for model in ("demo-instant", "demo-fast", "demo-instant", None, None, None):
            assert await good(client, model), model
        assert (await client.fetch("GET", "/ready")).status == 200
        provider = gw.app.gateway.catalog.providers["demo"]  # type: ignore[union-attr]
        assert provider.keys.free_at() == 0.0
