"""Request loops, and chains of gateways."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support import Upstream, completion, json_answer
from tests.support.gateway import Gateway, one_provider
from tests.support.ports import free_port

CHAT = "/v1/chat/completions"
CALL: dict[str, Any] = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}
OURS = re.compile(r"1\.1 sluice-[0-9a-f]{16}").fullmatch


def leading_to(port: int, own: int, **sections: Any) -> dict[str, Any]:
    """A gateway on port ``own`` whose provider ``next`` is the one on ``port``."""
    return {
        "server": {"port": own},
        "routing": {"maxRetries": 3, "retryDelay": 1},
        "providers": {"next": {"baseUrl": f"http://127.0.0.1:{port}/v1"}},
        "models": [{"name": "m", "provider": "next"}],
    } | sections


@pytest.mark.parametrize("stream", [False, True])
async def test_a_base_url_of_the_gateway_itself_ends_in_one_508(stream: bool) -> None:
    port = free_port()
    async with Gateway(leading_to(port, port)) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", CHAT, json=CALL | {"stream": stream})
        assert answer.status == 508
        assert answer.header("x-should-retry") == "false"
        error = answer.json["error"]
        assert (error["code"], error["type"], error["param"]) == ("gateway_loop", "server_error", None)
        assert "baseUrl" in error["message"]
        inner, outer = await gw.settled(1), await gw.settled(2)
        assert inner["error"] == "gateway_loop"
        assert (outer["error"], outer["provider"], outer["attempts"]) == ("upstream_508", "next", 1)
        assert len(gw.exchanges) == 2


async def test_a_looping_list_of_models_is_fetched_once() -> None:
    port = free_port()
    providers = {"next": {"baseUrl": f"http://127.0.0.1:{port}/v1"}}
    async with Gateway({"server": {"port": port}, "providers": providers}) as gw:
        client = await gw.client()
        assert (await client.fetch("GET", "/v1/models")).json["data"] == []
        await gw.settled(2)
        assert [line["status"] for line in gw.exchanges] == [508, 200]


async def test_a_loop_is_neither_retried_nor_failed_over_and_opens_no_breaker() -> None:
    port = free_port()
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        providers = {"next": {"baseUrl": f"http://127.0.0.1:{port}/v1"}, "up": {"baseUrl": up.url}}
        models = [{"name": "m", "provider": "next"}, {"name": "m", "provider": "up", "weight": 0.001}]
        config = leading_to(port, port, providers=providers, circuitBreaker={"failureThreshold": 1})
        config["models"] = models[:1]
        config["routing"]["fallback"] = {"provider": "up", "model": "x"}
        async with Gateway(config) as gw:
            client = await gw.client()
            for _ in range(3):
                assert (await client.fetch("POST", CHAT, json=CALL)).status == 508
        assert up.requests == []


async def test_two_gateways_that_call_each_other_respond_with_508() -> None:
    one, two = free_port(), free_port()
    async with Gateway(leading_to(two, one)) as first, Gateway(leading_to(one, two)) as second:
        client = await first.client()
        answer = await client.fetch("POST", CHAT, json=CALL)
        assert (answer.status, answer.json["error"]["code"]) == (508, "gateway_loop")
        await first.settled(2)
        await second.settled(1)
        assert (len(first.exchanges), len(second.exchanges)) == (2, 1)


def vias(headers: list[tuple[str, str]]) -> list[str]:
    return [each.strip() for name, value in headers if name.lower() == "via" for each in value.split(",")]


async def test_a_chain_of_two_gateways_works_and_each_appends_its_via() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        async with (
            Gateway(one_provider(up, models=[{"name": "m", "provider": "up"}])) as inner,
            Gateway(leading_to(inner.port, 0)) as outer,
        ):
            client = await outer.client()
            for number in range(2):
                given = [("Via", "1.1 front.example (Caddy)"), ("Via", "1.0 other")][: number * 2]
                answer = await client.fetch("POST", CHAT, json=CALL, headers=given)
                assert answer.status == 200
                *before, first, second = vias((await up.request(number)).headers)
                assert before == [value for _, value in given]
                assert OURS(first)
                assert OURS(second)
                assert first != second


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions", "/proxy/next/files"])
async def test_uploads_and_passthrough_detect_loops_too(path: str) -> None:
    port = free_port()
    provider = {"baseUrl": f"http://127.0.0.1:{port}/proxy/next", "passthrough": ["POST /files"]}
    async with Gateway(leading_to(port, port, providers={"next": provider})) as gw:
        client = await gw.client()
        form = b'--b\r\nContent-Disposition: form-data; name="model"\r\n\r\nm\r\n--b--\r\n'
        kind = [("Content-Type", "multipart/form-data; boundary=b")]
        answer = await client.fetch("POST", path, headers=kind, body=form)
        assert (answer.status, answer.json["error"]["code"]) == (508, "gateway_loop")
        await gw.settled(2)
        assert len(gw.exchanges) == 2


async def test_a_configured_via_replaces_ours() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer(completion()))
        async with Gateway(one_provider(up, provider={"headers": {"Via": "1.1 mine"}})) as gw:
            client = await gw.client()
            await client.fetch("POST", CHAT, json=CALL, headers=[("Via", "1.1 theirs")])
            assert vias((await up.request()).headers) == ["1.1 mine"]


async def test_a_508_of_a_plain_provider_is_a_plain_error() -> None:
    async with Upstream() as up:
        up.on(lambda request: json_answer({"error": {"message": "Loop", "code": "other"}}, status=508))
        async with Gateway(one_provider(up)) as gw:
            client = await gw.client()
            assert (await client.fetch("POST", CHAT, json=CALL)).status == 502
