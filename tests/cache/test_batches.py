"""Calls for embeddings: a batch asks only for what is missing."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from tests.cache.flows import Clock, ask, cached, state
from tests.support import Answer, Headers, RawClient, Request, Send, Upstream, Wait, error_json, json_answer, until
from tests.support.gateway import ADMIN, Gateway

PATH = "/v1/embeddings"


def vector_of(text: Any) -> list[float]:
    return [len(str(text)), 0.5]


def embed(request: Request) -> list[Any]:
    given = json.loads(request.body)["input"]
    inputs = given if isinstance(given, list) and not isinstance(given[0], int) else [given]
    data = [{"object": "embedding", "index": n, "embedding": vector_of(each)} for n, each in enumerate(inputs)]
    tokens = sum(len(str(each)) for each in inputs)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return json_answer({"object": "list", "data": data, "model": "e-1", "usage": usage})


def asked(up: Upstream) -> list[Any]:
    return [json.loads(request.body)["input"] for request in up.requests]


async def embeddings(client: RawClient, given: Any, *lines: tuple[str, str], **members: Any) -> Answer:
    return await ask(client, {"model": "m", "input": given} | members, *lines, path=PATH)


def vectors(answer: Answer) -> list[Any]:
    assert [each["index"] for each in answer.json["data"]] == list(range(len(answer.json["data"])))
    assert {each["object"] for each in answer.json["data"]} == {"embedding"}
    return [each["embedding"] for each in answer.json["data"]]


async def test_a_batch_asks_only_for_what_is_missing() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        first = await embeddings(client, ["a", "bb"])
        second = await embeddings(client, ["ccc", "bb", "dddd", "a"])
        assert asked(up) == [["a", "bb"], ["ccc", "dddd"]]
        assert vectors(first) == [vector_of("a"), vector_of("bb")]
        assert vectors(second) == [vector_of("ccc"), vector_of("bb"), vector_of("dddd"), vector_of("a")]
        assert (state(first), state(second)) == ("miss", "miss")
        assert first.json["_router"]["cache"] == {"status": "miss", "inputs": 2, "cached": 0}
        assert second.json["_router"]["cache"] == {"status": "miss", "inputs": 4, "cached": 2}
        assert second.json["usage"] == {"prompt_tokens": 7, "total_tokens": 7}
        assert second.json["model"] == "e-1"


async def test_a_batch_of_known_inputs_is_a_hit() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        clock, client = Clock(gw), await gw.client()
        await embeddings(client, "a")
        clock.seconds += 10
        await embeddings(client, ["bb"])
        clock.seconds += 5
        answer = await embeddings(client, ["bb", "a", "bb"])
        assert (state(answer), answer.header("Age")) == ("hit", "15")
        assert vectors(answer) == [vector_of("bb"), vector_of("a"), vector_of("bb")]
        assert answer.json["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
        assert answer.json["model"] == "e-1"
        assert answer.json["_router"]["cache"] == {"status": "hit", "age": 15}
        assert asked(up) == ["a", ["bb"]]
        assert gw.app.cache.counters.inputs == 3
        assert gw.app.cache.counters.input == 2 + 1 + 2


async def test_an_input_that_comes_twice_is_asked_for_once() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        answer = await embeddings(await gw.client(), ["a", "bb", "a"])
        assert asked(up) == [["a", "bb"]]
        assert vectors(answer) == [vector_of("a"), vector_of("bb"), vector_of("a")]


async def test_arrays_of_tokens_are_inputs() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        await embeddings(client, [1, 2])
        answer = await embeddings(client, [[1, 2], [3]])
        assert asked(up) == [[1, 2], [[3]]]
        assert len(vectors(answer)) == 2


async def test_other_members_count() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        await embeddings(client, "a")
        assert state(await embeddings(client, "a", dimensions=1)) == "miss"


async def test_a_part_that_does_not_fit_is_an_error_and_nothing_is_kept() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        await embeddings(client, "a")
        up.on(lambda request: json_answer({"object": "list", "data": [], "model": "e-1"}))
        assert (await embeddings(client, ["a", "bb"])).status == 502
        assert (await embeddings(client, ["cc", "dd"])).status == 200  # as it came
        up.on(embed)
        assert vectors(await embeddings(client, ["a", "bb"])) == [vector_of("a"), vector_of("bb")]


async def test_an_error_goes_to_the_client() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.queue(json_answer({"error": {"message": "too long"}}, 400))
        answer = await embeddings(await gw.client(), ["a", "bb"])
        assert (answer.status, state(answer)) == (400, "miss")


@pytest.mark.parametrize(
    ("header", "states", "requests"),
    [
        (("x-router-cache", "refresh"), ["miss", "miss"], 2),
        (("x-router-cache", "off"), ["bypass", "bypass"], 2),
        (("x-router-cache", "only"), ["miss", "miss"], 0),
    ],
)
async def test_directives_apply(header: tuple[str, str], states: list[str], requests: int) -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        assert [state(await embeddings(client, ["a", "bb"], header)) for _ in range(2)] == states
        assert len(up.requests) == requests


async def test_what_inputs_have_saved_is_their_share() -> None:
    models = [{"name": "m", "provider": "up", "model": "e", "type": "embedding", "inputPrice": 1000.0}]
    async with Upstream() as up, Gateway(cached(up, models=models)) as gw:
        up.on(embed)
        client = await gw.client()
        await embeddings(client, ["aaaa", "bb"])
        await embeddings(client, ["bb"])
        counters = gw.app.cache.counters
        assert counters.input == 2
        assert counters.cost == 2_400_000  # by bytes, quotes included


async def test_many_inputs() -> None:
    texts = [f"text {number}" for number in range(450)]
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        await embeddings(client, texts[:300])
        answer = await embeddings(client, texts)
        assert asked(up)[1] == texts[300:]
        assert vectors(answer) == [vector_of(text) for text in texts]


# -- calls at the same time ----------------------------------------------------------------------------


class Gate:
    """An upstream that holds its answers until the gate opens."""

    def __init__(self, up: Upstream) -> None:
        self.event = asyncio.Event()
        up.on(lambda request: [Wait(self.event), *embed(request)])


async def started(gw: Gateway, count: int, *inputs: Any) -> list[asyncio.Future[Answer]]:
    """Begin a call for each of the inputs; all of them run."""
    before = gw.app.serving.running
    clients = [await gw.client() for _ in range(count)]
    asking = [asyncio.ensure_future(embeddings(client, each)) for client in clients for each in inputs]
    await until(lambda: gw.app.serving.running == before + len(asking), "all calls to run")
    return asking


async def test_of_a_hundred_equal_calls_at_once_one_is_sent() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = Gate(up)
        asking = await started(gw, 100, ["a", "bb"])
        await until(lambda: len(up.requests) == 1, "the first call to be sent")
        gate.event.set()
        answers = await asyncio.gather(*asking)
        assert [vectors(answer) for answer in answers] == [[vector_of("a"), vector_of("bb")]] * 100
        assert sorted(str(state(answer)) for answer in answers) == ["hit"] * 99 + ["miss"]
        assert len(up.requests) == 1
        assert gw.app.cache.counters.waited == 99


async def test_calls_that_overlap_ask_for_each_input_once() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = Gate(up)
        first = await started(gw, 1, ["a", "bb"])
        await until(lambda: len(up.requests) == 1, "the first call to be sent")
        others = await started(gw, 1, ["ccc", "bb"]) + await started(gw, 1, ["dddd", "ccc", "a"])
        gate.event.set()
        answers = await asyncio.gather(*first, *others)
        assert sorted(each for given in asked(up) for each in given) == ["a", "bb", "ccc", "dddd"]
        assert [vectors(answer) for answer in answers] == [
            [vector_of("a"), vector_of("bb")],
            [vector_of("ccc"), vector_of("bb")],
            [vector_of("dddd"), vector_of("ccc"), vector_of("a")],
        ]
        assert gw.app.cache._batches._flights == {}


async def test_calls_that_waited_ask_for_themselves_if_the_first_one_failed() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = asyncio.Event()
        up.queue([Wait(gate), *json_answer(error_json("wrong"), 400)])
        up.on(embed)
        (first,) = await started(gw, 1, "a")
        await until(lambda: len(up.requests) == 1, "the first call to be sent")
        others = await started(gw, 3, "a")
        gate.set()
        assert (await first).status == 400
        assert [(answer.status, state(answer)) for answer in await asyncio.gather(*others)] == [(200, "miss")] * 3
        assert len(up.requests) == 4


async def test_a_call_does_not_wait_for_one_from_before_an_invalidation() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        gate = Gate(up)
        asking = await started(gw, 1, "a")
        await until(lambda: len(up.requests) == 1, "the first call to be sent")
        bearer = [("Authorization", f"Bearer {ADMIN}")]
        await (await gw.client()).fetch("POST", "/admin/cache/invalidate", json={"models": ["m"]}, headers=bearer)
        asking += await started(gw, 1, "a")
        await until(lambda: len(up.requests) == 2, "the second call to be sent")
        gate.event.set()
        assert [state(answer) for answer in await asyncio.gather(*asking)] == ["miss", "miss"]


async def test_calls_wait_for_no_other_one_if_they_are_not_to() -> None:
    async with Upstream() as up, Gateway(cached(up, {"waitSecs": 0})) as gw:
        gate = Gate(up)
        asking = await started(gw, 2, "a")
        await until(lambda: len(up.requests) == 2, "both calls to be sent")
        gate.event.set()
        assert [state(answer) for answer in await asyncio.gather(*asking)] == ["miss", "miss"]


async def test_a_call_of_which_a_part_is_missing_saves_nothing_if_it_is_refused() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        await embeddings(client, "a")
        assert (await embeddings(client, ["a", "bb"], ("x-router-cache", "only"))).status == 504
        assert gw.app.cache.counters.input == 0


async def test_a_hit_names_the_alias_that_a_miss_names() -> None:
    async with Upstream() as up, Gateway(cached(up, aliases={"best": "m"})) as gw:
        up.on(embed)
        client = await gw.client()
        answers = [await ask(client, {"model": "best", "input": "a"}, path=PATH) for _ in range(2)]
        assert [(state(answer), answer.json["model"]) for answer in answers] == [("miss", "best"), ("hit", "best")]


async def test_a_provider_that_cannot_answer_saves_nothing() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:
        up.on(embed)
        client = await gw.client()
        await embeddings(client, "a")
        up.on(lambda request: json_answer({"error": {"message": "down"}}, 503))
        answer = await embeddings(client, ["a", "bb"])
        assert (answer.status, state(answer)) == (502, "miss")
        assert (gw.app.cache.counters.inputs, gw.app.cache.counters.input) == (0, 0)


def embed_by_model(request: Request) -> list[Any]:
    """Each model has vectors of its own. ``down`` answers with an error."""
    call = json.loads(request.body)
    if call["model"] == "down":
        return json_answer({"error": {"message": "down"}}, 503)
    data = [{"object": "embedding", "index": n, "embedding": [call["model"]]} for n in range(len(call["input"]))]
    return json_answer({"object": "list", "data": data, "model": call["model"]})


ROUTING = {"maxRetries": 3, "rateLimitRetries": 0, "retryDelay": 0}


async def test_vectors_of_two_models_are_not_mixed() -> None:
    """The client names both, and either may answer."""
    models = [{"name": name, "provider": "up", "model": name, "type": "embedding"} for name in ("small", "large")]
    async with Upstream() as up, Gateway(cached(up, models=models, routing=ROUTING)) as gw:
        up.queue(json_answer({"error": {"message": "down"}}, 503))
        up.on(embed_by_model)
        client = await gw.client()
        call = {"model": ["small", "large"]}
        assert vectors(await ask(client, call | {"input": ["a"]}, path=PATH)) == [["large"]]
        answer = await ask(client, call | {"input": ["a", "b"]}, path=PATH)
        assert len({str(vector) for vector in vectors(answer)}) == 1
        assert asked(up)[-1] == ["a", "b"]


async def test_vectors_of_the_fallback_are_not_mixed_with_others() -> None:
    models = [{"name": "m", "provider": "up", "model": "usual", "type": "embedding"}]
    routing = ROUTING | {"fallback": {"provider": "up", "model": "f"}}
    async with Upstream() as up, Gateway(cached(up, models=models, routing=routing)) as gw:
        up.on(embed_by_model)
        client = await gw.client()
        assert vectors(await embeddings(client, ["a"])) == [["usual"]]

        def only_fallback(request: Request) -> list[Any]:
            if json.loads(request.body)["model"] == "f":
                return embed_by_model(request)
            return json_answer({"error": {"message": "down"}}, 503)

        up.on(only_fallback)
        answer = await embeddings(client, ["a", "b"])
        assert (state(answer), vectors(answer)) == ("miss", [["f"], ["f"]])


async def test_white_space_behind_an_answer_does_not_count() -> None:
    async with Upstream() as up, Gateway(cached(up)) as gw:

        def spaced(request: Request) -> list[Any]:
            _, sent = embed(request)
            body = sent.data + b"\n"
            return [
                Headers(200, [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]),
                Send(body),
            ]

        up.on(spaced)
        client = await gw.client()
        await embeddings(client, "a")
        answer = await embeddings(client, ["a", "bb"])
        assert answer.json["_router"]["cache"] == {"status": "miss", "inputs": 2, "cached": 1}


# -- in Google's form ----------------------------------------------------------------------------------

GOOGLE = {"dialects": {"gemini": {}}}


def google(request: Request) -> list[Any]:
    parts = [each["content"]["parts"][0]["text"] for each in json.loads(request.body)["requests"]]
    return json_answer({"embeddings": [{"values": vector_of(each)} for each in parts]})


async def google_batch(client: RawClient, *texts: str, path: str = "/v1beta/models/m:batchEmbedContents") -> Answer:
    requests = [{"model": "models/m", "content": {"parts": [{"text": text}]}} for text in texts]
    return await client.fetch("POST", path, json={"requests": requests})


def values(answer: Answer) -> list[Any]:
    return [each["values"] for each in answer.json["embeddings"]]


@pytest.mark.parametrize(("provider", "respond"), [(GOOGLE, google), ({}, embed)], ids=["native", "translated"])
async def test_a_batch_of_google_asks_only_for_what_is_missing(provider: dict[str, Any], respond: Any) -> None:
    async with Upstream() as up, Gateway(cached(up, provider=provider)) as gw:
        up.on(respond)
        client = await gw.client()
        first = await google_batch(client, "a", "bb")
        second = await google_batch(client, "ccc", "bb", "a", "ccc")
        third = await google_batch(client, "ccc", "a")
        assert [values(answer) for answer in (first, second, third)] == [
            [vector_of("a"), vector_of("bb")],
            [vector_of("ccc"), vector_of("bb"), vector_of("a"), vector_of("ccc")],
            [vector_of("ccc"), vector_of("a")],
        ]
        assert [state(answer) for answer in (first, second, third)] == ["miss", "miss", "hit"]
        assert third.json.keys() == {"embeddings"}
        assert len(up.requests) == 2
        assert b'"ccc"' in up.requests[1].body
        assert b'"bb"' not in up.requests[1].body


async def test_a_part_of_google_s_that_does_not_fit_is_an_error() -> None:
    async with Upstream() as up, Gateway(cached(up, provider=GOOGLE)) as gw:
        up.on(google)
        client = await gw.client()
        await google_batch(client, "a")
        up.on(lambda request: json_answer({"embeddings": []}))
        assert (await google_batch(client, "a", "bb")).status == 502


async def test_a_batch_of_google_shares_nothing_with_other_methods() -> None:
    async with Upstream() as up, Gateway(cached(up, provider=GOOGLE)) as gw:
        up.on(google)
        client = await gw.client()
        await google_batch(client, "a")
        up.on(lambda request: json_answer({"embedding": {"values": [0.25]}}))
        call = {"model": "models/m", "content": {"parts": [{"text": "a"}]}}
        answers = [await client.fetch("POST", "/v1beta/models/m:embedContent", json=call) for _ in range(2)]
        assert [state(answer) for answer in answers] == ["miss", "hit"]
        assert [answer.json for answer in answers] == [{"embedding": {"values": [0.25]}}] * 2
