"""What only the Gemini API does as a provider's: answers that it gives up, and the paths of Vertex AI."""

from __future__ import annotations

import pytest
from anthropic import APIError as AnthropicError
from openai import APIError as OpenAIError

from tests.support import Upstream, json_answer, sse_answer
from tests.support.clouds import PROJECT, VertexServer
from tests.support.gateway import Gateway
from tests.translation.cells import CALLS, Api, Json
from tests.translation.gemini_provider import answer, events, text
from tests.translation.rig import StrictProvider, served
from tests.translation.sdks import ask, sdk_of

CLIENTS: tuple[Api, ...] = ("chat", "responses", "messages")
STREAM = pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
CLIENT = pytest.mark.parametrize("client", CLIENTS)


def provider_of(*answers: Json) -> StrictProvider:
    provider = StrictProvider("gemini")
    provider.answers += answers
    return provider


@CLIENT
@STREAM
async def test_an_answer_that_the_provider_gave_up_is_tried_again(client: Api, stream: bool) -> None:
    provider = provider_of(answer(finish="MALFORMED_FUNCTION_CALL"), answer(text("Now.")))
    routing = {"maxRetries": 1, "retryDelay": 0, "rateLimitRetries": 0}
    async with served(provider, routing=routing) as gw, sdk_of(client, gw) as sdk:
        said = await ask(client, sdk, CALLS[client], stream=stream)
    assert "Now." in str(said.answer)
    assert len(provider.requests) == 2


@CLIENT
async def test_an_answer_that_the_provider_gave_up_after_its_first_content_is_an_error(client: Api) -> None:
    provider = provider_of(answer(text("Hello there, you."), finish="OTHER"))
    async with served(provider) as gw, sdk_of(client, gw) as sdk:
        with pytest.raises((OpenAIError, AnthropicError), match="OTHER"):
            await ask(client, sdk, CALLS[client], stream=True)


@STREAM
async def test_gemini_on_vertex_serves_all_clients(stream: bool) -> None:
    async with Upstream() as up:
        provider = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "apiKey": "AIza-key"}
        models = [{"name": "m", "provider": "vertex", "model": "gemini-3.8-flash"}]
        async with Gateway({"providers": {"vertex": provider}, "models": models}) as gw:
            for client in CLIENTS:
                found = answer(text("From Vertex."))
                up.queue(sse_answer(*events(found)) if stream else json_answer(found))
                async with sdk_of(client, gw) as sdk:
                    said = await ask(client, sdk, CALLS[client], stream=stream)
                assert "From Vertex." in str(said.answer)
            requests = [await up.request(at) for at in range(len(CLIENTS))]
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    path = f"{PROJECT}/publishers/google/models/gemini-3.8-flash:{method}"
    assert {request.target for request in requests} == {path}


async def test_claude_on_vertex_serves_clients_of_chat_in_its_own_api() -> None:
    async with Upstream() as up:
        VertexServer(up, "AIza-key")
        provider = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "apiKey": "AIza-key"}
        models = [{"name": "m", "provider": "vertex", "model": "claude-up"}]
        async with Gateway({"providers": {"vertex": provider}, "models": models}) as gw, sdk_of("chat", gw) as sdk:
            await ask("chat", sdk, CALLS["chat"], stream=False)
        request = await up.request()
    assert request.target == f"{PROJECT}/publishers/anthropic/models/claude-up:rawPredict"
