"""Aliases over sockets: which model serves, and the name that the answer has."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support import RawClient, Upstream, chat_events, completion, json_answer, sse_answer
from tests.support.gateway import Gateway, one_provider
from tests.support.upstream import Request

ALIASES = {"claude-sonnet-*": "m", "gpt-5.5": ["missing", "m"], "best": "auto"}
HELLO = [{"role": "user", "content": "Hi"}]


def answer(request: Request) -> Any:
    if b'"stream":true' in bytes(request.body).replace(b" ", b""):
        return sse_answer(*chat_events("Hello", " there"))
    return json_answer(completion())


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(answer)
        yield up


async def ask(client: RawClient, model: Any, **more: Any) -> Any:
    return await client.fetch("POST", "/v1/chat/completions", json={"model": model, "messages": HELLO} | more)


@pytest.mark.parametrize("name", ["claude-sonnet-5", "gpt-5.5", "best"])
async def test_an_answer_has_the_name_that_the_client_asked_for(up: Upstream, name: str) -> None:
    async with Gateway(one_provider(up, aliases=ALIASES)) as gw:
        client = await gw.client()
        found = await ask(client, name)
        assert (found.status, found.json["model"]) == (200, name)
        assert found.header("x-router-model") == "m"
        assert json.loads((await up.request()).body)["model"] == "up-model"
        line = await gw.settled()
        assert line["model"] == name


async def test_each_event_of_a_stream_has_the_clients_name(up: Upstream) -> None:
    async with Gateway(one_provider(up, aliases=ALIASES)) as gw:
        client = await gw.client()
        found = await ask(client, "claude-sonnet-5", stream=True)
        plain = await ask(client, "m", stream=True)
        chunks = [json.loads(line[6:]) for line in found.body.splitlines() if line.startswith(b"data: {")]
        assert len(chunks) > 2
        assert {chunk["model"] for chunk in chunks} == {"claude-sonnet-5"}
        models = {json.loads(line[6:])["model"] for line in plain.body.splitlines() if line.startswith(b"data: {")}
        (own,) = models
        assert found.body == plain.body.replace(json.dumps(own).encode(), b'"claude-sonnet-5"')


@pytest.mark.parametrize("recovery", ["hold", "continue"])
async def test_a_recovered_stream_has_the_clients_name_too(up: Upstream, recovery: str) -> None:
    async with Gateway(one_provider(up, aliases=ALIASES)) as gw:
        client = await gw.client()
        body = {"model": "gpt-5.5", "messages": HELLO, "stream": True}
        headers = [("x-router-stream-recovery", recovery)]
        found = await client.fetch("POST", "/v1/chat/completions", headers=headers, json=body)
        assert found.body.endswith(b"data: [DONE]\n\n")
        assert b'"model":"gpt-5.5"' in found.body.replace(b'": "', b'":"')
        assert b"Hello" in found.body


async def test_aliases_without_a_pattern_are_listed(up: Upstream) -> None:
    async with Gateway(one_provider(up, aliases=ALIASES)) as gw:
        client = await gw.client()
        found = await client.fetch("GET", "/v1/models")
        assert [model["id"] for model in found.json["data"]] == ["m", "gpt-5.5", "best"]
        found = await client.fetch("GET", "/v1/models/gpt-5.5")
        assert found.json["owned_by"] == "up"
        assert (await client.fetch("GET", "/v1/models/claude-sonnet-5")).status == 404


async def test_an_alias_whose_models_are_unknown_is_a_404_that_names_them(up: Upstream) -> None:
    async with Gateway(one_provider(up, aliases={"mine": "nothing"})) as gw:
        found = await ask(await gw.client(), "mine")
        assert (found.status, found.json["error"]["code"]) == (404, "model_not_found")
        assert "'nothing'" in found.json["error"]["message"]
