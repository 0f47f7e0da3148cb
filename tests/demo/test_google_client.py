"""The google-genai package, the gateway, and the demo provider that it has without any other."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from google.genai import errors, types
from google.genai.client import AsyncClient

from tests.support.gateway import Gateway
from tests.support.gemini import connected

AT_ONCE = {"maxRetries": 0, "rateLimitRetries": 0}  # its 429 has a RetryInfo of seconds


@pytest.fixture
async def gw() -> AsyncIterator[Gateway]:
    async with Gateway({"demo": "auto", "routing": AT_ONCE}) as gw:
        yield gw


@pytest.fixture
async def google(gw: Gateway) -> AsyncIterator[AsyncClient]:
    async with connected(gw.url) as client:
        yield client


async def collect(texts: list[str], google: AsyncClient, model: str, contents: Any = "Hello there") -> None:
    """Add the texts of a stream to ``texts`` as they come."""
    async for chunk in await google.models.generate_content_stream(model=model, contents=contents):
        texts += [chunk.text or ""]


async def test_a_stream_and_a_plain_answer_say_the_same(google: AsyncClient) -> None:
    plain = await google.models.generate_content(model="demo-instant", contents="Hello there")
    texts: list[str] = []
    await collect(texts, google, "demo-instant")
    assert "".join(texts) == plain.text
    assert "Hello there" in plain.text
    assert plain.usage_metadata.prompt_token_count == 2


async def test_functions_are_called_and_their_results_end_the_turn(google: AsyncClient) -> None:
    async def get_weather(city: str) -> str:
        """The weather in a city."""
        return f"{city} is sunny"

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = await google.models.generate_content(model="demo-instant", contents="weather in Rome", config=config)
    assert "Rome is sunny" in answer.text


async def test_a_chat_keeps_the_signature_of_a_thought(google: AsyncClient) -> None:
    chat = google.chats.create(model="demo-reasoning")
    assert "fish" in (await chat.send_message("red fish")).text
    assert "birds" in (await chat.send_message("blue birds")).text


async def test_tokens_are_counted_and_texts_embedded(google: AsyncClient) -> None:
    assert (await google.models.count_tokens(model="demo", contents="three short words")).total_tokens == 3
    found = await google.models.embed_content(model="demo-embedding", contents=["a", "b"])
    assert len(found.embeddings) == 2


async def test_models_are_listed(google: AsyncClient) -> None:
    listed = {model.name: model.supported_actions async for model in await google.models.list()}
    assert "countTokens" in listed["models/demo"]
    assert listed["models/demo-embedding"] == ["embedContent", "batchEmbedContents"]
    assert (await google.models.get(model="demo")).name == "models/demo"


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("demo-429", errors.ClientError),
        ("demo-500", errors.ServerError),
        ("demo-503", errors.ServerError),
        ("demo-400-context", errors.ClientError),
        ("demo-error-first", errors.APIError),
        ("no-such", errors.ClientError),
    ],
)
async def test_an_error_before_the_content_is_the_packages_exception(
    google: AsyncClient, model: str, error: type[errors.APIError]
) -> None:
    with pytest.raises(error):
        await google.models.generate_content(model=model, contents="Hi")
    with pytest.raises(error):
        await collect([], google, model)


@pytest.mark.parametrize("model", ["demo-error-mid", "demo-cut", "demo-truncated"])
async def test_a_broken_stream_raises_after_its_words(google: AsyncClient, model: str) -> None:
    texts: list[str] = []
    with pytest.raises(errors.APIError):
        await collect(texts, google, model)
    assert texts


@pytest.mark.parametrize("model", ["demo-no-done", "demo-garbage"])
async def test_what_a_client_need_not_see_is_repaired(google: AsyncClient, model: str) -> None:
    texts: list[str] = []
    await collect(texts, google, model)
    assert "Hello there" in "".join(texts)
