"""A provider with http:// behind the forward proxy that the environment names."""

from __future__ import annotations

import base64
from typing import Any

from tests.support import Upstream, chat_events, completion, json_answer, sse_answer
from tests.support.gateway import Gateway, one_provider

CHAT = "/v1/chat/completions"
ASK: dict[str, Any] = {"model": "m", "messages": []}


def behind(up: Upstream, **provider: Any) -> dict[str, Any]:
    return one_provider(up, provider={"baseUrl": "http://provider.test:81/v1"} | provider)


async def test_calls_to_a_plain_provider_go_to_its_proxy_with_the_providers_address() -> None:
    async with Upstream() as way:
        way.on(
            lambda request: sse_answer(*chat_events("Hi")) if request.json.get("stream") else json_answer(completion())
        )
        environ = {"HTTP_PROXY": way.url.replace("//", "//user:pass@")}
        async with Gateway(behind(way), environ=environ) as gw:
            client = await gw.client()
            for members in ({}, {"stream": True}, {"messages": [{"role": "user", "content": "x" * 200_000}]}):
                assert (await client.fetch("POST", CHAT, json=ASK | members)).status == 200
            assert len(way.connections) == 1
        for request in way.requests:
            assert request.target == "http://provider.test:81/v1/chat/completions"
            assert request.header("Host") == "provider.test:81"
            credentials = base64.b64encode(b"user:pass").decode()
            assert request.header("Proxy-Authorization") == f"Basic {credentials}"


async def test_a_proxy_authentication_failure_is_not_a_client_error() -> None:
    async with Upstream() as way:
        way.on(lambda request: json_answer({"error": "who are you"}, 407))
        async with Gateway(behind(way), environ={"ALL_PROXY": way.url}) as gw:
            answer = await (await gw.client()).fetch("POST", CHAT, json=ASK)
            assert answer.status == 502
            assert "proxy" in answer.json["error"]["message"]


async def test_a_provider_on_this_machine_is_asked_without_the_proxy() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        environ = {"HTTP_PROXY": "http://127.0.0.1:1"}
        async with Gateway(one_provider(up), environ=environ) as gw:
            assert (await (await gw.client()).fetch("POST", CHAT, json=ASK)).status == 200
        assert up.requests[0].target == "/v1/chat/completions"
