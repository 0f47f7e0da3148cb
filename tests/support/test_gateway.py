from __future__ import annotations

import pytest

from proxy.errors import ConfigError
from tests.support import (
    RawClient,
    Upstream,
    chat_events,
    completion,
    json_answer,
    sse_answer,
)
from tests.support.gateway import Gateway, GatewayProcess, Process, one_provider, to_config

CALL = {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


async def test_a_gateway_in_this_process_relays_from_a_scripted_upstream() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/chat/completions", json=CALL)
        assert answer.json["choices"][0]["message"]["content"] == "Hello"
        assert (await up.request()).json["model"] == "up-model"
        assert up.requests[0].header("authorization") == "Bearer secret-key"
        assert (await gw.settled())["outcome"] == "ok"


async def test_events_arrive_one_by_one() -> None:
    events = chat_events("Hello", " world")
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        up.queue(sse_answer(*events))
        client = await gw.client()
        await client.request("POST", "/v1/chat/completions", json=CALL | {"stream": True})
        await client.read_head()
        assert await client.read_events() == events


async def test_a_gateway_process_stops_on_a_signal() -> None:
    async with Upstream() as up, GatewayProcess(one_provider(up)) as gw:
        up.queue(json_answer(completion("Hello")))
        client = await gw.client()
        assert (await client.fetch("POST", "/v1/chat/completions", json=CALL)).status == 200
        client.close()
        gw.signal()
        assert await gw.wait() == 0


async def test_a_process_that_exits_at_once_fails_with_its_output() -> None:
    with pytest.raises(AssertionError, match=r"it ended at once: .*invalid choice: 'nothing'"):
        await Process(["nothing"]).start()


def test_a_configuration_is_loaded_as_a_user_writes_it() -> None:
    text = "providers: {a: {baseUrl: 'http://127.0.0.1:1/v1', apiKey: '${KEY}'}}\nmodels: [{name: m, provider: a}]"
    config = to_config(text, {"KEY": "k"})
    assert config.providers["a"].api_key == "k"
    assert [model.name for model in config.models] == ["m"]
    assert config.server.port == 0
    with pytest.raises(ConfigError):
        to_config("nothing: known")


async def test_two_clients_have_separate_connections() -> None:
    async with Upstream() as up, Gateway(one_provider(up)) as gw:
        first, second = await gw.client(), await gw.client()
        assert first._socket.getsockname() != second._socket.getsockname()
        async with RawClient(gw.port) as third:
            assert (await third.fetch("GET", "/health")).status == 200
