"""Fetched model lists of providers without configured models."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import openai
import pytest
from prometheus_client.parser import text_string_to_metric_families

from proxy.config.source import Source
from proxy.dispatch.list_fetcher import ListFetcher
from proxy.routing.lists import KEPT
from tests.support import Answer, Stall, Upstream, completion, error_json, json_answer, until, within
from tests.support.clock import FakeClock
from tests.support.gateway import ADMIN, Gateway
from tests.support.patience import PATIENCE
from tests.support.steps import Script
from tests.support.upstream import Request

CHAT = "/v1/chat/completions"
HI: list[Any] = [{"role": "user", "content": "Hi"}]


def listed(*names: str) -> dict[str, Any]:
    return {"object": "list", "data": [{"id": name, "object": "model"} for name in names]}


def serving(*names: str, missing: tuple[str, ...] = ()) -> Callable[[Request], Script]:
    """A server that lists these names, and answers for any name that is not ``missing``."""

    def answer(request: Request) -> Script:
        if request.method == "GET":
            return json_answer(listed(*names))
        if b"multipart" in request.raw_head:
            return json_answer({"text": "Hello"})
        model = request.json["model"]
        if model in missing:
            return json_answer(error_json(f"model '{model}' not found", code="model_not_found"), 404)
        return json_answer(completion("Hello", model=model))

    return answer


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for lists even on a busy machine."""
    monkeypatch.setattr("proxy.upstream.ListFetcher", partial(ListFetcher, wait_secs=PATIENCE))


@pytest.fixture
async def one() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(serving("llama", "both"))
        yield upstream


@pytest.fixture
async def two() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        upstream.on(serving("qwen", "both"))
        yield upstream


def config(*ups: Upstream, **sections: Any) -> dict[str, Any]:
    providers = {name: {"baseUrl": up.url} for name, up in zip(("one", "two"), ups, strict=False)}
    return {"routing": {"maxRetries": 3, "rateLimitRetries": 0}, "providers": providers} | sections


async def ask(gw: Gateway, model: Any, path: str = CHAT) -> Answer:
    client = await gw.client()
    return await client.fetch("POST", path, json={"messages": HI} | ({} if model is None else {"model": model}))


async def models(gw: Gateway) -> list[str]:
    client = await gw.client()
    answer = await client.fetch("GET", "/v1/models")
    return [each["id"] for each in answer.json["data"]]


def calls(up: Upstream) -> list[str]:
    return [request.json["model"] for request in up if request.method == "POST"]


def fetches(up: Upstream) -> int:
    return sum(request.method == "GET" for request in up)


async def test_models_of_a_provider_without_configured_models_are_listed_and_cached(
    one: Upstream, two: Upstream
) -> None:
    clock = FakeClock()
    async with Gateway(config(one, two), clock=clock) as gw:
        for _ in range(3):
            assert await models(gw) == ["llama", "both", "qwen"]
        assert (fetches(one), fetches(two)) == (1, 1)
        one.on(serving("llama", "brand-new"))
        clock.advance(KEPT + 1)
        assert await models(gw) == ["llama", "brand-new", "qwen", "both"]
        assert (fetches(one), fetches(two)) == (2, 2)
        assert one.requests[0].header("via")  # a gateway that is its own provider refuses to list itself
        async with openai.AsyncOpenAI(base_url=f"{gw.url}/v1", api_key="any", max_retries=0) as client:
            assert (await client.models.retrieve("brand-new")).owned_by == "one"
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("nothing")


async def test_a_list_stays_while_its_provider_is_down(one: Upstream) -> None:
    clock = FakeClock()
    async with Gateway(config(one), clock=clock) as gw:
        assert await models(gw) == ["llama", "both"]
        one.on(lambda request: json_answer({}, 500))
        clock.advance(KEPT + 1)
        assert await models(gw) == ["llama", "both"]
        assert fetches(one) == 2
        [line] = [line for line in gw.log_lines if "cannot be listed" in line and "status 500" in line]
        assert msgspec.json.decode(line)["level"] == "warning"


async def test_a_list_survives_a_reload(tmp_path: Path, one: Upstream, two: Upstream) -> None:
    path, environment = tmp_path / "config.yaml", tmp_path / "my.env"
    environment.write_text("")
    server = {"server": {"port": 0, "drainSecs": 1}, "admin": {"token": ADMIN}}
    path.write_bytes(msgspec.yaml.encode(config(one) | server))
    source = Source(path, {}, environment)
    async with Gateway((await source.load()).config, follows=source) as gw:
        assert await models(gw) == ["llama", "both"]
        path.write_bytes(msgspec.yaml.encode(config(one, two) | server))
        assert gw.app.running.follow is not None
        await within(gw.app.running.follow.reload("test"), "the reload")
        assert await models(gw) == ["llama", "both", "qwen"]
        assert (fetches(one), fetches(two)) == (1, 1)


async def test_a_bare_name_is_routed_to_the_provider_that_lists_it(one: Upstream, two: Upstream) -> None:
    async with Gateway(config(one, two)) as gw:
        assert (await ask(gw, "qwen")).header("x-router-provider") == "two"
        assert (await ask(gw, "llama")).header("x-router-provider") == "one"
        assert (calls(one), calls(two)) == (["llama"], ["qwen"])


async def test_a_name_in_several_lists_fails_over_after_a_404(one: Upstream, two: Upstream) -> None:
    one.on(serving("both", missing=("both",)))
    async with Gateway(config(one, two)) as gw:
        answer = await ask(gw, "both")
        assert (answer.status, answer.header("x-router-provider")) == (200, "two")
        assert (calls(one), calls(two)) == (["both"], ["both"])


async def test_an_unlisted_name_is_a_404_that_explains_how_to_name_the_provider(one: Upstream, two: Upstream) -> None:
    async with Gateway(config(one, two)) as gw:
        answer = await ask(gw, "unheard-of")
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
        assert "'one/unheard-of' or 'two/unheard-of'" in answer.json["error"]["message"]
        assert calls(one) == calls(two) == []
        assert (await ask(gw, "two/unheard-of")).header("x-router-provider") == "two"


async def test_a_name_unknown_to_its_provider_does_not_use_the_fallback(one: Upstream, two: Upstream) -> None:
    missing = error_json("The model `gpt-4o-mni` does not exist", code="model_not_found")
    one.on(lambda request: json_answer(missing, 404))
    fallback = config(one, two) | {"routing": {"fallback": {"provider": "two", "model": "spare"}}}
    async with Gateway(fallback) as gw:
        answer = await ask(gw, "gpt-4o-mni")
        assert (answer.status, answer.json["error"]["code"]) == (404, "model_not_found")
        assert (len(calls(one)), calls(two)) == (1, [])


async def test_the_only_provider_gets_any_name_without_waiting_for_its_list(one: Upstream) -> None:
    def answer(request: Request) -> Script:
        return [Stall()] if request.method == "GET" else serving()(request)

    one.on(answer)
    async with Gateway(config(one)) as gw:
        for _ in range(2):
            assert (await ask(gw, "unheard-of")).status == 200
        await until(lambda: fetches(one) == 1, "the list to be fetched")


async def test_a_form_is_routed_to_the_provider_that_lists_its_model(one: Upstream, two: Upstream) -> None:
    async with (
        Gateway(config(one, two)) as gw,
        openai.AsyncOpenAI(base_url=f"{gw.url}/v1", api_key="any", max_retries=0) as client,
    ):
        made = await client.audio.transcriptions.create(model="qwen", file=("a.wav", b"RIFF"))
        assert made.text == "Hello"
        assert (len([r for r in one if r.method == "POST"]), len([r for r in two if r.method == "POST"])) == (0, 1)


@pytest.mark.parametrize("model", ["auto", None, ["auto"]])
async def test_auto_is_rejected_without_a_configured_model(model: Any, one: Upstream, two: Upstream) -> None:
    async with Gateway(config(one, two), chance=random.Random(1)) as gw:
        answer = await ask(gw, model)
        assert (answer.status, answer.json["error"]["code"]) == (400, "model_required")
        assert calls(one) == calls(two) == []


async def test_metrics_have_the_names_of_such_providers_and_of_the_models_that_they_list(
    one: Upstream, two: Upstream
) -> None:
    async with Gateway(config(one, two)) as gw:
        for name in ("qwen", "one/made-up", "one/llama"):
            assert (await ask(gw, name)).status == 200
        client = await gw.client()
        text = (await client.fetch("GET", "/metrics")).body.decode()
        found = {
            (sample.labels["provider"], sample.labels["model"]): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
            if sample.name == "llm_requests_total"
        }
        assert found == {("two", "qwen"): 1, ("one", "other"): 1, ("one", "llama"): 1}
