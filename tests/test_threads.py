"""An idle gateway has one thread: with two, each read and write of a token costs more."""

from __future__ import annotations

import os
import sys

import pytest

from tests.support import Upstream, chat_events, json_answer, sse_answer, until
from tests.support.gateway import GatewayProcess, one_provider

STREAM = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "stream": True}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts threads in /proc")


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
async def test_a_gateway_has_one_thread(name: str) -> None:
    async with Upstream() as up:
        config = one_provider(up, provider={"baseUrl": up.url.replace("127.0.0.1", name)})
        async with GatewayProcess(config) as gw:
            up.on(lambda request: sse_answer(*chat_events("Hello")))
            client = await gw.client()
            answer = await client.fetch("POST", "/v1/chat/completions", json=STREAM)
            assert answer.status == 200
            assert answer.body.endswith(b"data: [DONE]\n\n")
            await until(lambda: threads(gw.pid) == 1, "the threads of the start and of the name to end")
            assert (await client.fetch("GET", "/metrics")).status == 200
            await until(lambda: threads(gw.pid) == 1, "the scrape's thread to end")


async def test_a_fetched_list_of_models_leaves_no_thread() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer({"object": "list", "data": [{"id": "m", "object": "model"}]}))
        provider = {"baseUrl": up.url.replace("127.0.0.1", "localhost")}
        async with GatewayProcess({"providers": {"up": provider}}) as gw:
            client = await gw.client()
            listed = await client.fetch("GET", "/v1/models")
            assert [model["id"] for model in listed.json["data"]] == ["m"]
            await until(lambda: threads(gw.pid) == 1, "the threads of the start and of the list to end")


async def test_a_list_that_cannot_be_fetched_leaves_no_thread() -> None:
    async with GatewayProcess({"providers": {"up": {"baseUrl": "http://localhost:1/v1"}}}) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/v1/models")).json["data"] == []
        await until(lambda: threads(gw.pid) == 1, "the threads of the start and of the list to end")


async def test_a_look_at_the_usage_leaves_no_thread() -> None:
    source = {"demo": "auto", "database": {"enabled": True}, "ledger": {"enabled": True}, "admin": {"token": "t" * 20}}
    async with GatewayProcess(source) as gw:
        client = await gw.client()
        token = ("Authorization", f"Bearer {'t' * 20}")
        assert (await client.fetch("GET", "/analytics/usage", headers=[token])).status == 200
        await until(lambda: threads(gw.pid) == 1, "the threads of the start and of the query to end")


async def test_with_the_demo_provider_it_has_one_thread() -> None:
    async with GatewayProcess({"demo": "auto"}) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/chat/completions", json={"messages": STREAM["messages"]})
        assert answer.status == 200
        await until(lambda: threads(gw.pid) == 1, "the threads of the start to end")
