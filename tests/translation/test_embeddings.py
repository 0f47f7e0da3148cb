"""The SDKs of OpenAI and Google over each other's embeddings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from google.genai.errors import ClientError
from openai import APIStatusError, AsyncOpenAI, DefaultAsyncHttpxClient

from proxy.demo.server import Demo
from tests.support import Answer, Upstream, json_answer, sse_answer
from tests.support.clouds import PROJECT
from tests.support.gateway import Gateway
from tests.support.gemini import connected
from tests.support.steps import Script
from tests.support.upstream import Request

Json = dict[str, Any]

VECTORS = {"a": [0.25, -0.5], "b": [1.0, 0.0], "a\nb": [3.0, 4.0]}
USAGE = {"promptTokenCount": 7, "totalTokenCount": 7}


def google(request: Request, usage: Json = USAGE) -> Script:
    """Google's answer, if the request is one that Google takes."""
    assert request.target == "/v1beta/models/up:batchEmbedContents"
    assert request.header("x-goog-api-key") == "the-key"
    texts = []
    for each in request.json["requests"]:
        assert each.keys() <= {"model", "content", "outputDimensionality"}
        assert each["model"] == "models/up"
        texts += [part["text"] for part in each["content"]["parts"]]
    return json_answer({"embeddings": [{"values": VECTORS[text]} for text in texts]} | {"usageMetadata": usage})


def openai(request: Request) -> Script:
    """OpenAI's answer, if the request is one that OpenAI takes. The vectors come in the order of its choice."""
    assert request.target == "/v1/embeddings"
    assert request.header("authorization") == "Bearer the-key"
    assert request.header("x-goog-api-key") is None
    assert request.json.keys() <= {"model", "input", "dimensions"}
    given = request.json["input"]
    texts = [given] if isinstance(given, str) else given
    data = [{"object": "embedding", "index": at, "embedding": VECTORS[text]} for at, text in enumerate(texts)]
    usage = {"prompt_tokens": 7, "total_tokens": 7}
    return json_answer({"object": "list", "data": data[::-1], "model": "up-1", "usage": usage})


def settings(kind: str, up: Upstream) -> Json:
    address = f"{up.origin}/v1beta" if kind == "gemini" else up.url
    return {"kind": kind, "baseUrl": address, "apiKey": "the-key"}


@asynccontextmanager
async def gateway(kind: str, *script: Any, **sections: Any) -> AsyncIterator[tuple[Gateway, Upstream]]:
    """A gateway with the model ``m`` of a provider of this kind."""
    async with Upstream() as up:
        if script:
            up.queue(*script)
        else:
            up.on(google if kind == "gemini" else openai)
        config = {
            "providers": {"up": settings(kind, up)},
            "models": [{"name": "m", "provider": "up", "model": "up", "type": "embedding"}],
            "routing": {"maxRetries": 0, "rateLimitRetries": 0},
        }
        async with Gateway(config | sections) as gw:
            yield gw, up


def sdk(gw: Gateway) -> AsyncOpenAI:
    http = DefaultAsyncHttpxClient(verify=False)  # reading the system's certificates takes longer than a call
    return AsyncOpenAI(base_url=f"{gw.url}/v1", api_key="any", max_retries=0, http_client=http)


async def post(gw: Gateway, **call: Any) -> Answer:
    client = await gw.client()
    return await client.fetch("POST", "/v1/embeddings", json={"model": "m", "input": ["a", "b"]} | call)


async def embed(gw: Gateway, body: Json, method: str = "embedContent") -> Answer:
    client = await gw.client()
    return await client.fetch("POST", f"/v1beta/models/m:{method}", json=body)


@pytest.mark.parametrize("options", [{}, {"encoding_format": "float"}], ids=["base64", "numbers"])
async def test_openais_sdk_gets_googles_vectors(options: Json) -> None:
    async with gateway("gemini") as (gw, up), sdk(gw) as client:
        raw = await client.embeddings.with_raw_response.create(model="m", input=["a", "b"], dimensions=2, **options)
        found = raw.parse()
        assert [item.embedding for item in found.data] == [VECTORS["a"], VECTORS["b"]]
        assert (found.model, found.usage.prompt_tokens, found.usage.total_tokens) == ("up", 7, 7)
        assert "x-router-dropped" not in raw.headers
        assert [each["outputDimensionality"] for each in (await up.request()).json["requests"]] == [2, 2]
        line = await gw.settled()
        assert (line["outcome"], line["tokens"]["input"]) == ("ok", 7)


@pytest.mark.parametrize(("contents", "texts"), [("a", ["a"]), (["b", "a"], ["b", "a"])])
async def test_googles_sdk_gets_openais_vectors(contents: Any, texts: list[str]) -> None:
    async with gateway("openai") as (gw, up), connected(gw.url) as client:
        found = await client.models.embed_content(
            model="m", contents=contents, config={"output_dimensionality": 2, "task_type": "CLUSTERING"}
        )
        assert [each.values for each in found.embeddings or []] == [VECTORS[text] for text in texts]
        assert found.usage_metadata is not None
        assert found.usage_metadata.prompt_token_count == 7
        assert found.sdk_http_response is not None
        headers = found.sdk_http_response.headers or {}
        assert headers["x-router-dropped"] == "requests[].taskType"
        assert (await up.request()).json == {"model": "up", "input": contents, "dimensions": 2}


async def test_embed_content_has_the_vector_of_its_parts() -> None:
    async with gateway("openai") as (gw, _):
        answer = await embed(gw, {"content": {"parts": [{"text": "a"}, {"text": "b"}]}})
        assert answer.json == {"embedding": {"values": VECTORS["a\nb"]}, "usageMetadata": USAGE}


def vertex(request: Request) -> Script:
    """Vertex AI's answer, if the request is one that it takes."""
    path = f"{PROJECT}/publishers/google/models/"
    if request.target == f"{path}text-embedding-005:predict":
        assert request.json.keys() == {"instances", "parameters"}
        assert request.json["parameters"] == {"autoTruncate": False, "outputDimensionality": 2}
        found = [VECTORS[each["content"]] for each in request.json["instances"]]
        statistics = {"token_count": 3.0, "truncated": False}
        return json_answer({"predictions": [{"embeddings": {"values": v, "statistics": statistics}} for v in found]})
    settings = {"autoTruncate": False, "outputDimensionality": 2}
    if request.target == f"{path}gemini-embedding-2:embedContent":
        assert request.json["embedContentConfig"] == settings
        (part,) = request.json["content"]["parts"]
        return json_answer({"embedding": {"values": VECTORS[part["text"]]}, "usageMetadata": {"promptTokenCount": 3}})
    assert request.target == f"{path}gemini-embedding-2:batchEmbedContents"
    assert all(each.keys() == {"content", "embedContentConfig"} for each in request.json["requests"])
    texts = [each["content"]["parts"][0]["text"] for each in request.json["requests"]]
    embeddings = [{"values": VECTORS[text]} for text in texts]
    return json_answer({"embeddings": embeddings, "usageMetadata": {"promptTokenCount": 3 * len(texts)}})


@pytest.mark.parametrize("model", ["text-embedding-005", "gemini-embedding-2"])
@pytest.mark.parametrize("texts", [["a"], ["b", "a"]], ids=["one", "two"])
async def test_models_on_vertex_are_served_by_the_methods_that_they_have(model: str, texts: list[str]) -> None:
    async with Upstream() as up:
        up.on(vertex)
        provider = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "apiKey": "the-key"}
        models = [{"name": "m", "provider": "up", "model": model, "type": "embedding"}]
        async with Gateway({"providers": {"up": provider}, "models": models}) as gw, sdk(gw) as client:
            found = await client.embeddings.create(model="auto", input=texts, dimensions=2)
            assert [item.embedding for item in found.data] == [VECTORS[text] for text in texts]
            assert (found.model, found.usage.prompt_tokens) == (model, 3 * len(texts))
            assert (await gw.settled())["tokens"]["input"] == 3 * len(texts)


async def test_googles_clients_are_served_by_vertex_models_that_lack_their_methods() -> None:
    async with Upstream() as up:
        up.on(vertex)
        provider = {"kind": "vertex", "baseUrl": f"{up.origin}{PROJECT}", "apiKey": "the-key"}
        models = [{"name": "m", "provider": "up", "model": "text-embedding-005", "type": "embedding"}]
        async with Gateway({"providers": {"up": provider}, "models": models}) as gw, connected(gw.url) as client:
            config = {"output_dimensionality": 2}
            found = await client.models.embed_content(model="m", contents=["b", "a"], config=config)
            assert [each.values for each in found.embeddings or []] == [VECTORS["b"], VECTORS["a"]]
            answer = await embed(gw, {"content": {"parts": [{"text": "a"}]}, "outputDimensionality": 2})
            assert answer.json["embedding"] == {"values": VECTORS["a"]}
            many = await embed(gw, {"requests": [{"content": {"parts": [{"text": "a"}]}}] * 251}, "batchEmbedContents")
            assert (many.status, "'requests' cannot be" in many.json["error"]["message"]) == (400, True)


async def test_an_unknown_usage_is_0_and_told_and_stays_unknown_in_the_log() -> None:
    async with gateway("gemini", json_answer({"embeddings": [{"values": [1]}] * 2})) as (gw, _):
        answer = await post(gw, user="u")
        assert answer.json["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
        assert answer.header("x-router-dropped") == "user, usage"
        assert answer.json["_router"]["dropped"] == ["user", "usage"]
        assert (await gw.settled())["tokens"] is None


@pytest.mark.parametrize("vectors", [1, 3])
async def test_a_number_of_vectors_that_is_not_that_of_the_texts_is_a_502(vectors: int) -> None:
    async with gateway("gemini", json_answer({"embeddings": [{"values": [1]}] * vectors})) as (gw, _):
        answer = await post(gw)
        assert (answer.status, answer.json["error"]["code"]) == (502, "upstream_broken_answer")


async def test_an_event_stream_is_no_answer() -> None:
    async with gateway("gemini", sse_answer(b"data: {}\n\n")) as (gw, _):
        assert (await post(gw, stream=True)).status == 502


async def test_what_cannot_be_translated_is_refused_in_the_clients_form() -> None:
    async with gateway("gemini") as (gw, up), sdk(gw) as client:
        with pytest.raises(APIStatusError) as refused:
            await client.embeddings.create(model="m", input=[1, 2])
        assert (refused.value.status_code, refused.value.param, refused.value.code) == (400, "input", "untranslatable")
        assert not list(up)
    async with gateway("openai") as (gw, up):
        image = {"inlineData": {"mimeType": "image/png", "data": "AA=="}}
        answer = await embed(gw, {"content": {"parts": [image]}})
        assert (answer.status, answer.json["error"]["status"]) == (400, "INVALID_ARGUMENT")
        assert "content.parts[0].inlineData" in answer.json["error"]["message"]
        assert not list(up)


async def test_what_would_be_lost_is_refused_where_nothing_may_be() -> None:
    async with gateway("gemini", translate={"onLoss": "refuse"}) as (gw, _):
        answer = await post(gw, user="u")
        assert (answer.status, answer.json["error"]["param"]) == (400, "user")
        assert (await post(gw)).status == 200


async def test_a_providers_error_has_the_clients_form() -> None:
    refusal = {"error": {"code": 400, "message": "Too long.", "status": "INVALID_ARGUMENT"}}
    async with gateway("gemini", json_answer(refusal, 400)) as (gw, _), sdk(gw) as client:
        with pytest.raises(APIStatusError, match=r"Too long\.") as caught:
            await client.embeddings.create(model="m", input="a")
        assert caught.value.status_code == 400
    async with (
        gateway("openai", json_answer({"error": {"message": "Too long.", "type": "x"}}, 400)) as (gw, _),
        connected(gw.url) as client_,
    ):
        with pytest.raises(ClientError, match=r"Too long\."):
            await client_.models.embed_content(model="m", contents="a")


@asynccontextmanager
async def both_kinds() -> AsyncIterator[tuple[Gateway, Upstream, Upstream]]:
    """The model ``m`` at a provider of Google's API, then at one of OpenAI's."""
    async with Upstream() as first, Upstream() as second:
        first.on(google)
        second.on(openai)
        config = {
            "providers": {"p0": settings("gemini", first), "p1": settings("openai", second)},
            "models": [{"name": "m", "provider": name, "model": "up", "type": "embedding"} for name in ("p0", "p1")],
            "routing": {"maxRetries": 2, "retryDelay": 0, "rateLimitRetries": 0},
        }
        async with Gateway(config) as gw:
            yield gw, first, second


async def test_token_ids_go_to_a_provider_of_the_clients_api() -> None:
    async with both_kinds() as (gw, first, second):
        second.queue(json_answer({"object": "list", "data": [], "model": "up", "usage": None}))
        assert (await post(gw, input=[[1, 2], [3]])).status == 200
        assert not list(first)
        assert (await second.request()).json["input"] == [[1, 2], [3]]


async def test_a_text_goes_to_another_provider_if_the_first_fails() -> None:
    async with both_kinds() as (gw, first, second):
        first.queue(json_answer({"embeddings": []}))
        second.on(openai)
        answer = await post(gw)
        assert [item["embedding"] for item in answer.json["data"]] == [VECTORS["b"], VECTORS["a"]]  # as it came
        assert answer.json["_router"]["attempts"] == 2


async def test_auto_chooses_models_for_embeddings_only() -> None:
    async with Upstream() as up:
        up.on(google)
        config = {
            "providers": {"up": settings("gemini", up)},
            "models": [
                {"name": "talk", "provider": "up"},
                {"name": "m", "provider": "up", "model": "up", "type": "embedding"},
            ],
        }
        async with Gateway(config) as gw:
            answer = await post(gw, model="auto")
            assert answer.json["_router"]["model_name"] == "m"


async def test_an_alias_is_what_the_answer_names() -> None:
    async with gateway("gemini", aliases={"text-embedding-3-small": "m"}) as (gw, _):
        assert (await post(gw, model="text-embedding-3-small")).json["model"] == "text-embedding-3-small"


@pytest.mark.parametrize(("usage", "second"), [(USAGE, 200), ({}, 429)], ids=["known", "unknown"])
async def test_limits_count_the_usage_or_an_estimate_where_it_is_unknown(usage: Json, second: int) -> None:
    limits = {"enabled": True, "global": {"tokensPerMinute": 150}}
    async with gateway("gemini", rateLimiting=limits) as (gw, up):
        up.on(lambda request: json_answer({"embeddings": [{"values": [1]}], "usageMetadata": usage}))
        text = "a" * 400  # 100 tokens by the estimate
        assert [(await post(gw, input=text)).status for _ in range(2)] == [200, second]


async def test_nothing_is_translated_if_that_is_off() -> None:
    async with gateway("gemini", translate={"enabled": False}) as (gw, _):
        answer = await post(gw)
        assert (answer.status, answer.json["error"]["code"]) == (400, "unsupported_endpoint")


async def test_googles_list_shows_models_that_embed_by_translation() -> None:
    async with gateway("openai") as (gw, _), connected(gw.url) as client:
        listed = [model async for model in await client.models.list(config={"query_base": True})]
        assert [(model.name, model.supported_actions) for model in listed] == [
            ("models/m", ["embedContent", "batchEmbedContents"])
        ]


async def test_the_demo_embeds_alike_by_both_apis() -> None:
    demo = Demo(rate=0)
    address = f"http://127.0.0.1:{await demo.start()}"
    providers = {
        "google": {"kind": "gemini", "baseUrl": f"{address}/v1beta", "apiKey": "k"},
        "openai": {"kind": "openai", "baseUrl": f"{address}/v1", "apiKey": "k"},
    }
    models = [{"name": name, "provider": name, "model": "demo-embedding", "type": "embedding"} for name in providers]
    try:
        async with Gateway({"providers": providers, "models": models}) as gw, sdk(gw) as client:
            answers = [
                await client.embeddings.create(model=name, input=["a", "b c"], dimensions=4) for name in providers
            ]
    finally:
        await demo.stop()
    first, second = ([item.embedding for item in answer.data] for answer in answers)
    assert first == second
    assert answers[0].usage == answers[1].usage
