"""Azure as a provider, and clients made for Azure (AzureOpenAI of the openai package)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import openai
import pytest
from openai import AsyncAzureOpenAI

from tests.support import Upstream, chat_chunks, completion, error_json, json_answer, sse_answer
from tests.support.answers import DONE
from tests.support.gateway import Gateway, one_provider
from tests.support.upstream import Request

VERSION = "2024-10-21"
HI: list[Any] = [{"role": "user", "content": "Hello"}]


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        up.on(answer)
        yield up


def answer(request: Request) -> Any:
    if b'"stream":true' in request.body.replace(b" ", b""):
        return sse_answer(chat_chunks("Hel", "lo"), DONE)
    return json_answer(completion("Hello"))


def azure(up: Upstream, **sections: Any) -> dict[str, Any]:
    """``up`` as an Azure resource with the versioned API."""
    address = {"baseUrl": f"{up.origin}?api-version={VERSION}", "kind": "azure"}
    return one_provider(up, provider=address, **sections)


@asynccontextmanager
async def sdk(gw: Gateway, **options: Any) -> AsyncIterator[AsyncAzureOpenAI]:
    """AzureOpenAI with the gateway in the place of a resource."""
    settings: dict[str, Any] = {"api_key": "any", "api_version": VERSION, "max_retries": 0, "timeout": 10.0}
    async with AsyncAzureOpenAI(azure_endpoint=gw.url, **settings | options) as client:
        yield client


async def test_a_call_is_routed_to_the_deployment_in_the_path(up: Upstream) -> None:
    async with Gateway(azure(up)) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/chat/completions", body=b'{"model":"m","messages":[]}')
        assert answer.status == 200
    [request] = up.requests
    assert request.target == f"/openai/deployments/up-model/chat/completions?api-version={VERSION}"
    assert request.header("api-key") == "secret-key"
    assert request.header("authorization") is None
    assert b'"up-model"' in request.body


async def test_a_missing_deployment_is_a_missing_model(up: Upstream) -> None:
    body = {"error": {"code": "DeploymentNotFound", "message": "The API deployment for this resource does not exist."}}
    up.on(lambda _: json_answer(body, 404))
    async with Gateway(azure(up)) as gw:
        client = await gw.client()
        answer = await client.fetch("POST", "/v1/chat/completions", body=b'{"model":"m","messages":[]}')
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")


@pytest.mark.parametrize("kind", ["openai", "azure"])
async def test_azures_client_reaches_every_kind_of_provider(up: Upstream, kind: str) -> None:
    async with Gateway(azure(up) if kind == "azure" else one_provider(up)) as gw, sdk(gw) as client:
        plain = await client.chat.completions.create(model="m", messages=HI)
        stream = await client.chat.completions.create(model="m", messages=HI, stream=True)
        text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
        listed = [each.id async for each in client.models.list()]
    assert (plain.choices[0].message.content, text, listed) == ("Hello", "Hello", ["m"])
    for request in up.requests:
        assert ("api-version" in request.target) == (kind == "azure")
        assert b'"up-model"' in request.body


async def test_the_deployment_of_the_client_wins_over_the_body(up: Upstream) -> None:
    async with Gateway(one_provider(up)) as gw, sdk(gw, azure_deployment="m") as client:
        await client.chat.completions.create(model="something else", messages=HI)
        with pytest.raises(openai.NotFoundError, match="nope"):
            async with sdk(gw, azure_deployment="nope") as other:
                await other.chat.completions.create(model="m", messages=HI)
    [request] = up.requests
    assert b'"up-model"' in request.body


async def test_a_form_is_routed_to_the_deployment_in_the_path(up: Upstream) -> None:
    up.on(lambda _: json_answer({"text": "spoken"}))
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        said = await client.audio.transcriptions.create(model="m", file=("a.wav", b"RIFF"))
    assert said.text == "spoken"
    assert b"up-model" in up.requests[0].body


async def test_an_error_reads_as_azures_client_expects(up: Upstream) -> None:
    up.on(lambda _: json_answer(error_json("no such thing", code="bad"), 400))
    async with Gateway(one_provider(up)) as gw, sdk(gw) as client:
        with pytest.raises(openai.BadRequestError, match="no such thing"):
            await client.chat.completions.create(model="m", messages=HI)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/openai/deployments/m/chat/completions", 405),
        ("POST", "/openai/deployments/m/nothing", 404),
        ("POST", "/openai/deployments//chat/completions", 400),
        ("POST", "/openai/deployments/chat/completions", 404),
    ],
)
async def test_an_unknown_azure_path_is_rejected(up: Upstream, method: str, path: str, status: int) -> None:
    async with Gateway(one_provider(up)) as gw:
        client = await gw.client()
        assert (await client.fetch(method, path, body=b"{}" if method == "POST" else None)).status == status
    assert up.requests == []


async def test_azures_client_reaches_the_v1_api(up: Upstream) -> None:
    async with Gateway(one_provider(up, provider={"baseUrl": up.origin, "kind": "azure"})) as gw, sdk(gw) as client:
        await client.chat.completions.create(model="m", messages=HI)
    assert up.requests[0].target == "/openai/v1/chat/completions"


@pytest.mark.parametrize("name", ["..", "m/../n", "m%2F..%2Fn"])
async def test_an_encoded_name_cannot_select_another_deployment(up: Upstream, name: str) -> None:
    async with Gateway(azure(up, models=[])) as gw:
        client = await gw.client()
        body = b'{"model":"%b","messages":[]}' % name.encode()
        answer = await client.fetch("POST", "/v1/chat/completions", body=body)
    assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
    assert not [request for request in up.requests if request.method == "POST"]
