"""What the real SDKs make of a call that a budget refuses: one request, an exception, and the whole sentence."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import anthropic
import httpx2
import openai
import pytest
from anthropic import AsyncAnthropic
from google import genai
from google.genai.errors import ClientError
from openai import AsyncOpenAI

from tests.support.gateway import ADMIN, Gateway, one_provider
from tests.support.upstream import Upstream
from tests.support.zones import noon_zone

HI: Any = [{"role": "user", "content": "Hi"}]
SENTENCE = "The budget 'daily' of the whole gateway does not cover this call. It is renewed at 20"
PRICES = {"input": 1, "output": 1}


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    """A gateway whose budget covers nothing. Its model speaks all dialects."""
    budget = {"name": "daily", "usd": 0.000001, "window": "day", "timezone": noon_zone()}
    async with Upstream() as up:
        models = [{"name": "m", "provider": "up", "prices": PRICES}]
        async with Gateway(one_provider(up, models=models, budgets=[budget])) as made:
            yield made
        assert up.requests == []


async def each(stream: Any) -> None:
    async for _ in stream:
        pass


def openai_client(gw: Gateway) -> AsyncOpenAI:
    """With as many retries as it makes by default. Reading the system's certificates takes longer than a call."""
    return AsyncOpenAI(
        base_url=f"{gw.url}/v1", api_key="any", http_client=openai.DefaultAsyncHttpxClient(verify=False), timeout=10.0
    )


async def chat(gw: Gateway, streamed: bool) -> None:
    async with openai_client(gw) as sdk:
        found = await sdk.chat.completions.create(model="m", messages=HI, stream=streamed)
        await each(found)


async def responses(gw: Gateway, streamed: bool) -> None:
    async with openai_client(gw) as sdk:
        found: Any = await sdk.responses.create(model="m", input="Hi", stream=streamed)
        await each(found)


async def messages(gw: Gateway, streamed: bool) -> None:
    http = anthropic.DefaultAsyncHttpxClient(verify=False)
    async with AsyncAnthropic(base_url=gw.url, api_key="any", http_client=http, timeout=10.0) as sdk:
        await each(await sdk.messages.create(model="m", max_tokens=100, messages=HI, stream=streamed))


async def google(gw: Gateway, streamed: bool) -> None:
    async with httpx2.AsyncClient() as http:
        options: Any = {"base_url": gw.url, "timeout": 10_000, "httpx_async_client": http}
        sdk = genai.Client(api_key="any", http_options=options).aio
        if streamed:
            await each(await sdk.models.generate_content_stream(model="m", contents="Hi"))
        else:
            await sdk.models.generate_content(model="m", contents="Hi")


Sdk = Callable[[Gateway, bool], Awaitable[None]]


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("sdk", [chat, responses])
async def test_openais_sdk(gw: Gateway, sdk: Sdk, streamed: bool) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await sdk(gw, streamed)
    error = caught.value
    assert (error.status_code, error.type, error.code) == (429, "insufficient_quota", "insufficient_quota")
    assert isinstance(error.body, dict)
    assert error.body["message"].startswith(SENTENCE)
    assert SENTENCE in str(error)
    assert 0 < int(error.response.headers["retry-after"]) <= 86_400
    await once(gw)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_anthropics_sdk(gw: Gateway, streamed: bool) -> None:
    with pytest.raises(anthropic.RateLimitError) as caught:
        await messages(gw, streamed)
    assert (caught.value.status_code, caught.value.type) == (429, "billing_error")
    assert SENTENCE in str(caught.value)
    await once(gw)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_googles_sdk(gw: Gateway, streamed: bool) -> None:
    """It repeats nothing unless its user wants that, so it needs no header."""
    with pytest.raises(ClientError) as caught:
        await google(gw, streamed)
    error = caught.value
    assert (error.code, error.status) == (429, "RESOURCE_EXHAUSTED")
    assert error.message is not None
    assert error.message.startswith(SENTENCE)
    info, wait = error.details["error"]["details"]
    assert (info["reason"], wait["@type"].rpartition(".")[2]) == ("INSUFFICIENT_QUOTA", "RetryInfo")
    await once(gw)


async def test_an_operator_learns_which_budget_it_was(gw: Gateway) -> None:
    """From the log, from the metrics, and from the request's page; the client reads no amounts."""
    client, bearer = await gw.client(), [("Authorization", f"Bearer {ADMIN}")]
    for _ in range(2):
        answer = await client.fetch("POST", "/v1/chat/completions", json={"model": "m", "messages": HI})
        assert b"needed" not in answer.body
    line = await gw.settled(1)
    found = re.fullmatch(
        r"daily/\d{4}-\d\d-\d\d/: needed \$0\.\d+, used \$0\.00 \(spent \$0\.00\), cap \$0\.000001", line["detail"]
    )
    assert found, line["detail"]
    metrics = (await client.fetch("GET", "/metrics", headers=bearer)).body.decode()
    assert 'budget_refusals_total{budget="daily"} 2' in metrics
    page = (await client.fetch("GET", f"/admin/requests/{line['request_id']}", headers=bearer)).json
    assert page["errorDetail"] == line["detail"]


async def once(gw: Gateway) -> None:
    """The client sent one request."""
    line = await gw.settled()
    assert (line["status"], line["error"], line["attempts"]) == (429, "insufficient_quota", 0)
    assert len(gw.exchanges) == 1


@pytest.mark.parametrize(("originator", "kind"), [("codex_exec", "usage_limit_reached"), ("x", "insufficient_quota")])
async def test_codex_gets_the_sentence_where_it_shows_it(gw: Gateway, originator: str, kind: str) -> None:
    headers = [("originator", originator)]
    body = {"model": "m", "input": "Hi", "stream": True}
    answer = await (await gw.client()).fetch("POST", "/v1/responses", json=body, headers=headers)
    assert answer.status == 429
    assert (answer.json["error"]["type"], answer.json["error"]["code"]) == (kind, "insufficient_quota")
    shown = answer.header("x-codex-promo-message")
    assert (shown is not None and shown.startswith(SENTENCE)) == (originator == "codex_exec")
