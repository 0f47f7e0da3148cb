"""What the SDKs for clouds send themselves, and what the gateway sends for their usual clients: the same.

The scripted clouds are checked by the SDKs this way, and the gateway by the SDKs.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from anthropic import AsyncAnthropic, AsyncAnthropicFoundry, AsyncAnthropicVertex
from anthropic.lib.bedrock import AsyncAnthropicBedrockMantle
from google import genai
from google.oauth2.credentials import Credentials
from openai import AsyncOpenAI
from openai.providers import bedrock

from tests.support import Upstream, json_answer
from tests.support.clouds import MESSAGE, PROJECT, BedrockServer, TokenServer, VertexServer, service_account
from tests.support.gateway import Gateway
from tests.support.gemini import connected
from tests.support.upstream import Request

CALL: dict[str, Any] = {"max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}]}
COUNT: dict[str, Any] = {"messages": CALL["messages"]}
CHAT: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}
NO_RETRIES = {"maxRetries": 0, "rateLimitRetries": 0}


@pytest.fixture
async def up() -> AsyncIterator[Upstream]:
    async with Upstream() as up:
        yield up


def config(provider: dict[str, Any]) -> dict[str, Any]:
    models = [{"name": name, "provider": "cloud", "model": f"{name}-up"} for name in ("claude", "gemini", "gpt")]
    return {"routing": NO_RETRIES, "providers": {"cloud": provider}, "models": models}


def same(own: Request, ours: Request, *headers: str) -> None:
    """The two requests have one target, one body, and these headers."""
    assert ours.target == own.target
    assert ours.json == own.json
    for name in headers:
        assert ours.header(name) == own.header(name) is not None


def usual(gw: Gateway) -> AsyncAnthropic:
    return AsyncAnthropic(api_key="any", base_url=gw.url, max_retries=0)


async def test_claude_on_vertex(up: Upstream, tmp_path: Path) -> None:
    async with Upstream() as issuer:
        TokenServer(issuer)
        VertexServer(up, "token-1")
        sdk = AsyncAnthropicVertex(
            access_token="token-1",
            region="europe-west4",
            project_id="my-project",
            base_url=f"{up.origin}/v1",
            max_retries=0,
        )
        cloud = {"credentialsFile": service_account(tmp_path, issuer)}
        settings = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "cloud": cloud}
        async with Gateway(config(settings)) as gw, sdk, usual(gw) as client:
            for number, (each, model) in enumerate(((sdk, "claude-up"), (client, "claude"))):
                answer = await each.messages.create(model=model, **CALL)
                assert answer.content[0].type == "text"
                async with each.beta.messages.stream(model=model, betas=["a-1"], **CALL) as stream:
                    assert (await stream.get_final_message()).stop_reason == "end_turn"
                if number == 0:
                    await each.messages.count_tokens(model=model, **COUNT)
                else:
                    assert (await each.messages.count_tokens(model=model, **COUNT)).input_tokens == 12
        same(up.requests[0], up.requests[3], "authorization")
        same(up.requests[1], up.requests[4], "authorization", "anthropic-beta")
        same(up.requests[2], up.requests[5], "authorization")


async def test_gemini_on_vertex(up: Upstream, tmp_path: Path) -> None:
    async with Upstream() as issuer:
        TokenServer(issuer)
        VertexServer(up, "token-1")
        cloud = {"credentialsFile": service_account(tmp_path, issuer)}
        settings = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "cloud": cloud}
        async with Gateway(config(settings)) as gw, connected(gw.url) as client, httpx2.AsyncClient() as transport:
            options: Any = {"base_url": up.origin, "api_version": "v1", "httpx_async_client": transport}
            async with genai.Client(
                vertexai=True,
                project="my-project",
                location="europe-west4",
                credentials=Credentials(token="token-1"),
                http_options=options,
            ).aio as sdk:
                assert (await sdk.models.generate_content(model="gemini-up", contents="Hi")).text == "Hi"
            assert (await client.models.generate_content(model="gemini", contents="Hi")).text == "Hi"
        same(up.requests[0], up.requests[1], "authorization")


async def test_messages_on_bedrock(up: Upstream) -> None:
    BedrockServer(up, service="bedrock-mantle", region="eu-west-1", keys={}).api_key = "bedrock-key"
    sdk = AsyncAnthropicBedrockMantle(
        api_key="bedrock-key", aws_region="eu-west-1", base_url=f"{up.origin}/anthropic", max_retries=0
    )
    settings = {"kind": "bedrock", "baseUrl": f"{up.origin}/openai/v1", "apiKey": "bedrock-key"}
    async with Gateway(config(settings)) as gw, sdk, usual(gw) as client:
        await sdk.messages.create(model="claude-up", **CALL)
        await client.messages.create(model="claude", **CALL)
    same(up.requests[0], up.requests[1], "authorization", "anthropic-version")


@pytest.mark.parametrize(("endpoint", "service"), [("mantle", "bedrock-mantle"), ("runtime", "bedrock")])
async def test_signed_chat_on_bedrock(up: Upstream, endpoint: Any, service: str) -> None:
    BedrockServer(up, service=service, region="eu-west-1", keys={"AKIDEXAMPLE": "wJalr/+="}, token="session/+=")
    provider = bedrock(
        endpoint=endpoint,
        region="eu-west-1",
        base_url=f"{up.origin}/openai/v1",
        access_key_id="AKIDEXAMPLE",
        secret_access_key="wJalr/+=",
        session_token="session/+=",
    )
    keys = {"accessKeyId": "AKIDEXAMPLE", "secretAccessKey": "wJalr/+=", "sessionToken": "session/+="}
    cloud = keys | {"region": "eu-west-1", "service": service}
    settings = {"kind": "bedrock", "baseUrl": f"{up.origin}/openai/v1", "cloud": cloud}
    sdk = AsyncOpenAI(provider=provider, max_retries=0)
    async with (
        Gateway(config(settings)) as gw,
        sdk,
        AsyncOpenAI(api_key="any", base_url=f"{gw.url}/v1", max_retries=0) as client,
    ):
        assert (await sdk.chat.completions.create(model="gpt-up", **CHAT)).choices[0].message.content == "Hi"
        assert (await client.chat.completions.create(model="gpt", **CHAT)).choices[0].message.content == "Hi"
    same(up.requests[0], up.requests[1], "x-amz-content-sha256", "x-amz-security-token")


async def test_claude_at_foundry(up: Upstream) -> None:
    up.on(lambda request: json_answer(MESSAGE))
    sdk = AsyncAnthropicFoundry(api_key="foundry-key", base_url=f"{up.origin}/anthropic", max_retries=0)
    settings = {"kind": "anthropic", "baseUrl": f"{up.origin}/anthropic/v1", "apiKey": "foundry-key"}
    async with Gateway(config(settings)) as gw, sdk, usual(gw) as client:
        await sdk.messages.create(model="claude-up", **CALL)
        await client.messages.create(model="claude", **CALL)
    same(up.requests[0], up.requests[1], "x-api-key", "anthropic-version")
